"""Mutation score of what guards patients' data: ``python -m scripts.mutation [--only domain] [--sample N --seed S]``.

mutmut works in a copy of the checkout in a temporary folder, so nothing here is touched. A mutant counts as found when
a unit test fails, or no longer ends. Generated examples come from one seed, so that a score can be had again.
mutmut changes functions and methods without a decorator: properties, class methods and constants have no mutants.
With ``--sample`` a random choice of N mutants of each package is tested, and the score has a 95 % interval.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import typer
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name
from rich.console import Console
from rich.table import Table

from scripts.mutation_score import GOAL_PERCENT, Score, Survivor, draw, wilson

ROOT: Final = Path(__file__).resolve().parents[1]
TESTS_OF: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "domain": ("tests/unit/domain",),
        "chaincode": ("tests/unit/chaincode",),
        "offchain/envelope": ("tests/unit/offchain/envelope",),
    }
)
LEFT_OUT: Final = (
    "tests/unit/chaincode/test_determinism.py",
    "tests/unit/chaincode/test_hostile_input.py",
    "tests/unit/offchain/envelope/test_large_objects.py",
)
"""The first looks at imports, where mutmut has added its own, and runs processes that mutmut cannot see. The others try
so many inputs that a survivor would take minutes; without them the score can only be lower.
"""

STOP_TIMEOUT_S: Final = 60
_FOUND: Final = frozenset({1, 3, 24, 36, 152, 255, -24, -11, -9})
"""mutmut's exit codes of a mutant: tests failed, ran out of time, or died."""

_OUT_OF_TIME: Final = frozenset({24, 36, 152, 255, -24, -9})
_SURVIVED: Final = (0, 35)
_NO_TEST: Final = (5, 33)
_TIMEOUT_FACTOR: Final = 8
"""How much longer than without a change tests may take, before a mutant counts as one that never ends."""


def main(
    only: Annotated[list[str] | None, typer.Option(help="domain or domain/merkle.py, say; repeat it")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="test so many of each package, drawn at random")] = None,
    seed: Annotated[int, typer.Option(help="which random draw")] = 1,
    seconds: Annotated[int | None, typer.Option(min=10, help="stop after so long; the rest stays unchecked")] = None,
    survivors: Annotated[bool, typer.Option(help="name the mutants that no test found")] = False,
    workers: Annotated[int, typer.Option(min=1, help="mutants tested at once")] = 2,
) -> None:
    """Change the code, one small thing at a time, and count how often a unit test notices."""
    console = Console(width=None if Console().is_terminal else 160)
    modules = _chosen_modules(only)
    with tempfile.TemporaryDirectory(prefix="yilian-mutation-") as folder:
        copy = Path(folder) / "checkout"
        _copy_checkout(copy)
        _configure(copy, modules)
        drawn = None if sample is None else draw(_mutants(copy, modules), sample, seed)
        status = _run(copy, workers, seconds, drawn or ())
        scores = {module: _score(copy, module, drawn) for module in modules}
    if not any(score.checked for score in scores.values()):
        console.print("no mutant was tested; mutmut's own output above says why", style="red")
        raise typer.Exit(status or 1)
    console.print(_table(scores, is_sample=sample is not None))
    if sample is not None and any(score.unchecked for score in scores.values()):
        console.print("stopped early: the quick ones come first, so what was reached is no random sample", style="red")
    if survivors:
        for one in Score.sum_of(list(scores.values())).survivors:
            console.print(f"{one.name}: {one.change}", highlight=False, markup=False, soft_wrap=True)


def _chosen_modules(only: Sequence[str] | None) -> list[str]:
    every = [path for area in TESTS_OF for path in (ROOT / area).rglob("*.py") if path.name != "__init__.py"]
    names = sorted(path.relative_to(ROOT).as_posix() for path in every)
    chosen: set[str] = set()
    for one in only or TESTS_OF:
        within = {name for name in names if name == one or name.startswith(f"{one.rstrip('/')}/")}
        if not within:
            raise typer.BadParameter(f"{one} is no module or folder of {', '.join(TESTS_OF)}")
        chosen |= within
    return sorted(chosen)


def _package(module: str) -> str:
    return next(area for area in TESTS_OF if module.startswith(f"{area}/"))


