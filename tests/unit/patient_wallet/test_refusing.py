"""A refusal is what proofs say: hospitals that say yes and keep it quiet, lie about members, or sign for others."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import checkpoints, effective, jcs, leaves, merkle, statements
from domain.checkpoints import Checkpoint, origin_of, sign_checkpoint
from domain.entries import Head, LogEntry, UsedEntry, incarnation_attribute
from domain.entries import encode as encode_entry
from domain.errors import Tampered, Unavailable
from domain.identifiers import encode_bytes
from domain.paths import leaf_path
from domain.receipt_form import Inclusion, Proven, Receipt, WritePlace
from domain.witness_log import Write, entry_of, write_leaves, write_tree
from node_service.client.transport import Transport
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import gather
from patient_wallet.registration import Registration
from patient_wallet.vault import INDEX_BOX, Vault
from patient_wallet.wallet import Wallet
from tests.unit.patient_wallet.hostile_hospital import NOW, HostileHospital, an_id, enrolled

A, B, C, D = "AMSP", "BMSP", "CMSP", "DMSP"
CHANNEL = "medical"
AT = "2026-03-01T12:00:00Z"
Answer = Callable[[httpx.Request], object]


def url(msp_id: str) -> str:
    return f"https://{msp_id[0].lower()}.example"


def key(msp_id: str, use: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{msp_id} {use}".encode()).digest())


def public(msp_id: str, use: str) -> bytes:
    return key(msp_id, use).public_key().public_bytes_raw()


def member(msp_id: str) -> dict[str, Any]:
    return {
        "msp_id": msp_id, "url": url(msp_id), "status": "active", "seal_keys": [],
        "signing_keys": [encode_bytes(public(msp_id, "signing"))],
        "witness_keys": [encode_bytes(public(msp_id, "witness"))],
    }  # fmt: skip


def receipt_of(state_key: str, value: bytes, signers: tuple[str, ...], **proven: Any) -> Receipt:
    """A receipt in a block of its own, signed by these members' witnesses."""
    leaves_of_block = write_leaves([Write(0, "tx", state_key, value)])
    entry = entry_of(0, bytes(32), leaves_of_block, b"\0")
    log = merkle.MemoryTree([entry.leaf_hash()])
    checkpoint = Checkpoint(origin_of(CHANNEL), 1, log.root())
    notes = [sign_checkpoint(checkpoint, one, public(one, "witness"), key(one, "witness").sign) for one in signers]
    return Receipt(
        CHANNEL, "fabric", Proven(**{"kind": "write", **proven}, key=state_key, value=value.decode()),
        WritePlace(0, "tx", 0, write_tree(leaves_of_block).size, ()), entry.encode().decode(), Inclusion(1, ()),
        checkpoints.merge(notes).text(),
    )  # fmt: skip


