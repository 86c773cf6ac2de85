"""Refused attempts of other hospitals on a patient of this one: logged, so that the patient sees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from domain.errors import Denied, Tampered
from node_service.access_log.rows import Entry, record_alone
from node_service.context import Node
from node_service.database.models import Person

ACTOR = "hospital"


@contextmanager
def logged_refusals(node: Node, caller: str, patient: str | None, access: str | None) -> Iterator[None]:
    """Write the row of a refusal within; an attempt on an id that is nobody's leaves none.

    Raises:
        Unavailable: the access log cannot be written.
    """
    try:
        yield
    except (Denied, Tampered) as error:
        if patient is not None and _is_here(node, patient):
            record_alone(node, Entry("deny", caller, ACTOR, patient, access=access, outcome=error.reason))
        raise


def _is_here(node: Node, patient: str) -> bool:
    with node.database.reading() as session:
        return session.get(Person, patient) is not None