def _mutants(copy: Path, modules: Sequence[str]) -> dict[str, list[str]]:
    """The names of all mutants that mutmut will make, by package; it reads its settings in the copy."""
    names: dict[str, list[str]] = {}
    with contextlib.chdir(copy):
        for module in modules:
            made = mutate_file_contents(module, Path(module).read_text()).mutant_names
            names.setdefault(_package(module), []).extend(get_mutant_name(Path(module), name) for name in made)
    return names


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
    areas = sorted({_package(module) for module in modules})
    sources = sorted({area.partition("/")[0] for area in areas})
    folders = sorted(
        path.name for path in copy.iterdir() if path.is_dir() and not path.is_symlink() and path.name not in sources
    )
    values = {
        "source_paths": sources,
        "only_mutate": list(modules),
        "also_copy": [*folders, *(path.name for path in copy.glob("*.md")), "Makefile"],
        "pytest_add_cli_args_test_selection": [test for area in areas for test in TESTS_OF[area]],
        "timeout_multiplier": _TIMEOUT_FACTOR,
        "pytest_add_cli_args": ["-p", "no:xdist", "--hypothesis-seed=1", *(f"--ignore={path}" for path in LEFT_OUT)],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    with (copy / "pyproject.toml").open("a") as file:
        file.write("\n".join(["", "[tool.mutmut]", "use_git_change_detection = false", *lines, ""]))


def _run(copy: Path, workers: int, seconds: int | None, mutants: Collection[str]) -> int:
    """Run mutmut on these mutants, or on all where none is named.

    After the time that is given it is asked to stop, and keeps what it found.
    """
    command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", str(workers), *sorted(mutants)]
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


def _score(copy: Path, module: str, drawn: Collection[str] | None) -> Score:
    made = copy / "mutants" / module
    results = made.with_name(made.name + ".meta")
    if not results.exists():
        return Score(0, ())
    codes: dict[str, int | None] = {
        name: code
        for name, code in json.loads(results.read_text())["exit_code_by_key"].items()
        if drawn is None or name in drawn
    }
    functions = {node.name: node for node in ast.walk(ast.parse(made.read_text())) if isinstance(node, ast.FunctionDef)}
    survivors = tuple(_survivor(functions, name) for name, code in sorted(codes.items()) if code in _SURVIVED)
    kinds = Counter(_kind(code) for code in codes.values())
    out_of_time = sum(code in _OUT_OF_TIME for code in codes.values())
    return Score(kinds["found"], survivors, kinds["untested"], kinds["unchecked"], out_of_time)


def _kind(code: int | None) -> str:
    if code is None or code == 2:
        return "unchecked"
    return "found" if code in _FOUND else "untested" if code in _NO_TEST else "survived"


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
    """The body with every text that has a space in it made equal, and every error's detail, also where it is None."""
    body = ast.parse(_body(function))
    for node in ast.walk(body):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            detail = node.exc.args[0]
            if isinstance(detail, ast.JoinedStr) or (isinstance(detail, ast.Constant) and detail.value is None):
                node.exc.args[0] = ast.Constant(" ")
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            node.value = " "
    return ast.dump(body)


def _body(function: ast.FunctionDef) -> str:
    return "\n".join(map(ast.unparse, function.body))


def _table(scores: Mapping[str, Score], *, is_sample: bool) -> Table:
    made = Table(title=f"mutation score; the goal is {GOAL_PERCENT} %")
    made.add_column("module")
    for name in ("mutants", "found", "out of time", "survived", "wording", "no test", "unchecked"):
        made.add_column(name, justify="right")
    for name in ("score", "without wording"):
        made.add_column(name + (" (95 %)" if is_sample else ""), justify="right")
    for module, score in scores.items():
        made.add_row(module, *_cells(score, is_sample=False))
    for package in dict.fromkeys(map(_package, scores)):
        package_score = Score.sum_of([score for module, score in scores.items() if _package(module) == package])
        made.add_row(f"{package} together", *_cells(package_score, is_sample=is_sample), style="bold")
    return made


def _cells(score: Score, *, is_sample: bool) -> list[str]:
    counts = (score.checked, score.found, score.out_of_time, len(score.survivors), score.wordings)
    numbers = (*counts, score.untested, score.unchecked)
    shares = ((score.percent, score.checked), (score.percent_without_wordings, score.checked_without_wordings))
    return [*map(str, numbers), *(_share(percent, score.found, of, is_sample) for percent, of in shares)]


def _share(percent: float, found: int, of: int, is_sample: bool) -> str:
    if not of:
        return ""
    if not is_sample:
        return f"{percent:.0f} %"
    interval = wilson(found, of)
    return f"{percent:.1f} % ({interval.low:.1f} to {interval.high:.1f})"


if __name__ == "__main__":
    typer.run(main)
