"""Every fuzzing target by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import (
    blocks,
    custody,
    dicom,
    documents,
    fabric,
    fhir,
    http,
    kubo,
    peer,
    proofs,
    sealed,
    settings,
    signed,
    storage,
)
from tests.fuzz.target import Target

_MODULES: Final = (
    signed, sealed, fhir, dicom, documents, blocks, peer, http, proofs, storage, custody, kubo, fabric, settings,
)  # fmt: skip
TARGETS: Final[dict[str, Target]] = {target.name: target for module in _MODULES for target in module.TARGETS}
