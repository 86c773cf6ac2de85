"""Object-level authorisation over every route of the OpenAPI document, with every kind of wrong credential."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.identifiers import encode_bytes, identifier
from node_service import organization_keys
from node_service.api.body_examples import EXAMPLES
from node_service.client import exchange_wire
from node_service.client.proofs import client_assertion, dpop_proof
from node_service.staff.roles import CLINICAL, ROLES
from patient_wallet.wallet import Wallet
from tests.scenario.network import Hospital
from tests.scenario.test_story import emergency_patient, enrolled

ANY_STAFF = ROLES
WRITERS = CLINICAL | {"system"}
PEOPLE = frozenset({"registrar", "medical-records"})
ARCHIVE = frozenset({"medical-records", "system"})
CLINICIAN = frozenset({"clinician"})
OFFICERS = frozenset({"privacy-officer", "medical-records"})
SHARED = "/api/shared/accesses/{access}"

STAFF_ROUTES: dict[tuple[str, str], frozenset[str]] = {
    ("delete", "/api/staff/sessions/current"): ANY_STAFF,
    ("get", "/api/staff"): frozenset({"system-administrator"}),
    ("post", "/api/staff"): frozenset({"system-administrator"}),
    ("get", "/api/status"): ANY_STAFF,
    ("get", "/api/notices"): ANY_STAFF,
    ("get", "/api/receipts/access-rows/{incarnation}/{index}"): frozenset({"audit-administrator", "privacy-officer"}),
    ("get", "/api/receipts/{kind}/{name}"): frozenset({"audit-administrator", "privacy-officer"}),
    ("get", "/audit/logs"): frozenset({"audit-administrator"}),
    ("get", "/audit/logs/{log}/consistency"): frozenset({"audit-administrator"}),
    ("get", "/audit/logs/access/rows"): frozenset({"audit-administrator"}),
    ("post", "/api/ingest/fhir"): ARCHIVE,
    ("post", "/api/ingest/cda"): ARCHIVE,
    ("post", "/api/ingest/pdf"): ARCHIVE,
    ("put", "/api/ingest/dicom"): ARCHIVE,
    ("post", "/api/ingest/dicom/close"): ARCHIVE,
    ("options", "/api/ingest/uploads"): ARCHIVE,
    ("post", "/api/ingest/uploads"): ARCHIVE,
    ("head", "/api/ingest/uploads/{upload}"): ARCHIVE,
    ("patch", "/api/ingest/uploads/{upload}"): ARCHIVE,
    ("delete", "/api/ingest/uploads/{upload}"): ARCHIVE,
    ("get", "/api/ingest/runs/{run}/quality"): ARCHIVE | {"quality"},
    ("get", "/api/patients"): PEOPLE,
    ("get", "/api/patients/{patient}"): PEOPLE,
    ("get", "/api/patients/{patient}/records"): CLINICAL | {"medical-records"},
    ("post", "/api/patients/{patient}/enrolment-codes"): frozenset({"registrar"}),
    ("get", "/api/records/{record}"): CLINICAL,
    ("get", "/api/records/{record}/content"): CLINICAL,
    ("get", "/api/records/{record}/members"): CLINICAL,
    ("get", "/api/records/{record}/members/{object_id}"): CLINICAL,
    ("post", "/fhir"): WRITERS,
    ("post", "/fhir/{resource_type}"): WRITERS,
    ("put", "/fhir/{resource_type}/{record}"): WRITERS,
    ("get", "/fhir/{resource_type}/{record}"): CLINICAL,
    ("get", "/fhir/{resource_type}/{record}/_history"): CLINICAL,
    ("get", "/fhir/{resource_type}/{record}/_history/{version}"): CLINICAL,
    ("get", "/api/erasures"): OFFICERS,
    ("post", "/api/erasures"): OFFICERS,
    ("get", "/api/erasures/{case}"): OFFICERS,
    ("post", "/api/erasures/{case}/decision"): OFFICERS,
    ("post", "/api/records/{record}/retraction"): OFFICERS,
    ("post", "/api/records/{record}/lock"): OFFICERS,
    ("post", "/api/shared/requests"): CLINICIAN,
    ("get", "/api/shared/grants"): CLINICIAN | {"registrar"},
    ("post", "/api/shared/grants/{patient}/{grant}/confirm"): CLINICIAN | {"registrar"},
    ("post", "/api/shared/accesses"): CLINICIAN,
    ("post", "/api/shared/emergencies"): CLINICIAN,
    ("post", "/api/shared/emergencies/{emergency}/reviews"): frozenset({"privacy-officer"}),
    ("post", "/api/shared/emergencies/{emergency}/admission"): frozenset({"privacy-officer"}),
    ("get", f"{SHARED}/records"): CLINICIAN,
    ("get", f"{SHARED}/records/{{record}}"): CLINICIAN,
    ("post", f"{SHARED}/chart"): CLINICIAN,
    ("get", f"{SHARED}/records/{{record}}/members"): CLINICIAN,
    ("get", f"{SHARED}/records/{{record}}/members/{{object_id}}"): CLINICIAN,
    ("post", f"{SHARED}/contributions"): CLINICIAN,
}
"""Who may use which route (docs/formats/http.md); a route that is not here fails the test."""

WALLET_ROUTES = {
    ("get", "/wallet/records"),
    ("get", "/wallet/records/{record}/sealed"),
    ("get", "/wallet/objects/{digest}"),
    ("post", "/wallet/preview"),
    ("get", "/wallet/grants"),
    ("post", "/wallet/grants"),
    ("post", "/wallet/dissents"),
    ("get", "/wallet/requests"),
    ("get", "/wallet/accesses"),
    ("get", "/wallet/notices"),
    ("get", "/wallet/receipts/access-rows"),
    ("get", "/wallet/receipts/access-rows/{incarnation}/{index}"),
    ("get", "/wallet/receipts/{kind}/{name}"),
    ("get", "/wallet/erasures"),
    ("post", "/wallet/erasures"),
}
EXCHANGE_ROUTES = {
    ("post", "/exchange/requests"),
    ("post", "/exchange/search"),
    ("post", "/exchange/release"),
    ("get", "/exchange/objects/{digest}"),
    ("post", "/exchange/contributions"),
    ("post", "/exchange/notices"),
}
OPEN_ROUTES = {
    ("get", "/health"),
    ("get", "/ready"),
    ("get", "/metrics"),
    ("get", "/hospital"),
    ("get", "/registry"),
    ("get", "/registry/{msp_id}"),
    ("get", "/fhir/metadata"),
    ("post", "/api/staff/sessions"),
    ("post", "/wallet/enrolments"),
    ("post", "/wallet/enrolments/finish"),
    ("post", "/wallet/nonces"),
    ("post", "/wallet/sessions"),
    ("post", "/wallet/statements"),
    ("get", "/wallet/statements/{patient}/{statement}/effective"),
    ("get", "/wallet/statements/{patient}/{statement}/receipt"),
    ("post", "/wallet/packages"),
    ("post", "/exchange/token"),
}
NOTICES = ("post", "/exchange/notices")
SOMEBODY = identifier(bytes(16))
SOMEBODY_NAMED = EXAMPLES["NoticeDelivery"]["notices"][0]["id"]
DIGEST = encode_bytes(bytes(32))
VALUES = {
    "log": "access",
    "digest": DIGEST,
    "resource_type": "Observation",
    "version": "1",
    "incarnation": "1",
    "index": "0",
    "kind": "record",
}
QUERY = {"source": "s", "upload": "u", "access": SOMEBODY}


@dataclass(frozen=True)
class Route:
    """One operation of the document with a request that has the right form."""

    method: str
    template: str
    operation: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def path(self) -> str:
        names = [one["name"] for one in self.operation.get("parameters", []) if one["in"] == "path"]
        return self.template.format(**{name: VALUES.get(name, SOMEBODY) for name in names})

    def request(self, http: httpx.Client, headers: dict[str, str]) -> httpx.Response:
        names = {one["name"] for one in self.operation.get("parameters", []) if one["in"] == "query"}
        params = {name: value for name, value in QUERY.items() if name in names}
        content, media_type = self._body()
        sent = {**headers, **({"Content-Type": media_type} if media_type else {})}
        return http.request(self.method.upper(), self.path, params=params, content=content, headers=sent)

    def _body(self) -> tuple[bytes | None, str]:
        content = self.operation.get("requestBody", {}).get("content", {})
        for media_type, form in content.items():
            if "example" in form:
                return json.dumps(form["example"]).encode(), media_type
            schema = self.schemas[form["schema"]["$ref"].rsplit("/", 1)[-1]]
            return json.dumps(schema["examples"][0]).encode(), media_type
        return None, ""


@pytest.fixture(scope="module")
def http(renhe: Hospital) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=renhe.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def routes(http: httpx.Client) -> dict[tuple[str, str], Route]:
    document = http.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    return {
        (method, path): Route(method, path, operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


@pytest.fixture(scope="module")
def token_of(renhe: Hospital) -> Callable[[str], str]:
    """A session of an account with one role."""
    return cache(lambda role: renhe.session_of([role]))


def test_every_route_of_the_document_is_in_exactly_one_list(routes: dict[tuple[str, str], Route]) -> None:
    lists = [set(STAFF_ROUTES), WALLET_ROUTES, EXCHANGE_ROUTES, OPEN_ROUTES]
    assert set(routes) == set().union(*lists)
    assert sum(map(len, lists)) == len(routes)


def test_every_body_has_an_example(routes: dict[tuple[str, str], Route]) -> None:
    for route in routes.values():
        if "requestBody" in route.operation:
            assert route._body()[0], f"{route.method} {route.template}"


def test_without_or_with_foreign_credentials_every_closed_route_is_refused(
    routes: dict[tuple[str, str], Route], http: httpx.Client, tongji: Hospital
) -> None:
    foreign = tongji.staff("dr").authorise("", "")["Authorization"]
    for key, route in routes.items():
        if key in OPEN_ROUTES:
            continue
        for credential in (None, "", "Bearer", "Bearer x", "Basic eDp5", "DPoP x", foreign):
            answer = route.request(http, {} if credential is None else {"Authorization": credential})
            assert answer.status_code == 401, f"{key} with {credential!r}: {answer.status_code}"
            assert answer.headers["www-authenticate"]


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_opens_its_own_routes_and_no_other(
    routes: dict[tuple[str, str], Route], http: httpx.Client, token_of: Callable[[str], str], role: str
) -> None:
    headers = {"Authorization": f"Bearer {token_of(role)}"}
    for key, allowed in STAFF_ROUTES.items():
        if key == ("delete", "/api/staff/sessions/current"):
            continue
        status = routes[key].request(http, headers).status_code
        assert (status == 403) is (role not in allowed), f"{key} as {role}: {status}"
        assert status not in (401, 500), f"{key} as {role}: {status}"


def test_staff_are_neither_a_wallet_nor_another_hospital(
    routes: dict[tuple[str, str], Route], http: httpx.Client, token_of: Callable[[str], str]
) -> None:
    for key in WALLET_ROUTES | EXCHANGE_ROUTES:
        for scheme in ("Bearer", "DPoP"):
            headers = {"Authorization": f"{scheme} {token_of('clinician')}", "DPoP": "x"}
            assert routes[key].request(http, headers).status_code == 401, key


@pytest.fixture
def hospital_token(renhe: Hospital, hospitals: dict[str, Hospital], http: httpx.Client) -> str:
    """A real token of a third hospital, which holds no grant."""
    secrets = hospitals["MingdeMSP"].running.node.secrets
    assertion = client_assertion(
        "MingdeMSP",
        organization_keys.signing_kid(secrets),
        lambda message: organization_keys.sign(secrets, message),
        audience=renhe.msp_id,
        now_s=time.time(),
    )
    body = exchange_wire.ExchangeToken(
        grant_type="client_credentials",
        client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        client_assertion=assertion,
    )
    answer = http.post("/exchange/token", json=body.model_dump())
    assert answer.status_code == 200
    assert http.post("/exchange/token", json=body.model_dump()).status_code == 401, "an assertion is used once"
    token: str = answer.json()["access_token"]
    return token


def test_a_hospital_without_a_grant_learns_nothing_and_is_no_staff_or_wallet(
    routes: dict[tuple[str, str], Route], http: httpx.Client, hospital_token: str
) -> None:
    bearer = {"Authorization": f"Bearer {hospital_token}"}
    for key in [*STAFF_ROUTES, *WALLET_ROUTES]:
        assert routes[key].request(http, bearer).status_code == 401, key
    for key in EXCHANGE_ROUTES - {NOTICES}:
        answer = routes[key].request(http, bearer)
        assert answer.status_code in (400, 404), f"{key}: {answer.status_code}"
    assert routes[NOTICES].request(http, bearer).json() == {"accepted": [], "unknown": [SOMEBODY_NAMED]}


def test_a_wallet_sees_of_another_patients_record_what_it_sees_of_none(
    renhe: Hospital, new_wallet: Callable[[], Wallet], http: httpx.Client
) -> None:
    (own, _), (_, foreign) = emergency_patient(renhe), emergency_patient(renhe)
    wallet = new_wallet()
    enrolled(renhe, wallet, own)
    list(wallet.records("RenheMSP"))
    client = wallet._hospitals.session("RenheMSP")
    answers = [
        http.get(path, headers=dict(client._authorise("GET", renhe.url + path)))
        for path in (f"/wallet/records/{foreign}/sealed", f"/wallet/records/{SOMEBODY}/sealed")
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


def test_a_wallets_token_is_worth_nothing_without_a_fresh_proof_of_its_key(
    renhe: Hospital, new_wallet: Callable[[], Wallet], http: httpx.Client
) -> None:
    patient, _ = emergency_patient(renhe)
    wallet = new_wallet()
    enrolled(renhe, wallet, patient)
    list(wallet.records("RenheMSP"))
    client = wallet._hospitals.session("RenheMSP")
    url = f"{renhe.url}/wallet/notices"
    right = dict(client._authorise("GET", url))
    token = right["Authorization"].removeprefix("DPoP ")
    assert http.get("/wallet/notices", headers=right).status_code == 200
    refused: dict[str, Any] = {
        "replayed": right,
        "no proof": {"Authorization": right["Authorization"]},
        "for another route": dict(client._authorise("GET", f"{renhe.url}/wallet/grants")),
        "for another method": dict(client._authorise("POST", url)),
        "as bearer": {**dict(client._authorise("GET", url)), "Authorization": f"Bearer {token}"},
        "by another key": {
            "Authorization": right["Authorization"],
            "DPoP": foreign_proof(token, url),
        },
    }
    for name, headers in refused.items():
        assert http.get("/wallet/notices", headers=headers).status_code == 401, name
    two = [("Authorization", right["Authorization"])]
    two += [("DPoP", client._authorise("GET", url)["DPoP"]) for _ in range(2)]
    assert http.get("/wallet/notices", headers=two).status_code == 401, "two proofs"


def foreign_proof(token: str, url: str) -> str:

    key = Ed25519PrivateKey.generate()
    return dpop_proof(
        key.public_key().public_bytes_raw(), key.sign, token=token, method="GET", url=url, now_s=time.time()
    )
