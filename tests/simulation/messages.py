"""Calls between wallets and hospitals, and among hospitals: lost, late, doubled and replayed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from domain import effective
from domain.errors import Denied, NotFound, OutcomeUnknown, Unavailable, YilianError
from domain.instants import instant
from node_service.access_log.listing import accesses_of
from node_service.api.byte_ranges import parse_range
from node_service.client import exchange_wire, wire
from node_service.client.receipt_wire import EffectiveWord
from node_service.client.transport import Answer, Authorise
from node_service.context import Node
from node_service.erasure import cases, certificates, received
from node_service.ledger_sync.registry import organization, valid_keys
from node_service.organization_keys import hospital_card
from node_service.sharing import (
    consents,
    contributions,
    enrolment,
    grants,
    objects,
    packages,
    relaying,
    release,
    requests,
    wallet_records,
    wallet_sessions,
)
from node_service.witnessing.effective import sign_effective
from node_service.witnessing.registry_view import registry_view
from tests.simulation.faults import Faults
from tests.simulation.hospital import Hospital
from tests.simulation.scheduler import Scheduler
from tests.simulation.virtual import finished

ANSWER_WITHIN_S: Final = 30.0
LATEST_S: Final = 8.0
REPLAYED_WITHIN_S: Final = 60.0
Value = TypeVar("Value")
Handler = Callable[[Node], Any]


@dataclass(frozen=True)
class Moment:
    """When a hospital was asked: virtual seconds, and how many blocks every third witness had."""

    at_s: float
    witnessed: int


Served = Callable[[Hospital, "Call", object, Moment], None]


@dataclass(frozen=True)
class Call:
    """One call: who asks what; ``serve`` is the use case behind the route, ``place`` what the address names."""

    caller: str
    what: str
    serve: Handler
    body: object = None
    place: str = ""


class Wires:
    """Carries calls; ``served`` is told each answer, with how far every third witness was when it was asked."""

    def __init__(
        self, scheduler: Scheduler, faults: Faults, served: Served, witnessed: Callable[[str, str], int]
    ) -> None:
        self._scheduler, self._faults, self._served, self._witnessed = scheduler, faults, served, witnessed
        self.findings: list[str] = []

    def call(self, target: Hospital, call: Call, *, method: str = "POST") -> Any:
        """Ask a hospital and wait for its answer.

        Raises:
            YilianError: what it answered; ``Unavailable`` where it was not reached, ``OutcomeUnknown`` where the
                answer to a POST was lost.
        """
        faults = self._faults
        if faults.strikes("message-late"):
            self._scheduler.pause(faults.chance.uniform(0, LATEST_S))
        if faults.strikes("message-lost") or not target.up:
            raise Unavailable("the node does not answer", reason="no-answer")
        task = self._scheduler.spawn(f"{call.what} at {target.msp_id}", target.process, self._handler(target, call))
        if faults.strikes("message-doubled"):
            self._again(target, call, 0.0)
        if faults.strikes("message-replayed"):
            self._again(target, call, faults.chance.uniform(0, REPLAYED_WITHIN_S))
        answered = self._scheduler.wait(task, ANSWER_WITHIN_S)
        if not answered or faults.strikes("answer-lost") or (task.error and not isinstance(task.error, YilianError)):
            if method == "POST":
                raise OutcomeUnknown("the node's answer was lost", tx_id="", reason="answer-lost")
            raise Unavailable("the node does not answer", reason="no-answer")
        if task.error is not None:
            raise task.error
        return task.result

    def _again(self, target: Hospital, call: Call, seconds: float) -> None:
        """The same message once more; nobody waits for the answer."""

        def deliver() -> None:
            if target.up:
                self._scheduler.spawn(f"{call.what} again", target.process, self._handler(target, call))

        self._scheduler.spawn("replay", self._scheduler.network, deliver, after=seconds)

    def _handler(self, target: Hospital, call: Call) -> Callable[[], Any]:
        def handle() -> Any:
            before = Moment(self._scheduler.now, self._witnessed(target.msp_id, call.caller))
            try:
                answer = call.serve(target.node)
                result = finished(answer) if isinstance(answer, Coroutine) else answer
            except YilianError as error:
                self._scheduler.note(f"{call.what}: {type(error).__name__} {error.reason}")
                raise
            except Exception as error:
                self.findings.append(f"{call.what} at {target.msp_id}: {type(error).__name__}: {error}")
                raise
            self._scheduler.note(f"{call.what}: ok")
            self._served(target, call, result, before)
            return result

        return handle


class SimulatedExchange:
    """Other hospitals' exchange routes as one hospital calls them; what is denied looks like something absent."""

    def __init__(self, wires: Wires, caller: str, hospitals: dict[str, Hospital]) -> None:
        self._wires, self._caller, self._hospitals = wires, caller, hospitals

    async def deliver_request(self, custodian: str, body: exchange_wire.RequestDelivery) -> None:
        self._ask(custodian, "request", lambda node: requests.accept_request(node, self._caller, body), body)

    async def search(self, custodian: str, body: exchange_wire.ExchangeSearch) -> wire.RecordPage:
        call = lambda node: release.search(node, self._caller, body)  # noqa: E731
        return self._ask(custodian, "search", call, body)  # type: ignore[no-any-return]

    async def release(self, custodian: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
        call = lambda node: release.release(node, self._caller, body)  # noqa: E731
        return self._ask(custodian, "release", call, body)  # type: ignore[no-any-return]

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        asked = objects.RangeRequest(access, digest, offset, length)
        call = lambda node: objects.read_object(node, self._caller, asked)  # noqa: E731
        return self._ask(custodian, "range", call, asked)  # type: ignore[no-any-return]

    async def deliver_contribution(self, custodian: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
        call = lambda node: contributions.accept_contribution(node, self._caller, body)  # noqa: E731
        return self._ask(custodian, "contribution", call, body)  # type: ignore[no-any-return]

    async def deliver_notices(self, holder: str, body: exchange_wire.NoticeDelivery) -> exchange_wire.NoticeReceipt:
        call = lambda node: received.accept_notices(node, self._caller, body)  # noqa: E731
        return self._ask(holder, "notices", call, body)  # type: ignore[no-any-return]

    def _ask(self, custodian: str, what: str, serve: Handler, body: object) -> Any:
        try:
            return self._wires.call(self._hospitals[custodian], Call(self._caller, what, serve, body))
        except Denied as error:
            raise NotFound("there is nothing", reason=error.reason) from error
        except OutcomeUnknown as error:
            raise Unavailable("the other hospital does not answer", reason="no-answer") from error


@asynccontextmanager
async def telling(exchange: SimulatedExchange) -> AsyncIterator[SimulatedExchange]:
    """The client of a node's background work."""
    yield exchange


class SimulatedTransport:
    """What a wallet has of :class:`node_service.client.transport.Transport`."""

    def __init__(self, wires: Wires, url: str, hospitals: dict[str, Hospital]) -> None:
        self.url = url
        self._wires = wires
        self._target = next(one for one in hospitals.values() if one.url == url)

    def close(self) -> None:
        """Nothing is held."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | None = None,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        authorise: Authorise | None = None,
        **_limits: object,
    ) -> Answer:
        given = authorise(method, self.url + path) if authorise else {}
        span = parse_range((headers or {}).get("Range"))
        route, place = f"{method} {_PLACE.sub('…', path)}", _PLACE.search(path)

        def serve(node: Node) -> Any:
            patient = _patient(node, given, method, self.url + path) if authorise else ""
            after = (params or {}).get("after")
            asked = Asked(patient, body, after, place[0] if place else "", span.offset, span.length)
            return ROUTES[route](node, asked)

        result = self._wires.call(
            self._target, Call("patient", route, serve, body, place[0] if place else ""), method=method
        )
        return Answer(200, {}, _encoded(result))


def _patient(node: Node, headers: Any, method: str, url: str) -> str:
    token = headers["Authorization"].removeprefix("DPoP ")
    return wallet_sessions.authenticate_wallet(node, token, headers["DPoP"], method, url)


@dataclass(frozen=True)
class Asked:
    """A call of a wallet, authenticated."""

    patient: str
    body: Any
    after: str | None
    place: str
    offset: int
    length: int


ROUTES: Final[dict[str, Callable[[Node, Asked], Any]]] = {
    "GET /hospital": lambda node, asked: _card(node),
    "GET /registry": lambda node, asked: registry_view(node, "embedded"),
    "GET /registry/…": lambda node, asked: _member(node, asked.place),
    "POST /wallet/enrolments": lambda node, asked: enrolment.offer(node, asked.body, _card(node)),
    "POST /wallet/enrolments/finish": lambda node, asked: enrolment.finish(node, asked.body),
    "POST /wallet/nonces": lambda node, asked: wallet_sessions.issue_nonce(node, asked.body),
    "POST /wallet/sessions": lambda node, asked: wallet_sessions.open_session(node, asked.body),
    "POST /wallet/statements": lambda node, asked: relaying.relay(node, asked.body),
    "GET /wallet/statements/…/effective": lambda node, asked: _effective(node, *asked.place.split("/")),
    "POST /wallet/packages": lambda node, asked: packages.receive_package(node, asked.body),
    "POST /wallet/grants": lambda node, asked: consents.receive_grant(node, asked.patient, asked.body),
    "POST /wallet/dissents": lambda node, asked: consents.receive_dissent(node, asked.patient, asked.body),
    "GET /wallet/grants": lambda node, asked: grants.list_grants(node, asked.patient),
    "GET /wallet/accesses": lambda node, asked: accesses_of(node, asked.patient, asked.after),
    "POST /wallet/erasures": lambda node, asked: cases.request_erasure(node, asked.patient, asked.body),
    "GET /wallet/erasures": lambda node, asked: certificates.cases_of_patient(node, asked.patient),
    "GET /wallet/records": lambda node, asked: wallet_records.list_records(node, asked.patient, asked.after),
    "GET /wallet/records/…/sealed": lambda node, asked: wallet_records.sealed_record(node, asked.patient, asked.place),
    "GET /wallet/objects/…": lambda node, asked: wallet_records.own_object(
        node, asked.patient, asked.place, asked.offset, asked.length
    ),
}
"""The use case behind each route that a wallet calls, as the routers call it."""


def _effective(node: Node, patient: str, statement: str) -> EffectiveWord:
    return EffectiveWord.model_validate(effective.to_json(sign_effective(node, patient, statement)))


def _card(node: Node) -> wire.HospitalCard:
    return hospital_card(node.settings, node.secrets, node.ledger.channel)


_PLACE: Final = re.compile(
    r"(?<=/registry/)[^/]+$|(?<=/objects/)[^/]+$|(?<=/wallet/records/)[^/]+|(?<=/statements/)[^/]+/[^/]+"
)


def _member(node: Node, msp_id: str) -> wire.RegistryEntry:
    with node.database.reading() as session:
        entry = organization(session, msp_id)
    if entry is None:
        raise NotFound("there is no such member")
    keys = [key.key for key in valid_keys(entry, "seal", instant(node.clock.now()))]
    return wire.RegistryEntry(msp_id=msp_id, url=entry.url, status=entry.status, seal_keys=keys)


def _encoded(result: object) -> bytes:
    if isinstance(result, list):
        return b"[%s]" % b",".join(_encoded(one) for one in result)
    if isinstance(result, BaseModel):
        return result.model_dump_json().encode()
    return result if isinstance(result, bytes) else b""
