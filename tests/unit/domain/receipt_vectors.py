"""The golden vectors of receipts: ``python -m tests.unit.domain.receipt_vectors`` writes them anew.

Good receipts of each kind, and for each field altered ones with their kind of failure. All three implementations must
agree with them: ``domain.receipts`` and the stand-alone verifiers in Python and JavaScript.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain import jcs, leaves, merkle, paths
from domain.checkpoints import Checkpoint, SignedNote, merge, origin_of, sign_checkpoint
from domain.entries import AccessEntry, Head, LogEntry, RecordEntry, encode, incarnation_attribute
from domain.identifiers import encode_bytes
from domain.receipt_form import Inclusion, Member, Members, Proven, Receipt, WritePlace
from domain.witness_log import Write, entry_of, write_leaves, write_tree
from tests.unit.chaincode.vectors import access_leaf, record_leaf
from tests.unit.chaincode.world import A, B, a_digest, an_id, seeded

FILE = Path(__file__).resolve().parents[2] / "vectors" / "receipts.json"
CHANNEL = "care"
MEMBERS = (A, B, "CMSP", "DMSP", "EMSP")
BLOCKS, BLOCK, TRANSACTION = 11, 7, 1
ORDER = 2**252 + 27742317777372353535851937790883648493
NEUTRAL = bytes([1, *[0] * 31])
VERIFIED, ALTERED, UNUSABLE, NOT_WITNESSED = "verified", "altered", "unusable", "not-witnessed"


@dataclass(frozen=True, slots=True)
class Case:
    """One receipt and what its verification gives."""

    name: str
    receipt: str
    outcome: str
    members: str
    parties: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()


def private(msp_id: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seeded(f"witness {msp_id}"))


def public(msp_id: str) -> bytes:
    return private(msp_id).public_key().public_bytes_raw()


def members(*msp_ids: str, ledger: str = "fabric") -> Members:
    keys = tuple(Member(msp_id, (encode_bytes(public(msp_id)),)) for msp_id in msp_ids or MEMBERS)
    return Members(CHANNEL, ledger, keys)


@dataclass(frozen=True, slots=True)
class World:
    """Eleven blocks; block 7 holds a hospital's heads, an access, a record on the ledger, and a deletion."""

    writes: tuple[Write, ...]
    leaves: tuple[bytes, ...]
    entries: tuple[bytes, ...]
    checkpoint: Checkpoint
    logs: tuple[tuple[bytes, ...], tuple[bytes, ...]]

    def note(self, *msp_ids: str) -> SignedNote:
        return merge(sign_checkpoint(self.checkpoint, m, public(m), private(m).sign) for m in msp_ids)

    def receipt(self, key: str, *signers: str, kind: str = "write", index: int = 0, ledger: str = "fabric") -> Receipt:
        """A receipt for a write of block 7, or for a leaf below it."""
        position, write = next((at, one) for at, one in enumerate(self.writes) if one.key == key)
        assert write.value is not None
        tree, log = write_tree(self.leaves), merkle.MemoryTree(merkle.leaf_hash(entry) for entry in self.entries)
        place = WritePlace(
            write.transaction,
            write.tx_id,
            position,
            tree.size,
            texts(merkle.inclusion_proof(position, tree.size, tree.read)),
        )
        return Receipt(
            CHANNEL, ledger, self.proven(kind, key, write.value.decode(), index), place,
            self.entries[BLOCK].decode(), Inclusion(log.size, texts(merkle.inclusion_proof(BLOCK, log.size, log.read))),
            self.note(*signers or MEMBERS).text(),
        )  # fmt: skip

    def proven(self, kind: str, key: str, value: str, index: int) -> Proven:
        if kind == "write":
            return Proven(kind, key, value)
        rows = self.logs[kind == "access-row"]
        tree = merkle.MemoryTree(map(merkle.leaf_hash, rows))
        path = paths.leaf_path(1, index, tree.size, merkle.inclusion_proof(index, tree.size, tree.read))
        return Proven(kind, key, value, rows[index].decode(), path)


