"""A Docker engine of the tests' own, which leaves no bridge, firewall rule or process behind.

One of this machine that ``DOCKER_HOST`` names is used instead, and keeps its images.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import pytest

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 60.0
_NEEDED: Final = ("dockerd", "docker", "docker-compose", "mmdebstrap", "go")
_INTERFACES: Final = Path("/sys/class/net")
_QUIET: Final = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
"""Containers reach each other over a bridge of their network, and the host reaches published ports through a proxy."""
_GROUP: Final = "yilian-tests"
_CONTROL_GROUPS: Final = Path("/sys/fs/cgroup")


@contextmanager
def docker_engine() -> Iterator[Mapping[str, str]]:
    """The environment in which ``docker`` and ``docker-compose`` talk to an engine that lives as long as the block.

    Skips where the engine is missing, but never in CI.
    """
    require(*_NEEDED)
    if os.geteuid():
        _do_without("a Docker engine is started, and its volumes are read, by root")
    if "DOCKER_HOST" in os.environ:
        yield os.environ
        return
    before = _bridges()
    with (
        _share_of_processors(),
        tempfile.TemporaryDirectory(prefix="yilian-docker-", ignore_cleanup_errors=True) as name,
    ):
        folder = Path(name)
        engine = _start(folder)
        try:
            environment = {**os.environ, "DOCKER_HOST": f"unix://{folder / 'socket'}"}
            _wait_answering(engine, environment, folder / "log")
            yield environment
        finally:
            engine.terminate()
            engine.wait(STOP_TIMEOUT_S)
    assert _bridges() <= before, "the engine left a bridge behind"


@contextmanager
def _share_of_processors() -> Iterator[None]:
    """Twenty containers count as twenty processes: together they would get as much as any one process beside them."""
    versions = (
        (_CONTROL_GROUPS / "cpu" / _GROUP, "cpu.shares", 20 * 1024),
        (_CONTROL_GROUPS / _GROUP, "cpu.weight", 2000),
    )
    group, setting, share = next(found for found in versions if found[0].parent.is_dir())
    group.mkdir(exist_ok=True)
    if (group / setting).exists():
        (group / setting).write_text(str(share))
    try:
        yield
    finally:
        for made in (_CONTROL_GROUPS / _GROUP, *_CONTROL_GROUPS.glob(f"*/{_GROUP}")):
            for folder, _, _ in os.walk(made, topdown=False):
                os.rmdir(folder)


def _bridges() -> set[str]:
    return {name for name in os.listdir(_INTERFACES) if name.startswith(("br-", "docker"))}


def require(*programs: str) -> None:
    """Skip the test where programs are missing, but never in CI."""
    lacking = ", ".join(name for name in programs if shutil.which(name) is None)
    if lacking:
        _do_without(f"{lacking} is missing: apt-get install docker.io docker-compose mmdebstrap golang")


def _do_without(told: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(told)
    pytest.skip(told)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            ["dockerd", *_QUIET, "--data-root", folder / "data", "--exec-root", folder / "exec",
             "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{_GROUP}",
             "--pidfile", folder / "pid", "--host", f"unix://{folder / 'socket'}"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip


def _wait_answering(engine: subprocess.Popen[bytes], environment: Mapping[str, str], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while subprocess.run(["docker", "version"], env=environment, capture_output=True, check=False).returncode:
        assert engine.poll() is None, f"dockerd ended: {log.read_text()[-2000:]}"
        assert time.monotonic() < deadline, f"dockerd does not answer: {log.read_text()[-2000:]}"
        time.sleep(0.2)
