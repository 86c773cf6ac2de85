"""Uploads that may be resumed: begun, continued, looked at, cancelled; at the end the record as by a direct upload.

An upload is complete exactly when its record is there: the last part is acknowledged together with it. Where making the
record fails for want of something, the sender finds the upload as it was before its last part and sends that again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import delete, func, select, update

from domain.checks import check_text
from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, check_identifier, identifier
from domain.instants import instant
from node_service.context import Node
from node_service.database.models import Person
from node_service.database.upload_models import ResumableUpload
from node_service.records.instances import DICOM, MAX_UPLOAD_NAME_CHARACTERS, receive_instance
from node_service.resumable.part_file import MAX_PIECE_BYTES, PartFile, locked, remove

LIFETIME: Final = timedelta(days=1)
"""After the last part that came."""

MAX_UPLOADS: Final = 16
"""Unfinished ones of an account."""

MAX_WAITING_FACTOR: Final = 4
"""All unfinished uploads of an account together may be this many times as long as the longest single one."""

DURABLE_BYTES: Final = 16 << 20
"""At most so much, and a piece, is lost when a connection or the node breaks."""

_SMALL_BYTES: Final = 1 << 20
_KEY_BYTES: Final = 32
MAX_SOURCE_CHARACTERS: Final = 128
_LASTING: Final = (Invalid, NotFound, Conflict)
"""Errors that the same bytes would meet again."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the content becomes: arguments of :func:`node_service.records.instances.receive_instance`."""

    upload: str
    source: str
    patient: str | None = None
    media_type: str = DICOM

    def __post_init__(self) -> None:
        if self.media_type != DICOM:
            raise Invalid(f"{DICOM} is expected", reason="media-type", place="Upload-Metadata.filetype")
        check_text(self.upload, "Upload-Metadata.upload", max_characters=MAX_UPLOAD_NAME_CHARACTERS)
        check_text(self.source, "Upload-Metadata.source", max_characters=MAX_SOURCE_CHARACTERS)
        if self.patient is not None:
            check_identifier(self.patient, "Upload-Metadata.patient")


@dataclass(frozen=True, slots=True)
class UploadState:
    """How far an upload is; ``record`` is there when it is complete."""

    id: str
    length: int
    received: int
    expires_at: str
    record: str | None = None

    @classmethod
    def of(cls, row: ResumableUpload) -> UploadState:
        """From its row."""
        return cls(row.id, row.length, row.received, row.expires_at, row.record)


def begin(node: Node, account: str, length: int, target: Target) -> UploadState:
    """Begin an upload of so many bytes.

    Raises:
        Invalid: no content, or more than the node takes (``too-large``).
        NotFound: the target's patient is unknown.
        Conflict: the account has too many unfinished ones (``too-many-uploads``).
        Unavailable: database.
    """
    most = node.settings.max_upload_bytes
    if not 0 < length <= most:
        raise Invalid(f"1 to {most} bytes are taken", reason="too-large" if length else "empty", place="Upload-Length")
    upload = identifier(node.random(IDENTIFIER_BYTES))
    row = ResumableUpload(
        id=upload,
        account=account,
        length=length,
        received=0,
        file_bytes=0,
        key=node.secrets.seal_local(_key_context(upload), node.random(_KEY_BYTES), node.random),
        target=node.secrets.seal_local(_target_context(upload), json.dumps(asdict(target)).encode(), node.random),
        record=None,
        expires_at=_expiry(node),
    )
    unfinished = (
        select(func.count(), func.coalesce(func.sum(ResumableUpload.length), 0))
        .where(ResumableUpload.account == account, ResumableUpload.record.is_(None))
        .where(ResumableUpload.expires_at > instant(node.clock.now()))
    )
    with node.database.transaction() as session:
        if target.patient is not None and session.get(Person, target.patient) is None:
            raise NotFound("there is no such person", reason="no-patient")
        count, total = session.execute(unfinished).one()
        if count >= MAX_UPLOADS or total + length > MAX_WAITING_FACTOR * most:
            raise Conflict("finish or cancel some of your uploads first", reason="too-many-uploads")
        session.add(row)
    return UploadState.of(row)


def look(node: Node, account: str, upload: str) -> UploadState:
    """How far an upload is.

    Raises:
        NotFound: there is none of this id, it is another account's, or it expired.
    """
    return UploadState.of(_row(node, account, upload))


def cancel(node: Node, account: str, upload: str) -> None:
    """Forget an upload; nothing of it stays on the disk. A record that it became stays.

    Raises:
        NotFound: as :func:`look`.
        Conflict: a part of it is just coming in (``upload-busy``).
    """
    _row(node, account, upload)
    with locked(node.settings.data_dir, upload, node.secrets):
        forget(node, upload)


def forget(node: Node, upload: str) -> None:
    """Destroy the key first, then the file, which is locked."""
    with node.database.transaction() as session:
        session.execute(delete(ResumableUpload).where(ResumableUpload.id == upload))
    remove(node.settings.data_dir, upload)


