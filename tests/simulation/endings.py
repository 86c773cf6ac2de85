"""What must hold at the end of what was erased, retracted and locked, of the store, and of what the scrub says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from domain.errors import NotFound
from domain.identifiers import identifier
from domain.instants import instant
from domain.ports import CustodyEntry, NoKey
from node_service.records.collecting import Collector
from node_service.records.reading import open_version
from node_service.records.scrub import check_objects
from offchain.envelope.wraps import KeyBinding, Wrap
from tests.simulation import files
from tests.simulation.hospital import Hospital
from tests.simulation.oracle import Oracle

LATER: Final = timedelta(days=10)
"""A day after what was written while a clock stood eight days ahead."""
BATCH: Final = 500
Wraps = dict[tuple[str, int, str], bytes]
"""By record or Bundle, version and object: wraps as the database once held them."""


def erasures(hospital: Hospital, oracle: Oracle, wraps: Wraps, may_go: set[str]) -> Iterator[str]:
    """Whatever is not as an erasure, a retraction or a lock must leave it."""
    here, removals = hospital.msp_id, files.removals(hospital.folder)
    for record, (action, state) in removals.items():
        if state != "done":
            yield f"{action} of {record} stays {state} at {here}"
        if record not in may_go:
            yield f"{action} of {record} at {here}, which nobody asked for"
    erased = {record for record, (action, _) in removals.items() if action == "erase"}
    if erased != oracle.ended(here, "EraseRecord"):
        yield f"erased at {here} and on the ledger differ: {erased ^ oracle.ended(here, 'EraseRecord')}"
    for record in files.gone(hospital.folder) - set(removals):
        yield f"{record} is gone at {here} without a removal"
    for record in sorted(erased):
        for what in files.remains(hospital.folder, record):
            yield f"{what} of the erased {record} is left at {here}"
    yield from _opened(hospital, files.gone(hospital.folder))
    yield from _keys(hospital, erased, wraps)
    yield from _attested(hospital, oracle, erased)


def attestations(oracle: Oracle, custodian: str, folders: dict[str, Hospital], record: str) -> Iterator[str]:
    """Other hospitals that read an erased record and have not attested it."""
    for msp_id, other in folders.items():
        if msp_id == custodian or (msp_id, custodian, record) in oracle.attested:
            continue
        if record in files.read_elsewhere(other.folder, custodian):
            yield f"{msp_id} read {record} of {custodian}, which is erased, and has not attested"


def store(hospital: Hospital) -> Iterator[str]:
    """A collection long after leaves what rows refer to, and nothing else; the scrub finds no damage."""
    hospital.stamp_all()
    Collector(hospital.node).step(hospital.clock.now() + LATER)
    held, referenced = files.objects(hospital.folder), files.referenced(hospital.folder)
    for digest in sorted(referenced - held):
        yield f"collected at {hospital.msp_id} though a row refers to it: {digest}"
    for digest in sorted(held - referenced):
        yield f"not collected at {hospital.msp_id} though no row refers to it: {digest}"
    for row in files.damaged(hospital.folder):
        yield f"false alarm of the scrub at {hospital.msp_id}: {row}"
    for found in check_objects(hospital.node):
        yield f"scrub of {hospital.msp_id}: {found.row} {found.reason}"


def _opened(hospital: Hospital, gone: set[str]) -> Iterator[str]:
    for record in sorted(gone):
        try:
            open_version(hospital.node, record)
        except NotFound:
            continue
        yield f"{record} is erased or retracted and opens at {hospital.msp_id}"


def _keys(hospital: Hospital, erased: set[str], wraps: Wraps) -> Iterator[str]:
    """Wraps out of an old copy of the database: custody opens none of what was erased, and all of the others."""
    custody, items = hospital.node.custody, sorted(wraps.items())
    for record in sorted(erased):
        if custody.forgotten(record) is None:
            yield f"custody of {hospital.msp_id} has not forgotten {record}"
    for start in range(0, len(items), BATCH):
        part = items[start : start + BATCH]
        entry = CustodyEntry(identifier(bytes(16)), "check", len(part), instant(hospital.clock.now()))
        given = [(KeyBinding(name[2], name[0], name[1]), Wrap.parse(wrap)) for name, wrap in part]
        for (name, _), key in zip(part, custody.unwrap_many(entry, given), strict=True):
            is_forgotten = custody.forgotten(name[0]) is not None
            if isinstance(key, NoKey) != is_forgotten or (name[0] in erased and not is_forgotten):
                yield f"a former wrap of {name[0]} at {hospital.msp_id}: {type(key).__name__}"


def _attested(hospital: Hospital, oracle: Oracle, erased: set[str]) -> Iterator[str]:
    for by, custodian, record in sorted(oracle.attested):
        if custodian == hospital.msp_id and record not in erased | oracle.ended(custodian, "RetractRecord"):
            yield f"{by} attested {record} of {custodian}, which is not erased"
