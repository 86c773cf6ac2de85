"""Every fuzzing target by name."""

from __future__ import annotations

from typing import Final

from tests.fuzz import blocks, dicom, documents, fhir, http, peer, proofs, sealed, signed, storage
from tests.fuzz.target import Target

_MODULES: Final = (signed, sealed, fhir, dicom, documents, blocks, peer, http, proofs, storage)
TARGETS: Final[dict[str, Target]] = {target.name: target for module in _MODULES for target in module.TARGETS}
