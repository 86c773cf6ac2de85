"""``yilian erasure``: erasure cases, retraction and locks for the records office and the privacy officer."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from node_service.client import erasure_wire
from node_service.client.node_client import StaffClient
from yilian.ingest_commands import DEFAULT_NODE, sign_in
from yilian.language import Text


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    erasure = typer.Typer(no_args_is_help=True, help=t("Erasure, retraction, locks.", "删除、撤回与锁定。"))
    app.add_typer(erasure, name="erasure")
    _add_cases(erasure, t)
    _add_records(erasure, t)


def _username(t: Text) -> Any:
    return typer.Option(help=t("Staff account.", "工作人员账号。"))


def _node(t: Text) -> Any:
    return typer.Option(help=t("Address of the node.", "节点地址。"))


def _add_cases(erasure: typer.Typer, t: Text) -> None:
    @erasure.command(name="list", help=t("List the cases.", "列出删除事项。"))
    def list_cases(username: Annotated[str, _username(t)], node: Annotated[str, _node(t)] = DEFAULT_NODE) -> None:
        found = list(_cases(sign_in(node, username, t)))
        for case in found:
            print_case(case, t)
        if not found:
            typer.echo(t("No cases.", "没有事项。"))

    @erasure.command(help=t("Apply the retention rules to a case.", "按保存规则对事项作出决定。"))
    def decide(
        case: Annotated[str, typer.Argument(help=t("Id of the case.", "事项编号。"))],
        username: Annotated[str, _username(t)],
        node: Annotated[str, _node(t)] = DEFAULT_NODE,
    ) -> None:
        print_case(sign_in(node, username, t).decide_erasure(case), t)

    @erasure.command(help=t("Erase records of one patient, as far as the rules allow.", "在规则允许范围内删除病历。"))
    def order(
        record: Annotated[list[str], typer.Argument(help=t("Ids of the records.", "病历 id。"))],
        username: Annotated[str, _username(t)],
        node: Annotated[str, _node(t)] = DEFAULT_NODE,
        yes: Annotated[bool, typer.Option("--yes", help=t("Do not ask.", "不再询问。"))] = False,
    ) -> None:
        if not yes:
            typer.confirm(t("Erased records never come back. Erase?", "删除后无法恢复。删除？"), abort=True)
        print_case(sign_in(node, username, t).order_erasure(record), t)


def _add_records(erasure: typer.Typer, t: Text) -> None:
    record_help = t("Id of the record.", "病历 id。")

    @erasure.command(help=t("Retract a wrong record.", "撤回错误的病历。"))
    def retract(
        record: Annotated[str, typer.Argument(help=record_help)],
        reason: Annotated[str, typer.Argument(help="wrong-patient, entered-in-error")],
        username: Annotated[str, _username(t)],
        patient: Annotated[
            str | None, typer.Option(help=t("File it anew under this patient id.", "改归此患者 id。"))
        ] = None,
        node: Annotated[str, _node(t)] = DEFAULT_NODE,
    ) -> None:
        done = sign_in(node, username, t).retract(record, reason, patient)
        for one in done.retracted:
            typer.echo(t(f"{one} retracted", f"{one} 已撤回"))
        for filed in done.filed:
            typer.echo(t(f"{filed.record} filed anew", f"{filed.record} 已重新归档"))

    @erasure.command(help=t("Keep a record from release and erasure.", "锁定病历：不释放、不删除。"))
    def lock(
        record: Annotated[str, typer.Argument(help=record_help)],
        reason: Annotated[str, typer.Argument(help="retention, litigation, restriction")],
        until: Annotated[str, typer.Argument(help="2036-01-01T00:00:00Z")],
        username: Annotated[str, _username(t)],
        node: Annotated[str, _node(t)] = DEFAULT_NODE,
    ) -> None:
        done = sign_in(node, username, t).lock(record, reason, until)
        typer.echo(t(f"Locked until {until} (block {done.block}).", f"已锁定至 {until}（区块 {done.block}）。"))


def print_case(case: erasure_wire.ErasureCase, t: Text) -> None:
    """A case, record by record, for people."""
    asked = t("patient's statement", "患者声明") if case.kind == "statement" else t("hospital's order", "医院决定")
    typer.echo(f"{case.id}\t{asked}\t{case.created_at}\t{case.decided_at or t('not decided', '未决定')}")
    for item in case.items:
        because = "" if item.until is None else f"\t{item.until}\t{item.rule}"
        typer.echo(f"  {item.record}\t{item.state}{because}")
        for copy in item.attested:
            kept = copy.retained_until or t("destroyed", "已销毁")
            typer.echo(f"    {copy.msp_id}\t{kept}")
        for gap in item.missing:
            typer.echo(f"    {gap.msp_id}\t{t('missing', '缺失')}: {gap.reason}")


def _cases(client: StaffClient) -> Iterator[erasure_wire.ErasureCase]:
    after: str | None = None
    while True:
        page = client.erasures(after)
        yield from page.items
        if page.next is None:
            return
        after = page.next
