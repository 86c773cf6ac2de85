"""Made-up FHIR R4 histories: one transaction Bundle a person, every resource marked as test data (HTEST)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

from domain.jcs import JsonObject
from yilian.synthetic.findings import (
    ALLERGENS,
    DIAGNOSES,
    LABORATORY,
    LABORATORY_REPORT,
    MEDICINES,
    PROCEDURES,
    UCUM,
    VACCINES,
    VITAL_SIGNS,
    Concept,
    Measurement,
)
from yilian.synthetic.people import RECORD_NUMBER_SYSTEM, Language, Person, people, seeded

LAST_DAY: Final = date(2025, 12, 31)
"""Histories end here, so that a seed gives the same bytes on every day."""

_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
_ZONES: Final = {"zh": timezone(timedelta(hours=8)), "en": timezone(timedelta(hours=1))}
_HOSPITAL: Final = {"zh": "测试第一医院", "en": "Synthetic General Hospital"}
_DOCTOR: Final = {"zh": ("测试", "医生"), "en": ("Synthetic", "Doctor")}
_YEARS: Final = 6


def write_histories(folder: Path, seed: int, patients: int, language: Language) -> tuple[Path, ...]:
    """Write one transaction Bundle for each person of a seed.

    Args:
        folder: made if it is not there.
        seed: equal seeds give equal bytes.
        patients: how many.
        language: of names and texts, ``zh`` or ``en``.

    Returns:
        The files, in the order of :func:`yilian.synthetic.people.people`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for person in people(seed, patients, language):
        file = folder / f"history-{language}-{person.index:03}.json"
        bundle = _History(person, seeded(f"{seed}/{language}/history/{person.index}")).bundle()
        file.write_text(json.dumps(bundle, ensure_ascii=False, indent=1), encoding="utf-8")
        files.append(file)
    return tuple(files)


