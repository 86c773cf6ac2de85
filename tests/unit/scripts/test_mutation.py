"""Which survivors differ in a sentence for people alone."""

from __future__ import annotations

import ast

import pytest

from scripts.mutation import _survivor

ORIGINAL = "raise Invalid('a sentence for people', reason='too-large', place='name')"


def survivor_of(mutant: str, original: str = ORIGINAL) -> tuple[str, bool]:
    code = f"def x__mutmut_orig():\n    {original}\ndef x__mutmut_1():\n    {mutant}\n"
    functions = {node.name: node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef)}
    found = _survivor(functions, "domain.module.x__mutmut_1")
    return found.change, found.is_wording


@pytest.mark.parametrize(
    ("mutant", "is_wording"),
    [
        ("raise Invalid('A SENTENCE FOR PEOPLE', reason='too-large', place='name')", True),
        ("raise Invalid(None, reason='too-large', place='name')", True),
        ("raise Invalid('a sentence for people', reason=None, place='name')", False),
        ("raise Invalid('a sentence for people', reason='TOO-LARGE', place='name')", False),
        ("raise Invalid('a sentence for people', place='name')", False),
        ("raise Denied('a sentence for people', reason='too-large', place='name')", False),
    ],
)
def test_only_the_sentence_of_an_error_is_wording(mutant: str, is_wording: bool) -> None:
    assert survivor_of(mutant) == (mutant, is_wording)


def test_a_sentence_with_values_is_wording_too() -> None:
    assert survivor_of("raise Invalid(None, place='name')", "raise Invalid(f'at most {most} bytes', place='name')")[1]


def test_a_value_that_becomes_none_is_no_wording() -> None:
    assert not survivor_of("return None", "return 'ok'")[1]
    assert not survivor_of("raise Invalid('a sentence', reason=None)", "raise Invalid('a sentence', reason=kind)")[1]
