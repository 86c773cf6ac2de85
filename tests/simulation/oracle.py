"""What may be released, told from the ledger's transactions and the patients' signed texts alone.

It shares no code with the product's decision: it reads the statements as plain JSON and keeps its own rules, written
after docs/formats/ledger.md and the design of access. A revocation counts against a release if every witness of a third
member had its block when the custodian was asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Protocol

from domain.instants import later
from domain.ports import CommittedBlock

LONGEST_CALL: Final = timedelta(seconds=40)


class Asked(Protocol):
    """When the custodian was asked: virtual seconds, and how many blocks every third witness had."""

    @property
    def at_s(self) -> float: ...

    @property
    def witnessed(self) -> int: ...


@dataclass(frozen=True)
class Facts:
    """A record as the custodian filed it."""

    record: str
    kind: str
    patient: str | None
    category: str
    stored_at: str


@dataclass
class Oracle:
    """The patients' will, block by block."""

    height: int = 0
    grants: dict[str, dict[str, Any]] = field(default_factory=dict)
    revoked: dict[str, dict[str, Any]] = field(default_factory=dict)
    floors: list[dict[str, Any]] = field(default_factory=list)
    dissents: dict[str, dict[str, Any]] = field(default_factory=dict)
    openings: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: dict[tuple[str, int, str, int], str] = field(default_factory=dict)
    effective: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, list[tuple[int, str, str]]] = field(default_factory=dict)
    attested: set[tuple[str, str, str]] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def follow(self, blocks: Iterable[CommittedBlock]) -> None:
        """Take in further blocks."""
        for block in blocks:
            for transaction in block.transactions:
                if transaction.code == "VALID":
                    arguments = json.loads(transaction.arguments)
                    self._take(block.number, transaction.creator, transaction.name, arguments)
            self.height = block.number + 1

    def _take(self, block: int, creator: str, name: str, arguments: dict[str, Any]) -> None:
        if name in ("OpenAccess", "BreakGlass"):
            self.openings.setdefault(arguments["id"], arguments | {"by": creator, "kind": name})
        elif name in ("LockRecord", "RetractRecord"):
            self._status(block, creator, name, arguments["record"])
        elif name == "EraseRecord":
            for record in arguments["records"]:
                self._status(block, creator, name, record)
        elif name == "AttestErasure":
            self.attested.update((creator, arguments["custodian"], record) for record in arguments["records"])
        elif name == "Anchor":
            for log in ("records", "access"):
                head = arguments[log]
                self.heads[creator, arguments["incarnation"], log, head["size"]] = head["root"]
        elif "statement" in arguments and "signature" in arguments:
            self._statement(block, json.loads(arguments["statement"]))

    def _status(self, block: int, creator: str, name: str, record: str) -> None:
        """Every lock of the simulation ends after the simulation does."""
        known = self.statuses.setdefault(record, [])
        if name == "EraseRecord" and any(former == "LockRecord" for _, former, _ in known):
            self.violations.append(f"erased though locked: {record}")
        known.append((block, name, creator))

    def ended(self, creator: str, name: str) -> set[str]:
        """Records of a hospital of which the ledger says so."""
        return {
            record
            for record, known in self.statuses.items()
            if any((one, by) == (name, creator) for _, one, by in known)
        }

    def _statement(self, block: int, signed: dict[str, Any]) -> None:
        body, patient = signed["body"], signed["patient"]
        known = {
            "id": signed["id"], "block": block, "patient": patient, "epoch": signed["grant_epoch"], "terms": body,
        }  # fmt: skip
        match signed["type"]:
            case "grant":
                self.grants.setdefault(signed["id"], known)
            case "dissent":
                self.dissents.setdefault(signed["id"], known)
            case "revoke":
                self.revoked.setdefault(body["target"], known)
            case "revoke-all":
                self.floors.append(known | {"floor": body["floor"]})

    def refuses(self, caller: str, access: str, patient: str, record: Facts, asked: Asked, now: str) -> str | None:
        """Why a record must not leave, or None.

        Args:
            asked: when the custodian was asked.
            now: the custodian's clock.
        """
        opening = self.openings.get(access)
        if opening is None or opening["by"] != caller:
            return "no such opening of the caller"
        if opening["valid_until"] <= later(now, -LONGEST_CALL):
            return "the opening was over"
        for block, name, _ in self.statuses.get(record.record, ()):
            if block < asked.witnessed:
                return f"it stood under {name}"
        if record.kind == "directory":
            return None
        if record.kind != "patient" or record.patient != patient:
            return "another patient's"
        if opening["kind"] == "BreakGlass":
            return self._refuses_emergency(opening, patient, record, asked)
        if opening["patient"] != patient:
            return "opened for another patient"
        return self._refuses_grant(opening, record, asked, now)

    def _refuses_emergency(self, opening: dict[str, Any], patient: str, record: Facts, asked: Asked) -> str | None:
        if record.category not in opening["categories"]:
            return "a category that was not announced"
        if any("BTG" in one["terms"]["purposes"] for one in self._dissents(patient, asked)):
            return "the patient refuses break-glass"
        return None

    def _refuses_grant(self, opening: dict[str, Any], record: Facts, asked: Asked, now: str) -> str | None:
        grant = self.grants.get(opening["grant"])
        if grant is None or grant["patient"] != opening["patient"]:
            return "no such grant of the patient"
        terms = grant["terms"]
        if terms["grantee"] != opening["by"] or terms["practitioner"] not in (None, opening["practitioner"]):
            return "granted to somebody else"
        if opening["purpose"] not in terms["purposes"] or record.category not in terms["categories"]:
            return "another purpose or category than granted"
        if terms["valid_from"] > now or terms["valid_until"] <= later(now, -LONGEST_CALL):
            return "outside the grant's time"
        if terms["recorded_until"] is not None and record.stored_at > terms["recorded_until"]:
            return "recorded later than granted"
        revoked = self.revoked.get(opening["grant"])
        if revoked is not None and self._binds(revoked, asked):
            return "revoked"
        for floor in self.floors:
            if floor["patient"] == grant["patient"] and floor["floor"] > grant["epoch"] and self._binds(floor, asked):
                return "below the floor"
        for dissent in self._dissents(grant["patient"], asked):
            covered = dissent["terms"]
            if opening["purpose"] in covered["purposes"] and record.category in covered["categories"]:
                return "the patient dissents"
        return None

    def _binds(self, statement: dict[str, Any], asked: Asked) -> bool:
        """Whether the custodian could not miss it: witnesses knew it, or it had signed that it is effective."""
        said = self.effective.get(statement["id"])
        return statement["block"] < asked.witnessed or (said is not None and said < asked.at_s)

    def _dissents(self, patient: str, asked: Asked) -> list[dict[str, Any]]:
        """In force when the custodian was asked and not withdrawn since."""
        return [
            one
            for name, one in self.dissents.items()
            if one["patient"] == patient and self._binds(one, asked) and name not in self.revoked
        ]
