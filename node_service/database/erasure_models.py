"""Tables of erasure and retraction: cases, removals on their way, notices to and from other hospitals."""

from __future__ import annotations

from sqlalchemy import Boolean, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from node_service.database.models import Base, Code, Identifier, InstantText, MspId


class ErasureCase(Base):
    """A wish that records be erased: a patient's anchored statement, or the hospital's own order."""

    __tablename__ = "erasure_case"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)  # the statement's id, or a random one
    kind: Mapped[str] = mapped_column(Code)  # statement, hospital
    patient: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    records_digest: Mapped[str] = mapped_column(String(64))
    request: Mapped[bytes] = mapped_column(LargeBinary)  # sealed JSON {salt, statement, signature}
    created_at: Mapped[str] = mapped_column(InstantText)
    decided_by: Mapped[str | None] = mapped_column(Identifier)
    decided_at: Mapped[str | None] = mapped_column(InstantText)
    is_open: Mapped[bool] = mapped_column(Boolean, default=True, index=True)  # something of it can still change
    certificate: Mapped[str | None] = mapped_column(Text)
    certificate_signature: Mapped[str | None] = mapped_column(String(128))


class ErasureItem(Base):
    """One record of a case: named, or a source or sibling of one that is named."""

    __tablename__ = "erasure_item"

    case: Mapped[str] = mapped_column(ForeignKey("erasure_case.id"), primary_key=True)
    record: Mapped[str] = mapped_column(ForeignKey("record.id"), primary_key=True)
    named: Mapped[bool] = mapped_column(Boolean)
    state: Mapped[str] = mapped_column(Code)  # requested, locked, ordered
    until: Mapped[str | None] = mapped_column(InstantText)
    rule: Mapped[str | None] = mapped_column(Code)

    __table_args__ = (Index("ix_erasure_item_record", "record"), Index("ix_erasure_item_due", "state", "until"))


class Removal(Base):
    """An erasure or retraction of one record, step by step; each step is durable before the next begins."""

    __tablename__ = "removal"

    record: Mapped[str] = mapped_column(ForeignKey("record.id"), primary_key=True)
    action: Mapped[str] = mapped_column(Code)  # erase, retract
    state: Mapped[str] = mapped_column(Code, index=True)  # ordered, committed, forgotten, done
    reason: Mapped[str | None] = mapped_column(Code)  # of a retraction, also of one whose place an erasure took
    ordered_by: Mapped[str | None] = mapped_column(Identifier)  # member of staff; None: by the node itself
    ordered_at: Mapped[str] = mapped_column(InstantText)
    tx_id: Mapped[str | None] = mapped_column(String(64))
    forgotten_at: Mapped[str | None] = mapped_column(InstantText)
    final_by: Mapped[str | None] = mapped_column(InstantText)
    final_at: Mapped[str | None] = mapped_column(InstantText)
    done_at: Mapped[str | None] = mapped_column(InstantText)


class ReleaseNotice(Base):
    """What another hospital, to which a record was released, has to be told about it; kept for ever."""

    __tablename__ = "release_notice"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    record: Mapped[str] = mapped_column(Identifier)
    msp_id: Mapped[str] = mapped_column(MspId)
    event: Mapped[str] = mapped_column(Code)  # superseded, retracted, erased
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[str] = mapped_column(InstantText)
    answer: Mapped[str | None] = mapped_column(Code, index=True)  # None until it answers; accepted, unknown
    answered_at: Mapped[str | None] = mapped_column(InstantText)

    __table_args__ = (UniqueConstraint("record", "msp_id", "event", "version"),)


class ReceivedNotice(Base):
    """What another hospital said about a record of its own that it had released to this one."""

    __tablename__ = "received_notice"

    custodian: Mapped[str] = mapped_column(MspId, primary_key=True)
    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    record: Mapped[str] = mapped_column(Identifier)
    event: Mapped[str] = mapped_column(Code)
    version: Mapped[int] = mapped_column(Integer)
    received_at: Mapped[str] = mapped_column(InstantText)
