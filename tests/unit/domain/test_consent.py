"""The consent decision on the public Consents of IHE PCF and on what a wallet writes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.consent import Consent as FhirConsent

from domain.consent import ConsentRequest, evaluate
from domain.decisions import Deny, Permit
from domain.errors import Invalid
from domain.jcs import canonical
from domain.resource_facts import ResourceFacts, resource_facts
from domain.wallet_consent import PRESETS, Parties, recorded_until, wallet_consent, wallet_dissent
from tests.unit.chaincode.world import NOW, A, B, after, an_id

AT = datetime(2022, 7, 1, tzinfo=UTC)
P = "Practitioner/ex-practitioner"
AUTHOR = "Practitioner/ex-author"
RESEARCHER = "Organization/ex-org-researcher"
PRIVILEGED = "Group/ex-privilegedUsers"
TPO = ("TREAT", "HPAYMT", "HOPERAT")
Load = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def load(shared_data: Path) -> Load:
    def read(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((shared_data / "fhir" / "pcf" / f"{name}.json").read_text())
        return found

    return read


@pytest.fixture(scope="module")
def decide(load: Load) -> Callable[..., str]:
    """``permit`` or the reason of the denial."""

    def run(
        consent: str,
        purpose: str | None = "TREAT",
        *,
        of: str = "Observation-ex-weight",
        actors: tuple[str, ...] = ("Practitioner/anyone",),
        at: datetime = AT,
    ) -> str:
        request = ConsentRequest(at, purpose, actors, resource_facts(load(of)))
        return said(evaluate([load(f"Consent-ex-{consent}")], request))

    return run


def said(decision: Permit | Deny) -> str:
    return decision.reason if isinstance(decision, Deny) else "permit"


@pytest.mark.parametrize("purpose", TPO)
def test_basic_treat_permits_treatment_payment_operations_to_anyone(decide: Callable[..., str], purpose: str) -> None:
    assert decide("consent-basic-treat-infant", purpose) == "permit"
    assert decide("consent-basic-treat-infant", purpose, actors=()) == "permit"
    assert decide("consent-basic-reject", purpose) == "denied"
    assert decide("consent-basic-research", purpose) == "no-rule"


@pytest.mark.parametrize("purpose", ["HRESCH", "BTG", None, "treat", "TREATMENT"])
def test_basic_treat_denies_other_purposes_break_glass_and_none(decide: Callable[..., str], purpose: str) -> None:
    assert decide("consent-basic-treat-infant", purpose) == "no-rule"
    assert decide("consent-basic-reject", purpose) != "permit"


def test_basic_reject_denies_where_the_purpose_is_not_said(decide: Callable[..., str]) -> None:
    assert decide("consent-basic-reject", None) == "denied"


def test_a_purpose_of_another_system_is_another_purpose(decide: Callable[..., str]) -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
    assert decide("consent-basic-treat-infant", f"{system}|TREAT") == "permit"
    assert decide("consent-basic-treat-infant", "urn:other|TREAT") == "no-rule"


def test_basic_research_permits_research_also_before_it_was_written(decide: Callable[..., str]) -> None:
    assert decide("consent-basic-research", "HRESCH") == "permit"
    assert decide("consent-basic-research", "HRESCH", at=datetime(2000, 1, 1, tzinfo=UTC)) == "permit"


def test_an_expired_consent_permits_through_its_last_day(decide: Callable[..., str]) -> None:
    last = datetime(2022, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert decide("consent-expired-treat", at=last) == "permit"
    assert decide("consent-expired-treat", at=last + timedelta(seconds=1)) == "out-of-period"


@pytest.mark.parametrize(
    ("of", "timeframe", "not_timeframe"),
    [
        ("Observation-ex-alcoholUse", "permit", "denied"),
        ("Observation-ex-weight", "no-rule", "permit"),
        ("Encounter-ex-encounter", "no-rule", "denied"),
    ],
)
def test_timeframes(decide: Callable[..., str], of: str, timeframe: str, not_timeframe: str) -> None:
    assert decide("consent-intermediate-timeframe", of=of) == timeframe
    assert decide("consent-intermediate-not-timeframe", of=of) == not_timeframe


@pytest.mark.parametrize(
    "of",
    ["Encounter-ex-encounter", "Observation-ex-weight", "Observation-ex-weight-2", "Observation-ex-bloodPressure",
     "Observation-ex-bloodSugar", "Observation-ex-alcoholUse"],
)  # fmt: skip
def test_only_the_named_data_are_permitted(decide: Callable[..., str], load: Load, of: str) -> None:
    assert decide("consent-intermediate-data", of=of) == "permit"
    other = {**load(of), "id": "other"}
    request = ConsentRequest(AT, "TREAT", (), resource_facts(other))
    assert said(evaluate([load("Consent-ex-consent-intermediate-data")], request)) == "no-rule"


def test_a_purpose_for_one_actor(decide: Callable[..., str]) -> None:
    assert decide("consent-intermediate-purpose", "FooBar", actors=(P, RESEARCHER)) == "permit"
    assert decide("consent-intermediate-purpose", "FooBar", actors=(P,)) == "no-rule"
    assert decide("consent-intermediate-purpose", "FooBar", actors=()) == "no-rule"
    assert decide("consent-intermediate-purpose", "TREAT", actors=(RESEARCHER,)) == "no-rule"


def authored(load: Load, consent: str, performer: str | None) -> str:
    resource = load("Observation-ex-weight")
    resource["performer"] = [{"reference": performer}] if performer else []
    request = ConsentRequest(AT, "TREAT", (), resource_facts(resource))
    return said(evaluate([load(f"Consent-ex-consent-intermediate-{consent}")], request))


@pytest.mark.parametrize(
    ("performer", "by", "not_by"),
    [(P, "permit", "denied"), (AUTHOR, "no-rule", "permit"), (None, "no-rule", "denied")],
)
def test_authors(load: Load, performer: str | None, by: str, not_by: str) -> None:
    assert authored(load, "authoredby", performer) == by
    assert authored(load, "not-authoredby", performer) == not_by


def test_break_glass_only_for_the_privileged_group(decide: Callable[..., str]) -> None:
    dissent = "dissent-intermediate-break-glass"
    assert decide(dissent, "BTG", actors=(P, PRIVILEGED)) == "permit"
    assert decide(dissent, "BTG", actors=(P,)) == "denied"
    assert decide(dissent, "TREAT", actors=(P, PRIVILEGED)) == "denied"


@pytest.mark.parametrize("name", ["normal", "normal-restricted", "normal-focused-restricted"])
def test_security_labels_are_not_evaluated_here_and_deny(decide: Callable[..., str], name: str) -> None:
    assert decide(f"consent-advanced-{name}") == "unsupported"


def test_a_dissent_wins_over_every_other_consent(load: Load) -> None:
    permit, reject = load("Consent-ex-consent-basic-treat-infant"), load("Consent-ex-consent-basic-reject")
    research = load("Consent-ex-consent-basic-research")
    request = ConsentRequest(AT, "TREAT", (), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([permit, research], request)) == "permit"
    assert said(evaluate([permit, reject], request)) == "dissent"
    assert said(evaluate([reject, permit], request)) == "dissent"
    assert said(evaluate([research, reject], replace(request, purpose="HRESCH"))) == "permit"
    assert said(evaluate([permit, {**reject, "status": "inactive"}], request)) == "permit"


def test_a_dissent_that_cannot_be_read_closes_the_door(load: Load) -> None:
    permit, reject = load("Consent-ex-consent-basic-treat-infant"), load("Consent-ex-consent-basic-reject")
    request = ConsentRequest(AT, "TREAT", (), resource_facts(load("Observation-ex-weight")))
    broken = {**reject, "provision": {**reject["provision"], "securityLabel": [{"code": "R"}]}}
    assert said(evaluate([permit, broken], request)) == "unsupported"
    assert said(evaluate([permit, {**permit, "provision": "?"}], request)) == "unsupported"


def test_no_consent_is_no_permission(load: Load) -> None:
    request = ConsentRequest(AT, "TREAT", (), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([], request)) == "no-rule"
    permit = load("Consent-ex-consent-basic-treat-infant")
    del permit["provision"]
    assert said(evaluate([permit], request)) == "no-rule"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "inactive"}, "not-active"),
        ({"status": None}, "not-active"),
        ({"scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}},
         "not-active"),
        ({"patient": {"reference": "Patient/other"}}, "other-patient"),
        ({"patient": {"display": "somebody"}}, "other-patient"),
        ({"resourceType": "Contract"}, "unsupported"),
        ({"implicitRules": "urn:x"}, "unsupported"),
        ({"modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}, "unsupported"),
        ({"scope": None}, "unsupported"),
        ({"patient": {"reference": "https://a.example/fhir/Patient/ex-patient"}}, "unsupported"),
        ({"patient": {"reference": "patient/ex-patient"}}, "unsupported"),
    ],
)  # fmt: skip
def test_consents_that_do_not_apply(load: Load, changes: dict[str, Any], reason: str) -> None:
    request = ConsentRequest(AT, "TREAT", (), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([{**load("Consent-ex-consent-basic-treat-infant"), **changes}], request)) == reason


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "allow"},
        {"type": None},
        {"securityLabel": [{"code": "N"}]},
        {"code": [{"coding": [{"code": "29463-7"}]}]},
        {"class": [{"system": "urn:ietf:bcp:13", "code": "application/pdf"}]},
        {"class": []},
        {"action": [{"coding": [{"system": "urn:x", "code": "access"}]}]},
        {"action": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "sell"}]}]},
        {"actor": [{"reference": {"display": "somebody"}}]},
        {"purpose": []},
        {"purpose": [{"display": "care"}]},
        {"purpose": "TREAT"},
        {"period": {}},
        {"period": {"end": "soon"}},
        {"period": {"start": "2023", "end": "2022"}},
        {"data": [{"meaning": "about", "reference": {"reference": "Observation/a"}}]},
        {"data": [{"meaning": "related", "reference": {"reference": "Observation/a"}}]},
        {"modifierExtension": [{"url": "urn:x"}]},
        {"_type": {"extension": []}},
        {"provision": [{"type": "deny", "provision": [{"type": "permit"}]}]},
        {"provision": [{"type": "deny", "modifierExtension": [{"url": "urn:x"}]}]},
        {"purpose": [{"code": "TREAT", "modifierExtension": []}]},
        {"period": {"start": "2020", "_end": {"extension": [{"url": "urn:x", "valueString": "when I say so"}]}}},
        {"dataPeriod": {"start": "2000", "until": "2001"}},
    ],
)
def test_what_a_rule_cannot_express_permits_nothing(load: Load, changes: dict[str, Any]) -> None:
    consent = load("Consent-ex-consent-basic-treat-infant")
    consent["provision"].update(changes)
    request = ConsentRequest(AT, "TREAT", (), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([consent], request)) == "unsupported"


PARTIES = Parties(an_id("consent"), an_id("patient"), A, NOW)
DEFAULTS: dict[str, Any] = {
    "preset": "up-to-today",
    "grantee": B,
    "practitioner": None,
    "categories": ("medication", "result"),
    "purposes": ("TREAT",),
    "permissions": ("read",),
    "valid_from": NOW,
    "valid_until": after(86400),
}


def facts(**changes: Any) -> ResourceFacts:
    base = ResourceFacts(f"Observation/{an_id('r')}", f"Patient/{an_id('patient')}", "result")
    return replace(base, **changes)


def asked(consent: Any, resource: ResourceFacts | None = None, **changes: Any) -> str:
    at = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    request = ConsentRequest(at, "TREAT", (f"Organization/{B}", "Practitioner/x"), resource or facts())
    return said(evaluate([consent], replace(request, **changes)))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("permissions", [("read",), ("keep", "read"), ("contribute", "keep", "read")])
@pytest.mark.parametrize("practitioner", [None, an_id("doctor")])
@pytest.mark.parametrize("withheld", [(), (f"Observation/{an_id('w')}",)])
def test_what_a_wallet_writes_is_fhir_r4_and_canonical_json(
    preset: str, permissions: tuple[str, ...], practitioner: str | None, withheld: tuple[str, ...]
) -> None:
    records = (f"Observation/{an_id('r')}",) if preset == "these-records" else ()
    changes = {"preset": preset, "permissions": permissions, "practitioner": practitioner}
    consent = wallet_consent(PARTIES, **{**DEFAULTS, **changes}, records=records, withheld=withheld)
    FhirConsent.model_validate(copy.deepcopy(consent))
    assert json.loads(canonical(consent)) == consent
    actor = f"Practitioner/{practitioner}" if practitioner else f"Organization/{B}"
    assert asked(consent, actors=(actor,)) == "permit"
    for permission, action in (("read", "access"), ("keep", "collect"), ("contribute", "correct")):
        expected = "permit" if permission in permissions else "no-rule"
        assert asked(consent, actors=(actor,), action=action) == expected


def test_a_wallets_consent_permits_its_grantee_purpose_categories_and_time_alone() -> None:
    consent = wallet_consent(PARTIES, **DEFAULTS)
    start, end = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert asked(consent) == "permit"
    assert asked(consent, at=start - timedelta(seconds=1)) == "out-of-period"
    assert asked(consent, at=end) == "permit"
    assert asked(consent, at=end + timedelta(seconds=1)) == "out-of-period"
    assert asked(consent, purpose="BTG") == "no-rule"
    assert asked(consent, actors=("Organization/Other",)) == "no-rule"
    assert asked(consent, facts(category="imaging")) == "no-rule"
    assert asked(consent, facts(category=None)) == "no-rule"
    assert asked(consent, facts(patient="Patient/other")) == "other-patient"
    assert asked(consent, facts(patient=None)) == "other-patient"


def test_only_these_records() -> None:
    record = f"Observation/{an_id('r')}"
    consent = wallet_consent(PARTIES, **{**DEFAULTS, "preset": "these-records"}, records=(record,))
    assert asked(consent) == "permit"
    assert asked(consent, facts(reference=f"Observation/{an_id('other')}")) == "no-rule"
    assert asked(consent, facts(reference=f"Condition/{an_id('r')}")) == "no-rule"


def test_withheld_records_stay_out_whatever_else_is_said() -> None:
    record = f"Observation/{an_id('r')}"
    consent = wallet_consent(PARTIES, **DEFAULTS, withheld=(record,))
    assert asked(consent) == "denied"
    assert asked(consent, action="collect") == "denied"
    assert asked(consent, facts(reference=f"Observation/{an_id('other')}")) == "permit"


def test_up_to_today_is_cut_by_the_terms_and_not_by_the_consent() -> None:
    assert [recorded_until(preset, NOW) for preset in PRESETS] == [None, NOW, None]


@pytest.mark.parametrize(
    ("changes", "place"),
    [({"preset": "these-records"}, "records"), ({"records": ("Observation/x",)}, "records"),
     ({"preset": "all"}, "preset"), ({"permissions": ()}, "permissions"), ({"permissions": ("write",)}, "permissions"),
     ({"purposes": ("BTG",)}, "purposes"), ({"categories": ("secret",)}, "categories"),
     ({"valid_from": "today"}, "valid_from"), ({"valid_until": "today"}, "valid_until"),
     ({"withheld": ("Observation/x",)}, "records"), ({"withheld": (f"observation/{an_id('r')}",)}, "records")],
)  # fmt: skip
def test_a_wallet_writes_no_consent_that_it_does_not_understand(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refused:
        wallet_consent(PARTIES, **{**DEFAULTS, **changes})
    assert refused.value.place == place


def test_a_wallet_writes_no_dissent_that_it_does_not_understand() -> None:
    for purposes, categories, place in ((("x",), ("result",), "purposes"), (("TREAT",), (), "categories")):
        with pytest.raises(Invalid) as refused:
            wallet_dissent(PARTIES, purposes=purposes, categories=categories)
        assert refused.value.place == place


def test_a_wallets_dissent_is_fhir_r4_and_wins() -> None:
    dissent = wallet_dissent(PARTIES, categories=("result",), purposes=("BTG", "TREAT"))
    FhirConsent.model_validate(copy.deepcopy(dissent))
    consent = wallet_consent(PARTIES, **DEFAULTS)
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    request = ConsentRequest(at, "TREAT", (f"Organization/{B}",), facts())
    assert said(evaluate([consent, dissent], request)) == "dissent"
    assert said(evaluate([consent, dissent], replace(request, resource=facts(category="medication")))) == "permit"
    assert asked(dissent, purpose="BTG") == "denied"


@pytest.mark.parametrize("meaning", ["related", "dependents"])
def test_what_refers_to_an_encounter_goes_with_it(load: Load, meaning: str) -> None:
    consent = load("Consent-ex-consent-intermediate-data")
    consent["provision"]["data"] = [{"meaning": meaning, "reference": {"reference": "Encounter/ex-encounter"}}]
    for name, expected in (("Observation-ex-weight", "permit"), ("Encounter-ex-encounter", "permit")):
        request = ConsentRequest(AT, "TREAT", (), resource_facts(load(name)))
        assert said(evaluate([consent], request)) == expected
    other = {**load("Observation-ex-weight"), "encounter": {"reference": "Encounter/other"}}
    assert said(evaluate([consent], ConsentRequest(AT, "TREAT", (), resource_facts(other)))) == "no-rule"


def test_resource_types_may_be_named_as_classes(load: Load) -> None:
    consent = load("Consent-ex-consent-basic-treat-infant")
    consent["provision"]["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]
    for name, expected in (("Observation-ex-weight", "permit"), ("Encounter-ex-encounter", "no-rule")):
        assert said(evaluate([consent], ConsentRequest(AT, "TREAT", (), resource_facts(load(name))))) == expected


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        ConsentRequest(datetime(2022, 1, 1), "TREAT", (), facts())  # noqa: DTZ001
    assert refused.value.place == "at"


@pytest.mark.parametrize("kind", ["permit", None, "deny"])
def test_a_permission_that_cannot_be_read_stops_no_other_and_a_refusal_does(kind: str | None) -> None:
    """Whoever wrote a Consent that nobody can read has not refused, unless its root denies."""
    consent = wallet_consent(PARTIES, **DEFAULTS)
    provision = None if kind is None else {"type": kind, "code": []}
    unreadable: Any = {**consent, "provision": provision, "implicitRules": "urn:x"}
    at = datetime(2026, 3, 1, 13, tzinfo=UTC)
    request = ConsentRequest(at, "TREAT", (f"Organization/{B}",), facts())
    assert said(evaluate([consent], request)) == "permit"
    assert said(evaluate([consent, unreadable], request)) == ("unsupported" if kind == "deny" else "permit")


# --- Nothing slips past a refusal by being written in another way --------------------------------------------------

WEIGHT = "Observation/ex-weight"


@pytest.mark.parametrize(
    "reference",
    [
        f"https://a.example/fhir/{WEIGHT}",
        f"https://a.example/fhir/{WEIGHT}/_history/2",
        f"/{WEIGHT}",
        f"./{WEIGHT}",
        f"{WEIGHT}/",
        f"{WEIGHT}?_summary=true",
        f" {WEIGHT}",
        "observation/ex-weight",
        "Observation//ex-weight",
        "ex-weight",
        "#ex-weight",
        "urn:uuid:6e6c7d5c-0a1a-4d0c-9d8e-000000000000",
        "Observation?identifier=x",
        "",
    ],
)
@pytest.mark.parametrize("element", ["data", "actor"])
def test_a_reference_that_might_be_overlooked_makes_the_consent_unsupported(
    load: Load, element: str, reference: str
) -> None:
    consent = load("Consent-ex-consent-basic-treat-infant")
    item = {"meaning": "instance", "reference": {"reference": reference}}
    consent["provision"]["provision"] = [{"type": "deny", element: [item]}]
    request = ConsentRequest(AT, "TREAT", (P,), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([consent], request)) == "unsupported"


def test_a_version_in_a_reference_names_every_version(load: Load) -> None:
    consent = load("Consent-ex-consent-basic-treat-infant")
    item = {"meaning": "instance", "reference": {"reference": f"{WEIGHT}/_history/2"}}
    consent["provision"]["provision"] = [{"type": "deny", "data": [item]}]
    request = ConsentRequest(AT, "TREAT", (P,), resource_facts(load("Observation-ex-weight")))
    assert said(evaluate([consent], request)) == "denied"


@pytest.mark.parametrize(
    "performer",
    [
        [{"reference": AUTHOR}, {"reference": f"https://a.example/fhir/{P}"}],
        [{"reference": AUTHOR}, {"reference": "Practitioner?identifier=urn:npi|1"}],
        [{"reference": "urn:uuid:6e6c7d5c-0a1a-4d0c-9d8e-000000000000"}],
        [{"reference": AUTHOR}, {"display": "Dr. ex-practitioner"}],
        [{"reference": AUTHOR}, {"identifier": {"value": "1"}}],
    ],
    ids=["absolute", "conditional", "unresolved", "display", "identifier"],
)
def test_an_author_that_cannot_be_told_counts_for_a_refusal_and_not_for_a_permission(
    load: Load, performer: list[Any]
) -> None:
    resource = {**load("Observation-ex-weight"), "performer": performer}
    request = ConsentRequest(AT, "TREAT", (), resource_facts(resource))
    assert said(evaluate([load("Consent-ex-consent-intermediate-not-authoredby")], request)) == "denied"
    assert said(evaluate([load("Consent-ex-consent-intermediate-authoredby")], request)) == "no-rule"


@pytest.mark.parametrize(
    ("encounter", "refused"),
    [
        ("Encounter/ex-encounter", True),
        ("https://a.example/fhir/Encounter/ex-encounter", True),
        ("https://a.example/fhir/Encounter/ex-encounter/_history/1", True),
        ("urn:uuid:6e6c7d5c-0a1a-4d0c-9d8e-000000000000", True),
        ("Encounter?identifier=urn:x|1", True),
        ("Encounter/other", False),
        ("https://a.example/fhir/Location/ex-encounter", False),
        ("Practitioner?identifier=urn:npi|1", False),
    ],
)
def test_what_may_belong_to_a_refused_encounter_is_refused(load: Load, encounter: str, refused: bool) -> None:
    consent = load("Consent-ex-consent-basic-treat-infant")
    item = {"meaning": "related", "reference": {"reference": "Encounter/ex-encounter"}}
    consent["provision"]["provision"] = [{"type": "deny", "data": [item]}]
    resource = {**load("Observation-ex-weight"), "encounter": {"reference": encounter}}
    request = ConsentRequest(AT, "TREAT", (), resource_facts(resource))
    assert said(evaluate([consent], request)) == ("denied" if refused else "permit")


def test_a_nested_permission_allows_no_action_that_the_root_does_not(load: Load) -> None:
    consent = wallet_consent(PARTIES, **DEFAULTS)
    provision: Any = consent["provision"]
    provision["provision"] = [{"type": "permit", "class": provision["class"]}]
    assert asked(consent) == "permit"
    assert asked(consent, action="collect") == "no-rule"
    provision["provision"][0]["action"] = [
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": "collect"}]}
    ]
    assert asked(consent, action="collect") == "permit"


@pytest.mark.parametrize("name", ["records", "withheld"])
@pytest.mark.parametrize("reference", ["x", "Observation/x", f"observation/{an_id('r')}", f"https://a/Observation/{an_id('r')}",
                                       f"Observation/{an_id('r')}/_history/1", an_id("r"), ""])  # fmt: skip
def test_a_wallet_names_records_by_type_and_id_alone(name: str, reference: str) -> None:
    changes: dict[str, Any] = {"preset": "these-records", "records": (f"Observation/{an_id('r')}",), name: (reference,)}
    with pytest.raises(Invalid):
        wallet_consent(PARTIES, **{**DEFAULTS, **changes})
