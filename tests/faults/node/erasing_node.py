"""A hospital that dies at one step of an erasure: ``python -m … DIRECTORY INSTANT PATIENT CASE STEP``.

The other hospitals run in the same process, so that they die at that moment too.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node_service.erasure import case_keeper, deciding, notifier, remover
from node_service.sharing.shared_reading import SharedReading
from tests.unit.node_service.erasure.office import OFFICER, Office
from tests.unit.node_service.records.hospital import MovableClock
from tests.unit.node_service.sharing.consortium import B, Consortium, open_consortium

STEPS = (
    "before-the-decision-is-written", "after-the-decision", "after-the-submission", "before-custody-forgets",
    "after-custody-forgot", "before-the-objects-go", "after-the-first-object", "before-the-rows-go",
    "before-the-rows-are-committed", "after-the-rows", "before-others-are-told", "after-others-were-told",
    "before-the-certificate", "after-the-certificate",
)  # fmt: skip


@dataclass
class PatientOf:
    """What an office needs of a wallet when nobody signs any more."""

    patient: str


@dataclass
class Opened:
    """A story without its wallet."""

    consortium: Consortium
    wallet: PatientOf
    records: dict[str, Any]

    @property
    def reading(self) -> SharedReading:
        return SharedReading(self.consortium[B].node, self.consortium.exchange(B))


def open_office(directory: Path, at: datetime, patient: str, rules: str) -> Office:
    """The custodian's office over what lies in the directory."""
    opened = open_consortium(directory, MovableClock(at), retention_file=rules)
    return Office(Opened(opened, PatientOf(patient), {}))  # type: ignore[arg-type]


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _dying(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            _die()
        call(*args, **kwargs)
        _die()

    return wrapped


def _set(step: str, office: Office) -> None:
    places: dict[str, tuple[Any, str, bool]] = {
        "before-the-decision-is-written": (deciding, "_apply", False),
        "after-the-submission": (remover, "submit", False),
        "before-custody-forgets": (remover, "forget_for_good", True),
        "after-custody-forgot": (type(office.node.custody), "forget", False),
        "before-the-objects-go": (remover, "delete_objects", True),
        "after-the-first-object": (type(office.node.blobs), "delete", False),
        "before-the-rows-go": (remover, "_finish", True),
        "before-the-rows-are-committed": (remover, "write_notices", False),
        "after-the-rows": (remover, "_finish", False),
        "before-others-are-told": (notifier.Notifier, "_deliver_all", True),
        "after-others-were-told": (notifier.Notifier, "_note", True),
        "before-the-certificate": (case_keeper, "settle_case", True),
        "after-the-certificate": (case_keeper, "settle_case", False),
    }
    if step in places:
        owner, name, before = places[step]
        setattr(owner, name, _dying(getattr(owner, name), before=before))


def main(directory: Path, at: str, patient: str, case: str, step: str) -> None:
    office = open_office(directory, datetime.fromisoformat(at).astimezone(UTC), patient, str(directory / "rules.toml"))
    _set(step, office)
    deciding.decide_case(office.node, OFFICER, case)
    if step == "after-the-decision":
        _die()
    office.work(6)


if __name__ == "__main__":
    assert sys.argv[5] in STEPS
    main(Path(sys.argv[1]), *sys.argv[2:6])
