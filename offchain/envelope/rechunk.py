"""Pieces of any size cut into chunks of one size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def rechunk(pieces: Iterable[bytes | bytearray | memoryview], size: int) -> Iterator[tuple[memoryview, bool]]:
    """Yield chunks of exactly ``size`` bytes and whether each is the last, which alone may be shorter.

    A chunk is a view of one buffer that is filled again afterwards: use it before asking for the next. Nothing in,
    nothing out.
    """
    buffer = memoryview(bytearray(size))
    filled = 0
    for piece in pieces:
        view = memoryview(piece).cast("B")
        while view:
            if filled == size:
                yield buffer, False
                filled = 0
            taken = min(size - filled, len(view))
            buffer[filled : filled + taken] = view[:taken]
            filled += taken
            view = view[taken:]
    if filled:
        yield buffer[:filled], True
