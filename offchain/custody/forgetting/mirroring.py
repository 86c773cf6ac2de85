"""The synchronous replica as the store sees it, and how it is brought up to date after a restart or a failure.

The replica is always written first, so it holds what the store holds, or one frame more. Whether that one was
acknowledged nobody knows, since the store may be put back to an older copy: it is adopted, so that no tombstone is
ever undone. A replica that holds anything else is another store's, or this store was restored from an older copy: a
person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.errors import Conflict, Tampered
from offchain.custody.forgetting.increments import whole_frame_end
from offchain.custody.forgetting.layout import BaseFiles
from offchain.custody.forgetting.view import View
from offchain.disk import Disk


@dataclass(frozen=True, slots=True)
class MirrorState:
    """What a replica holds.

    Attributes:
        base_id: of its base.
        end: bytes of increments.
        last_frame: where the last increment begins; ``end`` if there is none.
    """

    base_id: str
    end: int
    last_frame: int


class Mirror(Protocol):
    """A replica. Every method is durable there on return, and raises ``Unavailable`` where it cannot be reached."""

    def state(self) -> MirrorState | None:
        """What it holds, None if nothing."""

    def append(self, base_id: str, offset: int, frame: bytes) -> None:
        """Add an increment at its end; an empty frame takes its last one away, which begins at ``offset``.

        Raises:
            Conflict: it does not continue what the replica holds.
        """

    def last_frame(self, base_id: str, offset: int) -> bytes:
        """Its last increment, which begins at ``offset``.

        Raises:
            Conflict: it holds something else.
        """

    def install(self, files: BaseFiles) -> None:
        """Replace its base by the next one, and destroy the former.

        Raises:
            Conflict: the base does not replace all that the replica holds.
        """


def bring_up_to_date(mirror: Mirror, view: View, disk: Disk) -> bytes:
    """Let the replica hold what the store holds; return the frame that it holds beyond, to be adopted, or nothing.

    Raises:
        Conflict: the replica is not this store's, or knows more.
        Tampered: what it knows more was altered.
        Unavailable: it cannot be reached.
    """
    state, header = mirror.state(), view.base.header
    if state is None or state.base_id != header.base_id:
        replaced = header.replaces
        if state is not None and (replaced is None or replaced.base_id != state.base_id):
            raise Conflict("the replica holds another store's secrets", reason="replica-diverged")
        mirror.install(view.files)
        state = MirrorState(header.base_id, 0, 0)
    if state.end > view.end:
        if state.last_frame != view.end:
            raise Conflict("the replica holds more than this store: take over from it", reason="replica-diverged")
        frame = mirror.last_frame(header.base_id, view.end)
        if view.cipher.open_all(frame, view.end):
            return frame
        mirror.append(header.base_id, view.end, b"")  # a power cut there left its length without its bytes
        return b""
    _send_rest(mirror, view, state.end, disk)
    return b""


def _send_rest(mirror: Mirror, view: View, start: int, disk: Disk) -> None:
    with disk.opened(view.files.increments) as descriptor:
        data = disk.read_at(descriptor, start, view.end - start)
    position = 0
    while position < len(data):
        end = whole_frame_end(data, position)
        if end is None:
            raise Tampered("the increments of the record secrets were cut", reason="secrets-increment")
        mirror.append(view.base.header.base_id, start + position, data[position:end])
        position = end
