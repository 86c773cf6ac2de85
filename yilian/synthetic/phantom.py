"""A made-up chest CT: an ellipse of soft tissue, two lungs, a spine and one nodule, as a DICOM series (PS3.3 A.3)."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final
from uuid import UUID

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from yilian.synthetic.history import LAST_DAY
from yilian.synthetic.people import RECORD_NUMBER_SYSTEM, Person, seeded

ROWS: Final = 128
SLICES: Final = 24
PIXEL_MM: Final = 2.8
SLICE_MM: Final = 5.0

_AIR_HU, _TISSUE_HU, _LUNG_HU, _BONE_HU, _NODULE_HU = -1000, 40, -850, 600, 30
_INTERCEPT: Final = -1024
_NOISE_HU: Final = 12.0
_NOISE_VALUES: Final = 4099
_TIME: Final = "093000"


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """A solid body: centre and half axes in millimetres (x to the left, y to the back, z to the head), density."""

    centre: tuple[float, float, float]
    half_axes: tuple[float, float, float]
    hounsfield: int


def write_ct_phantom(folder: Path, seed: int, patient: Person) -> tuple[Path, ...]:
    """Write a CT series of one person: 24 slices of 128 × 128 pixels, 16 bit, explicit VR little endian.

    Args:
        folder: made if it is not there.
        seed: equal seeds and people give equal bytes under one version of pydicom.
        patient: whose images these are; Patient ID is the record number, its issuer ``RECORD_NUMBER_SYSTEM``.

    Returns:
        The files from foot to head.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = seeded(f"{seed}/ct/{patient.record_number}")
    common = _series(random, patient)
    bodies = (*_ANATOMY, _nodule(random))
    noise = array("h", (round(random.gauss(0, _NOISE_HU)) for _ in range(_NOISE_VALUES)))
    files = []
    for index in range(SLICES):
        z = (index - (SLICES - 1) / 2) * SLICE_MM
        image = _image(common, index, z, _uid(random))
        image.PixelData = _pixels(bodies, z, noise, random.randrange(_NOISE_VALUES))
        files.append(_write(folder / f"ct-{index + 1:03}.dcm", image))
    return tuple(files)


_ANATOMY: Final = (
    Ellipsoid((0, 0, 0), (155, 105, 1000), _TISSUE_HU),
    Ellipsoid((-76, -5, 0), (52, 78, 75), _LUNG_HU),
    Ellipsoid((76, -5, 0), (52, 78, 75), _LUNG_HU),
    Ellipsoid((0, 70, 0), (18, 18, 1000), _BONE_HU),
)
"""Painted in this order, the last one on top."""


def _nodule(random: Random) -> Ellipsoid:
    side = random.choice((-1, 1))
    centre = (side * random.uniform(55, 85), random.uniform(-30, 20), random.uniform(-25, 25))
    radius = random.uniform(6, 12)
    return Ellipsoid(centre, (radius, radius, radius), _NODULE_HU)


def _pixels(bodies: tuple[Ellipsoid, ...], z: float, noise: array[int], offset: int) -> bytes:
    """One slice as stored values: Hounsfield units less the intercept, row by row."""
    values = array("H", [0]) * (ROWS * ROWS)
    for row in range(ROWS):
        line = _line(bodies, (row - (ROWS - 1) / 2) * PIXEL_MM, z)
        for column, density in enumerate(line):
            at = row * ROWS + column
            values[at] = max(density + noise[(at + offset) % _NOISE_VALUES] - _INTERCEPT, 0)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _line(bodies: tuple[Ellipsoid, ...], y: float, z: float) -> list[int]:
    """The densities along one row: each body covers a stretch of it."""
    line = [_AIR_HU] * ROWS
    for body in bodies:
        rest = 1 - ((y - body.centre[1]) / body.half_axes[1]) ** 2 - ((z - body.centre[2]) / body.half_axes[2]) ** 2
        if rest > 0:
            half = body.half_axes[0] * rest**0.5
            first = max(round((body.centre[0] - half) / PIXEL_MM + (ROWS - 1) / 2), 0)
            last = min(round((body.centre[0] + half) / PIXEL_MM + (ROWS - 1) / 2), ROWS - 1)
            line[first : last + 1] = [body.hounsfield] * (last + 1 - first)
    return line


def _series(random: Random, patient: Person) -> Dataset:
    """What all images of the series share."""
    day = f"{LAST_DAY:%Y%m%d}"
    series = Dataset()
    series.SpecificCharacterSet = "ISO_IR 192"
    series.SOPClassUID = CTImageStorage
    series.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    series.StudyDate = series.SeriesDate = series.AcquisitionDate = series.ContentDate = day
    series.StudyTime = series.SeriesTime = series.AcquisitionTime = series.ContentTime = _TIME
    series.AccessionNumber = series.StudyID = f"SYN{random.randrange(10**6):06}"
    series.ReferringPhysicianName = ""
    series.Modality = "CT"
    series.Manufacturer = "Synthetic phantom"
    series.StudyDescription = series.SeriesDescription = "Synthetic chest phantom, test data"
    series.StudyInstanceUID, series.SeriesInstanceUID, series.FrameOfReferenceUID = (_uid(random) for _ in range(3))
    series.PositionReferenceIndicator = ""
    series.SeriesNumber = series.AcquisitionNumber = 1
    series.BodyPartExamined = "CHEST"
    series.PatientPosition = "HFS"
    series.KVP = "120"
    series.update(_patient_module(patient))
    series.update(_pixel_module())
    return series


def _patient_module(patient: Person) -> Dataset:
    module = Dataset()
    latin = f"{patient.family[1]}^{patient.given[1]}"
    written = f"{patient.family[0]}^{patient.given[0]}"
    module.PatientName = latin if latin == written else f"{latin}={written}"
    module.PatientID = patient.record_number
    module.IssuerOfPatientID = RECORD_NUMBER_SYSTEM
    module.PatientBirthDate = f"{patient.birth_date:%Y%m%d}"
    module.PatientSex = "F" if patient.gender == "female" else "M"
    return module


def _pixel_module() -> Dataset:
    module = Dataset()
    module.SamplesPerPixel = 1
    module.PhotometricInterpretation = "MONOCHROME2"
    module.Rows = module.Columns = ROWS
    module.BitsAllocated = module.BitsStored = 16
    module.HighBit = 15
    module.PixelRepresentation = 0
    module.PixelSpacing = [str(PIXEL_MM)] * 2
    module.SliceThickness = str(SLICE_MM)
    module.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    module.RescaleIntercept, module.RescaleSlope, module.RescaleType = str(_INTERCEPT), "1", "HU"
    module.WindowCenter, module.WindowWidth = "-600", "1500"
    return module


def _image(common: Dataset, index: int, z: float, uid: UID) -> Dataset:
    image = Dataset()
    image.update(common)
    image.SOPInstanceUID = uid
    image.InstanceNumber = index + 1
    corner = -(ROWS - 1) / 2 * PIXEL_MM
    image.ImagePositionPatient = [f"{corner:.1f}", f"{corner:.1f}", f"{z:.1f}"]
    image.SliceLocation = f"{z:.1f}"
    return image


def _write(path: Path, image: Dataset) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta = meta
    image["PixelData"].VR = "OW"
    image.save_as(path, enforce_file_format=True)
    return path


def _uid(random: Random) -> UID:
    """A UID of the root 2.25 from a random UUID (PS3.5 B.2)."""
    return UID(f"2.25.{UUID(int=random.getrandbits(128), version=4).int}")
