"""``yilian node``: make a node, run it, open accounts. Settings come from the environment (docs/operations.md)."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from domain.errors import NotFound
from network.topology.layout import write_file
from node_service.client.wire import StaffAccount
from node_service.composition import build
from node_service.database.engine import Database
from node_service.ledger_sync.alarm import alarms as standing_alarms
from node_service.ledger_sync.alarm import settle_alarm
from node_service.ledger_sync.incarnations import open_incarnation
from node_service.provisioning import FIRST_USERNAME, initialise
from node_service.records.damage import damaged_objects
from node_service.serving import serve
from node_service.settings import Settings
from yilian.backup_commands import add_backup
from yilian.ingest_commands import DEFAULT_NODE, PASSWORD_VARIABLE, sign_in
from yilian.language import Text
from yilian.node_standing_commands import add_standing
from yilian.proof_files import read_bounded
from yilian.scrub_commands import add_scrub, print_damaged

_PASSWORD_BYTES: Final = 18
_MAX_PASSWORD_BYTES: Final = 1024


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    node = typer.Typer(no_args_is_help=True, help=t("One hospital's node.", "一家医院的节点。"))
    app.add_typer(node, name="node")

    @node.command(
        help=t(
            "Make a node: keys, database, first account, entry in the registry. May be run again.",
            "创建节点：密钥、数据库、首个账号、账本登记。可重复运行。",
        )
    )
    def init(
        username: Annotated[str, typer.Option(help=t("First administrator.", "首个管理员。"))] = FIRST_USERNAME,
        password_file: Annotated[
            Path | None,
            typer.Option(help=t("File for the made-up password; not shown then.", "存放生成密码的文件；不再显示。")),
        ] = None,
    ) -> None:
        settings = Settings.from_environment()
        given = os.environ.get(PASSWORD_VARIABLE) if password_file is None else kept_password(password_file)
        done = initialise(settings, username=username, password=given)
        typer.echo(
            t(f"{settings.msp_id} is ready in {settings.data_dir}.", f"{settings.msp_id} 已就绪：{settings.data_dir}。")
        )
        if done.password is not None:
            typer.echo(t(f"Password of {username} (shown once):", f"{username} 的密码（只显示一次）："))
            typer.echo(done.password)

    @node.command(help=t("Serve until stopped.", "运行节点，直到停止。"))
    def run() -> None:
        serve(Settings.from_environment())

    @node.command(name="add-account", help=t("Open a staff account.", "开设工作人员账号。"))
    def add_account(
        new_username: Annotated[str, typer.Argument(help=t("Name of the account.", "账号名。"))],
        role: Annotated[list[str], typer.Option(help=t("Role; repeat it.", "角色，可重复。"))],
        display_name: Annotated[str, typer.Option(help=t("Name as people read it.", "显示姓名。"))],
        username: Annotated[str, typer.Option(help=t("Administrator.", "管理员。"))] = FIRST_USERNAME,
        department: Annotated[str, typer.Option(help=t("Department.", "科室。"))] = "",
        url: Annotated[str, typer.Option("--node", help=t("Address of the node.", "节点地址。"))] = DEFAULT_NODE,
    ) -> None:
        client = sign_in(url, username, t)
        chosen: str = typer.prompt(
            t("Password of the new account", "新账号密码"), hide_input=True, confirmation_prompt=True, err=True
        )
        account = StaffAccount(
            username=new_username, password=chosen, display_name=display_name, department=department, roles=role
        )
        typer.echo(client.open_account(account).id)

    _add_alarms(node, t)
    add_backup(node, t)
    add_scrub(node, t)
    add_standing(node, t)


def _add_alarms(node: typer.Typer, t: Text) -> None:
    @node.command(help=t("List the alarms that stand; releases wait for them.", "列出未处理的警报；释放在此期间暂停。"))
    def alarms() -> None:
        with _database() as database, database.reading() as session:
            standing, damaged = standing_alarms(session), damaged_objects(session)
            print_damaged(damaged)
        for alarm in standing:
            typer.echo(f"{alarm.name}\t{alarm.raised_at}\t{alarm.reason}\t{alarm.place}")
        if not standing and not damaged:
            typer.echo(t("No alarm stands.", "没有警报。"))

    @node.command(
        name="settle-alarm",
        help=t("You have looked: let what stopped go on.", "已查明：让停下的工作继续。"),
    )
    def settle(name: Annotated[str, typer.Argument(help=t("Name of the alarm.", "警报名称。"))]) -> None:
        with _database() as database:
            if not settle_alarm(database, name):
                raise NotFound(f"there is no alarm of {name}; 'yilian node alarms' lists them", reason="no-alarm")
        typer.echo(t(f"The alarm of {name} is settled.", f"{name} 的警报已解除。"))

    @node.command(
        name="open-incarnation",
        help=t(
            "After a restore lost anchored leaves: open the logs' next incarnation. Every member is told.",
            "恢复后丢失已锚定的日志时：开启日志的下一世代。所有成员都会得知。",
        ),
    )
    def open_next(
        reason: Annotated[str, typer.Argument(help="restore, corruption, migration")],
        yes: Annotated[bool, typer.Option("--yes", help=t("Do not ask.", "不再询问。"))] = False,
    ) -> None:
        if not yes:
            typer.confirm(t("Every member will see this for ever. Open?", "所有成员将永远看到此事。开启？"), abort=True)
        running = build(Settings.from_environment())
        try:
            number = open_incarnation(running.node, reason)
        finally:
            running.resources.close()
        typer.echo(
            t(
                f"Incarnation {number} is open; start the node to anchor it.",
                f"第 {number} 世代已开启，启动节点即可锚定。",
            )
        )


@contextmanager
def _database() -> Iterator[Database]:
    database = Database(Settings.from_environment().sqlalchemy_url)
    try:
        yield database
    finally:
        database.close()


def kept_password(path: Path) -> str:
    """The password in a file; if there is no file, one is made up and written for the owner's eyes.

    Raises:
        Invalid: the file is far too long.
        Unavailable: the disk refuses.
    """
    if not path.exists():
        write_file(path, f"{secrets.token_urlsafe(_PASSWORD_BYTES)}\n".encode())
    return read_bounded(path, _MAX_PASSWORD_BYTES).decode(errors="replace").strip()
