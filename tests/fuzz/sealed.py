"""Targets: sealed objects and everything that lies or travels beside them."""

from __future__ import annotations

from functools import partial
from typing import Final

from domain import jcs
from domain.errors import Tampered
from domain.identifiers import encode_bytes
from offchain.envelope.chunk_list import ChunkList
from offchain.envelope.content import Description, Preamble, encode_preamble
from offchain.envelope.header import Header
from offchain.envelope.messages import SealedMessage
from offchain.envelope.sealed import SealedBytes, received
from offchain.envelope.suite import A256GCM_64_TEST
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import A256GCM, Wrap
from tests.fuzz.target import SECRET, Target, accepted
from tests.unit.offchain.sealing import DESCRIPTION, KEY, OBJECT_ID, TEST_SUITES, header, sealed_small

_CONTENTS: Final = (b"", SECRET.encode(), bytes(range(200)))


def fuzz_object(data: bytes) -> None:
    """Nobody without the key makes an object that opens; a stream and the whole see the same object."""
    for sealed in accepted(partial(SealedBytes.of, data, TEST_SUITES), Tampered):
        stream = received([data[:7], data[7:]], max_bytes=len(data), allowed=TEST_SUITES)
        assert b"".join(bytes(piece) for piece in stream) == data
        assert stream.digest == sealed.digest
        verified = sealed.verified(sealed.digest, TEST_SUITES)
        for opened in accepted(partial(unseal, verified, KEY, object_id=OBJECT_ID), Tampered):
            for plain in accepted(partial(opened.whole, max_bytes=1 << 20), Tampered):
                assert plain.content in _CONTENTS, "an object was forged"


def fuzz_header(data: bytes) -> None:
    """A header has one spelling."""
    for read in accepted(partial(Header.parse, data, TEST_SUITES)):
        assert read.encode() == data


def fuzz_chunk_list(data: bytes) -> None:
    """A chunk list has one spelling."""
    for chunk_list in accepted(partial(ChunkList.parse, data), Tampered):
        assert chunk_list.encode() == data


def fuzz_wrap(data: bytes) -> None:
    """Wraps and messages: what is read again from what is written is the same."""
    for wrap in accepted(partial(Wrap.parse, data)):
        assert Wrap.parse(wrap.encode()) == wrap
    for message in accepted(partial(SealedMessage.parse, data)):
        assert SealedMessage.parse(message.encode()) == message


def fuzz_preamble(data: bytes) -> None:
    """The first bytes of the plaintext, which only a holder of the key can have made."""
    for read in accepted(partial(Preamble.parse, memoryview(data)), Tampered):
        assert 12 < read.size <= len(data)
    for description in accepted(partial(Description.parse, data)):
        assert Description.parse(description.encode()) == description


def _wraps() -> list[bytes]:
    wrapped = encode_bytes(bytes(60))
    wrap: dict[str, object] = {"alg": A256GCM, "keyId": SECRET, "wrapped": wrapped}
    message: dict[str, object] = {"alg": "HPKE-X25519", "keyId": encode_bytes(bytes(32)), "sealed": wrapped}
    return [jcs.canonical(wrap), jcs.canonical(message)]


def _preambles() -> list[bytes]:
    plain = Description("text/plain", f"{SECRET}.txt")
    return [encode_preamble(DESCRIPTION, 3, A256GCM_64_TEST) + b"abc", plain.encode()]


def _objects() -> list[bytes]:
    return [sealed_small(content).data for content in _CONTENTS]


TARGETS: Final = (
    Target("sealed-object", fuzz_object, _objects, takes_json=False),
    Target("sealed-header", fuzz_header, lambda: [header().encode()], takes_json=False),
    Target(
        "chunk-list",
        fuzz_chunk_list,
        lambda: [sealed_small(one).chunk_list.encode() for one in _CONTENTS],
        takes_json=False,
    ),
    Target("wrap", fuzz_wrap, _wraps),
    Target("preamble", fuzz_preamble, _preambles),
)
