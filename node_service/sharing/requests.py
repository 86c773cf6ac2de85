"""Requests for access: announced on the ledger by id, their content sealed to the wallet and kept by the custodian."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from domain import messages, vocabulary
from domain.checks import check_member, check_members
from domain.entries import RequestEntry
from domain.errors import Denied, NotFound
from domain.identifiers import check_identifier, check_msp_id, identifier
from domain.instants import instant
from domain.transactions import RequestAccess
from node_service.client.exchange_wire import RequestDelivery
from node_service.client.wire import (
    AccessRequest,
    AccessRequestContent,
    Committed,
    IncomingRequestEntry,
)
from node_service.context import Node
from node_service.database.models import IncomingRequest, OutgoingRequest, Person
from node_service.ledger_sync import projection
from node_service.ledger_sync.registry import active_organization
from node_service.ledger_sync.submission import submit_and_wait
from node_service.sharing.exchange import Exchange
from node_service.sharing.notices import notify
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.refusals import logged_refusals
from node_service.sharing.sealed_messages import from_wire, to_wire
from node_service.witnessing.freshness import catch_up
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.messages import SealedMessage, seal_message

MAX_OPEN_REQUESTS_PER_PATIENT = 50


async def request_access(node: Node, exchange: Exchange, practitioner: Practitioner, body: AccessRequest) -> Committed:
    """Ask a patient of another hospital for access: id and validity on the ledger, the rest sealed to the wallet.

    Raises:
        Invalid: card, purpose or categories break a rule.
        NotFound: the ledger knows no such active hospital.
        Unavailable, OutcomeUnknown: nothing was delivered; ask anew.
    """
    content, sealed = _sealed_request(node, practitioner, body)
    await node.in_database(_keep, node, practitioner, body, content)
    done = await submit_and_wait(node, RequestAccess(content.id, content.valid_until))
    delivery = RequestDelivery(
        id=content.id, patient=body.card.patient, valid_until=content.valid_until, message=to_wire(sealed),
        block=done.block,
    )  # fmt: skip
    await exchange.deliver_request(body.card.custodian, delivery)
    return Committed(id=content.id, tx_id=done.tx_id, block=done.block)


async def accept_request(node: Node, caller: str, body: RequestDelivery) -> None:
    """Keep another hospital's request for a patient of this one, once its entry is committed.

    An unknown patient is answered like a known one.

    Raises:
        Invalid: ids or message break a rule.
        Denied: the ledger has no such live request of the caller.
        Unavailable: this node has not seen the entry in time.
    """
    check_identifier(body.patient, "patient")
    message = from_wire(body.message)
    await catch_up(node, body.block)
    await node.in_database(_accept, node, caller, body, message)


def list_requests(node: Node, patient: str) -> list[IncomingRequestEntry]:
    """The live requests for a patient, newest first."""
    query = (
        select(IncomingRequest)
        .where(IncomingRequest.patient == patient, IncomingRequest.valid_until > instant(node.clock.now()))
        .order_by(IncomingRequest.received_at.desc(), IncomingRequest.id)
        .limit(MAX_OPEN_REQUESTS_PER_PATIENT)
    )
    with node.database.reading() as session:
        return [
            IncomingRequestEntry(
                id=row.id,
                requester=row.requester,
                valid_until=row.valid_until,
                received_at=row.received_at,
                message=to_wire(SealedMessage.parse(row.sealed)),
            )
            for row in session.scalars(query)
        ]


def _sealed_request(
    node: Node, practitioner: Practitioner, body: AccessRequest
) -> tuple[AccessRequestContent, SealedMessage]:
    check_msp_id(body.card.custodian, "card.custodian")
    check_identifier(body.card.patient, "card.patient")
    check_member(body.purpose, "purpose", vocabulary.PURPOSES)
    check_members(body.categories, "categories", vocabulary.CATEGORIES)
    key = RecipientPublicKey.parse(vocabulary.PATIENT_WRAP_ALG, body.card.wrap_key, "card.wrap_key")
    content = AccessRequestContent(
        id=identifier(node.random(16)),
        requester=node.msp_id,
        practitioner=practitioner.id,
        reader=practitioner.card(node.random),
        purpose=body.purpose,
        categories=body.categories,
        message=body.message,
        valid_until=instant(node.clock.now() + timedelta(hours=body.valid_hours)),
    )
    info = messages.access_request(content.id, body.card.patient)
    return content, seal_message(key, info, content.model_dump_json().encode())


def _keep(node: Node, practitioner: Practitioner, body: AccessRequest, content: AccessRequestContent) -> None:
    """The own copy, written before anything leaves."""
    text = content.model_dump_json().encode()
    with node.database.transaction() as session:
        if active_organization(session, body.card.custodian) is None:
            raise NotFound("there is no such hospital in the registry", place="card.custodian")
        session.add(
            OutgoingRequest(
                id=content.id,
                custodian=body.card.custodian,
                practitioner=practitioner.id,
                content=node.secrets.seal_local(["outgoing_request", "content", content.id], text, node.random),
                valid_until=content.valid_until,
                created_at=instant(node.clock.now()),
            )
        )


def _accept(node: Node, caller: str, body: RequestDelivery, message: SealedMessage) -> None:
    now = instant(node.clock.now())
    with node.database.reading() as session, logged_refusals(node, caller, body.patient, None):
        announced = projection.entry(session, RequestEntry, body.id)
        if announced is None or announced != RequestEntry(caller, body.valid_until) or body.valid_until <= now:
            raise Denied("the ledger has no such live request of yours", reason="request")
    with node.database.transaction() as session:
        person = session.get(Person, body.patient)
        if person is None or person.status != "enrolled" or session.get(IncomingRequest, body.id) is not None:
            return
        open_requests = select(IncomingRequest.id).where(
            IncomingRequest.patient == body.patient, IncomingRequest.valid_until > now
        )
        if (
            len(session.scalars(open_requests.limit(MAX_OPEN_REQUESTS_PER_PATIENT)).all())
            >= MAX_OPEN_REQUESTS_PER_PATIENT
        ):
            return
        session.add(
            IncomingRequest(
                id=body.id,
                patient=body.patient,
                requester=caller,
                sealed=message.encode(),
                valid_until=body.valid_until,
                received_at=now,
            )
        )
        notify(node, session, [f"patient:{body.patient}"], "access-requested", [body.id])
