"""Programs of others that check what this product writes; without them a test is skipped, but never in CI."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.fabric.conftest import binaries, fabric

__all__ = ["binaries", "fabric"]  # fixtures: a real network for what is read from one


def need(program: str, package: str) -> str:
    """The path of a program, or a skip that says how to get it."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not there: apt-get install {package}"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    return found
