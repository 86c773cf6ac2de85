"""Collecting sealed objects that no row refers to: remains of writes that broke before their rows were committed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.identifiers import decode_bytes
from node_service.context import Node
from node_service.database.models import BundleSkeleton, Member, RecordVersion
from node_service.records.scrub import ERASED

INTERVAL: Final = timedelta(hours=24)
_LOG: Final = logging.getLogger(__name__)


class Collector:
    """One per node; ``step`` is called by one thread. The store itself never collects what is younger than 24 hours."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def step(self, now: datetime) -> datetime:
        """Remove what nobody refers to; return when to look again.

        Raises:
            Unavailable: database or store.
        """
        with self._node.database.reading() as session:
            skeletons = frozenset(session.scalars(select(BundleSkeleton.digest)))
        removed = self._node.blobs.collect(lambda digest: self._is_referenced(digest, skeletons), now)
        if removed:
            _LOG.info("%d sealed objects without a row were collected", len(removed))
        return now + INTERVAL

    def _is_referenced(self, digest: str, skeletons: frozenset[bytes]) -> bool:
        """Asked again for every object, so that a row written meanwhile counts."""
        value = decode_bytes(digest, "digest")
        if value in skeletons:
            return True
        with self._node.database.reading() as session:
            return _has_row(session, value)


def _has_row(session: Session, digest: bytes) -> bool:
    """An erased version still names its object, which a restored store may hold again: it is not referred to."""
    queries = (
        select(RecordVersion.digest).where(RecordVersion.digest == digest, RecordVersion.content_token != ERASED),
        select(Member.digest).where(Member.digest == digest),
        select(BundleSkeleton.digest).where(BundleSkeleton.digest == digest),
    )
    return any(session.execute(query.limit(1)).first() is not None for query in queries)
