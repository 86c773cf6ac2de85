"""Calls between wallets and hospitals, and among hospitals: lost, late, doubled and replayed."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from domain.errors import Denied, NotFound, OutcomeUnknown, Unavailable, YilianError
from domain.instants import instant
from node_service.access_log.listing import accesses_of
from node_service.api.byte_ranges import parse_range
from node_service.client import exchange_wire, wire
from node_service.client.transport import Answer, Authorise
from node_service.context import Node
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
from tests.simulation.faults import Faults
from tests.simulation.hospital import Hospital, finished
from tests.simulation.scheduler import Scheduler

ANSWER_WITHIN_S: Final = 30.0
LATEST_S: Final = 8.0
REPLAYED_WITHIN_S: Final = 60.0
Value = TypeVar("Value")
Handler = Callable[[Node], Any]
Served = Callable[[Hospital, str, "Call", object, int], None]


@dataclass(frozen=True)
class Call:
    """One call: who asks what; ``serve`` is the use case behind the route."""

    caller: str
    what: str
    serve: Handler
    body: object = None


class Wires:
    """Carries calls; ``served`` is told each answer of a hospital, with how far every third witness was when it was asked."""

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
            before = self._witnessed(target.msp_id, call.caller)
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
            self._served(target, call.caller, call, result, before)
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

    def _ask(self, custodian: str, what: str, serve: Handler, body: object) -> Any:
        try:
            return self._wires.call(self._hospitals[custodian], Call(self._caller, what, serve, body))
        except Denied as error:
            raise NotFound("there is nothing", reason=error.reason) from error
        except OutcomeUnknown as error:
            raise Unavailable("the other hospital does not answer", reason="no-answer") from error


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
    ) -> Answer:
        given = authorise(method, self.url + path) if authorise else {}
        after = (params or {}).get("after")
        asked = parse_range((headers or {}).get("Range"))

        def serve(node: Node) -> Any:
            patient = _patient(node, given, method, self.url + path) if authorise else ""
            return _routed(node, method, path, patient, body, after, asked.offset, asked.length)

        result = self._wires.call(self._target, Call("patient", f"{method} {_shape(path)}", serve, body), method=method)
        return Answer(200, {}, _encoded(result))


def _patient(node: Node, headers: Any, method: str, url: str) -> str:
    token = headers["Authorization"].removeprefix("DPoP ")
    return wallet_sessions.authenticate_wallet(node, token, headers["DPoP"], method, url)


def _routed(
    node: Node, method: str, path: str, patient: str, body: Any, after: str | None, offset: int, length: int
) -> Any:
    """The use case behind a route, as the routers call it."""
    card = hospital_card(node.settings, node.secrets, node.ledger.channel)
    last = path.rsplit("/", 1)[-1]
    match method, _shape(path):
        case "GET", "/hospital":
            return card
        case "GET", "/registry/…":
            return _member(node, last)
        case "POST", "/wallet/enrolments":
            return enrolment.offer(node, body, card)
        case "POST", "/wallet/enrolments/finish":
            return enrolment.finish(node, body)
        case "POST", "/wallet/nonces":
            return wallet_sessions.issue_nonce(node, body)
        case "POST", "/wallet/sessions":
            return wallet_sessions.open_session(node, body)
        case "POST", "/wallet/statements":
            return relaying.relay(node, body)
        case "POST", "/wallet/packages":
            return packages.receive_package(node, body)
        case "POST", "/wallet/grants":
            return consents.receive_grant(node, patient, body)
        case "POST", "/wallet/dissents":
            return consents.receive_dissent(node, patient, body)
        case "GET", "/wallet/grants":
            return grants.list_grants(node, patient)
        case "GET", "/wallet/accesses":
            return accesses_of(node, patient, after)
        case "GET", "/wallet/records":
            return wallet_records.list_records(node, patient, after)
        case "GET", "/wallet/records/…/sealed":
            return wallet_records.sealed_record(node, patient, path.split("/")[3])
        case "GET", "/wallet/objects/…":
            return wallet_records.own_object(node, patient, last, offset, length)
    raise AssertionError(f"the simulation has no route {method} {path}")


def _shape(path: str) -> str:
    """The route without ids."""
    return re.sub(r"(?<=/registry/)[^/]+$|(?<=/objects/)[^/]+$|(?<=/wallet/records/)[^/]+", "…", path)


def _member(node: Node, msp_id: str) -> wire.RegistryEntry:
    with node.database.reading() as session:
        entry = organization(session, msp_id)
    if entry is None:
        raise NotFound("there is no such member")
    keys = [key.key for key in valid_keys(entry, "seal", instant(node.clock.now()))]
    return wire.RegistryEntry(msp_id=msp_id, url=entry.url, status=entry.status, seal_keys=keys)


def _encoded(result: object) -> bytes:
    if isinstance(result, BaseModel):
        return result.model_dump_json().encode()
    return result if isinstance(result, bytes) else b""