def texts(hashes: list[bytes]) -> tuple[str, ...]:
    return tuple(encode_bytes(item) for item in hashes)


def state_key(*parts: str) -> str:
    return "\0" + "\0".join(parts) + "\0"


HEADS = state_key("log", A, incarnation_attribute(1))
ACCESS = state_key("access", an_id("access"))
RECORD = state_key("record", A, an_id("record"))


def world() -> World:
    """The same in every run."""
    author = leaves.Author(B, "k1", "Ed25519", encode_bytes(bytes(64)))
    first = record_leaf(1)
    made = (first, record_leaf(2, leaves.leaf_hash(first)), record_leaf(1, author=author))
    records = tuple(leaves.encode(leaf) for leaf in made)
    rows = tuple(leaves.encode(replace(access_leaf(), id=an_id(f"row {number}"))) for number in range(4))
    heads = [
        Head(len(log), encode_bytes(merkle.MemoryTree(map(merkle.leaf_hash, log)).root())) for log in (records, rows)
    ]
    access = AccessEntry(
        an_id("patient"), an_id("grant"), B, an_id("doctor"), "TREAT", "2026-03-01T12:00:00Z", "2026-03-01T12:15:00Z",
        a_digest("key"), a_digest("reader"),
    )  # fmt: skip
    tx_id = seeded("transaction").hex()
    written: dict[str, bytes | None] = {
        HEADS: encode(LogEntry(None, heads[0], heads[1], 5)),
        ACCESS: encode(access),
        RECORD: encode(RecordEntry(a_digest("leaf"))),
        state_key("request", an_id("gone")): None,
    }
    writes = sorted((Write(TRANSACTION, tx_id, *item) for item in written.items()), key=lambda one: one.key.encode())
    block = write_leaves(writes)
    entries = [
        entry_of(number, seeded(f"header {number}"), block if number == BLOCK else [], b"\0\0\x0b").encode()
        for number in range(BLOCKS)
    ]
    root = merkle.MemoryTree(merkle.leaf_hash(entry) for entry in entries).root()
    checkpoint = Checkpoint(origin_of(CHANNEL), BLOCKS, root)
    return World(tuple(writes), tuple(block), tuple(entries), checkpoint, (records, rows))


def cases() -> list[Case]:
    """All cases; names are unique."""
    made = world()
    found = [*_good(made), *_witnessed(made), *_notes(made), *_members(made), *_spellings(made)]
    for kind, key in (("write", ACCESS), ("record", HEADS), ("access-row", HEADS)):
        found.extend(_fields(kind, made.receipt(key, "CMSP", "DMSP", kind=kind, index=1)))
    assert len({case.name for case in found}) == len(found)
    return found


def _text(receipt: Receipt) -> str:
    return receipt.encode().decode()


def _case(name: str, receipt: Receipt | str, outcome: str, of: Members | str | None = None, **more: Any) -> Case:
    text = receipt if isinstance(receipt, str) else _text(receipt)
    file = of if isinstance(of, str) else (of or members()).encode().decode()
    return Case(name, text, outcome, file, **more)


def _good(made: World) -> Iterator[Case]:
    yield _case("a write: an access", made.receipt(ACCESS), VERIFIED, signers=(*sorted({*MEMBERS} - {B}),))
    yield _case("a write: a record on the ledger", made.receipt(RECORD), VERIFIED, signers=(*sorted({*MEMBERS} - {A}),))
    rest = ("CMSP", "DMSP", "EMSP")
    for index in range(3):
        others = rest if index == 2 else (B, *rest)  # the third was contributed by B
        receipt = made.receipt(HEADS, kind="record", index=index)
        yield _case(f"a record leaf {index}", receipt, VERIFIED, signers=tuple(sorted(others)))
    for index in range(4):
        yield _case(
            f"an access row {index}", made.receipt(HEADS, kind="access-row", index=index), VERIFIED, signers=rest
        )
    single = made.receipt(ACCESS, ledger="embedded")
    signers = tuple(sorted({*MEMBERS} - {B}))
    yield _case("an embedded ledger", single, VERIFIED, members(ledger="embedded"), signers=signers)


