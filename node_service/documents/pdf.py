"""Taking PDF files in: whose they are and what they are says the caller, since nothing in a PDF can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from domain.checks import check_text
from domain.errors import Invalid
from node_service.client.wire import IngestReport
from node_service.context import Node
from node_service.documents.facts import Facts
from node_service.documents.pdf_file import PdfFile, read_pdf
from node_service.documents.taking import Arrival, take_document
from node_service.fhir.clinical_date import bounds
from node_service.fhir.quality import Finding, FindingCode
from node_service.records.ingest import Also

PDF_MEDIA_TYPE: Final = "application/pdf"
MAX_NAME_CHARACTERS: Final = 128
MAX_TITLE_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class PdfFacts:
    """What the caller says about a PDF.

    Attributes:
        document: its id at the source.
        patient: the person whose it is.
        date: when what it tells happened, a FHIR date or dateTime, may be empty.
        code: its kind as ``system|code`` or ``code``, may be empty.
    """

    document: str = field(repr=False)
    patient: str
    title: str = field(default="", repr=False)
    date: str = ""
    code: str = ""

    def __post_init__(self) -> None:
        check_text(self.document, "document", max_characters=MAX_NAME_CHARACTERS)
        for place, value in (("title", self.title), ("type", self.code)):
            if len(value) > MAX_TITLE_CHARACTERS or not value.isprintable():
                raise Invalid(f"{MAX_TITLE_CHARACTERS} printable characters are allowed", place=place)
        if self.date and bounds(self.date) is None:
            raise Invalid("a FHIR date or dateTime is expected", reason="wrong-value", place="date")


def ingest_pdf(
    node: Node, body: bytes, media_type: str, source: str, said: PdfFacts, *, also: Also | None = None
) -> IngestReport:
    """Take in a PDF file under (source, ``said.document``); an encrypted one is kept as it is, and reported.

    Raises:
        Invalid: another media type, or not a whole PDF file.
        NotFound: the patient is unknown.
        Unavailable: store, custody or database.
    """
    if media_type.partition(";")[0].strip().lower() != PDF_MEDIA_TYPE:
        raise Invalid("application/pdf is expected", reason="media-type", place="Content-Type")
    read = read_pdf(body)
    system, bar, code = said.code.rpartition("|")
    coding = {"system": system, "code": code} if bar else {"code": code}
    arrival = Arrival(
        source=source,
        media_type=PDF_MEDIA_TYPE,
        content=body,
        facts=Facts(coding={**coding} if code else None, title=said.title, effective=said.date),
        names=(node.secrets.blind("pdf-document", source, said.document),),
        noted=tuple(_noted(read)),
    )
    return take_document(node, arrival, said.patient, also=also)


def _noted(read: PdfFile) -> Iterator[Finding]:
    if read.encrypted:
        yield Finding(FindingCode.ENCRYPTED, "pdf")
    elif read.encrypted is None:
        yield Finding(FindingCode.DAMAGED, "pdf")
