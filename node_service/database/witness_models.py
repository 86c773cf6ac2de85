"""Tables of what witnesses said: projected blocks to compare with, notes that were collected, evidence."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from node_service.database.models import Base, Code, InstantText


class BlockHeader(Base):
    """A block that the projection holds, to be compared with what a witness says about it.

    Attributes:
        validity: which transactions are valid up to this block (:mod:`domain.validity`).
    """

    __tablename__ = "block_header"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    header_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    validity: Mapped[bytes] = mapped_column(LargeBinary(32))


class WitnessCheckpoint(Base):
    """A checkpoint of the witness log, signed by the own witness and by whoever was heard."""

    __tablename__ = "witness_checkpoint"

    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    note: Mapped[str] = mapped_column(Text)
    signers: Mapped[list[Any]] = mapped_column(JSON)
    witnessed: Mapped[bool] = mapped_column(Boolean)  # by enough members beside this hospital


class WitnessEvidence(Base):
    """Signed words that contradict each other, or what the own node holds: kept for ever."""

    __tablename__ = "witness_evidence"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(Code)  # fork, broken-log, header, validity
    document: Mapped[bytes] = mapped_column(LargeBinary)
    found_at: Mapped[str] = mapped_column(InstantText)