@dataclass
class Channel:
    """Four hospitals; each answers what a test wants. ``sent`` are the statements that came, by hospital."""

    registration: Registration
    members: list[str] = field(default_factory=lambda: [A, B, C, D])
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    sent: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def transport(self, address: str) -> Transport:
        return Transport(address, http=httpx.Client(transport=httpx.MockTransport(self._answer)))

    def wallet(self, folder: Path) -> Wallet:
        vault = Vault.create(folder / "wallet.json", "correct horse battery")
        vault.put(f"hospital:{A}", self.registration.to_box())
        vault.put(INDEX_BOX, {"hospitals": {A: {"name": "A"}}})
        return Wallet(vault, self.transport, os.urandom, lambda: NOW, proof_within_s=0.05)

    def prove(self, by: str, *signers: str, text: Callable[[str], str] = lambda text: text) -> None:
        """This hospital gives receipts, signed by these."""

        def answer(request: httpx.Request) -> object:
            statement = request.url.path.split("/")[4]
            signed = text(self._text(statement))
            used = UsedEntry(encode_bytes(hashlib.sha256(signed.encode()).digest()))
            state_key = "\0".join(("", "statement-used", self.registration.patient, statement, ""))
            return receipt_of(state_key, encode_entry(used), signers).encode()

        self.answers[by, "receipt"] = answer

    def bind(self, *, signer: str = A, patient: str | None = None) -> None:
        """The custodian gives its word, signed by this hospital's key."""

        def answer(request: httpx.Request) -> object:
            statement = request.url.path.split("/")[4]
            word = effective.Effective(CHANNEL, A, patient or self.registration.patient, statement, "tx", 0, AT)
            return effective.to_json(effective.sign_effective(word, key(signer, "signing").sign))

        self.answers[A, "effective"] = answer

    def _text(self, statement: str) -> str:
        texts = [one["statement"] for sent in self.sent.values() for one in sent]
        return next(text for text in texts if statements.parse(text).envelope.id == statement)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        (at,) = [one for one in (A, B, C, D) if url(one) == f"https://{request.url.host}"]
        if at in self.down:
            raise httpx.ConnectError("nobody listens", request=request)
        name = request.url.path.split("/")[-1]
        found: object = None
        if (at, name) in self.answers:
            found = self.answers[at, name](request)
        elif name == "registry":
            found = {"channel": CHANNEL, "ledger": "fabric", "members": [member(one) for one in self.members]}
        elif name == "statements":
            self.sent.setdefault(at, []).append(json.loads(request.read()))
            found = {"id": an_id(), "tx_id": "tx", "block": 0}
        if found is None:
            return httpx.Response(404, content=b"{}")
        return httpx.Response(200, content=found if isinstance(found, bytes) else json.dumps(found).encode())


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    folder = tmp_path / "first"
    folder.mkdir()
    return Channel(enrolled(folder, HostileHospital())[1])


def granted(wallet: Wallet, grantee: str) -> str:
    """A grant that the wallet remembers."""
    grant = an_id()
    wallet._vault.put(f"granted:{A}", {grant: grantee})
    return grant


def test_a_refusal_that_everybody_takes_and_nobody_anchors_is_only_sent(channel: Channel, tmp_path: Path) -> None:
    done = channel.wallet(tmp_path).revoke(A, an_id())
    assert done.state == "sent"
    assert len(done.accepted_by) == 4
    assert (done.receipt, done.effective) == (None, None)


def test_it_goes_to_the_custodian_and_to_others_but_the_grantee(channel: Channel, tmp_path: Path) -> None:
    wallet = channel.wallet(tmp_path)
    wallet.revoke(A, granted(wallet, B))
    assert set(channel.sent) == {A, C, D}
    assert len({one["statement"] for sent in channel.sent.values() for one in sent}) == 1


def test_any_hospitals_receipt_proves_it_and_the_custodians_word_makes_it_effective(
    channel: Channel, tmp_path: Path
) -> None:
    wallet = channel.wallet(tmp_path)
    channel.prove(D, C, D)
    done = wallet.revoke(A, granted(wallet, B))
    assert done.state == "revoked"
    assert done.receipt is not None
    assert done.receipt.signers == (C, D)
    channel.bind()
    assert wallet.revoke(A, granted(wallet, B)).state == "effective"


def test_custodian_and_grantee_prove_nothing_together(channel: Channel, tmp_path: Path) -> None:
    wallet = channel.wallet(tmp_path)
    channel.prove(A, A, B)
    assert wallet.revoke(A, granted(wallet, B)).state == "sent"
    channel.prove(A, A, B, C)
    assert wallet.revoke(A, granted(wallet, B)).state == "revoked"


def test_a_receipt_of_another_text_under_the_same_id_proves_nothing(channel: Channel, tmp_path: Path) -> None:
    channel.prove(C, B, C, D, text=lambda text: text + " ")
    assert channel.wallet(tmp_path).revoke(A, an_id()).state == "sent"


@pytest.mark.parametrize("forged", [{"signer": B}, {"patient": "a" * 26}])
def test_a_word_that_is_not_the_custodians_about_this_patient_binds_nothing(
    channel: Channel, tmp_path: Path, forged: dict[str, str]
) -> None:
    channel.bind(**forged)
    assert channel.wallet(tmp_path).revoke(A, an_id()).effective is None


