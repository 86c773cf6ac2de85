"""``yilian network``: a Hyperledger Fabric network of this machine, and its changes (docs/fabric-network.md)."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Invalid
from network.topology import deployment
from network.topology.description import SERVICES, Organization, Topology, members
from network.topology.engine import Binaries
from network.topology.membership import add_organization, remove_organization
from network.topology.native import NativeNetwork
from network.topology.renewal import renew_certificates
from network.topology.status import ProcessStatus, status
from yilian.language import Text

RAFT_MEMBERS = ("RenheMSP", "MingdeMSP", "AnkangMSP")
BFT_MEMBERS = (*RAFT_MEMBERS, "TongjiMSP")
FIRST_PORT = 7050


class Ordering(StrEnum):
    """How blocks are ordered."""

    RAFT = "raft"
    BFT = "bft"


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    network = typer.Typer(
        no_args_is_help=True,
        help=t("A Hyperledger Fabric network of this machine.", "本机的 Hyperledger Fabric 网络。"),
    )
    app.add_typer(network, name="network")
    _add_up(network, t)
    _add_down(network, t)
    _add_status(network, t)
    _add_connection(network, t)
    _add_members(network, t)
    _add_renewal(network, t)
    _add_upgrade(network, t)


def _add_up(network: typer.Typer, t: Text) -> None:
    @network.command(
        help=t(
            "Start a network; an empty folder gets a new one, of --description or of the other options.",
            "启动网络；空文件夹则按 --description 或其他选项新建。",
        )
    )
    def up(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        description: Annotated[
            Path | None, typer.Option(help=t("A network.json that describes it.", "描述网络的 network.json。"))
        ] = None,
        consensus: Annotated[
            Ordering, typer.Option(help=t("raft, or bft (Fabric 3).", "raft 或 bft（须 Fabric 3）。"))
        ] = Ordering.RAFT,
        organization: Annotated[
            list[str] | None,
            typer.Option("--organization", "-o", help=t("MSP id of a member; repeat it.", "成员的 MSP id，可重复。")),
        ] = None,
        first_port: Annotated[
            int,
            typer.Option(
                help=t(f"First port; each member uses {len(SERVICES)}.", f"起始端口；每成员用 {len(SERVICES)} 个。")
            ),
        ] = FIRST_PORT,
        contract: Annotated[
            str | None,
            typer.Option(
                help=t("Contract as module:function; default our own.", "合约 module:function，默认本产品的。")
            ),
        ] = None,
    ) -> None:
        binaries = Binaries.find()
        if (folder / "network.json").exists():
            running = NativeNetwork.open(folder, binaries)
        else:
            topology = _described(description, consensus, organization, first_port)
            running = NativeNetwork(topology, folder, binaries)
        running.up(contract)
        typer.echo(
            t(f"Fabric {binaries.version}, channel", f"Fabric {binaries.version}，通道")
            + f" {running.topology.channel}"
        )
        for item in running.topology.organizations:
            _tell_connections(running, item.msp)


def _tell_connections(running: NativeNetwork, msp: str) -> None:
    """Name the connection files of a hospital's node and witness."""
    typer.echo(f"{msp} {running.connection_file(msp)} {running.witness_connection_file(msp)}")


def _described(
    description: Path | None, consensus: Ordering, organization: list[str] | None, first_port: int
) -> Topology:
    if description is not None:
        return Topology.read(description)
    default = BFT_MEMBERS if consensus is Ordering.BFT else RAFT_MEMBERS
    return Topology(members(organization or default, first_port), consensus.value)


def _add_down(network: typer.Typer, t: Text) -> None:
    @network.command(help=t("Stop all processes; what they have stays.", "停止全部进程，数据保留。"))
    def down(folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))]) -> None:
        NativeNetwork.open(folder, Binaries.find()).down()


def _add_status(network: typer.Typer, t: Text) -> None:
    @network.command(
        name="status",
        help=t(
            "Say which processes run, their blocks, the leader, the contract, the end of certificates.",
            "显示各进程状态、区块数、领导者、合约版本与证书到期日。",
        ),
    )
    def show(folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))]) -> None:
        told = status(NativeNetwork.open(folder, Binaries.find()))
        for process in told.processes:
            typer.echo(_line(process, t))
        if told.definition is None:
            typer.echo(t("no contract is known", "未知合约"))
        else:
            named = f"{told.definition.version} ({told.definition.sequence})"
            typer.echo(t(f"contract {named}", f"合约 {named}"))


