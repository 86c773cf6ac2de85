"""``yilian node``: make a node, run it, open accounts. Settings come from the environment (docs/operations.md)."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
from typing import Annotated

import typer

from node_service.client.wire import StaffAccount
from node_service.provisioning import FIRST_USERNAME, initialise
from node_service.serving import serve
from node_service.settings import Settings
from yilian.ingest_commands import DEFAULT_NODE, PASSWORD_VARIABLE, sign_in
from yilian.language import Text


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
    ) -> None:
        settings = Settings.from_environment()
        done = initialise(settings, username=username, password=os.environ.get(PASSWORD_VARIABLE))
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
