"""``yilian node migrate`` and ``yilian node status``: schema, leader, and how the running node is."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import dataclasses
import json
from contextlib import closing
from typing import Annotated

import typer

from node_service import composition
from node_service.database.engine import Database
from node_service.database.migrations import NEWEST
from node_service.database.standing import revision
from node_service.settings import Settings
from yilian.language import Text
from yilian.node_standing import Standing, look


def add_standing(node: typer.Typer, t: Text) -> None:
    """Add ``node migrate`` and ``node status``."""

    @node.command(
        help=t(
            "Bring the database to the newest schema, as each start does; nodes of the release before go on.",
            "将数据库升级到最新结构（每次启动也会如此）；其间上一版本的节点可继续运行。",
        )
    )
    def migrate(
        check: Annotated[
            bool, typer.Option("--check", help=t("Only say what would be done.", "只说明将做什么。"))
        ] = False,
    ) -> None:
        settings = Settings.from_environment()
        before = _revision(settings)
        if not check:
            composition.migrate(settings)
        typer.echo(_told(before, before if check else _revision(settings), t))

    @node.command(
        help=t(
            "Show database, schema, leading process, ledger, outbox, stores, alarms; exit status 1 unless all is well.",
            "显示数据库、结构版本、主进程、账本、待锚定、存储与警报；并非一切正常时退出状态为 1。",
        )
    )
    def status(
        url: Annotated[
            str,
            typer.Option(
                "--node",
                help=t("Address of the running node; empty: from the settings.", "运行中节点的地址；空：取自设置。"),
            ),
        ] = "",
        as_json: Annotated[bool, typer.Option("--json", help=t("As JSON.", "以 JSON 输出。"))] = False,
    ) -> None:
        standing = look(Settings.from_environment(), url)
        typer.echo(json.dumps(dataclasses.asdict(standing)) if as_json else _shown(standing, t))
        if not standing.is_well:
            raise typer.Exit(1)


def _revision(settings: Settings) -> str | None:
    with closing(Database(settings.sqlalchemy_url)) as database, database.rows() as connection:
        return revision(connection)


def _told(before: str | None, after: str | None, t: Text) -> str:
    if before != after:
        return t(f"Schema: from {before or 'none'} to {after}.", f"结构：从 {before or '无'} 升级到 {after}。")
    if after == NEWEST:
        return t(f"Schema: {after}, the newest.", f"结构：{after}，已是最新。")
    if after is None or after < NEWEST:
        return t(f"Schema: {after or 'none'}; {NEWEST} is the newest.", f"结构：{after or '无'}；最新为 {NEWEST}。")
    return t(f"Schema: {after}, newer than this program's {NEWEST}.", f"结构：{after}，比本程序的 {NEWEST} 更新。")


def _shown(standing: Standing, t: Text) -> str:
    lines = [
        (t("hospital", "医院"), standing.msp_id),
        (t("database", "数据库"), standing.database),
        (t("schema", "结构"), _told(standing.revision, standing.revision, t)),
        (t("leading process", "主进程"), _leader(standing, t)),
        (t("running node", "运行中的节点"), _obstacles(standing, t)),
        (t("blocks projected", "已投影区块"), str(standing.projected)),
        (t("waiting for an anchor", "待锚定"), str(standing.outbox)),
        *((name, f"{value:g}") for name, value in standing.measured.items()),
        *((t("alarm", "警报"), line) for line in standing.alarms),
    ]
    return "\n".join(f"{name}\t{value}" for name, value in lines)


def _leader(standing: Standing, t: Text) -> str:
    leader = standing.leader
    if not standing.is_shared:
        return t("the node itself; SQLite serves one process", "节点自身；SQLite 仅供单个进程")
    if leader is None:
        return t("none", "无")
    place = (
        t("on this machine", "在本机") if leader.is_here else leader.address or t("on the server", "在数据库服务器上")
    )
    return f"{leader.process}, {place}"


def _obstacles(standing: Standing, t: Text) -> str:
    if standing.obstacles is None:
        return t("does not answer", "没有应答")
    return ", ".join(standing.obstacles) or t("ready", "就绪")
