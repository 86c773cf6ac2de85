"""Fabric's programs: where they are, which version, what that version can do, and running one of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Self

from domain.errors import Unavailable

PROGRAMS: Final = ("peer", "orderer", "configtxgen", "configtxlator", "cryptogen")
VARIABLE: Final = "FABRIC_BIN"
BUILT: Final = Path(__file__).resolve().parents[2] / ".tools" / "fabric" / "bin"
"""Where ``make fabric-tools`` puts what it builds."""
PROGRAM_TIMEOUT_S: Final = 120.0
TIMED_OUT: Final = "fabric-timeout"
"""Reason of a program that did not end in time."""
MAX_COMPLAINT_CHARACTERS: Final = 400
_KEPT_VARIABLES: Final = ("PATH", "HOME", "TMPDIR")
_QUIET: Final = "grpc=ERROR:comm.grpc.server=WARN:common.deliver=ERROR"
"""Modules that tell of every connection and every call."""
_LOG_LINE: Final = "%{time:2006-01-02 15:04:05.000 MST} %{level:.4s} [%{module}] %{shortfunc} -> %{message}"
"""Fabric's own format without its colours."""
_VERSION = re.compile(r"Version: v?(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class EngineVersion:
    """A release of Fabric, and what it can do."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, told: str) -> Self:
        """From what ``peer version`` prints; a build without a number is the pinned one (tools/go.mod)."""
        found = _VERSION.search(told)
        return cls(*(int(part) for part in found.groups())) if found else cls(2, 5, 0)

    @property
    def has_bft(self) -> bool:
        """SmartBFT ordering under the channel capability V3_0."""
        return self.major >= 3

    @property
    def has_bootstrap_method(self) -> bool:
        """Orderers want to be told that there is no system channel."""
        return self.major < 3

    @property
    def has_time_window(self) -> bool:
        """Peers refuse proposals of another time than theirs; older ones do not start if told to."""
        return self >= EngineVersion(2, 5, 10)

    @property
    def has_write_batches(self) -> bool:
        """Contracts may send many writes, and ask for many keys, in one message."""
        return self >= EngineVersion(3, 1, 0)

    @property
    def hangs_after_restart(self) -> bool:
        """Orderers hang after a restart unless a block may be larger than the snapshot interval."""
        return self < EngineVersion(2, 5, 3)

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class ProgramFailed(Unavailable):
    """A program of Fabric refused or could not; the detail ends with what it said last."""

    default_reason = "fabric-program"

    @property
    def is_refusal(self) -> bool:
        """Whether an ordering node refuses what it was sent, and will again (``common.Status``)."""
        return any(status in self.detail for status in ("BAD_REQUEST", "FORBIDDEN"))


@dataclass(frozen=True)
class Binaries:
    """Fabric's programs in one folder."""

    folder: Path

    def __post_init__(self) -> None:
        missing = [name for name in PROGRAMS if not (self.folder / name).is_file()]
        if missing:
            raise Unavailable(
                f"there is no {', '.join(missing)} of Hyperledger Fabric in {self.folder}", reason="no-fabric"
            )

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The folder that ``FABRIC_BIN`` names, else that of ``peer`` on PATH, else what ``make fabric-tools`` built.

        Raises:
            Unavailable: there are none; the detail says how to get them.
        """
        if named := environment.get(VARIABLE):
            return cls(Path(named))
        on_path = shutil.which("peer", path=environment.get("PATH", os.defpath))
        if on_path and (Path(on_path).parent / "orderer").is_file():
            return cls(Path(on_path).parent)
        if (BUILT / "peer").is_file():
            return cls(BUILT)
        raise Unavailable(
            f"Hyperledger Fabric is not here: set {VARIABLE} to the folder of its programs, or build them with "
            "'make fabric-tools' (needs Go)",
            reason="no-fabric",
        )

    @cached_property
    def version(self) -> EngineVersion:
        """Of ``peer``."""
        return EngineVersion.parse(self.run("peer", "version").decode(errors="replace"))

    def path(self, name: str) -> Path:
        """One program."""
        return self.folder / name

    def run(
        self, name: str, *arguments: str | Path, settings: Path | None = None, timeout_s: float = PROGRAM_TIMEOUT_S
    ) -> bytes:
        """Run a program to its end and return what it printed.

        Args:
            settings: folder of its ``core.yaml``; no variable of the caller's environment configures it.

        Raises:
            ProgramFailed: it ended with an error, or did not end in time.
        """
        command = [str(self.path(name)), *map(str, arguments)]
        try:
            done = subprocess.run(  # noqa: S603 - a program of the folder that the operator named
                command,
                env=environment_of(settings, "WARN"),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=timeout_s,
                check=False,
                umask=0o077,
            )
        except subprocess.TimeoutExpired as error:
            raise ProgramFailed(f"{name} did not end within {timeout_s:.0f} s", reason=TIMED_OUT) from error
        except OSError as error:
            raise ProgramFailed(f"{name} does not run: {error.strerror}") from error
        if done.returncode != 0:
            raise ProgramFailed(f"{name}: {_complaint(done.stderr or done.stdout)}")
        return done.stdout


def environment_of(settings: Path | None, level: str) -> dict[str, str]:
    """The whole environment of a program of Fabric: its settings come from files alone."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    named = {} if settings is None else {"FABRIC_CFG_PATH": str(settings)}
    return {**kept, **named, "FABRIC_LOGGING_SPEC": f"{level}:{_QUIET}", "FABRIC_LOGGING_FORMAT": _LOG_LINE}


def _complaint(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if "Error" in line or "rror:" in line), lines[-1] if lines else "")
    return told[-MAX_COMPLAINT_CHARACTERS:] or "no reason given"
