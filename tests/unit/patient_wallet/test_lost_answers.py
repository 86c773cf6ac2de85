"""A grant whose answer is lost is sent again as it was signed: never lost, never a second one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.errors import Conflict, Denied, Invalid, OutcomeUnknown, Tampered, Unavailable, YilianError
from node_service.client import wire
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPrivateKey
from patient_wallet.drafts import GrantChoice
from patient_wallet.wallet import Wallet
from tests.unit.patient_wallet.hostile_hospital import MSP, HostileHospital, an_id, enrolled

CHOICE = GrantChoice(grantee="BMSP")
Outcome = Callable[[httpx.Request], object]


def lost(request: httpx.Request) -> object:
    raise httpx.ReadError("the connection broke", request=request)


def down(request: httpx.Request) -> object:
    raise httpx.ConnectError("nobody listens", request=request)


def untrusted(request: httpx.Request) -> object:
    raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", request=request)


def lying(_request: httpx.Request) -> object:
    """It took the grant, and says what the wallet itself says of calls that never left."""
    raise Unavailable("nobody there", reason="no-answer")


def lying_of_certificates(_request: httpx.Request) -> object:
    raise Unavailable("the certificate is not trusted", reason="https-certificate")


def refused(_request: httpx.Request) -> object:
    raise Denied("no", reason="not-yours")


def granted(_request: httpx.Request) -> object:
    return {"id": an_id(), "tx_id": "ab", "block": 7}


def wallet_where(folder: Path, *outcomes: Outcome) -> tuple[Wallet, HostileHospital]:
    """A wallet at a hospital that answers the grants that come in, one after the other, like this."""
    hospital, left = HostileHospital(), iter(outcomes)
    key = RecipientPrivateKey.generate(HPKE_HYBRID).public
    hospital.answers["/wallet/grants"] = lambda request: _grants(request, left)
    hospital.answers["/wallet/packages"] = {}
    hospital.answers["/hospital"] = {
        "msp_id": "BMSP", "channel": "medical", "name": "B", "url": "https://b.example", "seal_kid": key.text,
        "seal_key": key.text,
    }  # fmt: skip
    hospital.answers["/registry/BMSP"] = registered(key.text)
    return enrolled(folder, hospital)[0], hospital


def registered(*seal_keys: str) -> dict[str, object]:
    return {"msp_id": "BMSP", "url": "https://b.example", "status": "active", "seal_keys": list(seal_keys)}


def _grants(request: httpx.Request, left: Iterator[Outcome]) -> object:
    if request.method == "GET":
        return wire.GrantPage(grants=[], dissents=[], floor=1).model_dump()
    return next(left)(request)


def sent(hospital: HostileHospital, path: str = "/wallet/grants") -> list[dict[str, Any]]:
    return [json.loads(body) for at, body in hospital.received if at == path and body]


def ask(wallet: Wallet, choice: GrantChoice = CHOICE) -> None:
    wallet.grant(MSP, choice, "https://b.example")


def test_the_same_choice_after_a_lost_answer_is_the_same_grant(tmp_path: Path) -> None:
    wallet, hospital = wallet_where(tmp_path, lost, down, granted, granted)
    for error in (OutcomeUnknown, Unavailable):
        with pytest.raises(error):
            ask(wallet)
    ask(wallet)
    first, second, third = sent(hospital)
    assert first == second == third
    assert len(sent(hospital, "/wallet/packages")) == 1
    ask(wallet)
    assert sent(hospital)[3]["statement"] != first["statement"]


def test_another_choice_after_a_lost_answer_is_another_grant(tmp_path: Path) -> None:
    wallet, hospital = wallet_where(tmp_path, lost, granted)
    with pytest.raises(OutcomeUnknown):
        ask(wallet)
    ask(wallet, GrantChoice(grantee="BMSP", keep=True))
    first, second = sent(hospital)
    assert first["statement"] != second["statement"]


def test_a_grant_without_an_answer_is_not_handed_over_and_not_sent_by_itself(tmp_path: Path) -> None:
    wallet, hospital = wallet_where(tmp_path, lost)
    with pytest.raises(OutcomeUnknown):
        ask(wallet)
    assert wallet.deliver_packages() == {}
    assert len(sent(hospital)) == 1
    assert sent(hospital, "/wallet/packages") == []


@pytest.mark.parametrize("outcome", [lying, lying_of_certificates])
def test_a_hospital_cannot_say_that_a_grant_never_left(tmp_path: Path, outcome: Outcome) -> None:
    wallet, hospital = wallet_where(tmp_path, outcome, granted)
    with pytest.raises(Unavailable):
        ask(wallet)
    ask(wallet)
    first, second = sent(hospital)
    assert first == second


@pytest.mark.parametrize(("outcome", "error"), [(down, Unavailable), (untrusted, Unavailable), (refused, Denied)])
def test_a_grant_that_certainly_failed_is_not_kept(tmp_path: Path, outcome: Outcome, error: type[YilianError]) -> None:
    wallet, hospital = wallet_where(tmp_path, outcome, granted)
    with pytest.raises(error):
        ask(wallet)
    ask(wallet)
    first, second = sent(hospital)
    assert first["statement"] != second["statement"]


@pytest.mark.parametrize("seal_keys", [(), (RecipientPrivateKey.generate(HPKE_HYBRID).public.text,)])
def test_nothing_is_signed_for_who_answers_without_the_registered_key(
    tmp_path: Path, seal_keys: tuple[str, ...]
) -> None:
    wallet, hospital = wallet_where(tmp_path, granted)
    hospital.answers["/registry/BMSP"] = registered(*seal_keys)
    with pytest.raises(Denied, match="registry"):
        ask(wallet)
    assert sent(hospital) == []


def test_a_package_that_nobody_may_have_waits_and_stops_no_other_grant(tmp_path: Path) -> None:
    wallet, hospital = wallet_where(tmp_path, granted, granted)
    right, hospital.answers["/hospital"] = hospital.answers["/hospital"], down
    first = wallet.grant(MSP, CHOICE, "https://b.example")
    assert not first.delivered
    hospital.answers["/hospital"], registry = right, hospital.answers["/registry/BMSP"]
    hospital.answers["/registry/BMSP"] = registered()
    assert [error.reason for error in wallet.deliver_packages().values()] == ["other-hospital"]
    assert sent(hospital, "/wallet/packages") == []
    hospital.answers["/registry/BMSP"] = registry
    assert wallet.grant(MSP, GrantChoice(grantee="BMSP", keep=True), "https://b.example").delivered
    assert len(sent(hospital, "/wallet/packages")) == 2


@pytest.mark.parametrize("error", [Conflict("no", reason="x"), Invalid("no", reason="x"), Tampered("no", reason="x")])
def test_a_grantee_that_answers_as_it_likes_stops_no_other_package(tmp_path: Path, error: YilianError) -> None:
    def hostile(_request: httpx.Request) -> object:
        raise error

    wallet, hospital = wallet_where(tmp_path, granted, granted)
    hospital.answers["/wallet/packages"] = hostile
    ask(wallet)
    assert len(wallet.deliver_packages()) == 1
    hospital.answers["/wallet/packages"] = {}
    assert wallet.deliver_packages() == {}
