"""What a network is: its organisations, ordering, channel, contract, timings. Format ``yilian-fabric-network``, 1.

One organisation is one hospital: a peer under its MSP, an ordering node under an MSP of its own, a contract service.
The description holds no secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, Self

from domain.errors import Invalid, NotFound, Unavailable
from domain.identifiers import check_msp_id

FORMAT: Final = "yilian-fabric-network"
VERSION: Final = 1
MAX_BYTES: Final = 1 << 20
MAX_ORGANIZATIONS: Final = 64
MIN_BFT_ORGANIZATIONS: Final = 4
ENDORSING_ORGANIZATIONS: Final = 2

Consensus = Literal["raft", "bft"]
Service = Literal[
    "peer",
    "chaincode",
    "peer-operations",
    "orderer",
    "orderer-admin",
    "orderer-operations",
    "contract",
    "contract-next",
]
SERVICES: Final[tuple[Service, ...]] = (
    "peer", "chaincode", "peer-operations", "orderer", "orderer-admin", "orderer-operations",
    "contract", "contract-next",
)  # fmt: skip
"""What an organisation listens for, in the order of its ports; an upgrade starts the new contract on the other one."""
Role = Literal["peer", "orderer", "contract"]
ROLES: Final[tuple[Role, ...]] = ("orderer", "peer", "contract")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_CHANNEL = re.compile(r"[a-z][a-z0-9.-]{0,248}")
_CONTRACT = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+){0,15}")
_FIRST_UNPRIVILEGED_PORT = 1024
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Organization:
    """One hospital of the network.

    Attributes:
        name: short name; its processes are ``peer-<name>``, ``orderer-<name>``, ``contract-<name>``.
        msp: MSP id of its peer and clients.
        first_port: it uses this port and the next ones, one for each of :data:`SERVICES`.
    """

    name: str
    msp: str
    first_port: int

    def __post_init__(self) -> None:
        _matches(self.name, "name", _NAME)
        check_msp_id(self.msp, "msp")
        _in_range(self.first_port, "first_port", _FIRST_UNPRIVILEGED_PORT, _LAST_PORT + 1 - len(SERVICES))

    @property
    def orderer_msp(self) -> str:
        """MSP id of its ordering node: whoever orders is not thereby a member who endorses or reads."""
        return self.msp.removesuffix("MSP") + "OrdererMSP"

    @property
    def domain(self) -> str:
        """Domain of its certificates (RFC 2606, section 2)."""
        return f"{self.name}.example"

    def port(self, service: Service) -> int:
        """Where a service of it listens."""
        return self.first_port + SERVICES.index(service)

    def process(self, role: Role) -> str:
        """Name of one of its processes."""
        return f"{role}-{self.name}"

    @property
    def next_contract(self) -> str:
        """Name of the contract service that is about to take over."""
        return f"{self.process('contract')}.next"


@dataclass(frozen=True, slots=True)
class Timings:
    """Batches and clocks of ordering.

    Attributes:
        batch_timeout_ms: longest time that a transaction waits for others of its block.
        max_message_count: most transactions of a block.
        tick_ms: Raft's clock; ten ticks without a leader begin an election.
        request_forward_ms, request_complain_ms, leader_heartbeat_ms, view_change_resend_ms, view_change_ms: SmartBFT's.
    """

    batch_timeout_ms: int = 50
    max_message_count: int = 100
    tick_ms: int = 100
    request_forward_ms: int = 500
    request_complain_ms: int = 1000
    leader_heartbeat_ms: int = 2000
    view_change_resend_ms: int = 1000
    view_change_ms: int = 4000

    def __post_init__(self) -> None:
        for item in fields(self):
            _in_range(getattr(self, item.name), item.name, 1, 3_600_000)

    @property
    def leader_is_blamed_after_ms(self) -> int:
        """How long a BFT leader may leave a transaction out before the others depose it."""
        return self.request_forward_ms + self.request_complain_ms


@dataclass(frozen=True, slots=True)
class Topology:
    """A network, as everything else is made from it.

    Attributes:
        organizations: at least one; four for ``bft``, which bears one traitor among them.
        consensus: ``raft`` bears crashes of a minority, ``bft`` also lies of less than a third.
    """

    organizations: tuple[Organization, ...]
    consensus: Consensus = "raft"
    channel: str = "yilian"
    contract: str = "yilian"
    timings: Timings = field(default_factory=Timings)

    def __post_init__(self) -> None:
        _matches(self.channel, "channel", _CHANNEL)
        _matches(self.contract, "contract", _CONTRACT)
        if self.consensus not in ("raft", "bft"):
            raise _refused("consensus is raft or bft", "consensus")
        if self.consensus == "bft" and self.timings.batch_timeout_ms >= self.timings.leader_is_blamed_after_ms:
            raise _refused(
                "a BFT leader that waits so long for a block is deposed each time", "timings.batch_timeout_ms"
            )
        least = MIN_BFT_ORGANIZATIONS if self.consensus == "bft" else 1
        _in_range(len(self.organizations), "organizations", least, MAX_ORGANIZATIONS)
        for what in ("name", "msp", "orderer_msp"):
            values = [getattr(organization, what) for organization in self.organizations]
            if len(set(values)) != len(values):
                raise _refused(f"two organisations have one {what}", "organizations")
        self._check_ports()

    def _check_ports(self) -> None:
        ports = sorted((item.first_port, item.name) for item in self.organizations)
        for (first, name), (second, other) in pairwise(ports):
            if second - first < len(SERVICES):
                raise _refused(f"{name} and {other} share ports; each uses {len(SERVICES)}", "organizations")

    @property
    def endorsements(self) -> int:
        """How many organisations' peers a transaction needs."""
        return min(ENDORSING_ORGANIZATIONS, len(self.organizations))

    @property
    def majority(self) -> int:
        """How many organisations' administrators a change of the channel needs."""
        return len(self.organizations) // 2 + 1

    @property
    def processes(self) -> tuple[str, ...]:
        """Names of all processes, in the order in which they start."""
        return tuple(item.process(role) for role in ROLES for item in self.organizations)

    def organization(self, name_or_msp: str) -> Organization:
        """The organisation of a name or MSP id.

        Raises:
            NotFound: the network has none.
        """
        for item in self.organizations:
            if name_or_msp in (item.name, item.msp):
                return item
        raise NotFound(f"the network has no organisation {name_or_msp}", reason="no-organization")

    def with_organization(self, organization: Organization) -> Topology:
        """The network with one more."""
        return replace(self, organizations=(*self.organizations, organization))

    def without_organization(self, name: str) -> Topology:
        """The network with one less."""
        return replace(self, organizations=tuple(item for item in self.organizations if item.name != name))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a ``network.json``.

        Raises:
            Invalid: as :meth:`parse`.
            Unavailable: it cannot be read.
        """
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise Unavailable(f"{path.name} cannot be read: {error.strerror}", reason="network-file") from error
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The network that bytes describe.

        Raises:
            Invalid: no description, a newer one, a field unknown, missing or wrong; ``place`` names the field.
        """
        value = _object(_json(raw), "network")
        if value.pop("format", None) != FORMAT:
            raise _refused(f"this is no file of format {FORMAT}", "format")
        if value.pop("version", None) != VERSION:
            raise _refused("the description is of another version", "version")
        organizations = value.pop("organizations", None)
        if not isinstance(organizations, list):
            raise _refused("organizations is a list", "organizations")
        timings = _build(Timings, value.pop("timings", {}), "timings")
        members = tuple(_build(Organization, item, f"organizations.{at}") for at, item in enumerate(organizations))
        built: Self = _build(cls, {**value, "organizations": members, "timings": timings}, "network")
        return built

    def encode(self) -> bytes:
        """The file's bytes."""
        return (json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2) + "\n").encode()


