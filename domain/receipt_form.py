"""The form of receipts and of members files (docs/formats/witness.md, "Receipts"): reading and writing, no proof."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from domain import ed25519, jcs, wire
from domain.checkpoints import MAX_NOTE_BYTES, SignedNote, WitnessKeys, merge, parse_note
from domain.checks import check_integer, check_member, check_sequence, check_text
from domain.errors import Invalid
from domain.identifiers import check_digest, check_msp_id, decode_bytes
from domain.leaves import MAX_LEAF_BYTES
from domain.paths import LeafPath
from domain.transactions import MAX_PROOF_HASHES
from domain.witness_log import MAX_ENTRY_BYTES, MAX_KEY_CHARACTERS, MAX_TX_ID_CHARACTERS

VERSION: Final = 1
KINDS: Final = ("write", "record", "access-row")
LEDGERS: Final = ("embedded", "fabric")
MAX_RECEIPT_BYTES: Final = 4 * 1024 * 1024
MAX_MEMBERS_BYTES: Final = 1024 * 1024
MAX_MEMBERS: Final = 1000
MAX_WITNESS_KEYS: Final = 32
_MAX_CHANNEL_CHARACTERS: Final = 249
_SHARED_FIELDS: Final = {"block", "channel", "checkpoint", "ledger", "log"}
_OWN_FIELDS: Final = {"proves", "type", "v", "write"}
_OWN_PART: Final = b',"proves":'
"""Where the second begin, in canonical JSON."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A state write; or the leaf of a log whose head is that write.

    Attributes:
        kind: ``write``, ``record`` or ``access-row``.
        key, value: the write; for a leaf, the log's heads (``log``, msp, incarnation).
        leaf, path: the leaf's JCS text and its path to the head; both None for a plain write.
    """

    kind: str
    key: str
    value: str
    leaf: str | None = None
    path: LeafPath | None = None

    def __post_init__(self) -> None:
        check_member(self.kind, "proves.kind", KINDS)
        check_text(self.key, "proves.key", max_characters=MAX_KEY_CHARACTERS)
        check_text(self.value, "proves.value", max_characters=jcs.MAX_SIGNED_BYTES)
        if self.kind == "write":
            if self.leaf is not None or self.path is not None:
                raise Invalid("a plain write has no leaf", place="proves")
            return
        check_text(self.leaf, "proves.leaf", max_characters=MAX_LEAF_BYTES)
        if not isinstance(self.path, LeafPath):
            object.__setattr__(self, "path", wire.from_json(LeafPath, self.path, "proves.path"))


@dataclass(frozen=True, slots=True)
class WritePlace:
    """Where the write leaf stands in its block."""

    transaction: int
    tx_id: str
    index: int
    size: int
    path: tuple[str, ...]

    def __post_init__(self) -> None:
        check_integer(self.transaction, "write.transaction")
        check_text(self.tx_id, "write.tx_id", max_characters=MAX_TX_ID_CHARACTERS)
        check_integer(self.index, "write.index")
        check_integer(self.size, "write.size")
        _check_path(self.path, "write.path")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """The entry's path in the witness log of a size."""

    size: int
    path: tuple[str, ...]

    def __post_init__(self) -> None:
        check_integer(self.size, "log.size")
        _check_path(self.path, "log.path")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt; being one says nothing about whether it holds."""

    channel: str
    ledger: str
    proves: Proven
    write: WritePlace
    block: str
    log: Inclusion
    checkpoint: str

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=_MAX_CHANNEL_CHARACTERS)
        check_member(self.ledger, "ledger", LEDGERS)
        check_text(self.block, "block", max_characters=MAX_ENTRY_BYTES)
        check_text(self.checkpoint, "checkpoint", max_characters=MAX_NOTE_BYTES)

    def encode(self) -> bytes:
        """The receipt as it is kept and handed over."""
        proves = wire.to_json(self.proves)
        if self.proves.kind == "write":
            del proves["leaf"], proves["path"]
        return jcs.canonical({"v": VERSION, "type": "receipt", **wire.to_json(self), "proves": proves})

    def with_notes(self, notes: Iterable[SignedNote]) -> Receipt:
        """The same receipt with the signature lines of further notes of the same checkpoint.

        Raises:
            Tampered: a note is of another checkpoint.
            Invalid: the receipt's own note is not of its form.
        """
        return replace(self, checkpoint=merge([parse_note(self.checkpoint), *notes]).text())


@dataclass(frozen=True, slots=True)
class Member:
    """An active member of the channel and the Ed25519 keys of its witness."""

    msp: str
    witness: tuple[str, ...]

    def __post_init__(self) -> None:
        check_msp_id(self.msp, "members.msp")
        for key in check_sequence(self.witness, "members.witness", max_items=MAX_WITNESS_KEYS):
            if not ed25519.is_strict_public_key(decode_bytes(key, "members.witness", length=ed25519.PUBLIC_KEY_BYTES)):
                raise Invalid("a witness key is not a point of the prime-order subgroup", place="members.witness")


@dataclass(frozen=True, slots=True)
class Members:
    """Whose signatures count: the active members of a channel, from a registry that the verifier trusts.

    No key belongs to two members: all sign the same bytes, so one signature would count for both.
    """

    channel: str
    ledger: str
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=_MAX_CHANNEL_CHARACTERS)
        check_member(self.ledger, "ledger", LEDGERS)
        check_sequence(self.members, "members", max_items=MAX_MEMBERS, min_items=1)
        if len({member.msp for member in self.members}) != len(self.members):
            raise Invalid("a member is named twice", place="members")
        keys = [key for member in self.members for key in member.witness]
        if len(set(keys)) != len(keys):
            raise Invalid("a witness key stands twice", place="members")

    @property
    def keys(self) -> WitnessKeys:
        """The members' witness keys by MSP id."""
        return {member.msp: tuple(decode_bytes(key, "witness") for key in member.witness) for member in self.members}

    def encode(self) -> bytes:
        """The members file."""
        return jcs.canonical({"v": VERSION, **wire.to_json(self)})