def append(node: Node, account: str, upload: str, offset: int, content: Iterator[bytes]) -> UploadState:
    """Take in what follows at an offset; what came before an interruption is kept.

    Raises:
        NotFound: as :func:`look`.
        Conflict: the upload is not at this offset (``offset``), or a part of it is just coming in (``upload-busy``);
            with the last part also as :func:`node_service.records.instances.receive_instance`; then the upload is gone.
        Invalid: more bytes than were announced, or parts too small; with the last part also as ``receive_instance``;
            then the upload is gone.
        Unavailable: disk, database, store or custody; ask where to go on.
    """
    _row(node, account, upload)
    with _open(node, account, upload) as (row, file):
        if offset != row.received:
            raise Conflict(f"the upload is at {row.received}", reason="offset", place="Upload-Offset")
        if file is None:
            return UploadState.of(row)
        if not file.cut(row.file_bytes):  # restored from a backup, which holds no parts
            forget(node, upload)
            raise _no_upload()
        return _Appending(node, row, file).take(content)


@contextmanager
def _open(node: Node, account: str, upload: str) -> Iterator[tuple[ResumableUpload, PartFile | None]]:
    """The row as it is under the lock, and the file where the upload is not complete."""
    with locked(node.settings.data_dir, upload, node.secrets) as opened:
        try:
            row = _row(node, account, upload)
        except NotFound:
            remove(node.settings.data_dir, upload)  # it was cancelled a moment ago
            raise
        if row.key is None:
            remove(node.settings.data_dir, upload)
            yield row, None
        else:
            yield row, opened(node.secrets.open_local(_key_context(upload), row.key))


class _Appending:
    """One part on its way in, from its sender's bytes into the file and the row."""

    def __init__(self, node: Node, row: ResumableUpload, file: PartFile) -> None:
        self._node = node
        self._row = row
        self._file = file
        self._offset = row.received
        self._file_bytes = row.file_bytes
        self._failure: Exception | None = None

    def take(self, content: Iterator[bytes]) -> UploadState:
        """All of it, or what came until it broke off."""
        pieces = self._until_failure(content)
        while self._write(pieces):
            self._file.sync()
            if self._offset == self._row.length:
                return self._finish()
            self._acknowledge()
        if self._failure is not None:
            raise self._failure
        return UploadState.of(self._row)

    def _until_failure(self, content: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for whole in content:
                for start in range(0, len(whole), MAX_PIECE_BYTES):
                    yield whole[start : start + MAX_PIECE_BYTES]
        except Exception as error:  # noqa: BLE001 - whatever breaks it off, what came before is kept
            self._failure = error

    def _write(self, pieces: Iterator[bytes]) -> int:
        """Write until there is enough to wait for the disk; how many bytes of content."""
        begun = self._offset
        for piece in pieces:
            if self._offset + len(piece) > self._row.length:
                raise Invalid("there are more bytes than were announced", reason="upload-length")
            self._file_bytes += self._file.append(self._offset, piece, self._node.random)
            self._offset += len(piece)
            if self._file_bytes > 2 * self._row.length + _SMALL_BYTES:
                raise Invalid("the parts are too small; send larger ones", reason="small-parts")
            if self._offset - begun >= DURABLE_BYTES:
                break
        return self._offset - begun

    def _acknowledge(self, record: str | None = None) -> None:
        values: dict[str, object] = {
            "received": self._offset,
            "file_bytes": self._file_bytes,
            "expires_at": _expiry(self._node),
        }
        if record is not None:
            values |= {"record": record, "key": None, "target": None}
        own = (ResumableUpload.id == self._row.id, ResumableUpload.received == self._row.received)
        with self._node.database.transaction() as session:
            done = session.connection().execute(update(ResumableUpload).where(*own).values(**values))
            if done.rowcount != 1:
                raise _no_upload()
        for name, value in values.items():
            setattr(self._row, name, value)

    def _finish(self) -> UploadState:
        target = self._target()
        try:
            receipt = receive_instance(
                self._node, self._file.pieces(self._row.length), target.upload, target.source, target.patient
            )
        except _LASTING:
            forget(self._node, self._row.id)
            raise
        self._acknowledge(receipt.record)
        remove(self._node.settings.data_dir, self._row.id)
        return UploadState.of(self._row)

    def _target(self) -> Target:
        if self._row.target is None:
            raise _no_upload()
        return Target(**json.loads(self._node.secrets.open_local(_target_context(self._row.id), self._row.target)))


def _row(node: Node, account: str, upload: str) -> ResumableUpload:
    own = (ResumableUpload.id == check_identifier(upload, "upload"), ResumableUpload.account == account)
    live = ResumableUpload.expires_at > instant(node.clock.now())
    with node.database.reading() as session:
        row = session.scalars(select(ResumableUpload).where(*own, live)).one_or_none()
    if row is None:
        raise _no_upload()
    return row


def _no_upload() -> NotFound:
    return NotFound("there is no such upload", reason="no-upload")


def _expiry(node: Node) -> str:
    return instant(node.clock.now() + LIFETIME)


def _key_context(upload: str) -> list[str]:
    return ["resumable_upload", "key", upload]


def _target_context(upload: str) -> list[str]:
    return ["resumable_upload", "target", upload]
