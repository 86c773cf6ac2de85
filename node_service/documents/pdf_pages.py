"""How many pages a PDF file says that it has, and whether it is encrypted.

A general reader of PDF builds a map of all objects first: a chain of ``/Prev`` links, millions of rows or a stream that
inflates cost it minutes and gigabytes. Two objects are wanted here, the catalog and the root of the page tree, so
only the rows and bytes on the way to them are looked at, and one budget (``pdf_syntax.MAX_EFFORT``) pays for all of it.
Where it is spent, or where something is broken, the pages are not known; the file is kept all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from node_service.documents.pdf_syntax import (
    Dictionary,
    Effort,
    Unreadable,
    dictionary,
    integer,
    object_at,
    reference,
    stream,
)
from node_service.documents.pdf_xref import Place, Section, sections

MAX_PAGES: Final = 100_000
_PAIR: Final = re.compile(rb"\s{0,8}(\d{1,10})\s{1,8}(\d{1,10})")


def count_pages(encoded: bytes, cross_reference: int) -> tuple[int | None, bool]:
    """The number of pages, None where they cannot be counted, and whether the file is encrypted.

    Args:
        encoded: the file.
        cross_reference: where its newest cross-reference section begins, as ``startxref`` says.
    """
    try:
        return _Document(encoded, cross_reference).count()
    except Unreadable:
        return None, False


class _Document:
    def __init__(self, text: bytes, cross_reference: int) -> None:
        self._text = text
        self._effort = Effort()
        self._older = sections(text, cross_reference, self._effort)
        self._seen: list[Section] = []

    def count(self) -> tuple[int | None, bool]:
        """As :func:`count_pages`.

        The root of the page tree says how many there are; the tree is not walked, since a hostile one never ends.

        Raises:
            Unreadable: it cannot be found.
        """
        trailer = next((one.trailer for one in self._sections() if b"/Root" in one.trailer), {})
        if b"/Encrypt" in trailer:
            return None, True
        catalog = self._object(reference(trailer, b"/Root"))
        pages = integer(self._object(reference(catalog, b"/Pages")), b"/Count")
        return (pages if 0 < pages <= MAX_PAGES else None), False

    def _sections(self) -> Iterator[Section]:
        yield from self._seen
        for section in self._older:
            self._seen.append(section)
            yield section

    def _place(self, number: int) -> Place:
        for section in self._sections():
            self._effort.spend(len(section.parts))
            place = section.find(number)
            if place is not None:
                return place
        raise Unreadable

    def _object(self, number: int) -> Dictionary:
        place = self._place(number)
        if place.stream is not None:
            return self._packed(number, place.stream)
        return self._at(number, place.at)[0]

    def _at(self, number: int, at: int) -> tuple[Dictionary, int]:
        found, begin = object_at(self._text, at)
        if found != number:
            raise Unreadable
        return dictionary(self._text, begin, self._effort)

    def _packed(self, number: int, holder: int) -> Dictionary:
        """An object of an object stream (7.5.7): pairs of number and position, then the objects."""
        place = self._place(holder)
        if place.stream is not None:
            raise Unreadable
        said, end = self._at(holder, place.at)
        objects, at = stream(self._text, said, end, self._effort), 0
        for _ in range(integer(said, b"/N")):
            pair = _PAIR.match(objects, at)
            if pair is None:
                break
            self._effort.spend(pair.end() - at)
            at = pair.end()
            if int(pair[1]) == number:
                return dictionary(objects, integer(said, b"/First") + int(pair[2]), self._effort)[0]
        raise Unreadable