def members(msps: Sequence[str], first_port: int) -> tuple[Organization, ...]:
    """Organisations by MSP id, named after it, on successive ports: ``RenheMSP`` is ``renhe``."""
    return tuple(
        Organization(msp.removesuffix("MSP").lower(), msp, first_port + at * len(SERVICES))
        for at, msp in enumerate(msps)
    )


def _build(kind: Callable[..., Any], value: Any, place: str) -> Any:
    """A value of a class from an object that has its fields and no others."""
    given = _object(value, place)
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            raise _refused("there is no such field", f"{place}.{name}")
    try:
        return kind(**given)
    except TypeError as error:
        raise _refused("a field is missing", place) from error
    except Invalid as error:
        raise _refused(error.detail, f"{place}.{error.place}") from error


def _json(raw: bytes) -> Any:
    if len(raw) > MAX_BYTES:
        raise _refused(f"a description has at most {MAX_BYTES} bytes", "network")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _refused("the description is no JSON", "network") from error


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refused("an object is expected", place)
    return dict(value)


def _matches(value: object, place: str, form: re.Pattern[str]) -> None:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _refused(f"text of the form {form.pattern} is expected", place)


def _in_range(value: object, place: str, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise _refused(f"a number from {least} to {most} is expected", place)


def _refused(detail: str, place: str) -> Invalid:
    return Invalid(detail, reason="network-file", place=place)
