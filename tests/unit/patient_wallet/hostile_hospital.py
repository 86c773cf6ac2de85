"""A hospital that answers what a test wants, over real requests, and a wallet that is enrolled there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx

from domain import leaves
from domain.identifiers import encode_bytes, identifier
from node_service.client import wire
from node_service.client.transport import Transport
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.hpke import RecipientPublicKey
from offchain.envelope.keys import DataKey, derive_owner_salt
from offchain.envelope.seal import seal
from offchain.envelope.wraps import KeyBinding, wrap_for_patient
from patient_wallet.keys import HospitalKeys
from patient_wallet.registration import Registration
from patient_wallet.vault import INDEX_BOX, Vault
from patient_wallet.wallet import Wallet

MSP = "AMSP"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Answer = Callable[[httpx.Request], object]


def an_id() -> str:
    return identifier(os.urandom(16))


@dataclass(slots=True)
class HostileHospital:
    """Answers by path; bodies of the POSTs that came are kept."""

    answers: dict[str, Answer | object] = field(default_factory=dict)
    received: list[tuple[str, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.answers["/wallet/nonces"] = {"nonce": encode_bytes(bytes(32)), "expires_in": 60}
        self.answers["/wallet/sessions"] = {
            "access_token": "t", "token_type": "DPoP", "expires_in": 60, "subject": "s", "roles": [],
        }  # fmt: skip

    def transport(self, url: str) -> Transport:
        return Transport(url, http=httpx.Client(transport=httpx.MockTransport(self._answer)))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.received.append((request.url.path, request.read()))
        answer = self.answers.get(request.url.path)
        if answer is None:
            return httpx.Response(404, content=b"{}")
        if callable(answer):
            answer = answer(request)
        return httpx.Response(200, content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def enrolled(folder: Path, hospital: HostileHospital, *, grant_epoch: int = 1) -> tuple[Wallet, Registration]:
    """A wallet with one registration."""
    keys = HospitalKeys(MSP, 1, os.urandom(32), os.urandom(32))
    registration = Registration(MSP, "A", "https://a.example", "medical", an_id(), keys, grant_epoch=grant_epoch)
    vault = Vault.create(folder / "wallet.json", "correct horse battery")
    vault.put(f"hospital:{MSP}", registration.to_box())
    vault.put(INDEX_BOX, {"hospitals": {MSP: {"name": "A"}}})
    return Wallet(vault, hospital.transport, os.urandom, lambda: NOW, proof_within_s=0.05), registration


def sealed_record(registration: Registration, content: bytes = b'{"resourceType":"Basic"}') -> wire.SealedRecord:
    """A genuine record of the patient."""
    record, object_id, key = an_id(), an_id(), DataKey.generate()
    sealed = seal(PlainBytes(content, Description("application/fhir+json")), key, Header.fresh(object_id, MSP))
    owner = leaves.owner_commitment(registration.patient, "document", derive_owner_salt(key, object_id))
    leaf = leaves.RecordLeaf(
        record=record, version=1, previous=None, custodian=MSP, author=None, owner=owner, digest=sealed.digest,
        size_bucket=10, day="2026-03-01", salt=encode_bytes(os.urandom(32)),
    )  # fmt: skip
    public = RecipientPublicKey.parse("HPKE-X25519", registration.keys.public.wrap)
    wrap = wrap_for_patient(key, public, KeyBinding(object_id, record, 1))
    return wire.SealedRecord(
        entry=record_entry(record), object_id=object_id, leaf=encode_bytes(leaves.encode(leaf)), path=None,
        wrap=encode_bytes(wrap.encode()), chunks=[], sealed=encode_bytes(sealed.data),
    )  # fmt: skip


def record_entry(record: str, resource_type: str = "Basic") -> wire.RecordEntry:
    return wire.RecordEntry(
        record=record, version=1, kind="patient", patient=None, resource_type=resource_type, category="document",
        media_type="application/fhir+json", clinical_start=None, clinical_end=None, stored_at="2026-03-01T12:00:00Z",
        status="active", state="stored", length=1,
    )  # fmt: skip
