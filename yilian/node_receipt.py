"""``yilian audit receipt``: an auditor of a hospital takes a receipt from its node and verifies it at once."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Invalid
from domain.receipt_form import parse_receipt
from domain.receipts import verify_receipt
from node_service.client.node_client import StaffClient
from yilian.ingest_commands import DEFAULT_NODE, sign_in
from yilian.language import Text
from yilian.proof_files import MembersFile, read_members, write_new


def add_node_receipt(audit: typer.Typer, t: Text) -> None:
    """Add the command to ``yilian audit``."""

    @audit.command(
        help=t(
            "Take a receipt from a node and verify it. KIND: record, access, emergency, grant, dissent, "
            "statement-used (these three with --patient), access-row (ID: incarnation/index).",
            "从节点取得凭证并验证。KIND：record、access、emergency、grant、dissent、statement-used"
            "（后三者需 --patient）、access-row（ID 为 世代/序号）。",
        )
    )
    def receipt(
        kind: Annotated[str, typer.Argument(metavar="KIND", help=t("What is proven.", "待证对象的种类。"))],
        name: Annotated[str, typer.Argument(metavar="ID", help=t("Its id.", "其编号。"))],
        members: MembersFile,
        out: Annotated[Path, typer.Option("--out", help=t("The file to write.", "输出文件。"))],
        username: Annotated[str, typer.Option(help=t("An auditor's account.", "审计员账号。"))],
        url: Annotated[str, typer.Option("--node", help=t("Address of the node.", "节点地址。"))] = DEFAULT_NODE,
        patient: Annotated[str | None, typer.Option(help=t("Patient id.", "患者编号。"))] = None,
    ) -> None:
        trusted = read_members(members)
        encoded = _fetch(sign_in(url, username, t), kind, name, patient)
        verified = verify_receipt(parse_receipt(encoded), trusted)
        write_new(out, encoded)
        signers = ", ".join(verified.signers)
        typer.echo(
            t(
                f"Verified: block {verified.block}, signed by {signers}. Written to {out}.",
                f"已验证：区块 {verified.block}，签名者 {signers}。已写入 {out}。",
            )
        )
        if verified.single_operator:
            typer.echo(
                t("Single operator: one party holds all keys of this ledger.", "单一运营者：全部密钥由一方持有。")
            )


def _fetch(client: StaffClient, kind: str, name: str, patient: str | None) -> bytes:
    if kind != "access-row":
        return client.receipt(kind, name, patient)
    incarnation, _, index = name.partition("/")
    if not incarnation.isdecimal() or not index.isdecimal():
        raise Invalid("a row is named by incarnation/index, as in 1/42", place="ID")
    return client.access_row_receipt(int(incarnation), int(index))
