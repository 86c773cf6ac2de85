"""What every store does with an object once it opened it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from offchain.envelope.sealed import SealedObject


class OpeningStore(ABC):
    """A store that opens objects; reading ranges and verifying follow from that."""

    @abstractmethod
    def get(self, digest: str) -> AbstractContextManager[SealedObject]:
        """Open an object; see :class:`domain.ports.BlobStore`."""

    def get_range(self, digest: str, offset: int, length: int) -> bytes:
        """A range of the sealed bytes, every chunk that it touches verified.

        Raises:
            Invalid: the range is not within the object.
            NotFound, Tampered, Unavailable: as :meth:`get`.
        """
        with self.get(digest) as sealed:
            return sealed.read(offset, length)

    def verify(self, digest: str) -> None:
        """Read and verify every byte of an object.

        Raises:
            NotFound, Tampered, Unavailable: as :meth:`get`.
        """
        with self.get(digest) as sealed:
            for _ in sealed.pieces():
                pass
