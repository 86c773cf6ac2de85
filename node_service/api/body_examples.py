"""Examples of request bodies by the name of their wire model; none belongs to a person."""

from __future__ import annotations

from typing import Any, Final

_ID: Final = "mfrggzdfmztwq2lknnwg23tpoe"
_KEY: Final = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_HYBRID_KEY: Final = "AQEB" * 405 + "AQ"
_SALT: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
_SIGNATURE: Final = "A" * 86
_STATEMENT: Final = '{"anchor_by":"2026-03-01T08:05:00Z","body":{},"type":"session","v":1}'
_CARD: Final = {"custodian": "AMSP", "patient": _ID, "key_epoch": 1, "wrap_key": _KEY}
_SEALED: Final = {"kid": _SALT, "alg": "HPKE-X25519", "sealed": "c2VhbGVk"}
_CONSENT: Final = {"resourceType": "Consent", "status": "active"}
_OPENING: Final = {"access": _ID, "patient": _ID, "subject_salt": None, "reader": _SEALED}
_SIGNED: Final = {"statement": _STATEMENT, "signature": _SIGNATURE}

EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "StaffLogin": {"username": "dr.example", "password": "correct horse battery staple"},
    "StaffAccount": {
        "username": "dr.example",
        "password": "correct horse battery staple",
        "display_name": "Example, Doctor",
        "department": "Cardiology",
        "roles": ["clinician"],
    },
    "EnrolmentStart": {"code": "ABCD-EFGH-IJKL-MNOP"},
    "EnrolmentFinish": {"code": "ABCD-EFGH-IJKL-MNOP", **_SIGNED},
    "NonceRequest": {"patient": _ID},
    "SignedStatementBody": _SIGNED,
    "WalletSession": {**_SIGNED, "key_thumbprint": _SALT},
    "PreviewRequest": {"terms": {"categories": ["result"], "purposes": ["TREAT"]}, "consent": _CONSENT},
    "ConsentedStatement": {**_SIGNED, "consent": _CONSENT, "salt": _SALT},
    "SealedMessage": _SEALED,
    "AccessRequest": {
        "card": _CARD,
        "purpose": "TREAT",
        "categories": ["result"],
        "message": "Before your operation.",
        "valid_hours": 72,
    },
    "MatchConfirmation": {"local_patient": None},
    "OpenAccessBody": {"patient": _ID, "grant": _ID, "purpose": "TREAT"},
    "EmergencyBody": {"card": _CARD, "reason": "unconscious", "categories": ["allergy", "medication"]},
    "ReviewBody": {"outcome": "justified", "note": "Seen with the head of the ward."},
    "AdmissionBody": {"approve": True},
    "ContributionBody": {"resource": '{"resourceType": "Observation", "status": "final", "code": {"text": "x"}}'},
    "ErasureRequest": {**_SIGNED, "records": [_ID], "salt": _SALT},
    "ErasureOrder": {"records": [_ID]},
    "RetractionBody": {"reason": "entered-in-error", "patient": None},
    "LockBody": {"reason": "litigation", "until": "2036-01-01T00:00:00Z"},
    "NoticeDelivery": {"notices": [{"id": _ID, "record": _ID, "event": "erased", "version": 1}]},
    "ExchangeToken": {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "eyJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
    },
    "RequestDelivery": {"id": _ID, "patient": _ID, "valid_until": "2026-03-04T08:00:00Z", "message": _SEALED},
    "ExchangeSearch": {
        "opening": _OPENING,
        "resource_types": ["Observation"],
        "categories": ["result"],
        "after": None,
        "limit": 1000,
    },
    "ExchangeRelease": {"opening": _OPENING, "public_key": _HYBRID_KEY, "records": [_ID]},
    "ContributionDelivery": {
        "opening": _OPENING,
        "record": _ID,
        "object_id": _ID,
        "kid": "signing-0123456789abcdef",
        "signature": _SIGNATURE,
        "data_key": _SEALED,
        "chunks": [_SALT],
        "sealed": "c2VhbGVk",
    },
}
