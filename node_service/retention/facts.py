"""The facts that retention rules look at, out of a patient's own records: dates in clear, encounters opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from domain import jcs
from domain.errors import Invalid, NotFound
from domain.instants import moment
from domain.jcs import JsonObject
from node_service.context import Node
from node_service.database.models import Record, RecordVersion
from node_service.fhir.clinical_date import bounds
from node_service.fhir.elements import at_path, text_at
from node_service.records.drafts import FHIR_JSON
from node_service.records.reading import MAX_CONTENT_BYTES, VersionKey, version_keys
from node_service.retention.rules import INPATIENT, OUTPATIENT, SETTINGS, Facts
from offchain.envelope.unseal import unseal

PURPOSE: Final = "retention"
MAX_RESOURCE_DEPTH: Final = 128
_KEYS_AT_ONCE: Final = 500
_NO_CONTACT: Final = ("administrative", "billing", "directory")
_INPATIENT_CLASSES: Final = frozenset(("IMP", "ACUTE", "NONAC"))
_OUTPATIENT_CLASSES: Final = frozenset(("AMB", "EMER", "FLD", "HH", "VR", "OBSENC", "PRENC", "SS"))
_ENCOUNTER_PATHS: Final = ("encounter.reference", "context.encounter.reference", "context.reference")
_OVER: Final = ("finished", "cancelled", "entered-in-error")


@dataclass(frozen=True, slots=True)
class Encounter:
    """One encounter: its possible settings (HL7 v3-ActEncounterCode), and its end; None while it goes on."""

    settings: frozenset[str]
    end: datetime | None


@dataclass(frozen=True, slots=True)
class History:
    """A patient's contacts with the hospital, as far as its records tell them."""

    encounters: Mapping[str, Encounter]
    last_contact: datetime

    @property
    def settings(self) -> frozenset[str]:
        """Of all encounters."""
        return frozenset[str]().union(*(one.settings for one in self.encounters.values()))

    def last_discharge(self, at: datetime) -> datetime | None:
        """End of the last stay; the present while one goes on; None without any."""
        ends = [one.end or at for one in self.encounters.values() if INPATIENT in one.settings]
        return max(ends, default=None)


def history_of(node: Node, session: Session, patient: str) -> History:
    """Open the patient's encounters and look at the dates of everything else.

    Raises:
        Tampered: an encounter was altered.
        Unavailable: database, store or custody.
    """
    rows = session.execute(_VERSIONS.where(Record.patient == patient, Record.status.in_(("active", "locked")))).all()
    dates = [
        found
        for row in rows
        if row.category not in _NO_CONTACT and (found := _end(row.clinical_start, row.clinical_end)) is not None
    ]
    stored = [moment(row.stored_at) for row in rows]
    opened = _opened(node, [(row.record, row.version) for row in rows if row.resource_type == "Encounter"])
    encounters = {record: _encounter(value) for record, value in opened}
    return History(encounters, max(dates or stored, default=node.clock.now()))


def facts_of(node: Node, session: Session, record: str, history: History, at: datetime) -> Facts:
    """The facts about one record.

    Raises:
        NotFound: there is no such record with a key.
        Tampered, Unavailable: as :func:`history_of`.
    """
    row = session.execute(_VERSIONS.where(Record.id == record)).one_or_none()
    if row is None:
        raise NotFound("there is no such record", reason="no-record")
    return Facts(
        category=row.category,
        resource_type=row.resource_type,
        setting=_setting(node, row.record, row.version, row.media_type, history),
        settings=history.settings,
        clinical_end=_end(row.clinical_start, row.clinical_end),
        stored=moment(row.stored_at),
        last_visit=history.last_contact,
        last_discharge=history.last_discharge(at),
    )


def _setting(node: Node, record: str, version: int, media_type: str, history: History) -> str | None:
    """The one setting of the encounter that the record is, or that its resource refers to."""
    encounter = history.encounters.get(record)
    if encounter is None and media_type.partition(";")[0] == FHIR_JSON:
        references = (one for _, value in _opened(node, [(record, version)]) for one in _encounter_ids(value))
        encounter = next((history.encounters[one] for one in references if one in history.encounters), None)
    if encounter is None or len(encounter.settings) != 1:
        return None
    return min(encounter.settings)


def _encounter_ids(value: JsonObject) -> Iterator[str]:
    for path in _ENCOUNTER_PATHS:
        for reference in at_path(value, path):
            if isinstance(reference, str) and reference.startswith("Encounter/"):
                yield reference.removeprefix("Encounter/")


def _encounter(value: JsonObject) -> Encounter:
    classes = value.get("class")
    code = text_at(classes, "code") if isinstance(classes, dict) else ""
    if code in _INPATIENT_CLASSES:
        settings = frozenset((INPATIENT,))
    else:
        settings = frozenset((OUTPATIENT,) if code in _OUTPATIENT_CLASSES else SETTINGS)
    period = value.get("period")
    start, end = (text_at(period, name) for name in ("start", "end")) if isinstance(period, dict) else ("", "")
    over = end or (start if text_at(value, "status") in _OVER else "")
    found = bounds(over)
    return Encounter(settings, None if found is None else found[1])


def _opened(node: Node, versions: list[tuple[str, int]]) -> Iterator[tuple[str, JsonObject]]:
    for begin in range(0, len(versions), _KEYS_AT_ONCE):
        for held in version_keys(node, versions[begin : begin + _KEYS_AT_ONCE], purpose=PURPOSE):
            yield held.record, _resource(_content(node, held))


def _content(node: Node, held: VersionKey) -> bytes:
    """Empty where the store has lost the object: what is lost must be erasable too."""
    try:
        with node.blobs.get(held.digest) as sealed:
            return unseal(sealed, held.key, object_id=held.object_id).whole(max_bytes=MAX_CONTENT_BYTES).content
    except NotFound:
        return b""


def _resource(content: bytes) -> JsonObject:
    try:
        value = jcs.load(content, max_bytes=MAX_CONTENT_BYTES, max_depth=MAX_RESOURCE_DEPTH)
    except Invalid:
        return {}  # nothing can be told from it: the rules for everything apply
    return value if isinstance(value, dict) else {}


def _end(start: str | None, end: str | None) -> datetime | None:
    found = bounds(end or start or "")
    return None if found is None else found[1].astimezone(UTC)


_VERSIONS: Final = select(
    Record.id.label("record"),
    Record.resource_type,
    Record.category,
    Record.media_type,
    RecordVersion.version,
    RecordVersion.clinical_start,
    RecordVersion.clinical_end,
    RecordVersion.stored_at,
).join(RecordVersion, and_(RecordVersion.record == Record.id, RecordVersion.version == Record.current_version))