def test_it_is_sent_and_proven_while_the_custodian_is_down(channel: Channel, tmp_path: Path) -> None:
    wallet = channel.wallet(tmp_path)
    assert wallet.members(A).compared == (A, B, C, D)
    channel.down.add(A)
    channel.prove(C, C, D)
    done = wallet.revoke(A, granted(wallet, B))
    assert done.state == "revoked"
    assert set(channel.sent) == {C, D}


def test_where_nobody_takes_it_the_wallet_says_so(channel: Channel, tmp_path: Path) -> None:
    channel.down.update((A, B, C, D))
    with pytest.raises(Unavailable):
        channel.wallet(tmp_path).revoke(A, an_id())


def test_without_witnesses_there_is_no_receipt_and_none_is_waited_for(channel: Channel, tmp_path: Path) -> None:
    unwitnessed = [{**member(one), "witness_keys": []} for one in channel.members]
    for one in channel.members:
        channel.answers[one, "registry"] = lambda _request: {
            "channel": CHANNEL, "ledger": "embedded", "members": unwitnessed,
        }  # fmt: skip
    channel.bind()
    done = channel.wallet(tmp_path).revoke(A, an_id())
    assert (done.state, done.has_witnesses) == ("effective", False)


def sybils(*names: str) -> Answer:
    return lambda _request: {
        "channel": CHANNEL, "ledger": "fabric",
        "members": [member(one) for one in (A, B, C, D)] + [{**member(one), "url": url(A)} for one in names],
    }  # fmt: skip


@pytest.mark.parametrize("liar", [A, D])
def test_a_hospital_that_names_members_of_its_own_is_noticed_and_stops_no_refusal(
    channel: Channel, tmp_path: Path, liar: str
) -> None:
    channel.answers[liar, "registry"] = sybils("EMSP", "FMSP")
    wallet = channel.wallet(tmp_path)
    with pytest.raises(Tampered) as found:
        wallet.members(A)
    assert found.value.reason == "members-differ"
    assert wallet.revoke(A, an_id()).state == "sent"
    assert channel.sent


def shams(_request: httpx.Request) -> object:
    """The custodian alone, under the names of members that it made up, all at its own address."""
    named = [{**member(one), "url": url(A)} for one in (A, "EMSP", "FMSP")]
    return {"channel": CHANNEL, "ledger": "fabric", "members": named}


def test_a_custodian_that_names_nobody_else_is_found_out_by_a_hospital_that_the_patient_knows(
    channel: Channel, tmp_path: Path
) -> None:
    channel.answers[A, "registry"] = shams
    channel.prove(A, "EMSP", "FMSP")
    wallet = channel.wallet(tmp_path)
    wallet._vault.put(INDEX_BOX, {"hospitals": {A: {"name": "A"}, D: {"name": "D", "url": url(D), "channel": CHANNEL}}})
    with pytest.raises(Tampered):
        wallet.members(A)
    assert wallet.revoke(A, an_id()).state == "sent"
    assert set(channel.sent) == {A, D}


def test_a_thousand_members_that_never_answer_hold_no_refusal_up(channel: Channel, tmp_path: Path) -> None:
    asked: list[str] = []
    silent = [{**member(B), "msp_id": f"Silent{number}", "url": f"https://{number}.b.example", "witness_keys": []}
              for number in range(900)]  # fmt: skip
    channel.answers[A, "registry"] = lambda _request: {
        "channel": CHANNEL, "ledger": "fabric", "members": [member(A), *silent],
    }  # fmt: skip

    def client(address: str) -> WalletClient:
        asked.append(address)
        if address != url(A):
            raise Unavailable("nobody listens", reason="no-answer")
        return WalletClient(channel.transport(address), bytes(32), bytes)

    assert gather(client, CHANNEL, [url(A)]).compared == (A,)
    assert len(asked) == 16


