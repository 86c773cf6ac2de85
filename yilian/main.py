"""The command ``yilian``: commands come from the entry points ``yilian.commands``, errors become one sentence."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points, version
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from typer.core import TyperGroup

from domain.errors import (
    Conflict,
    Denied,
    Invalid,
    NotFound,
    OutcomeUnknown,
    Tampered,
    Unavailable,
    YilianError,
)
from domain.process_memory import forbid_core_files
from yilian.deferred import Deferred
from yilian.explanations import CHINESE
from yilian.language import Text, choose, text

Value = TypeVar("Value")
GROUP: Final = "yilian.commands"
EXIT_CODES: Final[dict[type[YilianError], int]] = {
    Invalid: 2, Denied: 3, NotFound: 4, Conflict: 5, Tampered: 6, Unavailable: 7, OutcomeUnknown: 8,
}  # fmt: skip


def build(t: Text) -> typer.Typer:
    """The application with all registered commands, in the language of ``t``."""
    app = typer.Typer(
        cls=_root(t),
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=t(
            "Yilian: hospitals share medical records under the patient's own key.",
            "医链：医院在患者本人密钥之下共享病历。",
        ),
        epilog=t(
            "Exit codes: 2 invalid, 3 denied, 4 not found, 5 conflict, 6 tampered, 7 unavailable, 8 outcome unknown.",
            "退出码：2 输入无效，3 拒绝，4 未找到，5 冲突，6 被篡改，7 不可用，8 结果未知。",
        ),
    )
    _add_root(app, t)
    return app


def _root(t: Text) -> type[TyperGroup]:
    class Root(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for entry in sorted(entry_points(group=GROUP), key=lambda found: found.name):
                self.add_command(Deferred(entry, t))

    return Root


def _add_root(app: typer.Typer, t: Text) -> None:
    @app.callback()
    def root(
        lang: Annotated[str, typer.Option(help=t("Language: en or zh.", "语言：en 或 zh。"), show_default=False)] = "",
    ) -> None:
        del lang  # read before the commands were built, since their help is in that language

    @app.command(name="version", help=t("Print the version.", "显示版本。"))
    def show_version() -> None:
        typer.echo(version("yilian"))


def explain(error: YilianError, t: Text) -> str:
    """One sentence: what kind of failure, then what the error says."""
    kinds: dict[type[YilianError], str] = {
        Invalid: t("Invalid", "输入无效"), Denied: t("Denied", "被拒绝"), NotFound: t("Not found", "未找到"),
        Conflict: t("Conflict", "冲突"), Tampered: t("TAMPERED", "被篡改"), Unavailable: t("Unavailable", "暂不可用"),
        OutcomeUnknown: t("Outcome unknown", "结果未知"),
    }  # fmt: skip
    detail, meaning = str(error), CHINESE.get(error.reason)
    told = detail if meaning is None else t(detail, f"{meaning}（{detail}）")
    return f"{_of_kind(kinds, error, t('Error', '错误'))}{t(': ', '：')}{told}"


def _of_kind(table: Mapping[type[YilianError], Value], error: YilianError, otherwise: Value) -> Value:
    return next((value for kind, value in table.items() if isinstance(error, kind)), otherwise)


def run() -> None:
    """Entry point of the command: most commands hold keys or open records, so each process is closed first."""
    obey(before=forbid_core_files)


def obey(before: Callable[[], None] = lambda: None) -> None:
    """Do what the arguments say; errors become one sentence and an exit code.

    Args:
        before: what is done first; its errors are told likewise.
    """
    t = text(choose(sys.argv[1:], os.environ))
    try:
        before()
        build(t)()
    except YilianError as error:
        Console(stderr=True).print(explain(error, t), style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(_of_kind(EXIT_CODES, error, 1))
