"""``yilian contract``: the contract as a service, and the package by which a peer finds it."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from pathlib import Path
from typing import Annotated, Any

import typer

from chaincode.service.package import MAX_CONNECTION_BYTES, build_package, package_id
from chaincode.service.server import Limits
from chaincode.service.serving import (
    DEFAULT_CONTRACT,
    DEFAULT_NAME,
    DEFAULT_STOP_S,
    Settings,
    log_to_stderr,
    serve,
    split_address,
)
from chaincode.service.tls import tls_files
from domain.errors import Invalid
from network.topology.layout import write_file
from yilian.language import Text
from yilian.proof_files import read_bounded

LIMITS = Limits()
DIAL_TIMEOUT = "10s"


def register(app: typer.Typer, t: Text) -> None:
    """Add the commands."""
    contract = typer.Typer(
        no_args_is_help=True,
        help=t(
            "The contract as a service that a Fabric peer calls, and its package.",
            "供 Fabric 节点调用的合约服务及其安装包。",
        ),
    )
    app.add_typer(contract, name="contract")
    _add_serve(contract, t)
    _add_package(contract, t)


def _add_serve(contract: typer.Typer, t: Text) -> None:
    @contract.command(
        "serve",
        help=t("Serve the contract to the own peer until stopped.", "向本院节点提供合约服务，直到停止。"),
    )
    def serve_contract(
        package: Annotated[
            str, typer.Option("--package-id", help=t("Package id that the peer installed.", "节点已安装的包 ID。"))
        ],
        address: Annotated[
            str, typer.Option(help=t("host:port on which the peer reaches it.", "供节点访问的 host:port。"))
        ],
        name: Annotated[
            str, typer.Option(help=t("The contract's name on the channel.", "合约在通道上的名称。"))
        ] = DEFAULT_NAME,
        code: Annotated[
            str,
            typer.Option("--contract", help=t("The contract's code, module:function.", "合约代码 module:function。")),
        ] = DEFAULT_CONTRACT,
        tls_certificate: Annotated[
            Path | None,
            typer.Option(
                help=t("Certificate (PEM); read again for each connection.", "证书（PEM），每次连接时重新读取。")
            ),
        ] = None,
        tls_key: Annotated[Path | None, typer.Option(help=t("Its private key (PEM).", "证书私钥（PEM）。"))] = None,
        tls_client_root: Annotated[
            Path | None,
            typer.Option(
                help=t("Authorities of peers' certificates: mutual TLS.", "节点证书的颁发机构：启用双向 TLS。")
            ),
        ] = None,
        operations: Annotated[
            str, typer.Option(help=t("host:port of /health and /metrics.", "/health 与 /metrics 的 host:port。"))
        ] = "",
        threads: Annotated[
            int, typer.Option(min=1, help=t("Transactions that run at once.", "同时执行的交易数。"))
        ] = LIMITS.threads,
        max_waiting: Annotated[
            int,
            typer.Option(min=0, help=t("Transactions that may wait; more are busy.", "可排队的交易数，超出则答忙。")),
        ] = LIMITS.max_waiting,
        stop_s: Annotated[
            float, typer.Option(min=0, help=t("How long a graceful stop may take.", "平稳停止的最长秒数。"))
        ] = DEFAULT_STOP_S,
    ) -> None:
        settings = Settings(
            package_id=package, address=address, name=name, contract=code, operations=operations, stop_s=stop_s,
            tls=tls_files(tls_certificate, tls_key, tls_client_root),
            limits=Limits(threads=threads, max_waiting=max_waiting),
        )  # fmt: skip
        log_to_stderr()
        if not serve(settings):
            raise typer.Exit(1)


def _add_package(contract: typer.Typer, t: Text) -> None:
    @contract.command(
        help=t(
            "Write the package that a peer installs, and print its id. With a client key in it, keep it secret.",
            "生成供节点安装的包并打印其 ID；内含客户端私钥时须保密。",
        )
    )
    def package(
        out: Annotated[Path, typer.Argument(help=t("File to write (.tar.gz).", "输出文件（.tar.gz）。"))],
        label: Annotated[str, typer.Option(help=t("Label, such as yilian_1.", "标签，例如 yilian_1。"))],
        address: Annotated[
            str, typer.Option(help=t("host:port at which the peer dials the contract.", "节点访问合约的 host:port。"))
        ],
        root: Annotated[
            Path | None,
            typer.Option(
                help=t("Authority of the service's certificate (PEM): TLS.", "服务证书的颁发机构（PEM）：启用 TLS。")
            ),
        ] = None,
        client_certificate: Annotated[
            Path | None,
            typer.Option(help=t("What the peer shows (PEM): mutual TLS.", "节点出示的证书（PEM）：启用双向 TLS。")),
        ] = None,
        client_key: Annotated[Path | None, typer.Option(help=t("Its private key (PEM).", "证书私钥（PEM）。"))] = None,
    ) -> None:
        split_address(address)
        connection = _connection(address, root, client_certificate, client_key)
        built = build_package(label, connection)
        write_file(out, built)
        typer.echo(package_id(label, built))


def _connection(address: str, root: Path | None, certificate: Path | None, key: Path | None) -> dict[str, Any]:
    connection: dict[str, Any] = {"address": address, "dial_timeout": DIAL_TIMEOUT, "tls_required": root is not None}
    if (certificate is None) != (key is None) or (certificate is not None and root is None):
        raise Invalid("mutual TLS needs root, client certificate and client key", reason="tls", place="package")
    if root is not None:
        connection["root_cert"] = _text(root)
    if certificate is not None and key is not None:
        connection |= {"client_auth_required": True, "client_cert": _text(certificate), "client_key": _text(key)}
    return connection


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_CONNECTION_BYTES).decode("ascii")
    except UnicodeDecodeError as error:
        raise Invalid("this is no PEM file", reason="tls", place=path.name) from error
