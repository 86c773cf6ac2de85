"""``yilian wallet receipt`` and ``members``, and how the wallet says what is proven."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Unavailable
from domain.receipts import VerifiedReceipt
from patient_wallet.members import KnownMembers
from patient_wallet.refusing import Refused
from patient_wallet.wallet import Wallet

Text = Callable[[str, str], str]
Open = Callable[[typer.Context, Text], Wallet]


def told_refusal(done: Refused, t: Text, what: tuple[str, str] = ("Revoked", "撤销")) -> str:
    """How far a refusal is, by proof: hospitals' words alone are never called "revoked" or "effective"."""
    lines, (english, chinese) = [], what
    if done.receipt is not None:
        signers = ", ".join(done.receipt.signers)
        lines.append(
            t(
                f"{english} in block {done.receipt.block}, by a verified receipt; signed by {signers}.",
                f"已在区块 {done.receipt.block} {chinese}，凭证已验证；签名者：{signers}。",
            )
        )
    elif not done.has_witnesses:
        lines.append(t("No member runs a witness here, so there is no receipt.", "此网络没有见证者，因此没有凭证。"))
    if done.effective is not None:
        lines.append(
            t(
                f"Effective since {done.effective.at}, signed by {done.effective.custodian}.",
                f"自 {done.effective.at} 起生效，由 {done.effective.custodian} 签名。",
            )
        )
    if done.receipt is None and done.effective is None:
        lines.append(
            t(
                f"Sent to {len(done.accepted_by)} hospitals, not yet proven. Try again until it is.",
                f"已发送至 {len(done.accepted_by)} 家医院，尚未证实。请重试，直到证实为止。",
            )
        )
    if done.receipt is not None and done.receipt.single_operator:
        lines.append(_single_operator(t))
    lines.append(t("What was released before cannot be called back.", "此前已释放的内容无法收回。"))
    return "\n".join(lines)


def told_receipt(receipt: VerifiedReceipt | None, t: Text) -> str:
    """A receipt in a line of a table."""
    if receipt is None:
        return t("not witnessed yet", "尚未见证")
    return t(f"verified, block {receipt.block}", f"已验证，区块 {receipt.block}")


def told_members(known: KnownMembers, t: Text) -> str:
    """Whose word stands behind "verified"."""
    agreed = ", ".join(known.compared)
    said = t(f"Members as told alike by: {agreed}.", f"以下医院所述成员一致：{agreed}。")
    if not known.has_witnesses:
        said += " " + t("No member runs a witness: nothing is proven.", "没有见证者：一切均未证实。")
    return f"{said} {_single_operator(t)}" if known.single_operator else said


def told_trust(wallet: Wallet, hospital: str, t: Text) -> str:
    """As :func:`told_members`, also where nobody tells who the members are."""
    try:
        return told_members(wallet.members(hospital), t)
    except Unavailable:
        return t("No hospital tells who the members are: nothing is proven.", "无医院告知成员名单：一切均未证实。")


def add_proofs(wallet: typer.Typer, t: Text, open_wallet: Open) -> None:
    """Add the commands."""
    hospital_argument = typer.Argument(help=t("MSP id of the hospital.", "医院的 MSP id。"))

    @wallet.command(help=t("Fetch, verify and write a receipt.", "取得、验证并写出凭证。"))
    def receipt(
        context: typer.Context,
        hospital: Annotated[str, hospital_argument],
        name: Annotated[str, typer.Argument(metavar="ID", help=t("Id of what is to be proven.", "待证对象的编号。"))],
        out: Annotated[Path, typer.Option("--out", help=t("The file to write.", "输出文件。"))],
        kind: Annotated[
            str,
            typer.Option(help="access-row, record, grant, dissent, statement-used, access, emergency"),
        ] = "access-row",
    ) -> None:
        encoded, verified = open_wallet(context, t).receipt(hospital, kind, name)
        out.write_bytes(encoded)
        signers = ", ".join(verified.signers)
        typer.echo(
            t(
                f"Verified: block {verified.block}, signed by {signers}. Written to {out}.",
                f"已验证：区块 {verified.block}，签名者 {signers}。已写入 {out}。",
            )
        )
        if verified.single_operator:
            typer.echo(_single_operator(t))

    @wallet.command(
        help=t(
            "Write whose signatures count, as several hospitals tell alike, for other verifiers.",
            "写出签名有效的成员（多家医院所述一致），供其他验证工具使用。",
        )
    )
    def members(
        context: typer.Context,
        hospital: Annotated[str, hospital_argument],
        out: Annotated[Path, typer.Option("--out", help=t("The file to write.", "输出文件。"))],
    ) -> None:
        known = open_wallet(context, t).members(hospital)
        out.write_bytes(known.file.encode())
        typer.echo(told_members(known, t))


def _single_operator(t: Text) -> str:
    return t(
        "Single operator: one party holds all keys of this ledger, so this proves nothing against that party.",
        "单一运营者：此账本的全部密钥由一方持有，故不能对该方构成证明。",
    )
