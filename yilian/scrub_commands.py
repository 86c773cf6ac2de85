"""``yilian node scrub``: read everything that is stored again, at once instead of slowly in the background."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from domain.errors import Tampered
from node_service.composition import build
from node_service.context import Node
from node_service.database.scrub_models import DamagedObject
from node_service.ledger_sync.alarm import alarms
from node_service.records.damage import damaged_objects
from node_service.records.scrubber import Progress, Scrubber
from node_service.settings import Settings
from yilian.language import Text


def add_scrub(node: typer.Typer, t: Text) -> None:
    """Add ``node scrub``."""

    @node.command(
        help=t(
            "Read every stored object and both logs again; goes on where the last scrub was.",
            "重新读取全部存储对象与两份日志；从上次中断处继续。",
        )
    )
    def scrub(
        anew: Annotated[bool, typer.Option("--anew", help=t("Begin from the start.", "从头开始。"))] = False,
    ) -> None:
        running = build(Settings.from_environment())
        try:
            done = _run(running.node, t, anew=anew)
            with running.node.database.reading() as session:
                damaged, standing = damaged_objects(session), alarms(session)
        finally:
            running.resources.close()
        print_damaged(damaged)
        for alarm in standing:
            typer.echo(f"{alarm.name}\t{alarm.raised_at}\t{alarm.reason}\t{alarm.place}")
        typer.echo(
            t(
                f"{done.objects} objects and {done.leaves} leaves read, {len(damaged)} objects damaged.",
                f"已读取 {done.objects} 个对象、{done.leaves} 个日志叶，{len(damaged)} 个对象损坏。",
            )
        )
        if damaged or standing:
            detail = t("the store or the logs are damaged", "存储或日志已损坏")
            raise Tampered(detail, reason="scrub", place=damaged[0].row if damaged else standing[0].name)


def _run(node: Node, t: Text, *, anew: bool) -> Progress:
    scrubber = Scrubber(node)
    with Console(stderr=True).status(t("reading", "读取中")) as status:
        while True:
            progress = scrubber.advance(node.clock.now(), anew=anew)
            anew = False
            objects, leaves = progress.objects, progress.leaves
            told = t(
                f"{progress.part}: {objects} objects, {leaves} leaves",
                f"{progress.part}：{objects} 个对象，{leaves} 个叶",
            )
            status.update(told)
            if progress.is_finished:
                return progress


def print_damaged(damaged: Sequence[DamagedObject]) -> None:
    """One line for each damaged object: what it belongs to, since when, what is wrong."""
    for one in damaged:
        typer.echo(f"object\t{one.found_at}\t{one.reason}\t{one.row}")
