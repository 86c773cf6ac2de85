"""Damaged objects: each an alarm of its own, written down once by whoever meets it first, a reader or the scrub."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from domain.errors import NotFound, Tampered, YilianError
from domain.identifiers import decode_bytes
from domain.instants import instant
from node_service.context import Node
from node_service.database.models import Notice
from node_service.database.scrub_models import DamagedObject
from node_service.records.scrub import ObjectFinding, ReferredObject, check_object, referred_object

ROLE: Final = "role:system-administrator"
_LOG: Final = logging.getLogger(__name__)


def damaged_objects(session: Session) -> list[DamagedObject]:
    """Objects that are altered or gone, as they were found."""
    return list(session.scalars(select(DamagedObject).order_by(DamagedObject.found_at, DamagedObject.digest)))


@contextmanager
def noticing(node: Node, part: str, object_id: str) -> Iterator[None]:
    """While an object is read: what is altered or gone is written down at once, and not only when the scrub comes by.

    The object is read again first, so that a broken connection or a wrong key raises no alarm about it.
    """
    try:
        yield
    except (NotFound, Tampered):
        try:
            one = referred_object(node, part, object_id)
            finding = None if one is None else check_object(node, part, one)
            if one is not None and finding is not None:
                with node.database.transaction() as session:
                    note_checked(session, [(one, finding)], node.clock.now())
        except YilianError as error:  # the reader is told what the reader met; the scrub comes by
            _LOG.warning("a damaged object could not be noted: %s", error.reason)
        raise


def note_checked(session: Session, checked: list[tuple[ReferredObject, ObjectFinding | None]], now: datetime) -> None:
    """Write down what is damaged, once, and forget what is well again."""
    known = set(session.scalars(select(DamagedObject.digest)))
    well = [one.digest for one, finding in checked if finding is None and one.digest in known]
    session.execute(delete(DamagedObject).where(DamagedObject.digest.in_(well)))
    for finding in (finding for _, finding in checked if finding is not None):
        digest = decode_bytes(finding.digest, "digest")
        if digest in known:
            continue
        known.add(digest)
        _LOG.critical("a stored object is damaged: %s (%s)", finding.reason, finding.row)
        session.add(DamagedObject(digest=digest, reason=finding.reason, row=finding.row, found_at=instant(now)))
        references = [finding.row, finding.reason]
        session.add(Notice(recipient=ROLE, event="object-damaged", references=references, created_at=instant(now)))
