"""What may be released, told from the ledger's transactions and the patients' signed texts alone.

It shares no code with the product's decision: it reads the statements as plain JSON and keeps its own rules, written
after docs/formats/ledger.md and the design of access. A revocation counts against a release if every witness of a third
member had its block when the custodian was asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from domain.ports import CommittedBlock


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
    revoked: dict[str, int] = field(default_factory=dict)
    floors: list[tuple[int, str, int]] = field(default_factory=list)
    dissents: dict[str, dict[str, Any]] = field(default_factory=dict)
    openings: dict[str, dict[str, Any]] = field(default_factory=dict)
    heads: dict[tuple[str, int, str, int], str] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)

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
        elif name == "Anchor":
            for log in ("records", "access"):
                head = arguments[log]
                self.heads[creator, arguments["incarnation"], log, head["size"]] = head["root"]
        elif "statement" in arguments and "signature" in arguments:
            self._statement(block, json.loads(arguments["statement"]))

    def _statement(self, block: int, signed: dict[str, Any]) -> None:
        body, patient = signed["body"], signed["patient"]
        self.statements.append(signed["id"])
        known = {"block": block, "patient": patient, "epoch": signed["grant_epoch"], "terms": body}
        match signed["type"]:
            case "grant":
                self.grants.setdefault(signed["id"], known)
            case "dissent":
                self.dissents.setdefault(signed["id"], known)
            case "revoke":
                self.revoked.setdefault(body["target"], block)
            case "revoke-all":
                self.floors.append((block, patient, body["floor"]))

    def refuses(
        self, caller: str, access: str, patient: str, record: Facts, *, asked_at: int, earliest: str, latest: str
    ) -> str | None:
        """Why a record must not leave, or None.

        Args:
            asked_at: blocks that every witness of a third member had when the custodian was asked.
            earliest, latest: the custodian's clock then and at the answer.
        """
        opening = self.openings.get(access)
        if opening is None or opening["by"] != caller:
            return "no such opening of the caller"
        if opening["valid_until"] <= earliest:
            return "the opening was over"
        if record.kind == "directory":
            return None
        if record.kind != "patient" or record.patient != patient:
            return "another patient's"
        if opening["kind"] == "BreakGlass":
            return self._refuses_emergency(opening, patient, record, asked_at)
        if opening["patient"] != patient:
            return "opened for another patient"
        return self._refuses_grant(opening, record, asked_at, earliest, latest)

    def _refuses_emergency(self, opening: dict[str, Any], patient: str, record: Facts, asked_at: int) -> str | None:
        if record.category not in opening["categories"]:
            return "a category that was not announced"
        if any("BTG" in one["terms"]["purposes"] for one in self._dissents(patient, asked_at)):
            return "the patient refuses break-glass"
        return None

    def _refuses_grant(
        self, opening: dict[str, Any], record: Facts, asked_at: int, earliest: str, latest: str
    ) -> str | None:
        grant = self.grants.get(opening["grant"])
        if grant is None or grant["patient"] != opening["patient"]:
            return "no such grant of the patient"
        terms = grant["terms"]
        if terms["grantee"] != opening["by"] or terms["practitioner"] not in (None, opening["practitioner"]):
            return "granted to somebody else"
        if opening["purpose"] not in terms["purposes"] or record.category not in terms["categories"]:
            return "another purpose or category than granted"
        if terms["valid_from"] > latest or terms["valid_until"] <= earliest:
            return "outside the grant's time"
        if terms["recorded_until"] is not None and record.stored_at > terms["recorded_until"]:
            return "recorded later than granted"
        if self.revoked.get(opening["grant"], asked_at) < asked_at:
            return "revoked"
        if any(block < asked_at and who == grant["patient"] and floor > grant["epoch"]
               for block, who, floor in self.floors):  # fmt: skip
            return "below the floor"
        for dissent in self._dissents(grant["patient"], asked_at):
            covered = dissent["terms"]
            if opening["purpose"] in covered["purposes"] and record.category in covered["categories"]:
                return "the patient dissents"
        return None

    def _dissents(self, patient: str, asked_at: int) -> list[dict[str, Any]]:
        """In force when the custodian was asked and not withdrawn since."""
        return [
            one
            for name, one in self.dissents.items()
            if one["patient"] == patient and one["block"] < asked_at and name not in self.revoked
        ]
