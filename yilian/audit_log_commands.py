"""``yilian audit log`` and ``yilian audit reconcile``: a hospital's own logs, verified by its auditor."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from node_service.client.audit_client import AuditClient
from patient_wallet.shown import print_whole
from yilian.audit_export import anchored_heads
from yilian.ingest_commands import DEFAULT_NODE, sign_in
from yilian.language import Text
from yilian.log_audit import Seen, VerifiedLog, verify_logs


def add_log(audit: typer.Typer, t: Text) -> None:
    """Add ``audit log``."""

    @audit.command(
        help=t(
            "Verify that a node's logs continue the heads seen before and those on the ledger.",
            "验证节点日志延续此前所见及账本上的日志头。",
        )
    )
    def log(
        username: Annotated[str, typer.Option(help=t("Audit administrator.", "审计管理员。"))],
        node: Annotated[str, typer.Option(help=t("Address of the node.", "节点地址。"))] = DEFAULT_NODE,
        since: Annotated[
            Path | None,
            typer.Option(help=t("File of the heads verified last; made anew.", "上次已验证日志头的文件，随后更新。")),
        ] = None,
        ledger: Annotated[
            Path | None, typer.Option("--export", help=t("Folder of an export of the ledger.", "账本导出文件夹。"))
        ] = None,
        genesis: Annotated[
            str | None, typer.Option(help=t("Expected genesis digest (hex).", "期望的创世摘要。"))
        ] = None,
        rows: Annotated[
            bool, typer.Option("--rows", help=t("Read every row of the access log too.", "同时读取访问日志的每一行。"))
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON.", "输出 JSON。"))] = False,
    ) -> None:
        client = sign_in(node, username, t)
        source = AuditClient(client)
        anchored = None if ledger is None else anchored_heads(ledger, genesis, client.hospital().msp_id)
        seen = Seen.read(since) if since is not None and since.exists() else None
        verified, kept = verify_logs(source, seen, anchored, with_rows=rows)
        if since is not None:
            kept.write(since)
        if as_json:
            typer.echo(json.dumps([dataclasses.asdict(one) for one in verified]))
        else:
            _print_logs(verified, from_export=ledger is not None, t=t)


def _print_logs(verified: list[VerifiedLog], *, from_export: bool, t: Text) -> None:
    table = Table(
        t("log", "日志"), t("rows", "行"), t("on the ledger", "账本上"), t("continues", "延续"), t("read", "已读")
    )
    for one in verified:
        told = (f"{one.log}/{one.incarnation}", one.size, one.anchored, one.since, one.rows)
        table.add_row(*("–" if value is None else str(value) for value in told))
    print_whole(table)
    console = Console()
    console.print(t("Every log continues what was known of it.", "各日志均延续已知内容。"), style="green")
    if not from_export:
        console.print(
            t(
                "Heads on the ledger are the node's word: --export compares them with the blocks.",
                "账本上的日志头仅为节点所述；用 --export 与区块比对。",
            )
        )


def add_reconcile(audit: typer.Typer, t: Text) -> None:
    """Add ``audit reconcile``."""

    @audit.command(
        name="reconcile",
        help=t(
            "Compare the keys that custody opened with the access log and the ledger. Settings as for 'node run'.",
            "核对密钥托管开启的密钥、访问日志与账本计数。设置同 node run。",
        ),
    )
    def reconcile_keys(
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON.", "输出 JSON。"))] = False,
    ) -> None:
        from yilian.node_check import check_reconciled  # noqa: PLC0415 - imports the whole node

        check_reconciled(t, as_json=as_json)
