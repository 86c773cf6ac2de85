"""What ended or never was, over every route of the OpenAPI document: old tokens, revoked grants, denied and absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import select, update

from domain.identifiers import encode_bytes
from domain.instants import instant, moment
from node_service.client import wire
from node_service.client.wallet_client import WalletClient
from node_service.database.account_models import AccessToken, Staff
from node_service.database.models import RecordVersion
from node_service.sharing.tokens import token_hash
from patient_wallet.drafts import GrantChoice
from patient_wallet.wallet import Wallet
from tests.scenario import test_authorisation as matrix
from tests.scenario.network import PASSWORD, Hospital, eventually
from tests.scenario.test_authorisation import EXCHANGE_ROUTES, SOMEBODY, STAFF_ROUTES, WALLET_ROUTES, Route
from tests.scenario.test_story import emergency_patient, enrolled

http, routes, hospital_token = matrix.http, matrix.routes, matrix.hospital_token
Routes = dict[tuple[str, str], Route]
TOKEN_LIFETIME: Final = timedelta(minutes=5)
MARGIN: Final = timedelta(seconds=20)
SESSION: Final = ("delete", "/api/staff/sessions/current")
PASSING: Final = {"date", "x-request-id", "content-length"}
ABSENT: Final = encode_bytes(bytes(range(32)))


def token_of(headers: Any) -> str:
    return str(headers["Authorization"]).partition(" ")[2]


def aged(hospital: Hospital, token: str, by: timedelta) -> None:
    """As if the token had been given out, or used last, so much earlier."""
    with hospital.running.node.database.transaction() as session:
        row = session.get_one(AccessToken, token_hash(token))
        row.expires_at = instant(moment(row.expires_at) - by)


@pytest.fixture
def staff_token(renhe: Hospital, http: httpx.Client) -> str:
    """A session of its own, opened with the password."""
    renhe.staff("dr")
    answer = http.post("/api/staff/sessions", json={"username": "dr", "password": PASSWORD})
    assert answer.status_code in (200, 201)
    return str(answer.json()["access_token"])


def answers_401(routes: Routes, http: httpx.Client, keys: Any, headers: Callable[[Route], dict[str, str]]) -> None:
    for key in keys:
        answer = routes[key].request(http, headers(routes[key]))
        assert answer.status_code == 401, f"{key}: {answer.status_code}"
        assert answer.headers["www-authenticate"]


def test_a_staff_session_idle_beyond_its_minutes_opens_nothing(
    routes: Routes, http: httpx.Client, renhe: Hospital, staff_token: str
) -> None:
    idle, headers = timedelta(minutes=renhe.settings.staff_session_minutes), {"Authorization": f"Bearer {staff_token}"}
    aged(renhe, staff_token, idle - MARGIN)
    assert http.get("/api/status", headers=headers).status_code == 200, "it ended early"
    aged(renhe, staff_token, idle)
    answers_401(routes, http, STAFF_ROUTES, lambda _route: headers)


def test_a_session_that_was_signed_out_opens_nothing(routes: Routes, http: httpx.Client, staff_token: str) -> None:
    headers = {"Authorization": f"Bearer {staff_token}"}
    assert routes[SESSION].request(http, headers).status_code == 204
    answers_401(routes, http, STAFF_ROUTES, lambda _route: headers)


def test_a_session_of_a_closed_account_opens_nothing(
    routes: Routes, http: httpx.Client, renhe: Hospital, staff_token: str
) -> None:
    headers = {"Authorization": f"Bearer {staff_token}"}
    assert http.get("/api/status", headers=headers).status_code == 200
    database = renhe.running.node.database
    try:
        with database.transaction() as session:
            session.execute(update(Staff).where(Staff.username == "dr").values(active=False))
        answers_401(routes, http, STAFF_ROUTES, lambda _route: headers)
    finally:
        with database.transaction() as session:
            session.execute(update(Staff).where(Staff.username == "dr").values(active=True))


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A wallet with an open session, and the record of somebody else."""

    wallet: Wallet
    client: WalletClient
    foreign: str

    def headers(self, hospital: Hospital, method: str, path: str) -> dict[str, str]:
        return dict(self.client._authorise(method.upper(), hospital.url + path))


@pytest.fixture
def patient(renhe: Hospital, new_wallet: Callable[[], Wallet]) -> Enrolled:
    (own, _), (_, foreign) = emergency_patient(renhe), emergency_patient(renhe)
    wallet = new_wallet()
    enrolled(renhe, wallet, own)
    list(wallet.records("RenheMSP"))
    return Enrolled(wallet, wallet._hospitals.session("RenheMSP"), foreign)


