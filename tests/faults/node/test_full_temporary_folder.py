"""The folder for temporary files has no room: a node needs none, and works all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.node.wholeness import check_whole
from tests.faults.small_disks import Full, mounted
from tests.scenario.actors import acting
from tests.unit.node_service.documents.files import pdf
from tests.unit.node_service.records.ingesting import RESOURCES, bundle
from tests.unit.node_service.records.test_series import instance

pytestmark = pytest.mark.slow
LARGE = 24 << 20
VARIABLES = ("TMPDIR", "SQLITE_TMPDIR")


def test_a_node_works_where_nothing_temporary_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with mounted(folder, 1), acting(tmp_path / "hospitals") as actors:
        Full(folder).fill()
        home, archive = actors.home, actors.archive
        home.stop()
        environment = {**home.environment, **dict.fromkeys(VARIABLES, str(folder))}
        with home.log.open("ab") as log:
            home.process = subprocess.Popen(
                [sys.executable, "-m", "yilian", "node", "run"], env=environment, stdout=log, stderr=log
            )
        home.wait_ready()
        report = archive.ingest_fhir(bundle(1), source="his")
        assert len(report.stored) == RESOURCES
        patient = next(ref.patient for ref in report.stored if ref.patient is not None)
        archive.ingest_pdf(pdf(), source="letters", document="one", patient=patient)
        archive.ingest_dicom(instance(1, pixels=os.urandom(LARGE)), source="pacs", upload="large", patient=patient)
        (series,) = archive.close_dicom(upload="large").stored
        (member,) = actors.house_doctor.record_members(series.record)
        assert sum(map(len, actors.house_doctor.record_member(series.record, member.object_id))) > LARGE
        assert len(actors.house_doctor.patient_records(patient).items) > RESOURCES
        check_whole(actors, tmp_path)
        assert [path.name for path in folder.iterdir()] == ["ballast"]
