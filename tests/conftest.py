"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data set beside the checkout; CI must have it, elsewhere its tests are skipped with the reason."""
    if SHARED_DATA.is_dir():
        return SHARED_DATA
    reason = "the public data set is not at ../shared/data beside the checkout"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
