"""Uploads that nobody goes on with are forgotten, and files whose uploads are."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select

from domain.errors import Conflict
from domain.instants import instant
from node_service.context import Node
from node_service.database.upload_models import ResumableUpload
from node_service.resumable.part_file import locked, present, remove
from node_service.resumable.uploads import forget

INTERVAL: Final = timedelta(minutes=10)
_AT_ONCE: Final = 100
_LOG: Final = logging.getLogger(__name__)


class Expiry:
    """One per node; ``step`` is called by one thread."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Forget what expired; return when to look again. What is being written just now is left for the next time.

        Raises:
            Unavailable: database or disk.
        """
        with self._node.database.reading() as session:
            over = select(ResumableUpload.id).where(ResumableUpload.expires_at <= instant(now)).limit(_AT_ONCE)
            expired = list(session.scalars(over))
        for upload in (*expired, *self._orphans()):
            with suppress(Conflict), locked(self._node.settings.data_dir, upload, self._node.secrets):
                self._forget(upload, now)
        if expired:
            _LOG.info("%d uploads expired", len(expired))
        return now if len(expired) == _AT_ONCE else now + INTERVAL

    def _forget(self, upload: str, now: datetime) -> None:
        """Decided under the lock: a part may have come since."""
        with self._node.database.reading() as session:
            row = session.get(ResumableUpload, upload)
        if row is not None and row.expires_at <= instant(now):
            forget(self._node, upload)
        elif row is None or row.key is None:
            remove(self._node.settings.data_dir, upload)

    def _orphans(self) -> list[str]:
        """Files without an unfinished upload; its row is written before its file."""
        files = present(self._node.settings.data_dir)
        with self._node.database.reading() as session:
            known = set(session.scalars(select(ResumableUpload.id).where(ResumableUpload.key.is_not(None))))
        return [upload for upload in files if upload not in known]
