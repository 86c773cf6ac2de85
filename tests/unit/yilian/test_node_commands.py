"""The first administrator's password, kept in a file of its own."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from domain.errors import Invalid, Unavailable
from node_service.staff.passwords import check_password
from yilian.node_commands import kept_password


def test_a_password_is_made_up_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    made = kept_password(file)
    assert check_password(made) == made
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert kept_password(file) == made
    assert kept_password(tmp_path / "another") != made


def test_a_password_of_the_hospitals_own_is_read_without_its_end_of_line(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("chosen by the hospital\n")
    assert kept_password(tmp_path / "password") == "chosen by the hospital"


def test_a_file_that_is_none_or_far_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        kept_password(tmp_path)
    (tmp_path / "long").write_bytes(b"x" * 1025)
    with pytest.raises(Invalid):
        kept_password(tmp_path / "long")
