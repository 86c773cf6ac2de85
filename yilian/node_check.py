"""``yilian audit fsck`` and ``yilian audit reconcile``: what a node keeps, checked beside the node itself."""

from __future__ import annotations

import dataclasses
import json

import typer
from rich.console import Console
from rich.table import Table

from domain.errors import Tampered
from node_service.access_log.fsck import Report, check
from node_service.access_log.reconciling import Reconciliation, reconcile
from node_service.composition import build
from node_service.records.scrub import ObjectFinding, check_objects
from node_service.settings import Settings
from patient_wallet.shown import cell, print_whole
from yilian.language import Text


def check_node(t: Text, *, objects: bool) -> None:
    """Check the logs, the opened keys and, if ``objects``, every stored object; print what was found.

    Raises:
        Tampered: a finding.
    """
    console = Console()
    running = build(Settings.from_environment())
    try:
        report, keys = check(running.node), reconcile(running.node)
        with Console(stderr=True).status(t("reading objects", "读取对象中")) as status:
            altered = check_objects(running.node, lambda n: status.update(str(n))) if objects else []
    finally:
        running.resources.close()
    _print_fsck(console, report, altered, t)
    _print_reconciliation(keys, t)
    if report.findings or altered:
        raise Tampered(t("the node's logs or objects were altered", "节点的日志或对象被改动"), reason="fsck")
    _verify_reconciled(keys, t)


def check_reconciled(t: Text, *, as_json: bool) -> None:
    """Compare opened keys with access log and ledger; print the accounts.

    Raises:
        Tampered: they do not agree.
    """
    running = build(Settings.from_environment())
    try:
        report = reconcile(running.node)
    finally:
        running.resources.close()
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report)))
    else:
        _print_reconciliation(report, t)
    _verify_reconciled(report, t)


def _print_fsck(console: Console, report: Report, altered: list[ObjectFinding], t: Text) -> None:
    table = Table(t("log", "日志"), t("rows", "行"), t("anchored", "已锚定"), t("finding", "发现"))
    for log in report.logs:
        found = log.finding
        finding = t("none", "无") if found is None else f"{found.reason}: {found.row or found.index}"
        if log.lost:
            finding += t(f" ({log.lost} lost by a restore)", f"（恢复时丢失 {log.lost} 行）")
        table.add_row(f"{log.log}/{log.incarnation}", str(log.size), str(log.anchored_size), finding)
    print_whole(table)
    for item in altered:
        console.print(f"{item.reason}: {item.digest} ({item.row})", style="red", markup=False)


def _verify_reconciled(report: Reconciliation, t: Text) -> None:
    """Fail where the accounts do not agree.

    Raises:
        Tampered: a finding.
    """
    if report.findings:
        first = report.findings[0]
        detail = t("opened keys and logs do not agree", "开启的密钥与日志不符")
        raise Tampered(f"{detail}: {first.place}", reason=first.reason, place=first.place)


def _print_reconciliation(report: Reconciliation, t: Text) -> None:
    """The accounts for people."""
    table = Table(t("account", "账目"), t("keys or rows", "密钥或行"))
    for purpose, keys in report.released.items():
        table.add_row(t(f"keys opened: {purpose}", f"开启的密钥：{purpose}"), str(keys))
    table.add_row(t("keys opened, on the ledger", "账本上的开启数"), str(report.anchored))
    table.add_row(t("rows that record a reading", "记录读取的行"), str(report.rows))
    table.add_row(t("of these without a key", "其中未开启密钥的行"), str(report.rows_without_keys))
    if report.lost:
        table.add_row(t("keys whose rows a restore lost", "恢复时丢失记录行的密钥"), str(report.lost))
    if report.refused:
        table.add_row(
            t("keys prepared, then refused, as rows say", "已备好、按记录最终拒绝的密钥"), str(report.refused)
        )
    if report.interrupted:
        told = t(
            f"keys without a row, the last before one of {report.starts} starts",
            f"{report.starts} 次启动前最后开启而无记录行的密钥",
        )
        table.add_row(told, str(report.interrupted))
    print_whole(table)
    for row in report.without_keys:
        typer.echo(t(f"row without a key: {cell(row)}", f"未开启密钥的行：{cell(row)}"))
    for finding in report.findings:
        Console().print(f"{finding.reason}: {finding.place} ({finding.keys})", style="red", markup=False)
