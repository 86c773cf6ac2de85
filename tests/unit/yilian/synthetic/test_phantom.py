"""The made-up CT is one readable series with air, lungs, tissue, bone and a nodule."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from node_service.dicom.series import Series
from node_service.sources.walk import SeriesSource, read_sources
from yilian.synthetic.people import RECORD_NUMBER_SYSTEM, people
from yilian.synthetic.phantom import ROWS, SLICES, write_ct_phantom


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    write_ct_phantom(folder, 4, people(4, 1, "zh")[0])
    return folder


def only_series(folder: Path) -> Series:
    (item,) = read_sources([folder])
    assert isinstance(item, SeriesSource)
    return item.series


def test_the_phantom_is_one_series_of_the_person(folder: Path) -> None:
    person = people(4, 1, "zh")[0]
    series = only_series(folder)
    assert (series.modality, series.body_part, len(series.instances)) == ("CT", "CHEST", SLICES)
    assert (series.patient.patient_id, series.patient.issuer) == (person.record_number, RECORD_NUMBER_SYSTEM)
    assert series.patient.name_ideographic == f"{person.family[0]}^{person.given[0]}"
    assert series.patient.birth_date == f"{person.birth_date:%Y%m%d}"
    assert [one.instance_number for one in series.instances] == [*range(1, SLICES + 1)]
    assert {(one.sop_class_uid, one.transfer_syntax_uid) for one in series.instances} == {
        (CTImageStorage, ExplicitVRLittleEndian)
    }


def hounsfield(folder: Path) -> list[array[int]]:
    slices = []
    for file in sorted(folder.iterdir()):
        values = array("H", pydicom.dcmread(file).PixelData)
        slices.append(array("i", (value - 1024 for value in values)))
    return slices


def test_the_slices_hold_lungs_tissue_bone_and_air(folder: Path) -> None:
    slices = hounsfield(folder)
    assert [len(one) for one in slices] == [ROWS * ROWS] * SLICES
    middle = slices[SLICES // 2]
    assert sum(middle[0:200]) / 200 == pytest.approx(-1000, abs=12)
    share = {
        name: sum(low < value < high for value in middle) / len(middle)
        for name, low, high in (("lung", -910, -790), ("tissue", -20, 100), ("bone", 540, 660))
    }
    assert 0.1 < share["lung"] < 0.4
    assert 0.1 < share["tissue"] < 0.5
    assert 0.002 < share["bone"] < 0.02


def test_one_nodule_lies_in_a_lung(folder: Path) -> None:
    """Away from the middle, where tissue lies between the lungs, dense pixels with lung on both sides are a nodule."""
    columns = [*range(20, 50), *range(78, 108)]
    dense = 0
    for one in hounsfield(folder):
        for row in range(ROWS):
            for at in (row * ROWS + column for column in columns):
                if one[at] > -100 and is_lung(one[at - 10]) and is_lung(one[at + 10]):
                    dense += 1
    assert 20 < dense < 400


def is_lung(density: int) -> bool:
    return -920 < density < -780


def test_slices_lie_five_millimetres_apart(folder: Path) -> None:
    positions = [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in sorted(folder.iterdir())]
    assert {round(high - low, 3) for low, high in pairwise(positions)} == {5.0}


def test_equal_seeds_give_equal_bytes_and_others_do_not(tmp_path: Path, folder: Path) -> None:
    person = people(4, 1, "zh")[0]
    first = min(folder.iterdir()).read_bytes()
    assert write_ct_phantom(tmp_path / "a", 4, person)[0].read_bytes() == first
    assert write_ct_phantom(tmp_path / "b", 5, person)[0].read_bytes() != first
