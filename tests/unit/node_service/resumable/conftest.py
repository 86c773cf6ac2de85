"""Fixtures of a hospital on the real engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.node_service.records.hospital import Hospital, start_hospital


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A registered hospital with an empty database."""
    opened = start_hospital(tmp_path, max_upload_bytes=64 << 20)
    yield opened
    opened.close()
