"""``yilian ledger``: found an embedded ledger."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from network.embedded.founding import init
from yilian.language import Text

DEFAULT_ORGANISATIONS = ("RenheMSP", "MingdeMSP", "AnkangMSP")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    ledger = typer.Typer(no_args_is_help=True, help=t("The embedded ledger.", "内嵌账本。"))
    app.add_typer(ledger, name="ledger")

    @ledger.command(name="init", help=t("Found a ledger in an empty folder.", "在空文件夹中创建账本。"))
    def found(
        directory: Annotated[Path, typer.Argument(help=t("The folder.", "文件夹。"))],
        organisation: Annotated[
            list[str] | None,
            typer.Option("--organisation", "-o", help=t("MSP id of a member; repeat it.", "成员的 MSP id，可重复。")),
        ] = None,
        channel: Annotated[str, typer.Option(help=t("Name of the channel.", "通道名称。"))] = "yilian",
    ) -> None:
        founding = init(
            directory, channel, organisation or DEFAULT_ORGANISATIONS, clock=SystemClock(), random=os.urandom
        )
        console = Console()
        console.print(t("Founded", "已创建"), founding.directory, highlight=False)
        console.print(t("channel", "通道"), founding.channel, "·", ", ".join(founding.organisations), highlight=False)
        console.print(t("genesis", "创世区块"), founding.genesis, highlight=False, soft_wrap=True)
        warning = t(
            f"Warning: {founding.warning}.",
            "警告：一个操作者持有所有机构的密钥；对这个操作者，此账本不能证明任何事情。",
        )
        console.print(warning, style="yellow", highlight=False)
