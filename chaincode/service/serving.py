"""Running a service as a process: from settings to a server that stops on a signal."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import signal
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, cast

from chaincode.service.operations import Operations
from chaincode.service.runner import TransactionRunner
from chaincode.service.server import ContractService, Limits
from chaincode.service.tls import TlsFiles, server_credentials
from domain.errors import Invalid
from network.execution import Contract

DEFAULT_CONTRACT: Final = "chaincode.contract.v1:invoke"
DEFAULT_NAME: Final = "yilian"
DEFAULT_STOP_S: Final = 10.0
_MAX_PORT: Final = 65535
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """One service.

    Attributes:
        package_id: of the package that the peer installed: label ‖ ":" ‖ SHA-256.
        address: ``host:port`` on which the peer reaches the contract.
        name: the contract's name on the channel; what was signed for another contract is refused.
        contract: ``module:function``.
        tls: None serves without TLS.
        operations: ``host:port`` of health and metrics; empty for none.
        stop_s: how long running transactions may take after the signal to stop.
    """

    package_id: str
    address: str
    name: str = DEFAULT_NAME
    contract: str = DEFAULT_CONTRACT
    tls: TlsFiles | None = None
    operations: str = ""
    stop_s: float = DEFAULT_STOP_S
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for address in filter(None, (self.address, self.operations)):
            split_address(address)
        if not (self.package_id and self.address and self.name):
            raise Invalid("a contract's service has a package id, an address and a name", reason="settings")
        if self.tls is None and not _is_loopback(split_address(self.address)[0]):
            raise Invalid("without TLS a contract is served on loopback only", reason="settings", place="address")
        if self.stop_s < 0:
            raise Invalid("a bound in seconds is not negative", reason="settings", place="stop_s")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment."""
        return datetime.now(UTC)


def serve(settings: Settings) -> bool:
    """Serve until SIGTERM or SIGINT; False if running transactions had to be cut off.

    Raises:
        Invalid: a setting or a file that cannot be used.
        Unavailable: an address that cannot be listened on, or a file that cannot be read.
    """
    runner = TransactionRunner(load_contract(settings.contract), settings.name, SystemClock())
    credentials = None if settings.tls is None else server_credentials(settings.tls)
    service = ContractService(settings.package_id, runner, credentials=credentials, limits=settings.limits)
    operations = Operations(service.metrics.registry, lambda: service.is_serving)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    if settings.operations:
        operations.start(*split_address(settings.operations))
    service.start(settings.address)
    _LOG.info("the contract is served on %s", settings.address)
    stopping.wait()
    is_finished = service.stop(settings.stop_s)
    operations.stop()
    _LOG.info("the contract's service stopped")
    return is_finished


def load_contract(named: str) -> Contract:
    """The contract's code.

    Raises:
        Invalid: ``named`` is no ``module:function`` that can be imported.
    """
    module, _, function = named.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise Invalid("a contract is module:function", reason="contract", place=named) from error
    if not callable(found):
        raise Invalid("a contract is a function", reason="contract", place=named)
    return cast("Contract", found)


def split_address(address: str) -> tuple[str, int]:
    """Host and port.

    Raises:
        Invalid: it is no ``host:port``.
    """
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and int(port) <= _MAX_PORT):
        raise Invalid("an address is host:port", reason="address", place=address)
    return host, int(port)


def _is_loopback(host: str) -> bool:
    """On any other address, whoever is on the way could change what a peer is going to sign."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class LogLines(logging.Formatter):
    """Lines that name an exception by its type only: a message might hold what a person sent."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is the base class's
        """The type of an exception."""
        kind: type[BaseException] | None
        kind, _, _ = cast("tuple[type[BaseException] | None, BaseException | None, TracebackType | None]", ei)
        return kind.__name__ if kind else ""


def log_to_stderr() -> None:
    """Send this process's log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
