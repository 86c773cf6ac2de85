"""``yilian audit members``, ``verify-receipt``, ``fork``, ``verify-fork``: proofs that need no hospital's word."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from domain.checkpoints import parse_note
from domain.errors import Invalid
from domain.forks import MAX_FORK_BYTES, fork_of, parse_fork, verify_fork
from domain.instants import instant
from domain.receipt_form import MAX_RECEIPT_BYTES, Members, parse_receipt
from domain.receipts import VerifiedReceipt, verify_receipt
from network.verifier.folder import read_blocks
from node_service.client.authorities import chosen_authorities
from node_service.client.transport import Transport
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import gather
from yilian.contract_versions import CONTRACT, contract_replayer, genesis_digest
from yilian.language import Text
from yilian.proof_files import MembersFile, read_bounded, read_members, write_new
from yilian.registry_members import members_of


def add_receipts(audit: typer.Typer, t: Text) -> None:
    """Add the commands to ``yilian audit``."""
    _add_members(audit, t)
    _add_verify_receipt(audit, t)
    _add_forks(audit, t)


def _add_members(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        help=t(
            "Write the members file: whose witnesses sign. From an export, whose every block is verified first, "
            "or from hospitals that must agree, if you believe that they do not all lie.",
            "生成成员文件：谁的见证者签名有效。来自先逐块验证的导出，或来自说法必须一致的多家医院（若相信其并非全部作假）。",
        )
    )
    def members(
        folder: Annotated[
            Path | None, typer.Argument(help=t("Folder of NNNN.block files.", "NNNN.block 文件夹。"))
        ] = None,
        node: Annotated[
            list[str] | None, typer.Option(help=t("Address of a hospital's node; repeat it.", "医院节点地址，可重复。"))
        ] = None,
        out: Annotated[Path, typer.Option("--out", help=t("The file to write.", "输出文件。"))] = Path("members.json"),
        genesis: Annotated[
            str | None, typer.Option(help=t("Expected genesis digest (hex).", "期望的创世摘要。"))
        ] = None,
    ) -> None:
        if (folder is None) == (node is None):
            raise Invalid("either an export or addresses of nodes are expected", place="members")
        found = _of_export(folder, genesis) if folder is not None else _of_nodes(node or [])
        write_new(out, found.encode())
        witnesses = sum(bool(member.witness) for member in found.members)
        typer.echo(
            t(
                f"{len(found.members)} members, {witnesses} with a witness, are in {out}.",
                f"{out} 中有 {len(found.members)} 个成员，其中 {witnesses} 个有见证者。",
            )
        )


def _of_export(folder: Path, genesis: str | None) -> Members:
    digest, now = genesis_digest(genesis), instant(datetime.now(UTC))
    return members_of(read_blocks(folder), contract=CONTRACT, genesis=digest, replay=contract_replayer(), at=now)


def _of_nodes(urls: list[str]) -> Members:
    """As hospitals tell, without a session: the key is made up and signs nothing."""
    key, trusted = Ed25519PrivateKey.generate(), chosen_authorities()

    def client(url: str) -> WalletClient:
        return WalletClient(Transport(url, trusted=trusted), key.public_key().public_bytes_raw(), key.sign)

    return gather(client, client(urls[0]).hospital().channel, urls).file


def _add_verify_receipt(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        name="verify-receipt",
        help=t("Verify a receipt offline, against a members file.", "根据成员文件离线验证回执。"),
    )
    def verify_receipt_file(
        file: Annotated[Path, typer.Argument(help=t("The receipt.", "回执文件。"))],
        members: MembersFile,
        party: Annotated[
            list[str] | None,
            typer.Option(
                help=t("MSP id of a further party whose signature does not count.", "其签名不计入的参与机构。")
            ),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON.", "输出 JSON。"))] = False,
    ) -> None:
        receipt = parse_receipt(read_bounded(file, MAX_RECEIPT_BYTES))
        verified = verify_receipt(receipt, read_members(members), party or ())
        if as_json:
            typer.echo(json.dumps(_report(verified)))
            return
        console = Console()
        console.print(t("Verified.", "验证通过。"), style="green")
        for name, value in _report(verified).items():
            console.print(name, value, highlight=False, markup=False, soft_wrap=True)


def _report(verified: VerifiedReceipt) -> dict[str, object]:
    return {
        "kind": verified.proven.kind,
        "key": verified.proven.key.strip("\0").split("\0"),
        "block": verified.block,
        "tx_id": verified.tx_id,
        "signers": list(verified.signers),
        "required": verified.required,
        "parties": list(verified.parties),
        "single_operator": verified.single_operator,
    }


def _add_forks(audit: typer.Typer, t: Text) -> None:
    @audit.command(
        help=t(
            "Make a fork proof from two signed checkpoints of one size.", "由同一大小的两个已签名检查点生成分叉证明。"
        )
    )
    def fork(
        first: Annotated[Path, typer.Argument(help=t("A note.", "检查点文件。"))],
        second: Annotated[Path, typer.Argument(help=t("Another note.", "另一个检查点文件。"))],
        members: MembersFile,
        out: Annotated[Path, typer.Option("--out", help=t("The file to write.", "输出文件。"))] = Path("fork.json"),
    ) -> None:
        notes = [parse_note(read_bounded(path, MAX_FORK_BYTES).decode("utf-8", "replace")) for path in (first, second)]
        if notes[0].checkpoint.size != notes[1].checkpoint.size:
            detail = "the notes are of different sizes; ask the second's witness for its note of the first's size"
            raise Invalid(detail, reason="different-sizes")
        made = fork_of(notes[0], notes[1])
        verify_fork(made, read_members(members))
        write_new(out, made.encode())
        typer.echo(t(f"The ledger is forked; the proof is in {out}.", f"账本已分叉，证明在 {out} 中。"))

    @audit.command(name="verify-fork", help=t("Verify a fork proof.", "验证分叉证明。"))
    def verify_fork_file(
        file: Annotated[Path, typer.Argument(help=t("The fork proof.", "分叉证明文件。"))], members: MembersFile
    ) -> None:
        proven = verify_fork(parse_fork(read_bounded(file, MAX_FORK_BYTES)), read_members(members))
        signers = f"{', '.join(proven.first_signers)} / {', '.join(proven.second_signers)}"
        typer.echo(
            t(
                f"Proven: two ledgers from block {proven.size} or before, signed by {signers}.",
                f"已证明：最迟在第 {proven.size} 个区块有两个账本，签名者 {signers}。",
            )
        )
