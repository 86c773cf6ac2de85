"""A story whose custodian has an office; rules that keep nothing, where a test does not say otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.node_service.erasure.office import Office, keep_nothing
from tests.unit.node_service.records.hospital import MovableClock
from tests.unit.node_service.sharing.conftest import Story, Template, template
from tests.unit.node_service.sharing.consortium import A, open_consortium

__all__ = ["template"]


@pytest.fixture
def office(template: Template, tmp_path: Path) -> Iterator[Office]:
    """Nothing has to be kept."""
    yield from _office(template, tmp_path, retention_file=keep_nothing(tmp_path))


@pytest.fixture
def keeping_office(template: Template, tmp_path: Path) -> Iterator[Office]:
    """The shipped rules of China."""
    yield from _office(template, tmp_path)


def _office(template: Template, tmp_path: Path, **settings: Any) -> Iterator[Office]:
    directory = tmp_path / "story"
    shutil.copytree(template.directory, directory)
    opened = open_consortium(directory, MovableClock(template.at), **settings)
    yield Office(Story(opened, replace(template.wallet, custodian=opened[A]), template.records))
    opened.close()
