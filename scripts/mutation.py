"""Mutation score of what guards patients' data: ``python -m scripts.mutation [--only domain/merkle.py] [--seconds N]``.

mutmut works in a copy of the checkout in a temporary folder, so nothing here is touched. A mutant counts as found when
a unit test fails, or no longer ends. Generated examples come from one seed, so that a score can be had again.
mutmut changes functions and methods without a decorator: properties, class methods and constants have no mutants.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

ROOT: Final = Path(__file__).resolve().parents[1]
TESTS_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "domain": ("tests/unit/domain",),
        "chaincode": ("tests/unit/chaincode",),
        "offchain/envelope": ("tests/unit/offchain/envelope",),
    }
)
LEFT_OUT: Final = ("tests/unit/chaincode/test_determinism.py",)
"""It looks at imports, where mutmut has added its own, and runs the contract in processes that mutmut cannot see."""

GOAL_PERCENT: Final = 90
STOP_TIMEOUT_S: Final = 60
_FOUND: Final = frozenset({1, 3, 24, 36, 152, 255, -24, -11, -9})
"""mutmut's exit codes of a mutant: tests failed, ran out of time, or died."""

_SURVIVED: Final = (0, 35)
_NO_TEST: Final = (5, 33)


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no test found.

    Attributes:
        change: the changed line.
        is_wording: it differs in a sentence for people alone, such as an error's detail.
    """

    name: str
    change: str
    is_wording: bool


@dataclass(frozen=True, slots=True)
class Score:
    """What became of the mutants of one module.

    Attributes:
        untested: no unit test runs the function.
        unchecked: not reached in the time that was given; they do not count.
    """

    found: int
    survivors: tuple[Survivor, ...]
    untested: int
    unchecked: int

    @property
    def wordings(self) -> int:
        """Survivors that nobody has to find."""
        return sum(one.is_wording for one in self.survivors)

    @property
    def checked(self) -> int:
        """Mutants that count."""
        return self.found + len(self.survivors) + self.untested

    @property
    def percent(self) -> float:
        """Found ones among those that count."""
        return 100 * self.found / self.checked if self.checked else 100.0

    @property
    def percent_without_wordings(self) -> float:
        """The same where nobody has to test the wording of a sentence."""
        counted = self.checked - self.wordings
        return 100 * self.found / counted if counted else 100.0


def main(
    only: Annotated[list[str] | None, typer.Option(help="a module such as domain/merkle.py; repeat it")] = None,
    seconds: Annotated[int | None, typer.Option(min=10, help="stop after so long; the rest stays unchecked")] = None,
    survivors: Annotated[bool, typer.Option(help="name the mutants that no test found")] = False,
    workers: Annotated[int, typer.Option(min=1, help="mutants tested at once")] = 2,
) -> None:
    """Change the code, one small thing at a time, and count how often a unit test notices."""
    console = Console(width=None if Console().is_terminal else 160)
    modules = sorted(only or _all_modules())
    for module in modules:
        if not (ROOT / module).is_file() or _area(module) is None:
            raise typer.BadParameter(f"{module} is no module below {', '.join(TESTS_OF)}")
    with tempfile.TemporaryDirectory(prefix="yilian-mutation-") as folder:
        copy = Path(folder) / "checkout"
        _copy_checkout(copy)
        _configure(copy, modules)
        status = _run(copy, workers, seconds)
        scores = {module: _score(copy, module) for module in modules}
        if not any(score.checked for score in scores.values()):
            console.print("no mutant was tested; mutmut's own output above says why", style="red")
            raise typer.Exit(status or 1)
    console.print(_table(scores))
    if survivors:
        for score in scores.values():
            for one in score.survivors:
                console.print(f"{one.name}: {one.change}", highlight=False, markup=False, soft_wrap=True)


def _all_modules() -> list[str]:
    found = [path for area in TESTS_OF for path in (ROOT / area).rglob("*.py") if path.name != "__init__.py"]
    return [path.relative_to(ROOT).as_posix() for path in found]


def _area(module: str) -> str | None:
    return next((area for area in TESTS_OF if module.startswith(f"{area}/") and module.endswith(".py")), None)


def _copy_checkout(copy: Path) -> None:
    """What git knows or would take, as it is now; public data beside it is found from the copy too."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],  # noqa: S607 - the git that made the checkout
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, copy / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (copy / "shared").symlink_to(shared)


