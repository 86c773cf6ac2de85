"""The hospital's people as registrars see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain.errors import NotFound
from domain.identifiers import check_identifier
from node_service.client.wire import PersonEntry, PersonPage
from node_service.context import Node
from node_service.database.models import Person, Record
from node_service.records.persons import open_card

MAX_PAGE_PEOPLE: Final = 200
_LABEL_CHARACTERS: Final = 200


def person_page(node: Node, session: Session, *, after: str | None, limit: int) -> PersonPage:
    """A page of all people in the order of their ids."""
    size = max(1, min(limit, MAX_PAGE_PEOPLE))
    query = select(Person).order_by(Person.id).limit(size + 1)
    if after is not None:
        query = query.where(Person.id > check_identifier(after, "after"))
    people = list(session.scalars(query))
    counts = _record_counts(session, [one.id for one in people])
    items = [_entry(node, one, counts) for one in people[:size]]
    return PersonPage(items=items, next=items[-1].patient if len(people) > size else None)


def person_entry(node: Node, session: Session, patient: str) -> PersonEntry:
    """One person.

    Raises:
        NotFound: there is no such person.
    """
    found = session.get(Person, patient)
    if found is None:
        raise NotFound("there is no such person", reason="no-patient")
    return _entry(node, found, _record_counts(session, [patient]))


def _record_counts(session: Session, patients: Iterable[str]) -> Mapping[str | None, int]:
    query = select(Record.patient, func.count(Record.id)).where(Record.patient.in_(patients)).group_by(Record.patient)
    return {row[0]: row[1] for row in session.execute(query)}


def _entry(node: Node, person: Person, counts: Mapping[str | None, int]) -> PersonEntry:
    card = open_card(node, person)
    parts = [*card.names, card.gender, card.birth_date]
    return PersonEntry(
        patient=person.id,
        status=person.status,
        records=counts.get(person.id, 0),
        label=" · ".join(part for part in parts if part)[:_LABEL_CHARACTERS],
    )
