"""``yilian custody``: re-keying, root key, snapshots, the replica (docs/operations.md, “Record secrets”)."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Unavailable
from domain.instants import instant
from node_service.composition import CUSTODY_FOLDER, SystemClock, open_custody
from node_service.settings import Settings
from offchain.custody.file_keyring import SECRETS_FOLDER
from offchain.custody.replica.channel import make_channel
from offchain.custody.replica.folder import ReplicaFolder
from offchain.custody.replica.server import ReplicaServer
from offchain.custody.restoring import adopt_secrets
from offchain.custody.root_key import write_root_key
from offchain.disk import Disk
from yilian.language import Text

DEFAULT_PORT = 8443


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    custody = typer.Typer(
        no_args_is_help=True, help=t("Keys that wrap data keys, and what forgets.", "密钥保管与遗忘。")
    )
    app.add_typer(custody, name="custody")

    @custody.command(
        help=t(
            "Make a new base of record secrets now: what was forgotten is final, older root keys open nothing.",
            "立即更换记录密钥库：已遗忘者不可恢复，旧根密钥失效。",
        )
    )
    def rekey() -> None:
        at = instant(SystemClock().now())
        open_custody(Settings.from_environment()).rekey(at)
        typer.echo(t(f"Re-keyed at {at}. Put the new root key in the safe.", f"已于 {at} 更换，请保存新的根密钥。"))

    @custody.command(help=t("Begin a new custody key; wraps stay as they are.", "启用新的保管密钥；既有封装不变。"))
    def rotate() -> None:
        typer.echo(open_custody(Settings.from_environment()).rotate(instant(SystemClock().now())))

    @custody.command(
        name="root-key",
        help=t(
            "Write the root key, which opens the backups' record secrets. It belongs into another safe than they.",
            "写出根密钥（可打开备份中的记录密钥），须与备份分开保管。",
        ),
    )
    def root_key(file: Annotated[Path, typer.Argument(help=t("File to replace.", "要替换的文件。"))]) -> None:
        write_root_key(file, open_custody(Settings.from_environment()).root_key(), Disk())
        typer.echo(t("Written; the next re-keying makes it worthless.", "已写出；下次更换后即失效。"))

    @custody.command(
        help=t("Bring a folder up to date with the sealed record secrets.", "更新密封记录密钥的快照目录。")
    )
    def snapshot(folder: Annotated[Path, typer.Argument(help=t("Folder.", "目录。"))]) -> None:
        open_custody(Settings.from_environment()).snapshot(folder)

    _add_replica(custody, t)


def _add_replica(custody: typer.Typer, t: Text) -> None:
    @custody.command(
        help=t(
            "Make the keys of the channel: 'store' goes to the node's custody/channel, 'replica' to the second host.",
            "生成通道密钥：store 放入节点的 custody/channel，replica 放到第二台主机。",
        )
    )
    def channel(folder: Annotated[Path, typer.Argument(help=t("New folder.", "新目录。"))]) -> None:
        make_channel(folder, SystemClock().now())

    @custody.command(help=t("Serve a replica of the record secrets until stopped.", "运行记录密钥副本，直到停止。"))
    def replica(
        folder: Annotated[Path, typer.Argument(help=t("Folder of the replica.", "副本目录。"))],
        keys: Annotated[Path, typer.Option("--channel", help=t("Keys of the channel.", "通道密钥目录。"))],
        host: Annotated[str, typer.Option(help=t("Address to listen on.", "监听地址。"))] = "127.0.0.1",
        port: Annotated[int, typer.Option(help=t("Port to listen on.", "监听端口。"))] = DEFAULT_PORT,
    ) -> None:
        try:
            server = ReplicaServer((host, port), ReplicaFolder(folder), keys)
        except OSError as error:
            raise Unavailable(f"the address cannot be listened on: {error.strerror}", reason="address") from error
        with server:
            typer.echo(f"{host}:{server.server_address[1]}")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return

    @custody.command(
        help=t(
            "Make the node's record secrets from a replica's folder, when the node lost its own.",
            "节点丢失记录密钥时，从副本目录重建。",
        )
    )
    def takeover(folder: Annotated[Path, typer.Argument(help=t("The replica's folder.", "副本目录。"))]) -> None:
        target = Settings.from_environment().data_dir / CUSTODY_FOLDER / SECRETS_FOLDER
        adopt_secrets(folder, None, target, instant(SystemClock().now()), Disk())
        typer.echo(t("Taken over, under a new root key.", "已接管，并启用新的根密钥。"))