class _History:
    """Collects the entries of one person's Bundle."""

    def __init__(self, person: Person, random: Random) -> None:
        self.person = person
        self.random = random
        self.entries: list[JsonObject] = []
        self.hospital = self._add({"resourceType": "Organization", "active": True, "name": self._own(_HOSPITAL)})
        self.doctor = self._add(self._practitioner())
        self.patient = self._add(self._patient())

    def bundle(self) -> JsonObject:
        """The whole Bundle."""
        if self.random.random() < 0.5:
            self._add(self._allergy())
        for day in sorted(self._days(self.random.randint(3, 7))):
            self._visit(day)
        return {"resourceType": "Bundle", "type": "transaction", "entry": [*self.entries]}

    def _visit(self, day: datetime) -> None:
        problem = self.random.randrange(len(DIAGNOSES))
        encounter = self._add(self._encounter(day))
        for measurement in VITAL_SIGNS:
            self._add(self._observation(measurement, "vital-signs", day, encounter))
        condition = self._add(self._condition(DIAGNOSES[problem], day, encounter))
        if self.random.random() < 0.7:
            self._laboratory(day + timedelta(hours=1), encounter)
        if problem < len(MEDICINES):
            self._add(self._medication_request(MEDICINES[problem], day, encounter, condition))
        if self.random.random() < 0.4:
            self._add(self._procedure(self.random.choice(PROCEDURES), day, encounter))
        if self.random.random() < 0.4:
            self._add(self._immunization(self.random.choice(VACCINES), day, encounter))

    def _laboratory(self, at: datetime, encounter: JsonObject) -> None:
        tests = self.random.sample(LABORATORY, k=self.random.randint(2, len(LABORATORY)))
        results = [self._add(self._observation(test, "laboratory", at, encounter)) for test in tests]
        self._add(
            {
                "resourceType": "DiagnosticReport",
                "status": "final",
                "category": [_coded(f"{_TERMINOLOGY}/v2-0074", "LAB")],
                "code": self._concept(LABORATORY_REPORT),
                **self._about(encounter),
                "effectiveDateTime": at.isoformat(),
                "issued": (at + timedelta(hours=2)).isoformat(),
                "performer": [self.hospital],
                "result": [*results],
            }
        )

    def _patient(self) -> JsonObject:
        person = self.person
        return {
            "resourceType": "Patient",
            "identifier": [*self._identifiers()],
            "name": [{"text": self._full_name(), "family": person.family[0], "given": [person.given[0]]}],
            "gender": person.gender,
            "birthDate": person.birth_date.isoformat(),
            "managingOrganization": self.hospital,
        }

    def _identifiers(self) -> Iterator[JsonObject]:
        person = self.person
        yield _identifier("MR", "病案号", RECORD_NUMBER_SYSTEM, person.record_number)
        if person.language == "zh":
            yield _identifier("NI", "居民身份证", "urn:oid:2.16.156.10011.1.3", person.identity_number)
            yield _identifier("HC", "医保号", "https://synthetic.example/health-insurance", person.insurance_number)
            yield _identifier("", "就诊卡号", "https://synthetic.example/visit-card", person.card_number)

    def _practitioner(self) -> JsonObject:
        family, given = _DOCTOR[self.person.language]
        return {"resourceType": "Practitioner", "active": True, "name": [{"family": family, "given": [given]}]}

    def _allergy(self) -> JsonObject:
        clinical = _coded(f"{_TERMINOLOGY}/allergyintolerance-clinical", "active")
        verification = _coded(f"{_TERMINOLOGY}/allergyintolerance-verification", "confirmed")
        return {
            "resourceType": "AllergyIntolerance",
            "clinicalStatus": clinical,
            "verificationStatus": verification,
            "type": "allergy",
            "category": ["medication"],
            "criticality": self.random.choice(("low", "high")),
            "code": self._concept(self.random.choice(ALLERGENS)),
            "patient": self.patient,
            "recordedDate": min(self._days(2)).isoformat(),
        }

    def _encounter(self, day: datetime) -> JsonObject:
        end = day + timedelta(minutes=self.random.randrange(20, 90))
        return {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": f"{_TERMINOLOGY}/v3-ActCode", "code": "AMB"},
            "subject": self.patient,
            "participant": [{"individual": self.doctor}],
            "period": {"start": day.isoformat(), "end": end.isoformat()},
            "serviceProvider": self.hospital,
        }

    def _condition(self, diagnosis: Concept, day: datetime, encounter: JsonObject) -> JsonObject:
        return {
            "resourceType": "Condition",
            "clinicalStatus": _coded(f"{_TERMINOLOGY}/condition-clinical", "active"),
            "verificationStatus": _coded(f"{_TERMINOLOGY}/condition-ver-status", "confirmed"),
            "category": [_coded(f"{_TERMINOLOGY}/condition-category", "encounter-diagnosis")],
            "code": self._concept(diagnosis),
            **self._about(encounter),
            "onsetDateTime": day.date().isoformat(),
            "recordedDate": day.isoformat(),
        }

    def _observation(self, test: Measurement, kind: str, at: datetime, encounter: JsonObject) -> JsonObject:
        value = round(self.random.gauss(test.mean, test.spread), test.decimals or None)
        unit: JsonObject = {"unit": test.unit, "system": UCUM, "code": test.unit}
        flag = "H" if value > test.high else "L" if value < test.low else "N"
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": [_coded(f"{_TERMINOLOGY}/observation-category", kind)],
            "code": self._concept(test.concept),
            **self._about(encounter),
            "effectiveDateTime": at.isoformat(),
            "performer": [self.doctor],
            "valueQuantity": {"value": value, **unit},
            "interpretation": [_coded(f"{_TERMINOLOGY}/v3-ObservationInterpretation", flag)],
            "referenceRange": [{"low": {"value": test.low, **unit}, "high": {"value": test.high, **unit}}],
        }

    def _medication_request(
        self, medicine: Concept, day: datetime, encounter: JsonObject, reason: JsonObject
    ) -> JsonObject:
        return {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationCodeableConcept": self._concept(medicine),
            **self._about(encounter),
            "authoredOn": day.isoformat(),
            "requester": self.doctor,
            "reasonReference": [reason],
            "dosageInstruction": [{"text": self._own({"zh": "口服，每日一次", "en": "once daily"})}],
        }

    def _procedure(self, procedure: Concept, day: datetime, encounter: JsonObject) -> JsonObject:
        end = day + timedelta(minutes=15)
        return {
            "resourceType": "Procedure",
            "status": "completed",
            "code": self._concept(procedure),
            **self._about(encounter),
            "performedPeriod": {"start": day.isoformat(), "end": end.isoformat()},
        }

    def _immunization(self, vaccine: Concept, day: datetime, encounter: JsonObject) -> JsonObject:
        return {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": self._concept(vaccine),
            "patient": self.patient,
            "encounter": encounter,
            "occurrenceDateTime": day.isoformat(),
            "primarySource": True,
        }

    def _about(self, encounter: JsonObject) -> JsonObject:
        return {"subject": self.patient, "encounter": encounter}

    def _add(self, resource: JsonObject) -> JsonObject:
        """Append an entry; the reference to it, by its fullUrl."""
        full_url = f"urn:uuid:{UUID(int=self.random.getrandbits(128), version=4)}"
        tag: JsonObject = {"system": f"{_TERMINOLOGY}/v3-ActReason", "code": "HTEST", "display": "test health data"}
        marked: JsonObject = {"resourceType": resource["resourceType"], "meta": {"tag": [tag]}, **resource}
        request: JsonObject = {"method": "POST", "url": resource["resourceType"]}
        self.entries.append({"fullUrl": full_url, "resource": marked, "request": request})
        return {"reference": full_url}

    def _days(self, count: int) -> list[datetime]:
        first = max(LAST_DAY - timedelta(days=365 * _YEARS), self.person.birth_date)
        span = (LAST_DAY - first).days
        clock = time(8 + self.random.randrange(9), self.random.randrange(60), tzinfo=_ZONES[self.person.language])
        return [datetime.combine(first + timedelta(days=n), clock) for n in self.random.sample(range(span), count)]

    def _concept(self, concept: Concept) -> JsonObject:
        name = concept.zh if self.person.language == "zh" else concept.en
        coding: JsonObject = {"system": concept.system, "code": concept.code, "display": concept.en}
        return {"coding": [coding], "text": name}

    def _full_name(self) -> str:
        family, given = self.person.family[0], self.person.given[0]
        return family + given if self.person.language == "zh" else f"{given} {family}"

    def _own(self, texts: dict[str, str]) -> str:
        return texts[self.person.language]


def _coded(system: str, code: str) -> JsonObject:
    return {"coding": [{"system": system, "code": code}]}


def _identifier(code: str, text: str, system: str, value: str) -> JsonObject:
    kind = _coded(f"{_TERMINOLOGY}/v2-0203", code) if code else {}
    return {"type": {**kind, "text": text}, "system": system, "value": value}
