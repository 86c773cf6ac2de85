"""Refused attempts of other hospitals on a patient of this one: logged, so that the patient sees them."""

from __future__ import annotations

from domain.errors import Denied, Tampered
from node_service.access_log.rows import Entry, record_alone
from node_service.client.exchange_wire import Opening
from node_service.context import Node
from node_service.database.models import Person

ACTOR = "hospital"


def log_refusal(node: Node, caller: str, opening: Opening, error: Denied | Tampered) -> None:
    """Write the row of a refusal; an attempt on an id that is nobody's leaves none.

    Raises:
        Unavailable: the access log cannot be written.
    """
    with node.database.reading() as session:
        if session.get(Person, opening.patient) is None:
            return
    record_alone(
        node,
        Entry("deny", caller, ACTOR, opening.patient, access=opening.access, outcome=error.reason),
    )
