"""Notices: what a patient or a role has to see; ids and codes only."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.instants import instant
from node_service.client.wire import NoticeEntry
from node_service.context import Node
from node_service.database.models import Notice

MAX_NOTICES = 200


def notify(node: Node, session: Session, recipients: Sequence[str], event: str, references: Sequence[str]) -> None:
    """Write a notice to each recipient (``patient:<id>``, ``role:<role>``, ``staff:<id>``) in the caller's session."""
    session.add_all(
        Notice(recipient=recipient, event=event, references=list(references), created_at=instant(node.clock.now()))
        for recipient in recipients
    )


def for_patient(node: Node, patient: str) -> list[NoticeEntry]:
    """The patient's notices, newest first."""
    return _list(node, [f"patient:{patient}"])


def for_staff(node: Node, member: str, roles: Collection[str]) -> list[NoticeEntry]:
    """The notices of a member of staff and of the own roles, newest first."""
    return _list(node, [f"staff:{member}", *(f"role:{role}" for role in sorted(roles))])


def _list(node: Node, recipients: Sequence[str]) -> list[NoticeEntry]:
    query = select(Notice).where(Notice.recipient.in_(recipients)).order_by(Notice.id.desc()).limit(MAX_NOTICES)
    with node.database.reading() as session:
        return [
            NoticeEntry(id=row.id, event=row.event, references=row.references, created_at=row.created_at)
            for row in session.scalars(query)
        ]