def parse_receipt(encoded: bytes) -> Receipt:
    """Read a receipt; nothing is verified.

    Raises:
        Invalid: it is not of the form.
    """
    return _receipt(jcs.parse_object(encoded, max_bytes=MAX_RECEIPT_BYTES))


class ReceiptReader:
    """Reads many receipts: what those of one block below one checkpoint share is read once.

    Args:
        remembered: of how many such parts, those used last.
    """

    def __init__(self, remembered: int = 100) -> None:
        self._shared = lru_cache(maxsize=remembered)(_shared_part)

    def parse(self, encoded: bytes) -> Receipt:
        """As :func:`parse_receipt`.

        Canonical JSON sorts keys, so a canonical object followed by one of later keys is canonical as a whole. What
        does not come apart like that is read whole, which says what is wrong with it.
        """
        cut = encoded.find(_OWN_PART)
        if cut > 0 and len(encoded) <= MAX_RECEIPT_BYTES:
            with suppress(Invalid):
                own = jcs.parse_object(b"{" + encoded[cut + 1 :], max_bytes=MAX_RECEIPT_BYTES)
                if own.keys() == _OWN_FIELDS:
                    return _receipt(own | self._shared(encoded[:cut] + b"}"))
        return parse_receipt(encoded)


def _shared_part(encoded: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = jcs.parse_object(encoded, max_bytes=MAX_RECEIPT_BYTES)
    if fields.keys() != _SHARED_FIELDS:
        raise Invalid("these are not the fields before the proven thing", place="receipt")
    return fields | {"log": wire.from_json(Inclusion, fields["log"], "log")}


def _receipt(fields: dict[str, Any]) -> Receipt:
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    check_member(fields.pop("type", None), "type", ("receipt",))
    proves, log = fields.get("proves"), fields.get("log")
    if isinstance(proves, dict) and proves.get("kind") == "write":
        if proves.keys() != {"kind", "key", "value"}:
            raise Invalid("a plain write has a key and a value", place="proves")
        proves = {**proves, "leaf": None, "path": None}
    parts = {
        "proves": wire.from_json(Proven, proves, "proves"),
        "write": wire.from_json(WritePlace, fields.get("write"), "write"),
        "log": log if isinstance(log, Inclusion) else wire.from_json(Inclusion, log, "log"),
    }
    return wire.from_json(Receipt, fields | parts, "receipt")


def parse_members(encoded: bytes) -> Members:
    """Read a members file.

    Raises:
        Invalid: it is not of the form.
    """
    fields = _versioned(encoded, MAX_MEMBERS_BYTES)
    items = check_sequence(fields.get("members"), "members", max_items=MAX_MEMBERS, min_items=1)
    members = [wire.from_json(Member, item, "members") for item in items]
    return wire.from_json(Members, {**fields, "members": members}, "members")


def _versioned(encoded: bytes, max_bytes: int) -> jcs.JsonObject:
    fields = jcs.parse_object(encoded, max_bytes=max_bytes)
    check_integer(fields.pop("v", None), "v", low=VERSION, high=VERSION)
    return fields


def _check_path(path: object, place: str) -> None:
    for digest in check_sequence(path, place, max_items=MAX_PROOF_HASHES):
        check_digest(digest, place)
