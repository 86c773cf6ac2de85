"""The witness over HTTP: what it says, and that no input makes it fail, wait or grow."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient

from domain import merkle
from domain.checkpoints import parse_note, verify_note
from domain.errors import Invalid, NotFound, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from domain.receipt_form import Members
from domain.witness_answers import from_json, verify_answer
from domain.witness_log import parse_entry, parse_write_leaf
from network.witness.client import MAX_ANSWER_BYTES, WitnessClient
from network.witness.http import MAX_ADDRESSES, RequestRate, build_app
from network.witness.witness import Alarm, Witness
from tests.unit.network.witness.conftest import CHANNEL, World, witness_key

NONCE = encode_bytes(bytes(range(32)))


@pytest.fixture
def witness(world: World) -> Witness:
    return world.followed("BMSP")


@pytest.fixture
def http(witness: Witness) -> Iterator[TestClient]:
    with TestClient(build_app(witness), raise_server_exceptions=False) as client:
        yield client


def test_health_says_how_far_and_whether_all_is_well(http: TestClient, witness: Witness) -> None:
    assert http.get("/health").json() == {"channel": CHANNEL, "msp": "BMSP", "size": 5, "alarm": None}
    witness._alarm = Alarm("contract", "block 7")
    assert http.get("/health").json()["alarm"] == {"reason": "contract", "place": "block 7"}


def test_an_answer_is_signed_over_the_nonce(http: TestClient) -> None:
    signed = from_json(http.post("/answers", json={"nonce": NONCE}).json())
    keys = [witness_key("BMSP").public]
    assert verify_answer(signed, channel=CHANNEL, msp_id="BMSP", nonce=NONCE, keys=keys).block == 4


def test_checkpoints_are_notes_as_plain_text(http: TestClient, members: Members) -> None:
    latest = http.get("/checkpoints/latest")
    assert latest.headers["content-type"] == "text/plain; charset=utf-8"
    assert latest.text == http.get("/checkpoints/5").text
    assert verify_note(parse_note(latest.text), members.keys) == ("BMSP",)


def test_proofs_hold(http: TestClient) -> None:
    roots = {size: parse_note(http.get(f"/checkpoints/{size}").text).checkpoint.root for size in (3, 5)}
    proof = [decode_bytes(item, "") for item in http.get("/consistency/3/5").json()["proof"]]
    merkle.verify_consistency(3, roots[3], 5, roots[5], proof)
    found = http.get("/entries/2", params={"size": 5}).json()
    path = [decode_bytes(item, "") for item in found["path"]]
    merkle.verify_inclusion(merkle.leaf_hash(found["entry"].encode()), 2, 5, path, roots[5])


def test_the_place_of_a_write_is_found_by_transaction_and_key(http: TestClient, witness: Witness) -> None:
    stored = witness._database.leaves(2)
    root = decode_bytes(parse_entry(witness.entry(2, 5).text).writes, "")
    for index, leaf in enumerate(stored):
        write = parse_write_leaf(leaf)
        found = http.get("/writes/2", params={"tx_id": write.tx_id, "key": write.key}).json()
        assert (found["transaction"], found["index"], found["size"]) == (0, index, len(stored))
        path = [decode_bytes(item, "") for item in found["path"]]
        merkle.verify_inclusion(merkle.leaf_hash(leaf), index, len(stored), path, root)
    assert http.get("/writes/2", params={"tx_id": write.tx_id, "key": "\0org\0ZMSP\0"}).status_code == 404


def test_while_an_alarm_stands_nothing_is_signed(http: TestClient, witness: Witness) -> None:
    witness._alarm = Alarm("contract", "block 7")
    for answer in (
        http.post("/answers", json={"nonce": NONCE}),
        http.get("/checkpoints/latest"),
        http.get("/checkpoints/1"),
    ):
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["reason"], answer.json()["place"]) == ("alarm", "block 7")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"nonce":1}', b'{"nonce":null}', b'{"nonce":""}',
        b'{"nonce":"' + b"A" * 42 + b'"}', b'{"nonce":"' + b"=" * 43 + b'"}', b'{"nonce":"' + b"A" * 42 + b'B"}',
        b'{"nonce":["' + b"A" * 43 + b'"]}', b'{"nonce":"' + b"A" * 43 + b'","x":1}',
        b'{"nonce":"' + b"A" * 43 + b'","nonce":"' + b"A" * 43 + b'"}', b"[" * 1000,
    ],
)  # fmt: skip
def test_a_malformed_question_is_a_400(http: TestClient, body: bytes) -> None:
    answer = http.post("/answers", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_long_question_is_a_413(http: TestClient) -> None:
    assert http.post("/answers", content=b'{"nonce":"' + b"A" * 2000).status_code == 413


@pytest.mark.parametrize(
    "path",
    [
        "/checkpoints/0", "/checkpoints/6", "/checkpoints/-1", "/checkpoints/05", "/checkpoints/5.0", "/checkpoints/x",
        "/checkpoints/99999999999999999999999", "/checkpoints/%EF%BC%95", "/entries/5?size=5", "/entries/0?size=6",
        "/entries/x?size=5", "/entries/0?size=x", "/consistency/0/5", "/consistency/5/4", "/consistency/1/6",
        "/consistency/a/b", "/writes/9?tx_id=a&key=b", "/writes/0?tx_id=a&key=b", "/nothing",
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_404(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/entries/0", "/writes/2", "/writes/2?tx_id=" + "a" * 200 + "&key=b"])
def test_a_malformed_request_is_a_400_that_repeats_nothing(http: TestClient, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 400
    assert "aaaa" not in answer.text


def test_one_address_has_its_share_of_a_second(witness: Witness) -> None:
    seconds = [0.0]
    rate = RequestRate(per_s=2, clock=lambda: seconds[0])
    with TestClient(build_app(witness, rate=rate)) as client:
        assert [client.get("/health").status_code for _ in range(3)] == [200, 200, 429]
        seconds[0] = 1.0
        assert client.get("/health").status_code == 200


def test_addresses_are_remembered_in_bounded_memory() -> None:
    rate = RequestRate(per_s=1, clock=lambda: 0.0)
    for number in range(MAX_ADDRESSES + 10):
        assert rate.allows(str(number))
    assert len(rate._used) == MAX_ADDRESSES
    assert not rate.allows(str(MAX_ADDRESSES))


# --- The client -----------------------------------------------------------------------------------------------------


def asking(handler: object) -> WitnessClient:
    return WitnessClient("http://w.example/", httpx.MockTransport(handler))  # type: ignore[arg-type]


def test_the_client_reads_what_the_witness_serves(http: TestClient, witness: Witness) -> None:
    def pass_on(request: httpx.Request) -> httpx.Response:
        answer = http.get(request.url.raw_path.decode())
        return httpx.Response(answer.status_code, content=answer.content)

    client = asking(pass_on)
    assert client.note() == witness.note()
    assert client.note(3) == witness.note(3)
    assert client.consistency(2, 5) == witness.consistency(2, 5)
    with pytest.raises(NotFound):
        client.note(6)
    witness._alarm = Alarm("contract", "block 7")
    with pytest.raises(Unavailable):
        client.note()


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"hello", b"x" * (MAX_ANSWER_BYTES + 1), b"x" * 40_000],
    ids=lambda content: str(len(content)),
)
def test_the_client_refuses_what_is_no_note(content: bytes) -> None:
    with pytest.raises(Invalid):
        asking(lambda _: httpx.Response(200, content=content)).note()


@pytest.mark.parametrize("proof", [None, {}, "x", ["x"], ["A" * 43] * 129, [1]])
def test_the_client_refuses_what_is_no_proof(proof: object) -> None:
    with pytest.raises(Invalid):
        asking(lambda _: httpx.Response(200, content=json.dumps({"proof": proof}))).consistency(1, 2)


def test_the_client_follows_no_redirect_and_names_no_cause() -> None:
    with pytest.raises(Unavailable):
        asking(lambda _: httpx.Response(302, headers={"Location": "http://elsewhere.example"})).note()

    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    with pytest.raises(Unavailable, match="ConnectError"):
        asking(refuse).note()