def _witnessed(made: World) -> Iterator[Case]:
    """Of n members max(1, ⌈(n−2)/2⌉) sign, without the parties; B requested the access."""
    enough = made.receipt(ACCESS, "CMSP", "DMSP", B)
    yield _case("two of five", enough, VERIFIED, signers=("CMSP", "DMSP"))
    yield _case("one of five", made.receipt(ACCESS, "CMSP"), NOT_WITNESSED)
    yield _case("one of five and the requester", made.receipt(ACCESS, "CMSP", B), NOT_WITNESSED)
    yield _case("one of five and a told party", enough, NOT_WITNESSED, parties=("DMSP",))
    yield _case("all of five without two told parties", made.receipt(ACCESS), VERIFIED, parties=("AMSP", A), signers=(
        "CMSP", "DMSP", "EMSP"))  # fmt: skip
    yield _case("no member signed", made.receipt(ACCESS, "XMSP"), NOT_WITNESSED)
    for count, needed in ((1, 1), (2, 1), (3, 1), (4, 1), (5, 2)):
        names = ("CMSP", "DMSP", "EMSP", A, B)[:count]
        exact = made.receipt(ACCESS, *names[:needed])
        yield _case(f"{needed} of {count} members", exact, VERIFIED, members(*names), signers=names[:needed])
        if needed > 1:
            yield _case(f"{needed - 1} of {count} members", made.receipt(ACCESS, *names[: needed - 1]), NOT_WITNESSED)
    yield _case("custodian and requester alone", made.receipt(ACCESS), NOT_WITNESSED, members(A, B), parties=(A,))


def _notes(made: World) -> Iterator[Case]:
    """The signed note: its form, and signatures that do not hold."""
    good = made.receipt(ACCESS)
    note = good.checkpoint
    line = made.note("CMSP").signatures[0]
    stranger = made.note("XMSP").signatures[0].line()
    forms: dict[str, Callable[[str], str]] = {
        "no empty line": lambda t: t.replace("\n\n", "\n"),
        "two empty lines": lambda t: t.replace("\n\n", "\n\n\n"),
        "no signature": lambda t: t.partition("\n\n")[0] + "\n\n",
        "no end of line": lambda t: t[:-1],
        "carriage returns": lambda t: t.replace("\n", "\r\n"),
        "an extension line": lambda t: t.replace("\n\n", "\nmore\n\n"),
        "size with a zero before": lambda t: t.replace("\n11\n", "\n011\n"),
        "size with a sign": lambda t: t.replace("\n11\n", "\n+11\n"),
        "size in other digits": lambda t: t.replace("\n11\n", "\n１１\n"),
        "a hyphen for the dash": lambda t: t.replace("— ", "- "),
        "a space at the end": lambda t: t[:-1] + " \n",
        "a line twice": lambda t: t + t.split("\n\n")[1].split("\n")[0] + "\n",
        "another origin": lambda t: t.replace("yilian/care\n", "yilian/other\n"),
        "root without padding": lambda t: t.replace("=\n\n", "\n\n"),
    }
    for name, change in forms.items():
        assert change(note) != note
        yield _case(f"note: {name}", _with(good, checkpoint=change(note)), ALTERED)
    more = _with(good, checkpoint=note + stranger)
    yield _case("note: a line of a stranger", more, VERIFIED, signers=tuple(sorted({*MEMBERS} - {B})))
    s = int.from_bytes(line.signature[32:], "little") + ORDER
    bad = {
        "S above the group order": line.signature[:32] + s.to_bytes(32, "little"),
        "R of small order": NEUTRAL + line.signature[32:],
        "one bit": bytes([line.signature[0] ^ 1]) + line.signature[1:],
        "too short": line.signature[:-1],
        "too long": line.signature + b"\0",
        "another member's": made.note("DMSP").signatures[0].signature,
    }
    for name, signature in bad.items():
        changed = type(line)(line.name, line.key_hash, signature).line()
        yield _case(f"signature: {name}", _with(good, checkpoint=note.replace(line.line(), changed)), ALTERED)
    unknown = type(line)(line.name, bytes(4), line.signature).line()
    lone = made.receipt(ACCESS, "CMSP", "DMSP")
    yield _case(
        "signature: by another key",
        _with(lone, checkpoint=lone.checkpoint.replace(line.line(), unknown)),
        NOT_WITNESSED,
    )
    renamed = type(line)(f"yilian/{CHANNEL}/DMSP", line.key_hash, line.signature).line()
    lone = made.receipt(ACCESS, "CMSP", "EMSP")
    yield _case(
        "signature: under another name",
        _with(lone, checkpoint=lone.checkpoint.replace(line.line(), renamed)),
        NOT_WITNESSED,
    )


