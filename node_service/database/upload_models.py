"""The table of uploads that may be resumed."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from node_service.database.models import Base, Identifier, InstantText


class ResumableUpload(Base):
    """One upload; what was received of it lies encrypted in a file of the data folder."""

    __tablename__ = "resumable_upload"

    id: Mapped[str] = mapped_column(Identifier, primary_key=True)
    account: Mapped[str] = mapped_column(String(64), index=True)  # of the member of staff that began it
    length: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)  # equals length when the record is there, never before
    file_bytes: Mapped[int] = mapped_column(BigInteger)  # of the file; what follows was never acknowledged
    key: Mapped[bytes | None] = mapped_column(LargeBinary)  # of the file, sealed; forgotten when the record is there
    target: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: what the record is made with
    record: Mapped[str | None] = mapped_column(Identifier)
    expires_at: Mapped[str] = mapped_column(InstantText, index=True)
