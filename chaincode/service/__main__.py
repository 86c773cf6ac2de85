"""``python -m chaincode.service``: the contract as a service, with nothing installed but what the contract needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaincode.service.server import Limits
from chaincode.service.serving import (
    DEFAULT_CONTRACT,
    DEFAULT_NAME,
    DEFAULT_STOP_S,
    Settings,
    log_to_stderr,
    serve,
)
from chaincode.service.tls import tls_files
from domain.errors import YilianError
from domain.process_memory import forbid_core_files

EXIT_ERROR: Final = 2
EXIT_CUT_OFF: Final = 1


def parser() -> argparse.ArgumentParser:
    """The command line."""
    limits = Limits()
    found = argparse.ArgumentParser(prog="python -m chaincode.service", description="The contract as a service.")
    found.add_argument("--package-id", required=True, help="package id that the peer installed: LABEL:SHA256")
    found.add_argument("--address", required=True, help="host:port on which the peer reaches the contract")
    found.add_argument("--name", default=DEFAULT_NAME, help="the contract's name on the channel (%(default)s)")
    found.add_argument("--contract", default=DEFAULT_CONTRACT, help="module:function (%(default)s)")
    found.add_argument("--tls-certificate", type=Path, help="certificate (PEM); read again for each connection")
    found.add_argument("--tls-key", type=Path, help="its private key (PEM)")
    found.add_argument(
        "--tls-client-root", type=Path, help="authorities of peers' certificates (PEM); asks for mutual TLS"
    )
    found.add_argument("--operations", default="", help="host:port of /health and /metrics; none unless given")
    found.add_argument("--threads", type=int, default=limits.threads, help="transactions at once (%(default)s)")
    found.add_argument("--max-waiting", type=int, default=limits.max_waiting, help="more are busy (%(default)s)")
    found.add_argument("--stop-s", type=float, default=DEFAULT_STOP_S, help="bound of a graceful stop (%(default)s)")
    return found


def settings(arguments: Sequence[str]) -> Settings:
    """The settings that a command line names.

    Raises:
        Invalid: they contradict each other.
        SystemExit: the command line is none.
    """
    given = parser().parse_args(arguments)
    return Settings(
        package_id=given.package_id,
        address=given.address,
        name=given.name,
        contract=given.contract,
        tls=tls_files(given.tls_certificate, given.tls_key, given.tls_client_root),
        operations=given.operations,
        stop_s=given.stop_s,
        limits=Limits(threads=given.threads, max_waiting=given.max_waiting),
    )


def main() -> int:
    """Run; the exit code is 0, 1 where running transactions were cut off, 2 where it could not start."""
    try:
        forbid_core_files()
        log_to_stderr()
        is_finished = serve(settings(sys.argv[1:]))
    except YilianError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_ERROR
    return 0 if is_finished else EXIT_CUT_OFF


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a contract that never returns must not keep the process
