"""What containers of ``docker-compose-fabric.yaml`` run: ``python -m network.topology material|channel|contract NAME``.

``CONSENSUS`` (``bft`` or ``raft``) counts when the network is made, and never again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, cast

from domain.errors import Invalid, YilianError
from domain.process_memory import forbid_core_files
from network.topology.containers import CONTRACT_OPERATIONS, FOLDER, PLACEMENT, compose_topology, deploy, make_material
from network.topology.contract_service import ContractService
from network.topology.description import Consensus, Topology
from network.topology.engine import Binaries
from network.topology.layout import Layout

VARIABLE: Final = "CONSENSUS"


def run(arguments: Sequence[str]) -> None:
    """Do what one container is for.

    Raises:
        Invalid: the arguments or ``CONSENSUS`` are none that are known.
        Unavailable: as the functions that it calls.
    """
    match list(arguments):
        case ["material"]:
            make_material(compose_topology(cast(Consensus, os.environ.get(VARIABLE, "bft"))), Binaries.find())
        case ["channel"]:
            deploy(Topology.read(Layout(FOLDER).description), Binaries.find())
        case ["contract", name]:
            _become_contract(name)
        case _:
            raise Invalid("usage: python -m network.topology material|channel|contract NAME", reason="usage")


def _become_contract(name: str) -> None:
    """Replace this process by the contract service of a hospital, which has signals and exit status of its own."""
    organization = compose_topology("raft").organization(name)
    service = ContractService.read(Layout(FOLDER), organization.process("contract"))
    command = service.command(organization, PLACEMENT)
    command = (*command, "--operations", CONTRACT_OPERATIONS)
    os.execv(command[0], command)  # noqa: S606 - our own program, without a shell


if __name__ == "__main__":
    os.umask(0o077)
    try:
        forbid_core_files()
        run(sys.argv[1:])
    except YilianError as error:
        sys.exit(f"{error.reason}: {error}")
