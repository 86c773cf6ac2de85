"""The header of a CDA document as a tree, and the confidentiality codes of its body; nothing outside is ever read.

No DTD, no entity, no external reference; size, depth, elements, attributes and the header's text are bounded while the
text is read, so that a document never costs more than its own bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers.expat import ExpatError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

from domain.errors import Invalid

NAMESPACE: Final = "urn:hl7-org:v3"
ROOT: Final = "ClinicalDocument"
MAX_DOCUMENT_BYTES: Final = 32 << 20
MAX_DEPTH: Final = 200
MAX_ELEMENTS: Final = 400_000
MAX_ATTRIBUTES: Final = 40
MAX_HEADER_ELEMENTS: Final = 5_000
MAX_TEXT_CHARACTERS: Final = 4_096
MAX_CONFIDENTIALITY_CODES: Final = 1_000
_PREFIX: Final = f"{{{NAMESPACE}}}"
_DECLARATION = re.compile(rb'^\s{0,64}<\?xml[^>]{0,200}?encoding\s*=\s*["\']([A-Za-z0-9._-]{1,40})["\']')
_CHINESE: Final = {"gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5"}
"""Encodings that Chinese systems declare and expat does not know."""


@dataclass(slots=True)
class Element:
    """An element of the header; ``name`` without the namespace of HL7 version 3, others with theirs."""

    name: str
    attributes: dict[str, str] = field(repr=False)
    children: list[Element] = field(default_factory=list, repr=False)
    pieces: list[str] = field(default_factory=list, repr=False)

    @property
    def text(self) -> str:
        """Its own text, white space folded."""
        return " ".join("".join(self.pieces).split())

    def attribute(self, name: str) -> str:
        """An attribute without outer white space, empty where there is none."""
        return self.attributes.get(name, "").strip()[:MAX_TEXT_CHARACTERS]

    def all(self, path: str) -> Iterator[Element]:
        """Every element at a path of names."""
        name, _, rest = path.partition("/")
        for child in self.children:
            if child.name == name:
                yield from child.all(rest) if rest else (child,)

    def first(self, path: str) -> Element | None:
        """The first element at a path of names."""
        return next(self.all(path), None)


@dataclass(frozen=True, slots=True)
class HeaderXml:
    """The root with the header below it, and the confidentiality codes found anywhere below the body."""

    root: Element
    body_confidentiality: tuple[Element, ...]


def read_header(encoded: bytes) -> HeaderXml:
    """Read a document to its end and keep its header.

    Raises:
        Invalid: not well-formed, not CDA (reason ``not-cda``), something forbidden, or out of bounds; with the line.
    """
    if len(encoded) > MAX_DOCUMENT_BYTES:
        raise Invalid(f"a CDA document has at most {MAX_DOCUMENT_BYTES} bytes", reason="too-large")
    builder = _Builder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    builder.line = lambda: parser.parser.CurrentLineNumber
    try:
        # In one piece: expat before 2.6 begins a long token anew with every piece that it is given.
        parser.feed(_decoded(encoded))
        parser.close()
    except DefusedXmlException:
        raise Invalid(
            "a DTD, and with it every entity, is refused", reason="forbidden-xml", place=builder.place
        ) from None
    except (ParseError, ExpatError, ValueError, LookupError):
        # The parser's own message may repeat a name or a character of the document.
        raise Invalid("the XML is not well-formed", reason="broken-xml", place=builder.place) from None
    if builder.root is None:
        raise Invalid("the XML has no element", reason="broken-xml")
    return HeaderXml(builder.root, tuple(builder.body_codes.values()))


def _decoded(encoded: bytes) -> bytes | str:
    """The bytes for the parser to decode, or text where it does not know the declared encoding."""
    declared = _DECLARATION.match(encoded.removeprefix(b"\xef\xbb\xbf")[:400])
    codec = _CHINESE.get(declared[1].decode().lower()) if declared else None
    return encoded if codec is None else encoded.decode(codec)


class _Builder:
    """The parser's target: builds the header, counts everything."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self.body_codes: dict[str, Element] = {}
        self.line: Callable[[], int] = lambda: 0
        self._open: list[Element] = []
        self._depth = 0
        self._body_depth = 0
        self._elements = 0
        self._header_elements = 0
        self._text_characters = 0

    @property
    def place(self) -> str:
        """The line that the parser has reached."""
        return f"line {self.line()}"

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1
        self._bound(self._depth, MAX_DEPTH, "an element lies too deep")
        self._bound(self._elements, MAX_ELEMENTS, "there are too many elements")
        self._bound(len(attributes), MAX_ATTRIBUTES, "an element has too many attributes")
        name = tag.removeprefix(_PREFIX)
        if self._depth == 1 and tag != _PREFIX + ROOT:
            raise Invalid("the root is no ClinicalDocument of HL7 version 3", reason="not-cda", place=self.place)
        if self._body_depth:
            if name == "confidentialityCode":  # one of each: a thousand harmless ones must not hide the strict one
                self.body_codes.setdefault(attributes.get("code", ""), Element(name, attributes))
                self._bound(len(self.body_codes), MAX_CONFIDENTIALITY_CODES, "there are too many different codes")
        elif self._depth == 2 and name == "component":
            self._body_depth = self._depth
        else:
            self._push(Element(name, attributes))

    def _push(self, element: Element) -> None:
        self._header_elements += 1
        self._bound(self._header_elements, MAX_HEADER_ELEMENTS, "the header has too many elements")
        self._text_characters = 0
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _tag: str) -> None:
        if self._body_depth == self._depth:
            self._body_depth = 0
        elif not self._body_depth:
            self._open.pop()
        self._depth -= 1

    def data(self, text: str) -> None:
        if self._body_depth or not self._open:
            return
        self._text_characters += len(text)
        self._bound(self._text_characters, MAX_TEXT_CHARACTERS, "a text of the header is too long")
        self._open[-1].pieces.append(text)

    def _bound(self, count: int, limit: int, detail: str) -> None:
        if count > limit:
            raise Invalid(detail, reason="too-many", place=self.place)
