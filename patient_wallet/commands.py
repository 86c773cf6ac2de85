"""``yilian wallet``: the wallet on the command line."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from domain.vocabulary import CATEGORIES
from node_service.client.authorities import chosen_authorities
from node_service.client.transport import Transport
from patient_wallet.drafts import DEFAULT_PRESET, GrantChoice
from patient_wallet.erasure_commands import add_erasures
from patient_wallet.export import export_records
from patient_wallet.proof_commands import add_proofs, told_receipt, told_refusal, told_trust
from patient_wallet.seeding import create_wallet, restore_wallet
from patient_wallet.shown import cell, plain, print_whole
from patient_wallet.vault import Vault
from patient_wallet.wallet import Wallet
from patient_wallet.words import Language, seed_of

Text = Callable[[str, str], str]
PASSPHRASE_VARIABLE: Final = "YILIAN_WALLET_PASSPHRASE"  # noqa: S105 - the name of a variable
FILE_VARIABLE: Final = "YILIAN_WALLET_FILE"
DEFAULT_FILE: Final = Path("~/.yilian/wallet.json")


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    wallet = typer.Typer(no_args_is_help=True, help=t("The patient's wallet.", "患者钱包。"))
    app.add_typer(wallet, name="wallet")

    @wallet.callback()
    def options(
        context: typer.Context,
        file: Annotated[
            Path, typer.Option(envvar=FILE_VARIABLE, help=t("The wallet's file.", "钱包文件。"))
        ] = DEFAULT_FILE,
    ) -> None:
        context.obj = file.expanduser()

    _add_words(wallet, t)
    _add_records(wallet, t)
    _add_grants(wallet, t)
    _add_refusals(wallet, t)
    _add_readers(wallet, t)
    add_erasures(wallet, t, open_wallet)
    add_proofs(wallet, t, open_wallet)


def open_wallet(context: typer.Context, t: Text) -> Wallet:
    """The wallet of the file that the options name; asks for the passphrase."""
    file: Path = context.obj
    connect = partial(Transport, trusted=chosen_authorities())
    vault = Vault.open(file, _passphrase(t, confirm=False)) if file.exists() else Vault.open(file, "")
    return Wallet(vault, connect, os.urandom, lambda: datetime.now(UTC))


def _passphrase(t: Text, *, confirm: bool) -> str:
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    text: str = typer.prompt(t("Passphrase", "口令"), hide_input=True, confirmation_prompt=confirm, err=True)
    return text


def _print(table: Table, nothing: str) -> None:
    if table.row_count:
        print_whole(table)
    else:
        Console().print(nothing)


def _hospital(t: Text) -> Any:
    return typer.Argument(help=t("MSP id of the hospital.", "医院的 MSP id。"))


def _add_words(wallet: typer.Typer, t: Text) -> None:
    @wallet.command(help=t("Make a wallet; shows its 24 words once.", "创建钱包；24 个助记词只显示一次。"))
    def create(
        context: typer.Context,
        words: Annotated[
            Language | None, typer.Option(help=t("Language of the words.", "助记词的语言。"), show_default=False)
        ] = None,
    ) -> None:
        language: Language = words or ("chinese_simplified" if t("en", "zh") == "zh" else "english")
        vault = Vault.create(context.obj, _passphrase(t, confirm=True))
        shown = create_wallet(vault, language, os.urandom)
        console = Console()
        note = t(
            "Write these words on paper, in this order. Whoever has them has your wallet; nobody can replace them.",
            "请按顺序抄写在纸上。谁持有助记词，谁就拥有你的钱包；丢失后无人能补发。",
        )
        console.print(note, style="yellow")
        for number, word in enumerate(shown.split(), start=1):
            console.print(f"{number:2} {word}", end="\n" if number % 4 == 0 else "\t", highlight=False)

    @wallet.command(help=t("Restore a wallet from its words.", "用助记词恢复钱包。"))
    def restore(context: typer.Context) -> None:
        spelled: str = typer.prompt(t("Words", "助记词"), hide_input=True, err=True)
        seed_of(spelled)  # wrong words leave no file behind
        restore_wallet(Vault.create(context.obj, _passphrase(t, confirm=True)), spelled)
        typer.echo(t("Restored. Enrol at your hospitals again.", "已恢复。请在各医院重新登记。"))

    @wallet.command(help=t("Enrol at a hospital with the code from its counter.", "用窗口给的登记码在医院登记。"))
    def enrol(
        context: typer.Context,
        url: Annotated[str, typer.Argument(help=t("Address of the hospital's node.", "医院节点地址。"))],
        code: Annotated[str, typer.Option(prompt=t("Code", "登记码"), help=t("The one-time code.", "一次性登记码。"))],
    ) -> None:
        done = open_wallet(context, t).enrol(url, code)
        name = plain(done.name)
        typer.echo(t(f"Enrolled at {name} ({done.msp_id}).", f"已在 {name}（{done.msp_id}）登记。"))

    @wallet.command(help=t("List the hospitals of this wallet.", "列出已登记的医院。"))
    def hospitals(context: typer.Context) -> None:
        known = open_wallet(context, t).hospitals()
        for msp_id, name in sorted(known.items()):
            typer.echo(f"{msp_id}\t{plain(name)}")
        if not known:
            typer.echo(t("Not enrolled anywhere yet.", "尚未在任何医院登记。"))

    @wallet.command(help=t("Show the card by which another hospital can address you.", "出示供其他医院联系的名片。"))
    def card(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        typer.echo(open_wallet(context, t).registration(hospital).card.model_dump_json())


def _add_records(wallet: typer.Typer, t: Text) -> None:
    @wallet.command(help=t("List your records at a hospital.", "列出你在医院的病历。"))
    def records(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        table = Table(
            t("record", "病历"),
            t("type", "类型"),
            t("category", "类别"),
            t("date", "日期"),
            t("state (it says)", "状态（据医院）"),
        )
        for entry in open_wallet(context, t).records(hospital):
            said = (entry.record, entry.resource_type, entry.category, entry.clinical_start or "–", entry.state)
            table.add_row(*map(cell, said))
        _print(table, t("No records yet.", "还没有病历。"))

    @wallet.command(help=t("Open one record and print it.", "打开并显示一份病历。"))
    def show(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        record: Annotated[str, typer.Argument(help=t("Id of the record.", "病历 id。"))],
    ) -> None:
        opened = open_wallet(context, t).open(hospital, record)
        if opened.content is None:
            members = len(opened.manifest.members) if opened.manifest else 0
            typer.echo(t(f"A series of {members} images; export it.", f"共 {members} 幅影像的序列，请导出查看。"))
            return
        typer.echo(opened.content)

    @wallet.command(help=t("Export all your records of a hospital, in the clear.", "以明文导出你在医院的全部病历。"))
    def export(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        folder: Annotated[Path, typer.Argument(help=t("A new or empty folder.", "新建或空文件夹。"))],
    ) -> None:
        opened = open_wallet(context, t)
        with Console(stderr=True).status(t("exporting", "导出中")) as status:
            done = export_records(opened, hospital, folder, lambda n: status.update(t(f"{n} records", f"{n} 份病历")))
        typer.echo(t(f"{done.records} records, {done.files} files.", f"{done.records} 份病历，{done.files} 个文件。"))
        if done.waiting:
            count = len(done.waiting)
            typer.echo(
                t(f"{count} records have no key for you yet; try later.", f"{count} 份病历尚无你的密钥，请稍后再试。")
            )


def _add_grants(wallet: typer.Typer, t: Text) -> None:
    @wallet.command(help=t("Let a hospital read your records.", "授权一家医院读取你的病历。"))
    def grant(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        grantee: Annotated[
            str, typer.Argument(help=t("MSP id of the hospital that may read.", "被授权医院的 MSP id。"))
        ],
        grantee_url: Annotated[str, typer.Argument(help=t("Address of its node.", "其节点地址。"))],
        preset: Annotated[
            str,
            typer.Option(help=t("these-records, up-to-today or also-new.", "these-records、up-to-today 或 also-new。")),
        ] = DEFAULT_PRESET,
        practitioner: Annotated[str | None, typer.Option(help=t("Only this practitioner.", "仅限此医生。"))] = None,
        category: Annotated[list[str] | None, typer.Option(help=t("Category; repeat it.", "类别，可重复。"))] = None,
        record: Annotated[
            list[str] | None, typer.Option(help=t("Type/id of the only records.", "仅限的记录。"))
        ] = None,
        withhold: Annotated[list[str] | None, typer.Option(help=t("Type/id that stays out.", "不公开的记录。"))] = None,
        days: Annotated[int, typer.Option(min=1, max=1825, help=t("Valid for so many days.", "有效天数。"))] = 30,
        keep: Annotated[bool, typer.Option(help=t("May copy into its own custody.", "允许对方留存。"))] = False,
        contribute: Annotated[bool, typer.Option(help=t("May add records.", "允许对方追加病历。"))] = False,
        request: Annotated[str | None, typer.Option(help=t("The request that this answers.", "所答复的请求。"))] = None,
        yes: Annotated[
            bool, typer.Option("--yes", help=t("Do not ask after the preview.", "预览后不再询问。"))
        ] = False,
    ) -> None:
        choice = GrantChoice(
            grantee=grantee, preset=preset, practitioner=practitioner, categories=tuple(category or CATEGORIES),
            keep=keep, contribute=contribute, valid_for=timedelta(days=days), records=tuple(record or ()),
            withheld=tuple(withhold or ()), request=request,
        )  # fmt: skip
        opened = open_wallet(context, t)
        seen = opened.preview(hospital, choice)
        for name, count in sorted(seen.by_category.items()):
            typer.echo(f"{count:6} {plain(name)}")
        total = len(seen.released)
        typer.echo(
            t(
                f"{grantee} would see {total} records; {seen.withheld} withheld by you.",
                f"{grantee} 将看到 {total} 份病历；你保留了 {seen.withheld} 份。",
            )
        )
        if not yes:
            typer.confirm(t("Sign the grant?", "签署授权？"), abort=True)
        done = opened.grant(hospital, choice, grantee_url)
        typer.echo(t(f"Granted: {done.id} (block {done.block}).", f"已授权：{done.id}（区块 {done.block}）。"))
        if not done.delivered:
            typer.echo(
                t(
                    "The package could not be handed over yet; run 'deliver' later.",
                    "授权包暂未送达，请稍后运行 deliver。",
                )
            )

    @wallet.command(help=t("Hand over grants that could not be handed over before.", "递交尚未送达的授权。"))
    def deliver(context: typer.Context) -> None:
        waiting = open_wallet(context, t).deliver_packages()
        for grant, reason in waiting.items():
            typer.echo(f"{grant}\t{plain(reason.detail)}")
        typer.echo(t(f"{len(waiting)} still waiting.", f"仍有 {len(waiting)} 份未送达。"))

    @wallet.command(help=t("List your grants and refusals.", "列出你的授权与拒绝。"))
    def grants(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        page = open_wallet(context, t).grants(hospital)
        table = Table(
            t("id", "编号"),
            t("kind", "种类"),
            t("for", "对象"),
            t("until", "至"),
            t("status", "状态"),
            t("live", "生效"),
        )
        for kind, entries in ((t("grant", "授权"), page.grants), (t("refusal", "拒绝"), page.dissents)):
            for entry in entries:
                terms = entry.terms or {}
                said = (
                    entry.id,
                    kind,
                    str(terms.get("grantee", "–")),
                    str(terms.get("valid_until", "–")),
                    entry.status,
                )
                table.add_row(*map(cell, said), t("yes", "是") if entry.live else t("no", "否"))
        _print(table, t("Nothing granted yet.", "尚无授权。"))


def _add_refusals(wallet: typer.Typer, t: Text) -> None:
    through = typer.Option(help=t("Address of any other member that relays it.", "经任一成员节点转交。"))

    @wallet.command(help=t("Revoke one grant.", "撤销一项授权。"))
    def revoke(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        grant: Annotated[str, typer.Argument(help=t("Id of the grant.", "授权编号。"))],
        through: Annotated[str | None, through] = None,
    ) -> None:
        done = open_wallet(context, t).revoke(hospital, grant, through=through)
        typer.echo(told_refusal(done, t))

    @wallet.command(name="revoke-all", help=t("Revoke every grant at a hospital.", "撤销在该医院的全部授权。"))
    def revoke_all(
        context: typer.Context, hospital: Annotated[str, _hospital(t)], through: Annotated[str | None, through] = None
    ) -> None:
        typer.echo(told_refusal(open_wallet(context, t).revoke_all(hospital, through=through), t))

    @wallet.command(help=t("Refuse for everybody, by default break-glass too.", "对所有人拒绝，默认包括急诊破窗。"))
    def dissent(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        category: Annotated[list[str] | None, typer.Option(help=t("Category; repeat it.", "类别，可重复。"))] = None,
        purpose: Annotated[list[str] | None, typer.Option(help=t("Purpose; repeat it.", "用途，可重复。"))] = None,
    ) -> None:
        done = open_wallet(context, t).dissent(hospital, tuple(category or CATEGORIES), tuple(purpose or ("BTG",)))
        typer.echo(t(f"Refused: {done.id} (block {done.block}).", f"已拒绝：{done.id}（区块 {done.block}）。"))
        typer.echo(told_refusal(done, t, ("Refused", "拒绝")))

    @wallet.command(help=t("Withdraw a refusal.", "撤回拒绝。"))
    def withdraw(
        context: typer.Context,
        hospital: Annotated[str, _hospital(t)],
        dissent_id: Annotated[str, typer.Argument(help=t("Id of the refusal.", "拒绝编号。"))],
    ) -> None:
        done = open_wallet(context, t).revoke(hospital, dissent_id, kind="dissent")
        typer.echo(told_refusal(done, t, ("Withdrawn", "撤回")))


def _add_readers(wallet: typer.Typer, t: Text) -> None:
    @wallet.command(help=t("Who asks for access.", "谁在请求访问。"))
    def requests(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        found = open_wallet(context, t).requests(hospital)
        for request in found:
            said, content = [request.id, request.requester], request.content
            said += [t("cannot be read", "无法读取")] if content is None else [
                content.reader.name, content.purpose, content.message
            ]  # fmt: skip
            typer.echo("\t".join(map(plain, said)))
        if not found:
            typer.echo(t("Nobody asks.", "没有请求。"))

    @wallet.command(help=t("Who read what, and what was released.", "谁读了什么、释放了什么。"))
    def accesses(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        table = Table(
            t("time", "时间"), t("what", "操作"), t("organisation", "机构"), t("reader", "读者"), t("purpose", "用途"),
            t("records", "病历数"), t("outcome", "结果"), t("receipt", "凭证"), t("id", "编号"),
        )  # fmt: skip
        opened = open_wallet(context, t)
        for access in opened.accesses(hospital, proven=True):
            row = access.row
            unread = t(" (name cannot be read)", "（姓名无法读取）") if access.reader_unreadable else ""
            table.add_row(
                row.at, row.action, row.organisation, cell(access.reader.name if access.reader else row.actor + unread),
                row.purpose or "–", str(len(row.records)), row.outcome, told_receipt(access.receipt, t), row.id,
            )  # fmt: skip
        _print(table, t("Nobody read anything.", "没有人读取过。"))
        typer.echo(told_trust(opened, hospital, t))

    @wallet.command(help=t("What the hospital has to tell you.", "医院的通知。"))
    def notices(context: typer.Context, hospital: Annotated[str, _hospital(t)]) -> None:
        found = open_wallet(context, t).notices(hospital)
        for notice in found:
            typer.echo("\t".join(map(plain, (notice.created_at, notice.event, " ".join(notice.references)))))
        if not found:
            typer.echo(t("Nothing new.", "没有新通知。"))
