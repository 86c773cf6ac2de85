"""``yilian audit``: export, verify and query the ledger, and check a node's logs, without trusting a hospital."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from domain.errors import Invalid
from domain.instants import check_instant
from network.embedded.export import export
from network.verifier.folder import block_files
from network.verifier.report import VerifiedBlock, VerifiedChain
from patient_wallet.shown import cell, print_whole
from yilian.audit_export import verify_folder
from yilian.audit_log_commands import add_log, add_reconcile
from yilian.audit_query import AuditFilter, AuditRow, rows_of
from yilian.contract_versions import CONTRACT
from yilian.language import Text
from yilian.lint_commands import add_lint
from yilian.node_receipt import add_node_receipt
from yilian.receipt_commands import add_receipts


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    audit = typer.Typer(
        no_args_is_help=True,
        help=t("Export, verify and query the ledger.", "导出、验证、查询账本。"),
    )
    app.add_typer(audit, name="audit")
    _add_export(audit, t)
    _add_verify(audit, t)
    _add_query(audit, t)
    _add_fsck(audit, t)
    add_log(audit, t)
    add_reconcile(audit, t)
    add_lint(audit, t)
    add_receipts(audit, t)
    add_node_receipt(audit, t)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _add_export(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        name="export",
        help=t(
            "Copy the blocks of an embedded ledger, or of a Fabric channel as the own peer has them.",
            "复制内嵌账本或（自有节点上的）Fabric 通道的区块。",
        ),
    )
    def export_blocks(
        folders: Annotated[
            list[Path],
            typer.Argument(
                metavar="[LEDGER] DESTINATION",
                help=t(
                    "Folder of an embedded ledger; a new folder, or an earlier export.",
                    "内嵌账本的文件夹；新文件夹或旧导出。",
                ),
            ),
        ],
        fabric: Annotated[
            Path | None, typer.Option(help=t("Connection file of a Fabric channel.", "Fabric 通道的连接文件。"))
        ] = None,
    ) -> None:
        wanted = 2 if fabric is None else 1
        if len(folders) != wanted:
            raise Invalid(
                t(
                    "give the ledger's folder and the destination, or --fabric FILE and the destination",
                    "请给出账本文件夹与目标，或 --fabric FILE 与目标",
                ),
                reason="arguments",
            )
        console = Console()
        with _progress(console) as progress:
            task = progress.add_task(t("exporting", "导出中"), total=None)

            def shown(done: int, of: int) -> None:
                progress.update(task, completed=done, total=of)

            if fabric is None:
                total = export(folders[0], folders[1], shown)
            else:
                total = _export_channel(fabric, folders[0], shown)
        console.print(
            t(f"{total} blocks are in {folders[-1]}.", f"{folders[-1]} 中共有 {total} 个区块。"), highlight=False
        )


def _export_channel(fabric: Path, destination: Path, shown: Callable[[int, int], None]) -> int:
    from yilian.fabric_export import export_channel  # noqa: PLC0415 - gRPC is for those who use it

    return export_channel(fabric, destination, shown)


def _add_verify(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        help=t(
            "Verify an export: chain, signatures, endorsement, validation codes, contract replay.",
            "验证导出：哈希链、签名、背书策略、验证码、合约重放。",
        )
    )
    def verify(
        folder: Annotated[Path, typer.Argument(help=t("Folder of NNNN.block files.", "NNNN.block 文件夹。"))],
        genesis: Annotated[
            str | None, typer.Option(help=t("Expected genesis digest (hex).", "期望的创世摘要。"))
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON.", "输出 JSON。"))] = False,
    ) -> None:
        console = Console()
        total = len(block_files(folder))
        started = time.monotonic()
        with _progress(Console(stderr=True)) as progress:
            task = progress.add_task(t("verifying", "验证中"), total=total)
            chain = verify_folder(folder, genesis, lambda _block: progress.advance(task))
        if as_json:
            typer.echo(json.dumps(_report(chain)))
            return
        _print_report(console, chain, time.monotonic() - started, t)


def _report(chain: VerifiedChain) -> dict[str, object]:
    return dataclasses.asdict(chain) | {
        "genesis_hash": chain.genesis_hash.hex(), "head_hash": chain.head_hash.hex(), "codes": dict(chain.codes),
    }  # fmt: skip


def _print_report(console: Console, chain: VerifiedChain, seconds: float, t: Text) -> None:
    table = Table(show_header=False, box=None)
    table.add_row(t("channel", "通道"), chain.channel)
    table.add_row(t("blocks", "区块"), str(chain.height))
    table.add_row(t("genesis", "创世"), chain.genesis_hash.hex())
    table.add_row(t("head", "最新"), chain.head_hash.hex())
    table.add_row(
        t("transactions", "交易"),
        f"{chain.transactions}: " + ", ".join(f"{c} {n}" for c, n in sorted(chain.codes.items())),
    )
    table.add_row(t("executed again", "重新执行"), str(chain.replayed))
    for gap in chain.not_checked:
        table.add_row(t("not checked", "未检查"), gap)
    console.print(table)
    console.print(t(f"Verified in {seconds:.1f} s.", f"验证通过，用时 {seconds:.1f} 秒。"), style="green")


def _add_query(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        help=t("Find transactions in an export; every block is verified first.", "查询导出中的交易；先验证每个区块。")
    )
    def query(
        folder: Annotated[Path, typer.Argument(help=t("Folder of NNNN.block files.", "NNNN.block 文件夹。"))],
        genesis: Annotated[
            str | None, typer.Option(help=t("Expected genesis digest (hex).", "期望的创世摘要。"))
        ] = None,
        organisation: Annotated[
            str | None, typer.Option(help=t("MSP id of the submitter.", "提交机构的 MSP id。"))
        ] = None,
        name: Annotated[str | None, typer.Option(help=t("Name, e.g. OpenAccess.", "名称，如 OpenAccess。"))] = None,
        mentions: Annotated[
            str | None, typer.Option(help=t("A grant, access, patient or record id.", "授权、访问、患者或记录 id。"))
        ] = None,
        code: Annotated[str | None, typer.Option(help=t("Validation code, e.g. VALID.", "验证码，如 VALID。"))] = None,
        since: Annotated[str | None, typer.Option(help="YYYY-MM-DDThh:mm:ssZ")] = None,
        until: Annotated[str | None, typer.Option(help="YYYY-MM-DDThh:mm:ssZ")] = None,
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON lines.", "输出 JSON 行。"))] = False,
    ) -> None:
        for option, value in (("--since", since), ("--until", until)):
            if value is not None:
                check_instant(value, option)
        wanted = AuditFilter(organisation, name, mentions, code, since, until)
        rows: list[AuditRow] = []

        def collect(block: VerifiedBlock) -> None:
            rows.extend(row for row in rows_of(block, CONTRACT) if wanted.matches(row))

        verify_folder(folder, genesis, collect)
        _print_rows(rows, as_json, t)


def _print_rows(rows: list[AuditRow], as_json: bool, t: Text) -> None:
    if as_json:
        for row in rows:
            typer.echo(json.dumps(dataclasses.asdict(row), ensure_ascii=False))
        return
    if not rows:
        Console().print(t("No transaction fits.", "没有符合的交易。"))
        return
    headings = [t("block", "区块"), t("time", "时间"), t("organisation", "机构"), t("transaction", "交易")]
    table = Table(*headings, t("code", "验证码"), t("keys", "键"))
    for row in rows:
        said = (str(row.block), row.time, row.organisation, row.name, row.code)
        table.add_row(*map(cell, said), "\n".join(map(cell, row.keys)))
    print_whole(table)


def _add_fsck(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        help=t(
            "Check a node's own logs and objects; names the first row that was altered. Settings as for 'node run'.",
            "检查节点自身的日志与对象，指出第一个被改动的行。设置同 node run。",
        )
    )
    def fsck(
        objects: Annotated[
            bool, typer.Option(help=t("Read every stored object too.", "同时读取每个已存对象。"))
        ] = True,
    ) -> None:
        from yilian.node_check import check_node  # noqa: PLC0415 - imports the whole node

        check_node(t, objects=objects)