def _line(process: ProcessStatus, t: Text) -> str:
    state = t("up", "运行") if process.is_running else t("DOWN", "停止")
    height = "-" if process.height is None else str(process.height)
    leads = t("leads", "领导者") if process.leads else ""
    expires = t("certificate until", "证书至") + f" {process.expires:%Y-%m-%d}"
    return f"{process.name:24} {state:6} {height:>8} {leads:8} {expires}"


def _add_connection(network: typer.Typer, t: Text) -> None:
    @network.command(
        help=t(
            "Write the file by which a hospital's node reaches the channel, or with --witness its witness.",
            "写出医院节点连接通道所用的文件；加 --witness 则为其见证者的。",
        )
    )
    def connection(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        msp: Annotated[str, typer.Argument(help=t("MSP id of the hospital.", "医院的 MSP id。"))],
        witness: Annotated[bool, typer.Option("--witness", help=t("That of its witness.", "见证者的文件。"))] = False,
    ) -> None:
        running = NativeNetwork.open(folder, Binaries.find())
        typer.echo(str(running.witness_connection_file(msp) if witness else running.connection_file(msp)))


def _add_members(network: typer.Typer, t: Text) -> None:
    @network.command(
        name="add-organization",
        help=t(
            "Let a hospital join the running channel: peer, ordering node, contract. Again after an interruption.",
            "让一家医院加入运行中的通道：对等节点、排序节点、合约。中断后可重新运行。",
        ),
    )
    def add(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        msp: Annotated[str, typer.Argument(help=t("MSP id of the hospital.", "医院的 MSP id。"))],
        first_port: Annotated[
            int | None, typer.Option(help=t("First of its ports; default the next free.", "起始端口，默认顺延。"))
        ] = None,
    ) -> None:
        running = NativeNetwork.open(folder, Binaries.find())
        add_organization(running, _newcomer(running.topology, msp, first_port))
        _tell_connections(running, msp)

    @network.command(
        name="remove-organization",
        help=t(
            "Let a hospital leave the running channel; its files stay. Again after an interruption.",
            "让一家医院退出运行中的通道，其文件保留。中断后可重新运行。",
        ),
    )
    def remove(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        msp: Annotated[str, typer.Argument(help=t("MSP id of the hospital.", "医院的 MSP id。"))],
    ) -> None:
        remove_organization(NativeNetwork.open(folder, Binaries.find()), msp)


def _newcomer(topology: Topology, msp: str, first_port: int | None) -> Organization:
    """The organisation to add: as the description has it if an earlier attempt came so far."""
    known = [item for item in topology.organizations if item.msp == msp]
    if known and first_port not in (None, known[0].first_port):
        raise Invalid("it joined on other ports", reason="organization", place="--first-port")
    behind = max(item.first_port for item in topology.organizations) + len(SERVICES)
    return known[0] if known else members([msp], first_port or behind)[0]


def _add_renewal(network: typer.Typer, t: Text) -> None:
    @network.command(
        name="renew-certificates",
        help=t(
            "Give hospitals new certificates and keys, one after another, while the channel runs.",
            "在通道运行中逐家更换证书与密钥。",
        ),
    )
    def renew(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        msp: Annotated[
            list[str] | None, typer.Argument(help=t("MSP ids; all if none is named.", "MSP id；省略则全部。"))
        ] = None,
    ) -> None:
        running = NativeNetwork.open(folder, Binaries.find())
        topology = running.topology
        chosen = [topology.organization(name) for name in msp] if msp else list(topology.organizations)
        renew_certificates(running, chosen)
        typer.echo(t("Restart the hospitals' nodes: their keys changed.", "密钥已更换，请重启各医院节点。"))


def _add_upgrade(network: typer.Typer, t: Text) -> None:
    @network.command(
        name="upgrade-contract",
        help=t(
            "Put another version of the contract into force while the present one serves.", "不停机启用合约新版本。"
        ),
    )
    def upgrade(
        folder: Annotated[Path, typer.Argument(help=t("The network's folder.", "网络文件夹。"))],
        contract: Annotated[
            str | None,
            typer.Option(
                help=t("Contract as module:function; default our own.", "合约 module:function，默认本产品的。")
            ),
        ] = None,
        version: Annotated[
            str,
            typer.Option(
                help=t(
                    "What people call it; one that is in force already is not put into force again.",
                    "版本名称；已生效的不会再次启用。",
                )
            ),
        ] = "",
    ) -> None:
        definition = deployment.upgrade(NativeNetwork.open(folder, Binaries.find()), contract, version)
        named = f"{definition.version} ({definition.sequence})"
        typer.echo(t(f"contract {named} is in force", f"合约 {named} 已生效"))