def _members(made: World) -> Iterator[Case]:
    """Members files that are not of the form, or of another channel or ledger."""
    good = json.loads(members().encode())
    weak = encode_bytes(NEUTRAL)
    changes: dict[str, tuple[Callable[[Any], object], str]] = {
        "another version": (lambda f: f.update(v=2), UNUSABLE),
        "version true": (lambda f: f.update(v=True), UNUSABLE),
        "another channel": (lambda f: f.update(channel="other"), ALTERED),
        "another ledger": (lambda f: f.update(ledger="embedded"), ALTERED),
        "an unknown ledger": (lambda f: f.update(ledger="paper"), UNUSABLE),
        "nobody": (lambda f: f.update(members=[]), UNUSABLE),
        "a member twice": (lambda f: f["members"].append(f["members"][0] | {"witness": []}), UNUSABLE),
        "a key of two members": (lambda f: f["members"][0].update(witness=f["members"][1]["witness"]), UNUSABLE),
        "a weak key": (lambda f: f["members"][0].update(witness=[weak]), UNUSABLE),
        "a short key": (lambda f: f["members"][0].update(witness=["AAAA"]), UNUSABLE),
        "no list of keys": (lambda f: f["members"][0].update(witness="x"), UNUSABLE),
        "a bad name": (lambda f: f["members"][0].update(msp="A MSP"), UNUSABLE),
        "an unknown field": (lambda f: f.update(more=1), UNUSABLE),
        "no channel": (lambda f: f.pop("channel"), UNUSABLE),
    }
    for name, (change, outcome) in changes.items():
        file = copy.deepcopy(good)
        change(file)
        yield _case(f"members: {name}", made.receipt(ACCESS), outcome, jcs.canonical(file).decode())
    yield _case("members: not canonical", made.receipt(ACCESS), UNUSABLE, json.dumps(good))


def _spellings(made: World) -> Iterator[Case]:
    """The same values in another spelling than the canonical one; what is no JSON."""
    good = _text(made.receipt(ACCESS))
    fields = json.loads(good)
    yield _case("receipt: not canonical", json.dumps(fields), UNUSABLE)
    yield _case("receipt: a field twice", '{"block":"x",' + good[1:], UNUSABLE)
    yield _case("receipt: a fraction", good.replace('"v":1', '"v":1.0'), UNUSABLE)
    yield _case("receipt: minus zero", good.replace('"transaction":1', '"transaction":-0'), UNUSABLE)
    yield _case("receipt: truncated", good[:-1], UNUSABLE)
    yield _case("receipt: empty", "", UNUSABLE)
    for name, key in (("without parts", "x"), ("of one part", "\0x"), ("with a tail", ACCESS + "x")):
        proves = {**fields["proves"], "key": key}
        yield _case(f"key {name}", jcs.canonical({**fields, "proves": proves}).decode(), ALTERED)
    yield _case("receipt: a list", "[]", UNUSABLE)
    yield _case("receipt: deep", "[" * 5000, UNUSABLE)
    block = fields["block"]
    for name, text in {"spaces": block.replace(",", ", "), "a field twice": '{"codes":"x",' + block[1:]}.items():
        yield _case(f"block: {name}", _with(made.receipt(ACCESS), block=text), ALTERED)


