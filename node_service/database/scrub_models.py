"""Tables of the scrub: how far it is, and which objects it found damaged."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from node_service.database.models import Base, Code, InstantText


class ScrubPass(Base):
    """The pass that is under way, or the last one; ``name`` is always ``scrub``."""

    __tablename__ = "scrub_pass"

    name: Mapped[str] = mapped_column(Code, primary_key=True)
    part: Mapped[str] = mapped_column(String(64))
    after: Mapped[str] = mapped_column(String(64))  # the last object id or log index that was looked at
    objects: Mapped[int] = mapped_column(BigInteger)
    leaves: Mapped[int] = mapped_column(BigInteger)
    began_at: Mapped[str] = mapped_column(InstantText)
    finished_at: Mapped[str | None] = mapped_column(InstantText)


class DamagedObject(Base):
    """A stored object that is altered or gone; it stays until it verifies again or nothing refers to it."""

    __tablename__ = "damaged_object"

    digest: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    reason: Mapped[str] = mapped_column(Code)
    row: Mapped[str] = mapped_column(String(64))  # kind and id of what it belongs to
    found_at: Mapped[str] = mapped_column(InstantText)
