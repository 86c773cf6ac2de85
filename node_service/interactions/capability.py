"""The CapabilityStatement (https://hl7.org/fhir/R4/capabilitystatement.html): what is there, and nothing else."""

from __future__ import annotations

import json
from typing import Final

from node_service.fhir.types import R4_TYPES

_INTERACTIONS: Final = ("read", "vread", "update", "history-instance", "create")
_PUBLISHED: Final = "2026-01-01"


def capability_statement(base: str, name: str) -> bytes:
    """The statement of one node."""
    statement = {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": _PUBLISHED,
        "kind": "instance",
        "implementation": {"description": name, "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {"description": "Bearer token of the hospital's staff."},
                "resource": [_resource(kind) for kind in sorted(R4_TYPES)],
                "interaction": [
                    {"code": "transaction", "documentation": "entries that create"},
                    {"code": "batch", "documentation": "entries that create"},
                ],
            }
        ],
    }
    return json.dumps(statement, ensure_ascii=False, separators=(",", ":")).encode()


def _resource(kind: str) -> dict[str, object]:
    return {
        "type": kind,
        "interaction": [{"code": code} for code in _INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": False,
    }
