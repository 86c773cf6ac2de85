"""The language of the command line."""

from __future__ import annotations

import pytest

from yilian.language import choose, text


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LANG": "zh_CN.UTF-8", "YILIAN_LANG": "en"}, "en"),
        ([], {"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
        (["--lang", "zh", "demo"], {"YILIAN_LANG": "en"}, "zh"),
        (["--lang=en"], {"LANG": "zh_CN"}, "en"),
        (["--lang"], {"LANG": "zh_CN"}, "zh"),
    ],
)
def test_option_wins_over_variables_and_the_first_variable_over_later_ones(
    arguments: list[str], environment: dict[str, str], expected: str
) -> None:
    assert choose(arguments, environment) == expected


def test_text_picks_the_wording() -> None:
    assert [text("en")("yes", "是"), text("zh")("yes", "是")] == ["yes", "是"]
