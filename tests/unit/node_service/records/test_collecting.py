from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from node_service.records.collecting import Collector
from node_service.records.ingest import ingest_fhir
from node_service.records.instances import receive_instance
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.series import close_upload
from tests.unit.node_service.records.hospital import Hospital
from tests.unit.node_service.records.test_series import instance
from tests.unit.node_service.records.test_writing import draft


def objects(directory: Path) -> set[str]:
    return {path.name for path in (directory / "data" / "objects" / "objects").rglob("*") if path.is_file()}


def test_only_old_objects_without_a_row_are_collected(hospital: Hospital, tmp_path: Path) -> None:
    body = {"resourceType": "Bundle", "type": "collection",
            "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]}  # fmt: skip
    ingest_fhir(hospital.node, json.dumps(body).encode(), "application/fhir+json", "his")
    receive_instance(hospital.node, instance(1), "ct", "pacs")
    receive_instance(hospital.node, instance(2), "not closed", "pacs")
    close_upload(hospital.node, "ct")
    kept = objects(tmp_path)
    orphan = seal_draft(hospital.node, draft())
    put_sealed(hospital.node, [orphan])
    assert len(objects(tmp_path) - kept) == 1
    collector = Collector(hospital.node)
    now = hospital.clock.now()
    written = max(os.stat(path).st_mtime for path in (tmp_path / "data").rglob("*"))
    young = now.fromtimestamp(written, now.tzinfo)
    assert collector.step(young) == young + timedelta(hours=24)
    assert hospital.node.blobs.exists(orphan.sealed.digest)
    collector.step(young + timedelta(hours=25))
    assert objects(tmp_path) == kept
