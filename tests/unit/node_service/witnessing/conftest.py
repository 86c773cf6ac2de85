"""Three hospitals whose nodes ask each other's witnesses: real witnesses behind their real HTTP interface."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from domain.identifiers import encode_bytes
from domain.instants import instant
from domain.receipts import Members
from domain.transactions import OrganizationKey, UpdateOrganization, encode
from network.embedded.layout import Layout
from network.embedded.raw_blocks import RawBlockFile
from network.verifier.channel_file import read_channel_file
from network.witness.database import WitnessDatabase
from network.witness.folder import WitnessIdentity, WitnessKey
from network.witness.http import build_app
from network.witness.witness import Witness
from node_service.client.transport import Transport
from node_service.client.witness_client import Questions, WitnessClient
from node_service.context import Node
from node_service.organization_keys import published_keys
from node_service.witnessing.collector import WitnessCollector
from node_service.witnessing.members import Witness as KnownWitness
from node_service.witnessing.members import other_witnesses
from node_service.witnessing.receipts import Receipts
from node_service.witnessing.voices import WitnessVoices
from tests.unit.node_service.sharing.conftest import Story, Template, begin_story
from tests.unit.node_service.sharing.consortium import A, B, C, Consortium, found_consortium
from yilian.contract_versions import contract_replayer

PORTS = {A: 9101, B: 9102, C: 9103}
Answer = Callable[[bytes], bytes]


def address(msp_id: str) -> str:
    return f"http://127.0.0.1:{PORTS[msp_id]}"


def witness_key(msp_id: str) -> WitnessKey:
    return WitnessKey(msp_id.encode().ljust(32, b"."))


@dataclass
class Running:
    """One witness; ``stands`` takes in no further block, ``silent`` answers nobody, ``forges`` changes its answers."""

    witness: Witness
    stands: bool = False
    silent: bool = False
    forges: Answer | None = None
    questions: int = 0

    def __post_init__(self) -> None:
        self.app = build_app(self.witness)

    def follow(self, now: object) -> None:
        assert hasattr(now, "tzinfo")
        while not self.stands and self.witness.step(now) == now:  # type: ignore[arg-type]
            pass


@dataclass
class Witnesses(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """The witnesses by MSP id, reached by address as over a network."""

    consortium: Consortium
    running: dict[str, Running]
    opened: list[RawBlockFile | WitnessDatabase] = field(default_factory=list)
    now_s: float = 1000.0

    def __getitem__(self, msp_id: str) -> Running:
        return self.running[msp_id]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        one = self._at(request)
        one.questions += 1
        answer = await httpx.ASGITransport(one.app).handle_async_request(request)
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        content = b"".join([part async for part in answer.stream])
        return httpx.Response(answer.status_code, content=content if one.forges is None else one.forges(content))

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self.handle_async_request(request))

    def client(self, url: str) -> WitnessClient:
        return WitnessClient(Transport(url, http=httpx.Client(transport=self)))

    def voices(self, node: Node) -> WitnessVoices:
        async def known() -> list[KnownWitness]:
            with node.database.reading() as session:
                return other_witnesses(session, node.settings, instant(node.clock.now()))

        ask = Questions(httpx.AsyncClient(transport=self)).ask
        return WitnessVoices(node.ledger.channel, known, ask, os.urandom, lambda: self.now_s)

    def collector(self, msp_id: str) -> WitnessCollector:
        return WitnessCollector(self.consortium[msp_id].node, self.client(address(msp_id)), self.client)

    def receipts(self, msp_id: str) -> Receipts:
        wanted: list[int] = []
        return Receipts(self.consortium[msp_id].node, "embedded", self.client(address(msp_id)), wanted.append)

    def _at(self, request: httpx.Request) -> Running:
        (msp_id,) = [msp for msp, port in PORTS.items() if port == request.url.port]
        one = self.running[msp_id]
        if one.silent:
            raise httpx.ConnectError("nobody listens", request=request)
        one.follow(self.consortium.clock.now())
        return one

    def close(self) -> None:
        for opened in self.opened:
            opened.close()


@dataclass
class World:
    """The story of the sharing tests, told with witnesses."""

    story: Story
    witnesses: Witnesses

    @property
    def consortium(self) -> Consortium:
        return self.story.consortium

    def later(self, seconds: float = 1.0) -> None:
        """Time passes for everybody, by the monotonic clock too: no held answer is fresh any more."""
        self.witnesses.now_s += seconds

    def members(self, msp_id: str = A) -> Members:
        return self.witnesses.receipts(msp_id).members()


def open_world(story: Story, directory: Path) -> World:
    """Witnesses over the story's ledger; the nodes ask them from now on."""
    consortium = story.consortium
    ledger = consortium[A].node.settings.embedded_folder
    channel = read_channel_file(Layout(ledger).channel)
    witnesses = Witnesses(consortium, {})
    for msp_id in (A, B, C):
        source, database = RawBlockFile(ledger), WitnessDatabase(directory / f"{msp_id}-witness.db")
        witnesses.opened += [source, database]
        identity = WitnessIdentity(channel.channel, channel.contract, channel.genesis, msp_id)
        clock = partial(getattr, witnesses, "now_s")
        made = Witness(identity, witness_key(msp_id), source, database, contract_replayer(), monotonic=clock)
        witnesses.running[msp_id] = Running(made)
        hospital = consortium[msp_id]
        hospital.node = replace(hospital.node, voices=witnesses.voices(hospital.node))
        hospital.__post_init__()
    return World(story, witnesses)


def publish(consortium: Consortium) -> None:
    """Each hospital enters its witness into the registry."""
    for msp_id, hospital in consortium.hospitals.items():
        node, at = hospital.node, instant(hospital.clock.now())
        public = encode_bytes(witness_key(msp_id).public)
        key = OrganizationKey("witness", "Ed25519", "w1", public, at, None)
        keys = (*published_keys(node.secrets, hospital.clock.now()), key)
        node.ledger.submit(*encode(UpdateOrganization(node.settings.public_url, keys, address(msp_id))))
    consortium.follow()


@pytest.fixture(scope="session")
def witnessed_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A patient with a history at A, enrolled, in a network whose members run witnesses."""
    directory = tmp_path_factory.mktemp("witnessed")
    founded = found_consortium(directory)
    publish(founded)
    story = begin_story(founded)
    founded.close()
    return Template(directory, founded.clock.at, story.wallet, story.records)


@pytest.fixture
def world(witnessed_template: Template, tmp_path: Path) -> Iterator[World]:
    """The story, with a running witness at each hospital."""
    story = witnessed_template.copy(tmp_path / "story")
    opened = open_world(story, tmp_path)
    yield opened
    opened.witnesses.close()
    story.consortium.close()
