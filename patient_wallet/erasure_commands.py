"""``yilian wallet erase`` and ``erasures``."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from domain.erasure import Certificate, ErasedRecord
from node_service.client import erasure_wire
from patient_wallet.erasure import ShownCase
from patient_wallet.shown import plain
from patient_wallet.wallet import Wallet

Text = Callable[[str, str], str]
Open = Callable[[typer.Context, Text], Wallet]


def add_erasures(wallet: typer.Typer, t: Text, open_wallet: Open) -> None:
    """Add the commands."""
    hospital_help = t("MSP id of the hospital.", "医院的 MSP id。")

    @wallet.command(help=t("Ask a hospital to erase records of yours.", "请求医院删除你的病历。"))
    def erase(
        context: typer.Context,
        hospital: Annotated[str, typer.Argument(help=hospital_help)],
        record: Annotated[list[str], typer.Argument(help=t("Ids of the records.", "病历 id。"))],
        through: Annotated[
            str | None,
            typer.Option(help=t("Address of another member that anchors the wish first.", "先经另一成员节点上链。")),
        ] = None,
        yes: Annotated[bool, typer.Option("--yes", help=t("Do not ask.", "不再询问。"))] = False,
    ) -> None:
        if not yes:
            typer.confirm(
                t(
                    "Erased records come back for nobody, you neither. What the law keeps is locked until then. "
                    "Export first what you want to keep. Sign?",
                    "删除后任何人（包括你）都无法恢复。依法须保存的病历将锁定至期满。请先导出需要保留的内容。签署？",
                ),
                abort=True,
            )
        done = open_wallet(context, t).erasures.ask(hospital, record, through=through)
        typer.echo(
            t(
                f"Asked: {done.id} (block {done.block}). 'yilian wallet erasures {hospital}' shows how far it is.",
                f"已请求：{done.id}（区块 {done.block}）。用 yilian wallet erasures {hospital} 查看进展。",
            )
        )

    @wallet.command(help=t("What became of your wishes to erase, with certificates.", "查看删除请求的进展与证明。"))
    def erasures(context: typer.Context, hospital: Annotated[str, typer.Argument(help=hospital_help)]) -> None:
        found = open_wallet(context, t).erasures.cases(hospital)
        for shown in found:
            for line in told_case(shown, t):
                typer.echo(plain(line))
        if not found:
            typer.echo(t("Nothing was erased or asked to be.", "没有删除或删除请求。"))


def told_case(shown: ShownCase, t: Text) -> Iterator[str]:
    """A case for people: what was asked, how far each record is, and what is certified."""
    case = shown.case
    whose = t("by your statement", "依你的声明") if case.kind == "statement" else t("by the hospital", "由医院")
    yield t(f"Erasure {case.id}, {whose}, {case.created_at}:", f"删除 {case.id}，{whose}，{case.created_at}：")
    for item in case.items:
        yield f"  {item.record}  {_told_item(item, t)}"
    if shown.certificate is not None:
        yield from _told_certificate(shown.certificate, t)
    elif shown.problem is not None:
        yield t(
            f"  A CERTIFICATE CAME THAT CANNOT BE BELIEVED: {shown.problem.detail}",
            f"  收到的证明不可信：{shown.problem.detail}",
        )


def _told_item(item: erasure_wire.ErasureItem, t: Text) -> str:
    match item.state:
        case "requested":
            return t("asked for; the hospital has not decided", "已请求，医院尚未决定")
        case "locked":
            return t(
                f"to be kept until {item.until} (rule {item.rule}); nobody else gets it meanwhile",
                f"须保存至 {item.until}（规则 {item.rule}）；期间不再对外释放",
            )
        case "erasing":
            return t("is being erased", "正在删除")
    return t(f"erased at {item.erased_at}, says the hospital", f"医院称已于 {item.erased_at} 删除")


def _told_certificate(certificate: Certificate, t: Text) -> Iterator[str]:
    statement = certificate.statement or t("none", "无")
    yield t(
        f"  Certificate of {certificate.custodian}, {certificate.issued_at}, signature verified:",
        f"  {certificate.custodian} 的证明，{certificate.issued_at}，签名已验证：",
    )
    for one in certificate.erased:
        yield t(
            f"    {one.record}: keys destroyed at {one.keys_destroyed_at}, {_told_final(one, t)}, "
            f"by statement {statement}",
            f"    {one.record}：密钥已于 {one.keys_destroyed_at} 销毁，{_told_final(one, t)}，依据声明 {statement}",
        )
        yield from _told_copies(one, t)
    yield t(
        "    Copies that readers made are not provable.",
        "    读者自行制作的副本无法证明。",
    )


def _told_final(one: ErasedRecord, t: Text) -> str:
    if one.final_at is not None:
        return t(f"in every backup since {one.final_at}", f"所有备份已于 {one.final_at} 失效")
    return t(
        f"not final yet: in every backup at the latest by {one.final_by}",
        f"尚未最终生效：所有备份最迟于 {one.final_by} 失效",
    )


def _told_copies(one: ErasedRecord, t: Text) -> Iterator[str]:
    for store in one.waiting:
        yield t(
            f"      {store.store}: down since {store.since}, may still hold the sealed bytes, which no key opens",
            f"      {store.store}：自 {store.since} 起不可用，可能仍有密文，但已无密钥可解",
        )
    for copy in one.attested:
        if copy.retained_until is None:
            yield t(f"      {copy.msp_id}: copies destroyed, attested", f"      {copy.msp_id}：副本已销毁，已证明")
        else:
            yield t(
                f"      {copy.msp_id}: keeps its own copy until {copy.retained_until}",
                f"      {copy.msp_id}：自有副本保存至 {copy.retained_until}",
            )
    reasons = {
        "not-told": t("has not been told", "未通知到"),
        "told": t("was told, has not attested", "已通知，尚未证明"),
        "unknown-there": t("says that it never had it", "称从未持有"),
    }
    for gap in one.missing:
        yield f"      {gap.msp_id}: {reasons[gap.reason]}"