def _configure(copy: Path, modules: Sequence[str]) -> None:
    """mutmut runs the tests in ``mutants/``; everything that they import or read must be there."""
    areas = sorted({area for module in modules if (area := _area(module)) is not None})
    sources = sorted({area.partition("/")[0] for area in areas})
    folders = sorted(
        path.name for path in copy.iterdir() if path.is_dir() and not path.is_symlink() and path.name not in sources
    )
    values = {
        "source_paths": sources,
        "only_mutate": list(modules),
        "also_copy": [*folders, *(path.name for path in copy.glob("*.md")), "Makefile"],
        "pytest_add_cli_args_test_selection": [test for area in areas for test in TESTS_OF[area]],
        "pytest_add_cli_args": ["-p", "no:xdist", "--hypothesis-seed=1", *(f"--ignore={path}" for path in LEFT_OUT)],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    with (copy / "pyproject.toml").open("a") as file:
        file.write("\n".join(["", "[tool.mutmut]", "use_git_change_detection = false", *lines, ""]))


def _run(copy: Path, workers: int, seconds: int | None) -> int:
    """Run mutmut; after the time that is given it is asked to stop, and keeps what it found."""
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(workers)]
    with subprocess.Popen(command, cwd=copy, start_new_session=True) as process:  # noqa: S603 - our own environment's
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()


def _score(copy: Path, module: str) -> Score:
    made = copy / "mutants" / module
    results = made.with_name(made.name + ".meta")
    if not results.exists():
        return Score(0, (), 0, 0)
    codes: dict[str, int | None] = json.loads(results.read_text())["exit_code_by_key"]
    functions = {node.name: node for node in ast.walk(ast.parse(made.read_text())) if isinstance(node, ast.FunctionDef)}
    survivors = tuple(_survivor(functions, name) for name, code in sorted(codes.items()) if code in _SURVIVED)
    kinds = Counter(
        "unchecked"
        if code is None or code == 2
        else "found"
        if code in _FOUND
        else "untested"
        if code in _NO_TEST
        else ""
        for code in codes.values()
    )
    return Score(kinds["found"], survivors, kinds["untested"], kinds["unchecked"])


def _survivor(functions: Mapping[str, ast.FunctionDef], name: str) -> Survivor:
    own = name.rpartition(".")[2]
    mutant, original = functions.get(own), functions.get(own.rpartition("__mutmut_")[0] + "__mutmut_orig")
    if mutant is None or original is None:
        return Survivor(name, "", False)
    return Survivor(name, _change(original, mutant), _without_sentences(mutant) == _without_sentences(original))


def _change(original: ast.FunctionDef, mutant: ast.FunctionDef) -> str:
    """The first line that differs, as it is in the mutant."""
    lines = zip(_body(original).splitlines(), _body(mutant).splitlines(), strict=False)
    return next((changed.strip() for line, changed in lines if line != changed), "")


def _without_sentences(function: ast.FunctionDef) -> str:
    """The body with every text that has a space in it made equal."""
    body = ast.parse(_body(function))
    for node in ast.walk(body):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = " "
    return ast.dump(body)


def _body(function: ast.FunctionDef) -> str:
    return "\n".join(map(ast.unparse, function.body))


def _table(scores: Mapping[str, Score]) -> Table:
    made = Table(title=f"mutation score; the goal is {GOAL_PERCENT} %")
    made.add_column("module")
    for name in ("mutants", "found", "survived", "of them wording", "no test", "unchecked", "score", "without wording"):
        made.add_column(name, justify="right")
    everything = {**scores, "all": _sum(list(scores.values()))} if len(scores) > 1 else scores
    for module, score in everything.items():
        counts = (score.checked, score.found, len(score.survivors), score.wordings, score.untested, score.unchecked)
        made.add_row(module, *map(str, counts), f"{score.percent:.0f} %", f"{score.percent_without_wordings:.0f} %")
    return made


def _sum(scores: Sequence[Score]) -> Score:
    return Score(
        sum(one.found for one in scores),
        tuple(survivor for one in scores for survivor in one.survivors),
        sum(one.untested for one in scores),
        sum(one.unchecked for one in scores),
    )


if __name__ == "__main__":
    typer.run(main)
