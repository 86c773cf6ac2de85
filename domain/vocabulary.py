"""Closed lists of codes that appear on the ledger."""

from __future__ import annotations

from typing import Final

CONTRACT: Final = "yilian"

CATEGORIES: Final = (
    "problem", "allergy", "medication", "result", "imaging", "document",
    "encounter", "immunization", "billing", "administrative", "directory",
)  # fmt: skip
"""Ledger categories of records (access-and-consent.md, "Sensitivity labels")."""

PERMISSIONS: Final = ("read", "keep", "contribute")

PURPOSES: Final = (
    "TREAT", "HPAYMT", "HOPERAT", "HRESCH", "PUBHLTH", "HLEGAL", "CAREMGT", "PATRQT", "FAMRQT", "COVERAGE",
)  # fmt: skip
"""Purposes of use that a grant may name: codes of HL7 v3-ActReason. BTG is never granted, only broken."""

BREAK_GLASS_PURPOSE: Final = "BTG"

BREAK_GLASS_REASONS: Final = ("life-threatening", "unconscious", "unable-to-consent", "public-emergency")
REVIEW_OUTCOMES: Final = ("justified", "unjustified", "escalated")
CLOSE_REASONS: Final = ("deceased", "patient-request", "duplicate", "entered-in-error")
RETRACT_REASONS: Final = ("wrong-patient", "entered-in-error")
LOCK_REASONS: Final = ("retention", "litigation", "restriction")
INCARNATION_REASONS: Final = ("restore", "corruption", "migration")
STATEMENT_KINDS: Final = (
    "ai-result", "signed-opinion", "payment-day-close", "erasure-request", "erasure-certificate",
)  # fmt: skip
KEY_USES: Final = ("signing", "witness", "seal", "tls")
KEY_ALGORITHMS: Final = {
    "signing": "Ed25519",
    "witness": "Ed25519",
    "seal": "HPKE-MLKEM768-X25519",
    "tls": "SHA-256",
}
KEY_BYTES: Final = {"signing": 32, "witness": 32, "seal": 1184 + 32, "tls": 32}
"""Bytes of a published key: Ed25519, ML-KEM-768 ‖ X25519, SHA-256 of the certificate."""
PATIENT_WRAP_ALG: Final = "HPKE-X25519"
