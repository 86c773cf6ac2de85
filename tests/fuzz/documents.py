"""Targets: clinical documents in XML, PDF files, and the notes that witnesses sign."""

from __future__ import annotations

from functools import partial
from typing import Final

from domain import checkpoints
from node_service.cda.document import parse_document
from node_service.documents.pdf_file import read_pdf
from tests.fuzz.target import SECRET, Target, accepted
from tests.unit.node_service.cda import documents as cda
from tests.unit.node_service.documents import bombs, files

_BOMB: Final = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>&b;&b;&b;</title></ClinicalDocument>'
)
_OUTSIDE: Final = (
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><title>&a;</title></ClinicalDocument>'
)


def fuzz_cda(data: bytes) -> None:
    """A document is refused, or it has an id; its repr tells nothing of what is written in it."""
    for document in accepted(partial(parse_document, data)):
        assert document.id.root
        assert SECRET not in repr(document.patients) or SECRET not in repr(document)


def fuzz_pdf(data: bytes) -> None:
    """A file is refused or kept, whatever its inner structure is."""
    for read in accepted(partial(read_pdf, data)):
        assert read.version[0] in "12"


def fuzz_note(data: bytes) -> None:
    """A note has one spelling."""
    text = data.decode("utf-8", "replace")
    for note in accepted(partial(checkpoints.parse_note, text)):
        assert checkpoints.parse_note(note.text()) == note
        assert note.text() == text


def _notes() -> list[bytes]:
    checkpoint = checkpoints.Checkpoint(checkpoints.origin_of("medical"), 7, bytes(32))
    return [
        checkpoints.sign_checkpoint(checkpoint, msp, bytes(32), lambda _message: bytes(64)).text().encode()
        for msp in ("AMSP", "BMSP")
    ]


def _documents() -> list[bytes]:
    whole = [cda.ccd(), cda.admission(), cda.discharge()]
    end = whole[0].rindex(b"</")
    long = [whole[0][:end] + filling * 9_000 + whole[0][end:] for filling in (b"<a>", b"<a b='c'>&#65;</a>")]
    return [*whole, whole[0].decode().encode("utf-16"), _BOMB, _OUTSIDE, *long]


def _files() -> list[bytes]:
    """Ones of each structure, some as long as is tried at all."""
    long = [bombs.previous_tables(400_000), bombs.rows(20_000), bombs.inflating(1 << 20)]
    return [files.pdf(), files.pdf(1, text="x"), files.pdf(password="x"), *long]


TARGETS: Final = (
    Target("cda", fuzz_cda, _documents, takes_json=False, max_bytes=1 << 19),
    Target("pdf", fuzz_pdf, _files, takes_json=False, max_bytes=1 << 19),
    Target("note", fuzz_note, _notes, takes_json=False),
)
