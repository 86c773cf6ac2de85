"""Telling custody to forget the keys of erased records: once each, and again where custody has lost that it did."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select, update

from domain.errors import Unavailable
from domain.instants import instant
from node_service.context import Node
from node_service.database.erasure_models import ErasureCase, ErasureItem, Removal
from node_service.erasure.removing import bundles_of

MAX_FORGOTTEN: Final = 1000
_QUERY_ITEMS: Final = 300
_LOG: Final = logging.getLogger(__name__)


def forget_for_good(node: Node, record: str, at: str) -> None:
    """Let custody forget a record and what is left of its Bundles, and write down what it says.

    Raises:
        Unavailable: custody; call again.
    """
    with node.database.reading() as session:
        forgotten = [record, *bundles_of(session, record)]
    _forget(node, forgotten, at)
    with node.database.transaction() as session:
        removal = session.get_one(Removal, record)
        _write_down(node, removal)
        removal.state = "forgotten"


def forget_what_custody_lost(node: Node, now: datetime) -> None:
    """Forget again what an older copy of the custody's folder has brought back, and let the certificates say so.

    The Bundles of a record that is wholly erased are not known any more; their rows are gone, and with them the wraps.

    Raises:
        Unavailable: custody or database; call again.
    """
    with node.database.reading() as session:
        query = select(Removal.record).where(Removal.action == "erase", Removal.state.in_(("forgotten", "done")))
        lost = [one for one in session.scalars(query) if node.custody.forgotten(one) is None]
        bundles = [bundle for one in lost for bundle in bundles_of(session, one)]
    if not lost:
        return
    _LOG.warning("custody had lost that it forgot %d records: they are forgotten again", len(lost))
    _forget(node, [*lost, *bundles], instant(now))
    for start in range(0, len(lost), _QUERY_ITEMS):
        part = lost[start : start + _QUERY_ITEMS]
        cases = select(ErasureItem.case).where(ErasureItem.record.in_(part))
        with node.database.transaction() as session:
            for record in part:
                _write_down(node, session.get_one(Removal, record))
            session.execute(update(ErasureCase).where(ErasureCase.id.in_(cases)).values(is_open=True))


def _forget(node: Node, records: Sequence[str], at: str) -> None:
    for start in range(0, len(records), MAX_FORGOTTEN):
        node.custody.forget(records[start : start + MAX_FORGOTTEN], at)


def _write_down(node: Node, removal: Removal) -> None:
    done = node.custody.forgotten(removal.record)
    if done is None:
        raise Unavailable("custody has not forgotten what it was told to forget", reason="custody")
    removal.forgotten_at, removal.final_by, removal.final_at = done.at, done.final_by, done.final_at
