"""A process that takes in Bundles and anchors them, until it is killed: ``python -m … DIRECTORY``.

Each line that it prints is one Bundle that was acknowledged: its number and its record ids.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from node_service.records.ingest import ingest_fhir
from tests.unit.node_service.records.hospital import open_hospital

BUNDLES = 12
RESOURCES = 40


def bundle(number: int) -> bytes:
    """A transaction Bundle of one person with many observations."""
    patient = f"urn:uuid:00000000-0000-4000-8000-{number:012d}"
    resources: list[dict[str, object]] = [
        {"resourceType": "Patient", "id": f"p{number}", "gender": "female", "birthDate": "1980-02-29",
         "identifier": [{"system": "http://hospital.example/mrn", "value": f"MRN-{number:06d}"}],
         "name": [{"family": f"Synthetic{number}", "given": ["Canary"]}]}
    ]  # fmt: skip
    resources += [
        {"resourceType": "Observation", "status": "final", "subject": {"reference": patient},
         "code": {"text": "pulse"}, "effectiveDateTime": "2024-01-01", "valueInteger": item}
        for item in range(RESOURCES - 1)
    ]  # fmt: skip
    entries = [
        {"fullUrl": patient if at == 0 else f"urn:uuid:{number:08d}-0000-4000-8000-{at:012d}", "resource": one,
         "request": {"method": "POST", "url": str(one["resourceType"])}}
        for at, one in enumerate(resources)
    ]  # fmt: skip
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def main(directory: Path) -> None:
    hospital = open_hospital(directory)
    for number in range(BUNDLES):
        report = ingest_fhir(hospital.node, bundle(number), "application/fhir+json", "his")
        print(number, report.unchanged, *(one.record for one in report.stored), flush=True)  # noqa: T201
        hospital.clock.advance(0.2)
        hospital.follow()
        hospital.anchorer.step(hospital.clock.now())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
