"""Fabric's programs are found, run with a deadline, and their complaints are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Unavailable
from network.topology import engine
from network.topology.description import Topology, members
from network.topology.engine import PROGRAMS, Binaries, EngineVersion, ProgramFailed
from network.topology.genesis import check_engine


def programs(folder: Path, script: str = "exit 0") -> Path:
    """A folder of shell scripts in place of Fabric's programs."""
    folder.mkdir(parents=True)
    for name in PROGRAMS:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_named_folder_wins_over_path_and_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, on_path, built = (programs(tmp_path / name) for name in ("named", "path", "built"))
    monkeypatch.setattr(engine, "BUILT", built)
    assert Binaries.find({"FABRIC_BIN": str(named), "PATH": str(on_path)}).folder == named
    assert Binaries.find({"PATH": str(on_path)}).folder == on_path
    (on_path / "orderer").unlink()  # another program named peer
    assert Binaries.find({"PATH": str(on_path)}).folder == built


def test_who_has_no_fabric_is_told_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUILT", tmp_path)
    with pytest.raises(Unavailable, match=r"FABRIC_BIN.*make fabric-tools"):
        Binaries.find({"PATH": str(tmp_path)})
    programs(tmp_path / "some")
    (tmp_path / "some" / "configtxgen").unlink()
    with pytest.raises(Unavailable, match="configtxgen"):
        Binaries.find({"FABRIC_BIN": str(tmp_path / "some")})


def test_settings_come_from_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORE_PEER_ADDRESS", "FABRIC_CFG_PATH", "ORDERER_GENERAL_LISTENPORT"):
        monkeypatch.setenv(name, "somewhere-else")
    told = Binaries(programs(tmp_path / "bin", "env")).run("peer", settings=tmp_path).decode().splitlines()
    assert f"FABRIC_CFG_PATH={tmp_path}" in told
    assert not [line for line in told if "somewhere-else" in line]


def test_what_a_program_complains_of_is_told_and_bounded(tmp_path: Path) -> None:
    script = "echo 'INFO something'; echo 'Error: the channel refuses' >&2; echo Usage >&2; exit 1"
    with pytest.raises(ProgramFailed, match="peer: Error: the channel refuses"):
        Binaries(programs(tmp_path / "bin", script)).run("peer", "channel")
    long = "head -c 100000 /dev/zero | tr '\\0' e >&2; exit 1"
    with pytest.raises(ProgramFailed) as failed:
        Binaries(programs(tmp_path / "long", long)).run("peer")
    assert len(str(failed.value)) < 500


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as failed:
        Binaries(programs(tmp_path / "bin", "exec tail -f /dev/null")).run("peer", timeout_s=0.2)
    assert failed.value.reason == "fabric-timeout"


def test_bft_on_the_second_line_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = programs(tmp_path / "bin", "echo ' Version: v2.5.16'")
    four = Topology(members(["AMSP", "BMSP", "CMSP", "DMSP"], 17000), "bft")
    with pytest.raises(Unavailable, match=r"3\.0\.0 or newer.*2\.5\.16"):
        check_engine(Binaries(folder), four)
    newer = programs(tmp_path / "newer", "echo ' Version: v3.0.0'")
    check_engine(Binaries(newer), four)


@pytest.mark.parametrize(
    ("version", "hangs"), [((2, 5, 0), True), ((2, 5, 2), True), ((2, 5, 3), False), ((3, 0, 0), False)]
)
def test_which_engines_hang_after_a_restart(version: tuple[int, int, int], hangs: bool) -> None:
    assert EngineVersion(*version).hangs_after_restart == hangs
