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
    """Write the row of a refusal within, as :func:`log_refusal`."""
    try:
        yield
    except (Denied, Tampered) as error:
        log_refusal(node, caller, patient, access, error)
        raise


def log_refusal(node: Node, caller: str, patient: str | None, access: str | None, error: Denied | Tampered) -> None:
    """Write the row of a refusal; an attempt on an id that is nobody's leaves none.

    Raises:
        Unavailable: the access log cannot be written.
    """
    if patient is None:
        return
    with node.database.reading() as session:
        if session.get(Person, patient) is None:
            return
    record_alone(node, Entry("deny", caller, ACTOR, patient, access=access, outcome=error.reason))
