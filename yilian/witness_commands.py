"""``yilian witness``: make a witness, run it, show it, compare witnesses."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.witness_key import WitnessPublicKey
from network.witness.compare import Comparison, compare
from network.witness.database import WitnessDatabase
from network.witness.folder import DATABASE_FILE, PUBLIC_KEY_FILE, create, load
from network.witness.serving import server
from network.witness.witness import Witness
from node_service.api.server_protocol import BoundedHttpProtocol
from node_service.json_lines import JsonLines
from yilian.contract_versions import contract_replayer
from yilian.language import Text
from yilian.ledger_commands import SystemClock
from yilian.proof_files import MembersFile, read_members, write_new
from yilian.witness_source import witness_identity, witness_source

DEFAULT_PORT = 8101


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    witness = typer.Typer(
        no_args_is_help=True,
        help=t("A witness: verifies every block and signs what it saw.", "见证者：验证每个区块并签名所见。"),
    )
    app.add_typer(witness, name="witness")
    _add_init(witness, t)
    _add_run(witness, t)
    _add_show(witness, t)
    _add_compare(witness, t)


def _add_init(witness: typer.Typer, t: Text) -> None:
    @witness.command(
        help=t(
            "Make a witness in a folder of its own; its node publishes the public key.",
            "在独立文件夹中创建见证者；由其节点公布公钥。",
        )
    )
    def init(
        folder: Annotated[Path, typer.Argument(help=t("The witness's folder.", "见证者文件夹。"))],
        msp: Annotated[
            str | None,
            typer.Option(
                help=t("MSP id of its hospital; a connection file names it.", "所属医院的 MSP id；连接文件中已有。")
            ),
        ] = None,
        ledger: Annotated[
            Path | None, typer.Option(help=t("Folder of an embedded ledger.", "内嵌账本文件夹。"))
        ] = None,
        fabric: Annotated[
            Path | None, typer.Option(help=t("Connection file of a Fabric channel.", "Fabric 通道的连接文件。"))
        ] = None,
        genesis: Annotated[
            str | None, typer.Option(help=t("Genesis digest (hex) from elsewhere.", "另行得知的创世摘要。"))
        ] = None,
    ) -> None:
        public = create(folder, witness_identity(ledger, fabric, msp, genesis), os.urandom)
        typer.echo(
            t(
                f"The witness of {public.msp} is in {folder}. Set "
                f"YILIAN_WITNESS_KEY_FILE={folder / PUBLIC_KEY_FILE} and YILIAN_WITNESS_URL for its node, "
                "then run 'yilian node init' again.",
                f"{public.msp} 的见证者在 {folder}。请为其节点设置 YILIAN_WITNESS_KEY_FILE={folder / PUBLIC_KEY_FILE} "
                "与 YILIAN_WITNESS_URL，再运行 yilian node init。",
            )
        )
        typer.echo(public.verifier_key())


def _add_run(witness: typer.Typer, t: Text) -> None:
    @witness.command(help=t("Follow the blocks and answer until stopped.", "跟随区块并应答，直到停止。"))
    def run(
        folder: Annotated[Path, typer.Argument(help=t("The witness's folder.", "见证者文件夹。"))],
        ledger: Annotated[
            Path | None, typer.Option(help=t("Folder of an embedded ledger.", "内嵌账本文件夹。"))
        ] = None,
        fabric: Annotated[
            Path | None, typer.Option(help=t("Connection file of a Fabric channel.", "Fabric 通道的连接文件。"))
        ] = None,
        host: Annotated[str, typer.Option(help=t("Address to listen on.", "监听地址。"))] = "127.0.0.1",
        port: Annotated[int, typer.Option(help=t("Port to listen on.", "监听端口。"))] = DEFAULT_PORT,
    ) -> None:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonLines())
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        identity, key = load(folder)
        source, database = witness_source(ledger, fabric, identity), WitnessDatabase(folder / DATABASE_FILE)
        try:
            running = Witness(identity, key, source, database, contract_replayer(identity.contract))
            server(running, SystemClock(), host=host, port=port, protocol=BoundedHttpProtocol).run()
        finally:
            database.close()
            source.close()


def _add_show(witness: typer.Typer, t: Text) -> None:
    @witness.command(help=t("Show a witness's public key and what it has kept.", "显示见证者的公钥与已保存的内容。"))
    def show(folder: Annotated[Path, typer.Argument(help=t("The witness's folder.", "见证者文件夹。"))]) -> None:
        identity, key = load(folder)
        public = WitnessPublicKey(identity.channel, identity.msp, encode_bytes(key.public))
        typer.echo(public.verifier_key())
        typer.echo(f"{t('channel', '通道')} {identity.channel}")
        typer.echo(f"{t('genesis', '创世')} {identity.genesis}")
        if (folder / DATABASE_FILE).exists():
            database = WitnessDatabase(folder / DATABASE_FILE)
            typer.echo(f"{t('blocks', '区块')} {database.size}")
            database.close()


def _add_compare(witness: typer.Typer, t: Text) -> None:
    @witness.command(
        name="compare",
        help=t(
            "Ask witnesses whether they see one ledger; write a proof if not.",
            "询问各见证者是否见到同一账本，否则写出证明。",
        ),
    )
    def compare_all(
        urls: Annotated[list[str], typer.Argument(help=t("Addresses of witnesses.", "见证者地址。"))],
        members: MembersFile,
        out: Annotated[Path, typer.Option("--out", help=t("File of a fork proof.", "分叉证明文件。"))] = Path(
            "fork.json"
        ),
    ) -> None:
        from network.witness.client import WitnessClient  # noqa: PLC0415 - a witness that runs is no client
        from node_service.client.authorities import chosen_authorities  # noqa: PLC0415 - idem

        known, trusted = read_members(members), chosen_authorities()
        clients = [WitnessClient(url, trusted=trusted) for url in urls]
        try:
            found = compare(clients, known)
        finally:
            for client in clients:
                client.close()
        _print_comparison(found, t)
        if found.fork is not None:
            write_new(out, found.fork.encode())
            raise Tampered(t(f"two ledgers: the proof is in {out}", f"出现两个账本，证明在 {out}"), reason="fork")
        if not found.agrees:
            raise Unavailable(t("not all witnesses could be compared", "并非所有见证者都能比较"), reason="not-compared")


def _print_comparison(found: Comparison, t: Text) -> None:
    for heard in found.heard:
        typer.echo(f"{heard.url} {', '.join(heard.signers)} {heard.note.checkpoint.size}")
    for url, reason in found.silent:
        typer.echo(f"{url} {t('no answer that verifies', '无可验证的应答')}: {reason}")
    for smaller, larger, reason in found.unproven:
        typer.echo(f"{smaller} / {larger} {t('not compared', '未能比较')}: {reason}")
