"""The contract's definition on the channel, and each hospital's package of it (Fabric chaincode lifecycle)."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaincode.service.package import build_package, package_id
from domain.errors import Invalid
from network.topology.administration import Administration
from network.topology.description import Organization, Service
from network.topology.engine import TIMED_OUT, ProgramFailed
from network.topology.layout import Layout, disk_errors, write_file
from network.topology.placement import Placement
from network.topology.profile import ENDORSEMENT
from network.topology.waiting import wait_for

DIAL_TIMEOUT: Final = "5s"
INSTALL_TIMEOUT_S: Final = 120.0
ORDERING_S: Final = 120.0
ATTEMPT_S: Final = 25.0
PAUSE_S: Final = 0.2
_LOST: Final = ("failed to send transaction", "timed out waiting for txid", "failed to create new connection")
"""What ``peer`` says where an ordering node did not take a transaction, or never answered."""
_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Definition:
    """A committed definition: the sequence counts its changes, the version is for people."""

    sequence: int
    version: str

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise Invalid("a version is letters, digits and _ . + -", reason="bad-version", place="version")


def make_package(layout: Layout, organization: Organization, label: str, placement: Placement, service: Service) -> str:
    """Write a hospital's package: where its peer dials the contract, and with which certificates. Returns its id.

    Raises:
        Unavailable: the disk refuses.
    """
    client = layout.contract_client(organization)
    with disk_errors(client.folder):
        connection: Mapping[str, Any] = {
            "address": placement.address(organization, service),
            "dial_timeout": DIAL_TIMEOUT,
            "tls_required": True,
            "client_auth_required": True,
            "client_key": client.tls_key.read_text(),
            "client_cert": client.tls_certificate.read_text(),
            "root_cert": client.tls_root.read_text(),
        }
    package = build_package(label, connection)
    write_file(layout.package(label, organization), package)
    return package_id(label, package)


def install(administration: Administration, organization: Organization, package: Path) -> None:
    """Install a package on an organisation's peer; nothing happens if it is there.

    Raises:
        Unavailable: the peer refused.
    """
    try:
        arguments = ("lifecycle", "chaincode", "install", package)
        administration.peer(organization, *arguments, timeout_s=INSTALL_TIMEOUT_S)
    except ProgramFailed as error:
        if "already successfully installed" not in error.detail:
            raise


def approve(
    administration: Administration,
    organization: Organization,
    identity: str,
    definition: Definition,
    orderer: Organization,
) -> None:
    """Approve a definition for an organisation, which will run it with the package of this id.

    Args:
        orderer: whose ordering node is asked first.

    Raises:
        Unavailable: refused, or not ordered in time.
    """
    chosen = ("--package-id", identity, *_definition(administration, definition))
    command = ("lifecycle", "chaincode", "approveformyorg", *chosen)

    def in_force() -> bool:
        return approved_package(administration, organization, definition.sequence) == identity

    _order(administration, organization, command, orderer, in_force)


def commit(administration: Administration, definition: Definition, approving: Sequence[Organization]) -> None:
    """Put a definition into force that a majority approved; waits until these peers committed it.

    Raises:
        Unavailable: refused, or not ordered in time.
    """
    layout, operator = administration.layout, administration.operator
    peers: list[str | Path] = []
    for item in approving:
        peers += ["--peerAddresses", operator.address(item, "peer"), "--tlsRootCertFiles", layout.peer(item).tls_root]
    command = ("lifecycle", "chaincode", "commit", *_definition(administration, definition), *peers)

    def in_force() -> bool:
        return all(committed(administration, item) == definition for item in approving)

    _order(administration, approving[0], command, approving[0], in_force)


def committed(administration: Administration, organization: Organization) -> Definition | None:
    """The definition in force, as an organisation's peer sees it; None before the first.

    Raises:
        Unavailable: the peer does not answer.
    """
    topology = administration.topology
    asked = ("--channelID", topology.channel, "--name", topology.contract, "--output", "json")
    try:
        told = json.loads(administration.peer(organization, "lifecycle", "chaincode", "querycommitted", *asked))
    except ProgramFailed as error:
        if "is not defined" in error.detail:
            return None
        raise
    return Definition(int(told["sequence"]), str(told["version"]))


def approved_package(administration: Administration, organization: Organization, sequence: int) -> str | None:
    """Id of the package that an organisation runs a definition with; None if it did not approve it.

    Raises:
        Unavailable: the peer does not answer.
    """
    topology = administration.topology
    asked = ("--channelID", topology.channel, "--name", topology.contract, "--sequence", str(sequence))
    command = ("lifecycle", "chaincode", "queryapproved", *asked, "--output", "json")
    try:
        source = json.loads(administration.peer(organization, *command)).get("source", {})
    except ProgramFailed as error:
        if "could not fetch approved chaincode definition" in error.detail:
            return None
        raise
    found = source.get("Type", {}).get("LocalPackage", {}).get("package_id")
    return None if found is None else str(found)


def wait_answering(administration: Administration, organization: Organization, timeout_s: float) -> None:
    """Wait until the contract answers through an organisation's peer; a refusal by its rules is an answer.

    Raises:
        Unavailable: not in time.
    """
    topology = administration.topology
    call = json.dumps({"Args": ["GetOrganization", "{}"]})
    command = ("chaincode", "query", "-C", topology.channel, "-n", topology.contract, "-c", call)

    def answers() -> bool:
        try:
            administration.peer(organization, *command)
        except ProgramFailed as error:
            if "response: status:" not in error.detail:
                raise
        return True

    wait_for(answers, timeout_s, f"an answer of the contract of {organization.name}")


def _order(
    administration: Administration,
    organization: Organization,
    command: Sequence[str | Path],
    orderer: Organization,
    in_force: Callable[[], bool],
) -> None:
    """Run a command that orders a transaction until what it does is in force.

    An ordering node that waits for its leader may never answer, so the next one is asked; the second of two
    transactions that say the same is refused.

    Raises:
        Unavailable: refused, or not ordered in time.
    """
    others = (item for item in administration.topology.organizations if item != orderer)
    deadline = time.monotonic() + ORDERING_S
    for asked in itertools.cycle((orderer, *others)):
        try:
            administration.peer(organization, *command, *administration.ordering(asked), timeout_s=ATTEMPT_S)
        except ProgramFailed as error:
            if in_force():
                return
            lost = error.reason == TIMED_OUT or any(words in error.detail for words in _LOST)
            if not lost or error.is_refusal or time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
        else:
            return


def _definition(administration: Administration, definition: Definition) -> tuple[str, ...]:
    topology = administration.topology
    return (
        "--channelID", topology.channel, "--name", topology.contract, "--version", definition.version,
        "--sequence", str(definition.sequence), "--channel-config-policy", ENDORSEMENT,
    )  # fmt: skip
