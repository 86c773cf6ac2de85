"""``python -m tests.fuzz TARGET --seconds N``: coverage-guided fuzzing with atheris (libFuzzer); ``all`` for each.

An input that breaks a target is left in ``.fuzz/``; once the reader is mended it goes to ``tests/fuzz/corpus/TARGET``.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.fuzz.mutation import mutate

WORK: Final = Path(".fuzz")
MAX_SECONDS_PER_INPUT: Final = 60
"""By the clock, for inputs that never end; tests/fuzz/target.py bounds the work on one input."""
MAX_MEMORY_MB: Final = 500
_PACKAGES: Final = ("domain", "network", "node_service", "offchain", "yilian")


def main() -> int:
    """Run one target, or all in processes of their own."""
    arguments = _arguments()
    if arguments.target == "all":
        return _run_all(arguments.seconds)
    return _run(arguments.target, arguments.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", help="name of a target, or all")
    parser.add_argument("--seconds", type=int, default=60)
    return parser.parse_args()


def _run_all(seconds: int) -> int:
    names = list(importlib.import_module("tests.fuzz.targets").TARGETS)
    command = [sys.executable, "-m", "tests.fuzz", "--seconds", str(seconds)]
    return max(subprocess.run([*command, name], check=False).returncode for name in names)


def _run(name: str, seconds: int) -> int:
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=list(_PACKAGES)):
        targets = importlib.import_module("tests.fuzz.targets").TARGETS
    target, corpus = targets[name], WORK / name
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = target.seeds()
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - repeatable on purpose
        if random.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        return mutate(data, seeds, random, takes_json=target.takes_json, max_bytes=max_size)

    options = [
        f"-max_total_time={seconds}", f"-max_len={target.max_bytes}", f"-timeout={MAX_SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MAX_MEMORY_MB}", f"-artifact_prefix={WORK}/{name}-",
        "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.fuzz_in_time, custom_mutator=mutated)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
