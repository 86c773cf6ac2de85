"""The contracts of the scenarios beside the network's own, and the steps that features share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_bdd import given, parsers, then, when

from network.fabric.gateway import (
    CommitError,
    CommitStatusError,
    EndorseError,
    GatewayError,
    SigningError,
    SubmitError,
)
from network.fabric.gateway.pkcs11_token import Pkcs11Token
from network.topology.native import NativeNetwork
from tests.fabric.drawers import CONTRACT
from tests.fabric.gateway.identities import enrol, user_of
from tests.fabric.gateway.story import Story, msps
from tests.fabric.second_contract import SecondContract, second_contract
from tests.softhsm import LABEL, PIN, public_key, softhsm

READY_TIMEOUT_S = 60.0
PAUSE_S = 0.2
KEY_ID = b"user"
TWO, ONE = "drawers", "drawers-of-one"
STAGES = {
    "the evaluation": GatewayError,
    "the endorsement": EndorseError,
    "the submission": SubmitError,
    "the commit": CommitError,
    "the commit status": CommitStatusError,
}


@pytest.fixture(scope="session")
def contract_of_two(fabric: NativeNetwork) -> Iterator[SecondContract]:
    """Under the channel's policy: any two hospitals."""
    policy = ("--channel-config-policy", "/Channel/Application/Endorsement")
    with second_contract(fabric, TWO, CONTRACT, policy) as contract:
        wait_ready(fabric, TWO)
        yield contract


@pytest.fixture(scope="session")
def contract_of_one(fabric: NativeNetwork) -> Iterator[SecondContract]:
    """Any one hospital."""
    peers = ",".join(f"'{item.msp}.peer'" for item in fabric.topology.organizations)
    with second_contract(fabric, ONE, CONTRACT, ("--signature-policy", f"OR({peers})")) as contract:
        wait_ready(fabric, ONE)
        yield contract


@pytest.fixture
def story(fabric: NativeNetwork) -> Iterator[Story]:
    with ExitStack() as closing:
        yield Story(fabric, closing, channel=fabric.topology.channel)


def wait_ready(network: NativeNetwork, chaincode: str) -> None:
    """Waits until every hospital's gateway finds endorsers, and reaches every other hospital's peer."""
    everybody = tuple(item.msp for item in network.topology.organizations)
    with ExitStack() as closing:
        for msp in everybody:
            story = Story(network, closing, channel=network.topology.channel, chaincode=chaincode)
            story.connect(msp, msp)
            for organizations in ((), everybody):
                story.organizations = organizations
                _endorse_soon(story)


def _endorse_soon(story: Story) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            story.propose("Echo", '{"text": "ready"}').endorse()
        except EndorseError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_S)
        else:
            return


@given(parsers.re(r"a user of (?P<name>\w+) at the gateway of (?P<at>\w+)"))
def _user(story: Story, name: str, at: str) -> None:
    story.connect(f"{name}MSP", f"{at}MSP")


@given(parsers.re(r"a user of (?P<name>\w+) without a signer at the gateway of (?P<at>\w+)"))
def _user_without_signer(story: Story, name: str, at: str) -> None:
    story.connect(f"{name}MSP", f"{at}MSP", signs=False)


@when(parsers.re(r"a user of (?P<name>\w+) turns to the gateway of (?P<at>\w+)"))
def _turn(story: Story, name: str, at: str) -> None:
    story.connect(f"{name}MSP", f"{at}MSP")


@given("the contract that two hospitals must endorse")
def _contract_of_two(story: Story, contract_of_two: SecondContract) -> None:
    story.chaincode = contract_of_two.name


@given("the contract that one hospital must endorse")
def _contract_of_one(story: Story, contract_of_one: SecondContract) -> None:
    story.chaincode = contract_of_one.name


@given(parsers.parse("the contract nobody"))
def _no_contract(story: Story) -> None:
    story.chaincode = "nobody"


@given("the channel elsewhere")
def _no_channel(story: Story) -> None:
    story.channel = "elsewhere"


@given("the user signs with a key in a file")
def _key_in_file(story: Story) -> None:
    assert story.signer is not None


@given("the user signs with a key in a token")
def _key_in_token(story: Story, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("token")
    library = story.closing.enter_context(softhsm(folder, {KEY_ID: "secp256r1"}))
    token = story.closing.enter_context(Pkcs11Token.open(library, label=LABEL, pin=PIN))
    story.identity, story.signer = enrol(story.network, "RenheMSP", public_key(library, KEY_ID)), token.signer(KEY_ID)
    story.turn_to("RenheMSP")


@given("the user signs with the key of Mingde")
def _key_of_another(story: Story) -> None:
    _, story.signer = user_of(story.network, "MingdeMSP")
    story.turn_to("RenheMSP")


@given("the transient data")
def _transient(story: Story, datatable: list[list[str]]) -> None:
    story.transient = {name: text.encode() for name, text in datatable}


@given(parsers.parse("the transaction is for {organizations}"))
def _organizations(story: Story, organizations: str) -> None:
    story.organizations = tuple(msps(organizations))


@when(parsers.re(r"the user (?P<how>evaluates|submits) (?P<name>\w+) with (?P<arguments>\{.*\}|no JSON)"))
def _invoke(story: Story, how: str, name: str, arguments: str) -> None:
    story.invoke(how, name, arguments)


@when(parsers.re(r"the user commits (?P<name>\w+) with (?P<arguments>\{.*\})"))
def _commit(story: Story, name: str, arguments: str) -> None:
    story.commit(name, arguments)


@then(parsers.re(r"the answer is (?P<text>\".*\")"))
def _answer(story: Story, text: str) -> None:
    if story.error is not None:
        raise story.error
    assert story.answer == json.loads(text).encode()


@then(parsers.parse("it fails at {stage}"))
def _failure(story: Story, stage: str) -> None:
    assert type(story.fail()) is STAGES[stage]


@then("there is no signature")
def _no_signature(story: Story) -> None:
    assert type(story.fail()) is SigningError


@then(parsers.parse("the status is {code}"))
def _status(story: Story, code: str) -> None:
    found = story.fail().code
    assert found is not None
    assert found.name == code


@then(parsers.parse("the code is {code}"))
def _code(story: Story, code: str) -> None:
    error = story.fail()
    assert isinstance(error, CommitError)
    assert error.status.code_name == code
    assert error.status.block_number > 0


@then(parsers.re(r"the message contains \"(?P<text>.*)\""))
def _message(story: Story, text: str) -> None:
    assert text in story.fail().message


@then("the details are")
def _details(story: Story, datatable: list[list[str]]) -> None:
    check_details(story, {row[0]: row[1] for row in datatable})


@then(parsers.re(r"the details of every hospital( but (?P<without>\w+))? contain \"(?P<text>.*)\""))
def _details_of_all(story: Story, without: str | None, text: str) -> None:
    hospitals = [item.msp for item in story.network.topology.organizations]
    check_details(story, {msp: text for msp in hospitals if msp != f"{without}MSP"})


def check_details(story: Story, expected: dict[str, str]) -> None:
    """In any order; each peer is named by its address, and its message contains the text."""
    details = {detail.msp_id: detail for detail in story.fail().details}
    assert set(details) == set(expected)
    assert len(details) == len(story.fail().details)
    for msp, text in expected.items():
        assert details[msp].address == story.peer(msp).address
        assert text in details[msp].message