def test_a_wallets_session_over_five_minutes_opens_nothing(
    routes: Routes, http: httpx.Client, renhe: Hospital, patient: Enrolled
) -> None:
    def headers(route: Route) -> dict[str, str]:
        return patient.headers(renhe, route.method, route.path)

    notices = routes["get", "/wallet/notices"]
    token = token_of(headers(notices))
    aged(renhe, token, TOKEN_LIFETIME - MARGIN)
    assert notices.request(http, headers(notices)).status_code == 200, "it ended early"
    aged(renhe, token, MARGIN)
    answers_401(routes, http, WALLET_ROUTES, headers)


def test_a_hospitals_token_over_five_minutes_opens_nothing(
    routes: Routes, http: httpx.Client, renhe: Hospital, hospital_token: str
) -> None:
    headers, search = {"Authorization": f"Bearer {hospital_token}"}, routes["post", "/exchange/search"]
    aged(renhe, hospital_token, TOKEN_LIFETIME - MARGIN)
    assert search.request(http, headers).status_code in (400, 404), "it ended early"
    aged(renhe, hospital_token, MARGIN)
    answers_401(routes, http, EXCHANGE_ROUTES, lambda _route: headers)


def shown(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything of an answer that could tell denied from absent."""
    headers = {name: value for name, value in answer.headers.items() if name not in PASSING}
    return answer.status_code, answer.content, headers


def test_under_a_revoked_grant_every_route_answers_404_and_the_same_for_records_that_are_there_or_not(
    routes: Routes, renhe: Hospital, tongji: Hospital, patient: Enrolled
) -> None:
    wallet = patient.wallet
    granted = wallet.grant("RenheMSP", GrantChoice(grantee="TongjiMSP", categories=("allergy",)), tongji.url)
    tongji.clinician.confirm_match(granted.patient, granted.id, None)
    access = tongji.clinician.open_access(granted.patient, granted.id, "TREAT").id
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    record = next(one.entry.record for one in tongji.clinician.chart(access).items)
    headers = dict(tongji.staff("dr").authorise("", ""))
    shared = [key for key in STAFF_ROUTES if "/accesses/{access}/" in key[1]]
    assert len(shared) >= 5
    wallet.revoke("RenheMSP", granted.id)
    with httpx.Client(base_url=tongji.url, trust_env=False, timeout=30) as http:
        for key in shared:
            route = routes[key]
            ended = key[1].replace("{access}", access)
            paths = (ended.replace("{record}", record), ended)
            there, absent = (
                shown(Route(key[0], path, route.operation, route.schemas).request(http, headers)) for path in paths
            )
            assert there[0] == 404, f"{key}: {there[:2]}"
            assert there == absent, key


@pytest.fixture
def digest(renhe: Hospital, patient: Enrolled) -> str:
    """The object of the other patient's record."""
    with renhe.running.node.database.reading() as session:
        found = session.scalars(select(RecordVersion.digest).where(RecordVersion.record == patient.foreign)).first()
    assert found is not None
    return encode_bytes(found)


def test_a_wallet_cannot_tell_what_is_anothers_from_what_is_not_there(
    http: httpx.Client, renhe: Hospital, patient: Enrolled, digest: str
) -> None:
    eventually(lambda: renhe.staff("dr").status().outbox == 0)
    pairs = {
        "record": (f"/wallet/records/{patient.foreign}/sealed", f"/wallet/records/{SOMEBODY}/sealed"),
        "object": (f"/wallet/objects/{digest}", f"/wallet/objects/{ABSENT}"),
        "receipt": (f"/wallet/receipts/record/{patient.foreign}", f"/wallet/receipts/record/{SOMEBODY}"),
        "row": ("/wallet/receipts/access-rows/1/0", "/wallet/receipts/access-rows/1/999999"),
    }
    for name, paths in pairs.items():
        denied, absent = (shown(http.get(path, headers=patient.headers(renhe, "GET", path))) for path in paths)
        assert denied[0] == 404, name
        assert denied == absent, name


def test_a_hospital_cannot_tell_what_is_anothers_from_what_is_not_there(
    routes: Routes, http: httpx.Client, tongji: Hospital, patient: Enrolled, digest: str, hospital_token: str
) -> None:
    body = wire.EmergencyBody(
        card=patient.wallet.registration("RenheMSP").card, reason="unconscious", categories=["allergy"]
    )
    access = tongji.clinician.break_glass(body).id
    own = patient.wallet.registration("RenheMSP").patient
    headers = {"Authorization": f"Bearer {hospital_token}", "Content-Type": "application/json"}
    for path in ("/exchange/search", "/exchange/release"):
        example, _ = routes["post", path]._body()
        assert example is not None
        given = json.loads(example)
        named = {**given, "opening": {**given["opening"], "access": access, "patient": own}}
        denied, absent = (shown(http.post(path, json=one, headers=headers)) for one in (named, given))
        assert denied[0] == 404, f"{path}: {denied[1]!r}"
        assert denied == absent, path
    denied, absent = (shown(http.get(f"/exchange/objects/{one}", headers=headers)) for one in (digest, ABSENT))
    assert denied[0] in (400, 404)
    assert denied == absent