@pytest.mark.parametrize("custodian_is_down", [True, False])
def test_a_dissent_too_goes_to_others_so_that_the_custodian_cannot_keep_it_quiet(
    channel: Channel, tmp_path: Path, custodian_is_down: bool
) -> None:
    wallet = channel.wallet(tmp_path)
    wallet.members(A)
    listing(channel, [])
    channel.answers[A, "dissents"] = lambda _request: {"id": an_id(), "tx_id": "tx", "block": 0}
    if custodian_is_down:
        channel.down.add(A)
    channel.prove(C, C, D)
    assert wallet.dissent(A).state == "revoked"
    assert set(channel.sent) == {B, C, D}


def test_two_members_with_one_witness_key_cannot_be(channel: Channel) -> None:
    twice = [member(A), {**member(B), "witness_keys": member(A)["witness_keys"]}]
    channel.answers[A, "registry"] = lambda _request: {"channel": CHANNEL, "ledger": "fabric", "members": twice}
    with pytest.raises(Tampered):
        gather(lambda at: WalletClient(channel.transport(at), bytes(32), bytes), CHANNEL, [url(A)])


def row_of(channel: Channel, organisation: str) -> leaves.AccessLeaf:
    return leaves.AccessLeaf(
        id=an_id(), at=AT, action="release", organisation=organisation, actor=an_id(), purpose="TREAT",
        access=an_id(), patient=channel.registration.patient, records=(), outcome="ok", salt=encode_bytes(bytes(32)),
    )  # fmt: skip


def row_receipt(row: leaves.AccessLeaf, log_of: str, *signers: str) -> str:
    """The row is the only one of a hospital's log."""
    root = encode_bytes(merkle.leaf_hash(leaves.encode(row)))
    heads = LogEntry(None, Head(0, encode_bytes(merkle.empty_root())), Head(1, root), 0)
    state_key = "\0".join(("", "log", log_of, incarnation_attribute(1), ""))
    made = receipt_of(
        state_key, encode_entry(heads), signers, kind="access-row", leaf=leaves.encode(row).decode(),
        path=leaf_path(1, 0, 1, []),
    )  # fmt: skip
    return made.encode().decode()


def listing(channel: Channel, rows: list[leaves.AccessLeaf], *receipts: str | None) -> None:
    lines = [{"leaf": encode_bytes(leaves.encode(row)), "path": None, "reader": None} for row in rows]
    items = [{"incarnation": 1, "index": 0, "receipt": one} for one in receipts]
    channel.answers[A, "accesses"] = lambda _request: {"items": lines, "next": None}
    channel.answers[A, "access-rows"] = lambda _request: {"items": items, "next": None}
    channel.answers[A, "nonces"] = lambda _request: {"nonce": encode_bytes(bytes(32)), "expires_in": 60}
    channel.answers[A, "sessions"] = lambda _request: {
        "access_token": "t", "token_type": "DPoP", "expires_in": 60, "subject": "s", "roles": [],
    }  # fmt: skip


def test_each_line_of_who_read_has_its_own_receipt_or_says_that_it_has_none(channel: Channel, tmp_path: Path) -> None:
    rows = [row_of(channel, B), row_of(channel, B), row_of(channel, B)]
    listing(channel, rows, row_receipt(rows[0], A, C), None, row_receipt(rows[2], A, A, B))
    told = list(channel.wallet(tmp_path).accesses(A, proven=True))
    assert [one.receipt is not None for one in told] == [True, False, False]
    assert told[0].receipt is not None
    assert told[0].receipt.signers == (C,)


def test_a_row_of_another_hospitals_log_is_no_receipt_of_this_one(channel: Channel, tmp_path: Path) -> None:
    row = row_of(channel, B)
    listing(channel, [row], row_receipt(row, D, C))
    with pytest.raises(Tampered):
        list(channel.wallet(tmp_path).accesses(A, proven=True))


def test_what_is_no_receipt_is_said(channel: Channel, tmp_path: Path) -> None:
    listing(channel, [row_of(channel, B)], jcs.canonical({"v": 1}).decode())
    with pytest.raises(Tampered):
        list(channel.wallet(tmp_path).accesses(A, proven=True))