def _with(receipt: Receipt, **texts_: str) -> str:
    return jcs.canonical({**json.loads(receipt.encode()), **texts_}).decode()


def _fields(kind: str, receipt: Receipt) -> Iterator[Case]:
    """Every field of a receipt gone, of another type, and altered."""
    whole = json.loads(receipt.encode())
    for place in _places(whole):
        name = f"{kind}: {'.'.join(map(str, place))}"
        value = _at(whole, place)
        yield _case(f"{name} is null", _changed(whole, place, None), UNUSABLE)
        if isinstance(place[-1], str):
            yield _case(f"{name} is missing", _changed(whole, place), UNUSABLE)
        if isinstance(value, dict):
            yield _case(f"{name} has an unknown field", _changed(whole, (*place, "unknown"), 1), UNUSABLE)
        for label, other, outcome in _others(place, value):
            yield _case(f"{name} {label}", _changed(whole, place, other), outcome)


def _others(place: tuple[str | int, ...], value: Any) -> Iterator[tuple[str, object, str]]:
    """Other values of the same type."""
    if place in (("v",), ("type",), ("proves", "kind"), ("ledger",)):
        yield "is another", {"v": 2, "type": "fork", "kind": "tale", "ledger": "paper"}[str(place[-1])], UNUSABLE
        if place == ("ledger",):
            yield "is the other", "embedded", ALTERED
    elif isinstance(value, int):
        yield "is a text", str(value), UNUSABLE
        yield "is negative", -1, UNUSABLE
        yield "is true", True, UNUSABLE
        yield "is beyond the bound", 2**53 - 1, UNUSABLE if place[-2:] == ("path", "index") else ALTERED
        yield "is another", value + 1, ALTERED
    elif isinstance(value, list):
        yield "has one hash less", value[:-1], ALTERED
        yield "has one hash more", [*value, encode_bytes(bytes(32))], ALTERED
        yield "is very long", [encode_bytes(bytes(32))] * 129, UNUSABLE
    elif isinstance(place[-1], int):
        yield "is another hash", encode_bytes(bytes(32)), ALTERED
        yield "is padded", value + "=", UNUSABLE
        yield "is no hash", "AAAA", UNUSABLE
    elif isinstance(value, str):
        yield "is empty", "", UNUSABLE
        middle = len(value) // 2
        yield (
            "has another character",
            value[:middle] + ("B" if value[middle] != "B" else "C") + value[middle + 1 :],
            ALTERED,
        )
        yield "has one character more", value + "x", ALTERED
        yield "has one character less", value[:-1], ALTERED


def _places(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if place:
        yield place
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from _places(child, (*place, name))


def _at(whole: Any, place: tuple[str | int, ...]) -> Any:
    for name in place:
        whole = whole[name]
    return whole


_GONE = object()


def _changed(whole: Any, place: tuple[str | int, ...], value: object = _GONE) -> str:
    changed = copy.deepcopy(whole)
    owner = _at(changed, place[:-1])
    if value is _GONE:
        del owner[place[-1]]
    else:
        owner[place[-1]] = value
    return jcs.canonical(changed).decode()


def content() -> bytes:
    """The file."""
    files: dict[str, str] = {}
    rows = []
    for case in cases():
        label = files.setdefault(case.members, f"m{len(files) + 1}")
        rows.append({
            "name": case.name, "outcome": case.outcome, "members": label, "parties": list(case.parties),
            "signers": list(case.signers), "receipt": case.receipt,
        })  # fmt: skip
    whole = {"members": {label: text for text, label in files.items()}, "cases": rows}
    return (json.dumps(whole, indent=1) + "\n").encode()


if __name__ == "__main__":
    FILE.write_bytes(content())
