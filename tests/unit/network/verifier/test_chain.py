"""A generated channel: the honest chain verifies, and each tampering is refused by the rule that it breaks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain.errors import Invalid, Tampered
from network.blocks.block import build_block, parse_block
from network.blocks.codes import ValidationCode
from network.blocks.proposal import ChaincodeEvent, Response, Simulation, sign_envelope
from network.blocks.rwset import NamespaceRwset, Read, Write
from network.blocks.transaction import Transaction, parse_envelope
from network.verifier.chain import ChainVerifier, verify_chain
from network.verifier.replay import StateView
from network.verifier.report import Rule, VerifiedBlock
from tests.unit.network.blocks.hospital_channel import CHAINCODE, CHANNEL, Hospital, HospitalChannel

OK = ValidationCode.VALID


@pytest.fixture(scope="module")
def founded() -> HospitalChannel:
    """A channel of three hospitals with some writes; tests add to copies of it."""
    channel = HospitalChannel.new()
    channel.add([channel.write({"a": b"1"}), channel.write({"b": b"1", "c": b"1"})])
    channel.add([channel.write({"a": b"2"}, reads=["a"], event=ChaincodeEvent("put", b"a"))])
    return channel


@pytest.fixture
def channel(founded: HospitalChannel) -> HospitalChannel:
    verifier = ChainVerifier()
    for raw in founded.blocks:
        verifier.add(raw)
    return HospitalChannel(founded.hospitals, list(founded.blocks), verifier.state, founded.commit_hash)


def _refused(blocks: list[bytes], **options: object) -> Tampered:
    with pytest.raises(Tampered) as caught:
        verify_chain(blocks, **options)  # type: ignore[arg-type]
    return caught.value


def test_an_honest_chain_verifies_and_the_report_counts_it(channel: HospitalChannel) -> None:
    seen: list[VerifiedBlock] = []
    report = verify_chain(channel.blocks, expected_genesis=channel.genesis_hash, on_block=seen.append)
    assert (report.channel, report.height, report.transactions) == (CHANNEL, 4, 5)
    assert report.codes == {"VALID": 5}
    assert report.head_hash == parse_block(channel.blocks[-1]).header.hash()
    assert [block.number for block in seen] == [0, 1, 2, 3]
    assert {signer.msp_id for block in seen[1:] for signer in block.orderer_signers} == {"Hosp1MSP"}
    assert not any("copy" in text or "genesis" in text for text in report.not_checked)
    assert any("genesis" in text for text in verify_chain(channel.blocks).not_checked)


def test_an_empty_chain_is_no_proof() -> None:
    with pytest.raises(Invalid):
        verify_chain([])


def test_another_genesis_is_refused(channel: HospitalChannel) -> None:
    error = _refused(channel.blocks, expected_genesis=bytes(32))
    assert (error.reason, error.place) == (Rule.GENESIS, "block 0")


def test_a_missing_block_is_refused(channel: HospitalChannel) -> None:
    error = _refused([channel.blocks[0], *channel.blocks[2:]])
    assert (error.reason, error.place) == (Rule.NUMBER, "block 1")


def test_swapped_blocks_are_refused(channel: HospitalChannel) -> None:
    first, second, third, fourth = channel.blocks
    error = _refused([first, third, second, fourth])
    assert (error.reason, error.place) == (Rule.NUMBER, "block 1")


def test_a_block_of_another_history_is_refused(channel: HospitalChannel) -> None:
    other = HospitalChannel(channel.hospitals, channel.blocks[:2], channel.state, b"")
    foreign = other.block([channel.write({"z": b"9"})])
    error = _refused([*channel.blocks[:2], foreign, channel.blocks[3]])
    assert error.place in {"block 2", "block 3"}


def test_a_rewritten_transaction_is_refused(channel: HospitalChannel) -> None:
    altered = channel.blocks[3].replace(b"put", b"get", 1)
    assert _refused([*channel.blocks[:3], altered]).reason == Rule.DATA_HASH


def test_a_block_signed_by_a_stranger_is_refused(channel: HospitalChannel) -> None:
    stranger = Hospital.new("Hosp1MSP")
    raw = channel.block([channel.write({"d": b"1"})], orderer=stranger.orderer)
    assert _refused([*channel.blocks, raw]).reason == Rule.ORDERER_SIGNATURE


def test_an_unsigned_block_is_refused(channel: HospitalChannel) -> None:
    honest = parse_block(channel.block([channel.write({"d": b"1"})]))
    raw = build_block(
        number=honest.number,
        previous_hash=honest.header.previous_hash,
        envelopes=honest.envelopes,
        last_config=0,
        orderer=None,
        validation_codes=honest.validation_codes,
    )
    assert _refused([*channel.blocks, raw]).reason == Rule.ORDERER_SIGNATURE


def test_a_wrong_last_configuration_is_refused(channel: HospitalChannel) -> None:
    raw = channel.block([channel.write({"d": b"1"})], last_config=2)
    assert _refused([*channel.blocks, raw]).reason == Rule.LAST_CONFIG


def test_a_wrong_commit_hash_is_refused(channel: HospitalChannel) -> None:
    channel.commit_hash = bytes(32)
    raw = channel.block([channel.write({"d": b"1"})])
    assert _refused([*channel.blocks, raw]).reason == Rule.COMMIT_HASH


def test_an_empty_block_is_refused(channel: HospitalChannel) -> None:
    assert _refused([*channel.blocks, channel.block([])]).reason == Rule.VALIDATION_CODE


def test_bytes_that_are_no_block_are_refused(channel: HospitalChannel) -> None:
    assert _refused([*channel.blocks, b"\xff\xff"]).reason == Rule.ENCODING
    assert _refused([*channel.blocks[:3], channel.blocks[3] + b"\x28\x01"]).reason == Rule.ENCODING


@pytest.mark.parametrize(("old", "new"), [(b"V2_5", b"V1_4"), (b"V2_0", b"V9_9")])
def test_a_channel_with_other_rules_is_not_judged(channel: HospitalChannel, old: bytes, new: bytes) -> None:
    genesis = parse_block(channel.blocks[0]).envelopes[0].replace(old, new)
    raw = build_block(number=0, previous_hash=b"", envelopes=[genesis], last_config=0, orderer=None)
    with pytest.raises(Invalid) as caught:
        verify_chain([raw])
    assert (caught.value.reason, caught.value.place) == ("unsupported", "block 0")


@pytest.mark.parametrize(
    "envelopes", [[], [b""], [b"\xff"]], ids=["no transaction", "empty transaction", "unreadable transaction"]
)
def test_a_genesis_block_without_configuration_is_refused(envelopes: list[bytes]) -> None:
    raw = build_block(number=0, previous_hash=b"", envelopes=envelopes, last_config=0, orderer=None)
    assert _refused([raw]).reason == Rule.GENESIS


def test_a_genesis_block_with_marks_of_a_later_block_is_refused(channel: HospitalChannel) -> None:
    envelopes = parse_block(channel.blocks[0]).envelopes
    signed = channel.hospitals[0].orderer
    for options in ({"orderer": signed, "orderer_nonce": bytes(24)}, {"orderer": None, "commit_hash": bytes(32)}):
        raw = build_block(number=0, previous_hash=b"", envelopes=envelopes, last_config=0, **options)
        assert _refused([raw]).reason == Rule.GENESIS
    unmarked = build_block(
        number=0, previous_hash=b"", envelopes=envelopes, last_config=0, orderer=None, validation_codes=b"\x0b"
    )
    assert _refused([unmarked]).reason == Rule.VALIDATION_CODE


Case = Callable[[HospitalChannel], list[bytes]]


def _foreign_creator(channel: HospitalChannel) -> list[bytes]:
    proposal = channel.propose([b"put"])
    simulation = Simulation((NamespaceRwset(CHAINCODE, writes=(Write("d", b"1"),)),), Response(200))
    return [channel.envelope(proposal, simulation, creator=channel.hospitals[1].client)]


def _endorsement_of_another_proposal(channel: HospitalChannel) -> list[bytes]:
    endorsed = channel.propose([b"put", b"small"])
    submitted = channel.propose([b"put", b"large"])
    simulation = Simulation((NamespaceRwset(CHAINCODE, writes=(Write("d", b"1"),)),), Response(200))
    from_other = parse_block(channel.block([channel.envelope(endorsed, simulation)])).envelopes[0]
    assert submitted.hash() != endorsed.hash()
    return [_resigned(channel, from_other, endorsed.payload, submitted.payload)]


def _resigned(channel: HospitalChannel, envelope: bytes, old: bytes, new: bytes) -> bytes:
    payload = parse_envelope(envelope).payload
    assert payload.count(old) == 1
    assert len(old) == len(new)
    return sign_envelope(payload.replace(old, new), channel.hospitals[0].client)


REJECTED: dict[str, tuple[Case, ValidationCode]] = {
    "signed by somebody else than its creator": (_foreign_creator, ValidationCode.BAD_CREATOR_SIGNATURE),
    "endorsed for other arguments": (
        _endorsement_of_another_proposal,
        ValidationCode.INVALID_ENDORSER_TRANSACTION,
    ),
    "endorsed by one of two": (
        lambda channel: [channel.write({"d": b"1"}, endorsers=[channel.hospitals[0].peer])],
        ValidationCode.ENDORSEMENT_POLICY_FAILURE,
    ),
    "endorsed by one peer twice": (
        lambda channel: [channel.write({"d": b"1"}, endorsers=[channel.hospitals[0].peer] * 2)],
        ValidationCode.ENDORSEMENT_POLICY_FAILURE,
    ),
    "endorsed by clients": (
        lambda channel: [channel.write({"d": b"1"}, endorsers=[item.client for item in channel.hospitals])],
        ValidationCode.ENDORSEMENT_POLICY_FAILURE,
    ),
    "endorsed by nobody": (
        lambda channel: [channel.write({"d": b"1"}, endorsers=[])],
        ValidationCode.ENDORSEMENT_POLICY_FAILURE,
    ),
    "for another channel": (
        lambda channel: [channel.write({"d": b"1"}, proposal=channel.propose([b"put"], channel="other"))],
        ValidationCode.TARGET_CHAIN_NOT_FOUND,
    ),
    "of a chaincode without definition": (
        lambda channel: [
            channel.envelope(
                channel.propose([b"put"], chaincode="ghost"),
                Simulation((NamespaceRwset("ghost", writes=(Write("d", b"1"),)),), Response(200)),
            )
        ],
        ValidationCode.INVALID_CHAINCODE,
    ),
    "already in the ledger": (
        lambda channel: [parse_block(channel.blocks[2]).envelopes[0]],
        ValidationCode.DUPLICATE_TXID,
    ),
    "based on a version that is gone": (
        lambda channel: [
            channel.envelope(
                channel.propose([b"put"]),
                Simulation(
                    (NamespaceRwset(CHAINCODE, reads=(Read("a", None),), writes=(Write("a", b"3"),)),), Response(200)
                ),
            )
        ],
        ValidationCode.MVCC_READ_CONFLICT,
    ),
}


@pytest.mark.parametrize("what", REJECTED)
def test_a_rejected_transaction_must_be_marked_so(channel: HospitalChannel, what: str) -> None:
    case, code = REJECTED[what]
    envelopes = case(channel)
    honest = channel.block(envelopes, [code])
    assert verify_chain([*channel.blocks, honest]).codes[code.name] == 1
    error = _refused([*channel.blocks, channel.block(envelopes, [OK])])
    assert (error.reason, error.place) == (Rule.VALIDATION_CODE, "block 4")
    assert code.name in error.detail


def test_a_valid_transaction_cannot_be_dropped_by_marking_it(channel: HospitalChannel) -> None:
    raw = channel.block([channel.write({"d": b"1"})], [ValidationCode.MVCC_READ_CONFLICT])
    error = _refused([*channel.blocks, raw])
    assert error.reason == Rule.VALIDATION_CODE
    assert "is VALID" in error.detail


def test_the_second_of_two_equal_transactions_in_a_block_is_a_duplicate(channel: HospitalChannel) -> None:
    envelope = channel.write({"d": b"1"})
    raw = channel.block([envelope, envelope], [OK, ValidationCode.DUPLICATE_TXID])
    assert verify_chain([*channel.blocks, raw]).codes["DUPLICATE_TXID"] == 1


def test_an_invalid_transaction_writes_nothing(channel: HospitalChannel) -> None:
    lost = channel.write({"d": b"1"}, endorsers=[])
    channel.add([lost], [ValidationCode.ENDORSEMENT_POLICY_FAILURE])
    channel.add([channel.write({"d": b"2"}, reads=["d"])])
    verifier = ChainVerifier()
    for raw in channel.blocks:
        verifier.add(raw)
    assert verifier.state.get(CHAINCODE, "d") == b"2"


def test_a_new_definition_changes_the_policy_from_the_next_block_on(channel: HospitalChannel) -> None:
    channel.add([channel.definition(required=3, sequence=2)])
    two = [item.peer for item in channel.hospitals[:2]]
    raw = channel.block([channel.write({"d": b"1"}, endorsers=two)], [ValidationCode.ENDORSEMENT_POLICY_FAILURE])
    assert verify_chain([*channel.blocks, raw]).codes["ENDORSEMENT_POLICY_FAILURE"] == 1


class Drawers:
    """Replays what ``HospitalChannel.write`` claims, from the arguments."""

    def __init__(self, *, forged: bool = False) -> None:
        self.forged = forged
        self.sequences: set[int] = set()

    def __call__(self, transaction: Transaction, sequence: int, state: StateView) -> Simulation | None:
        if transaction.chaincode != CHAINCODE:
            return None
        self.sequences.add(sequence)
        own = transaction.rwsets[0]
        reads = tuple(Read(read.key, state.version(CHAINCODE, read.key)) for read in own.reads)
        writes = tuple(Write(item.key, b"9" if self.forged else item.value) for item in own.writes)
        return Simulation((NamespaceRwset(CHAINCODE, reads, writes),), transaction.response, transaction.event)


def test_valid_transactions_of_the_contract_are_executed_again(channel: HospitalChannel) -> None:
    drawers = Drawers()
    report = verify_chain(channel.blocks, replay=drawers)
    assert (report.replayed, drawers.sequences) == (3, {1})
    assert not any("contract" in text for text in report.not_checked)


def test_a_write_that_the_contract_does_not_give_is_refused(channel: HospitalChannel) -> None:
    error = _refused(channel.blocks, replay=Drawers(forged=True))
    assert (error.reason, error.place) == (Rule.CONTRACT, "block 2")
    assert "write set" in error.detail
