"""Receipts: a state write or a log leaf, proven offline up to enough witnesses (docs/formats/witness.md, "Receipts").

A receipt is verified against a members file that its verifier trusts; nothing else is asked. What is not of the form is
``Invalid``; what does not fit, or a hashed text that is not of its form, is ``Tampered``; too few signatures is
``Unavailable`` (``not-witnessed``): not altered, not proven yet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from domain import jcs, merkle
from domain.checkpoints import Checkpoint, SignedNote, origin_of, parse_note, verify_note
from domain.entries import LogEntry as LogHeads
from domain.entries import incarnation_attribute
from domain.entries import parse as parse_value
from domain.errors import Invalid, Tampered, Unavailable
from domain.identifiers import decode_digest, encode_bytes
from domain.leaves import parse_access_leaf, parse_record_leaf
from domain.paths import LeafPath, verify_leaf
from domain.receipt_form import Inclusion, Members, Proven, Receipt
from domain.witness_log import LogEntry, parse_entry

__all__ = [
    "Members", "Proven", "Receipt", "ReceiptVerifier", "VerifiedReceipt", "parties_of", "required_signatures",
    "verify_receipt",
]  # fmt: skip

NOT_WITNESSED: Final = "not-witnessed"
MAX_REMEMBERED: Final = 1000
PARTY_FIELDS: Final = frozenset({"custodian", "requester", "grantee", "organisation", "by", "msp_id"})
"""Fields of leaves and values that name an organisation which takes part in what is proven."""
PARTY_ATTRIBUTES: Final = {
    "org": (0,),
    "log": (0,),
    "record": (0,),
    "status": (0,),
    "attestation": (0, 2),
    "review": (1,),
}
"""Attributes of state keys that do."""


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """What a receipt proves.

    Attributes:
        proven: the write or the leaf.
        tx_id, block, header_hash: the transaction, and the block that holds it.
        checkpoint: the witness log that includes the block.
        signers: members whose signatures hold and who are no parties, sorted.
        parties: organisations that take part in what is proven; their signatures do not count.
        required: how many signers are enough.
        single_operator: one operator holds all keys, so that the signatures are one party's word.
    """

    proven: Proven
    tx_id: str
    block: int
    header_hash: str
    checkpoint: Checkpoint
    signers: tuple[str, ...]
    parties: tuple[str, ...]
    required: int
    single_operator: bool


def required_signatures(members: int) -> int:
    """Signatures that are enough among ``members``: max(1, ⌈(n−2)/2⌉), since custodian and reader do not count."""
    return max(1, (members - 1) // 2)


class ReceiptVerifier:
    """Verifies receipts against the members that its owner trusts.

    Receipts of one block or one checkpoint share most of what is to be verified: an entry's place in the log and the
    signatures below a note. What was verified is remembered by the whole text that it holds for.

    Args:
        remembered: of how many entries and notes, those used last.
    """

    def __init__(self, members: Members, remembered: int = MAX_REMEMBERED) -> None:
        self._members = members
        self._keys = members.keys
        remember = lru_cache(maxsize=remembered)
        self._entry = remember(_entry)
        self._note = remember(_note)
        self._signers = remember(self._verify_note)
        self._include = remember(_verify_inclusion)

    def verify(self, receipt: Receipt, excluded: Collection[str] = ()) -> VerifiedReceipt:
        """Verify a receipt.

        Args:
            excluded: further parties, for example the custodian of an access, which its entry does not name.

        Raises:
            Tampered: something does not fit.
            Unavailable: too few members other than the parties signed (``not-witnessed``).
        """
        members = self._members
        if (receipt.channel, receipt.ledger) != (members.channel, members.ledger):
            raise Tampered("the receipt is of another channel or ledger", reason="channel", place="channel")
        _verify_leaf(receipt.proves)
        entry = self._entry(receipt.block)
        _verify_write(receipt, entry)
        checkpoint = self._note(receipt.checkpoint).checkpoint
        self._include(receipt.block, entry.number, receipt.log, checkpoint)
        if checkpoint.origin != origin_of(members.channel):
            raise Tampered("the checkpoint is of another channel", reason="checkpoint", place="checkpoint")
        parties = sorted({*parties_of(receipt.proves), *excluded})
        signers = tuple(msp_id for msp_id in self._signers(receipt.checkpoint) if msp_id not in parties)
        required = required_signatures(len(members.members))
        if len(signers) < required:
            detail = f"{len(signers)} of {required} signatures by members that take no part in it"
            raise Unavailable(detail, reason=NOT_WITNESSED, place="checkpoint")
        return VerifiedReceipt(
            proven=receipt.proves,
            tx_id=receipt.write.tx_id,
            block=entry.number,
            header_hash=entry.header,
            checkpoint=checkpoint,
            signers=signers,
            parties=tuple(parties),
            required=required,
            single_operator=members.ledger == "embedded",
        )

    def _verify_note(self, text: str) -> tuple[str, ...]:
        return verify_note(self._note(text), self._keys)


def verify_receipt(receipt: Receipt, members: Members, excluded: Collection[str] = ()) -> VerifiedReceipt:
    """Verify one receipt; as :meth:`ReceiptVerifier.verify`."""
    return ReceiptVerifier(members).verify(receipt, excluded)


def parties_of(proven: Proven) -> frozenset[str]:
    """The organisations that the proven thing names.

    Raises:
        Tampered: the value or the leaf is not canonical JSON, or the key is no state key.
    """
    found: set[str] = set()
    for text in (proven.value, proven.leaf):
        if text is not None:
            _collect(_json(text), found)
    kind, attributes = _split(proven.key)
    positions = PARTY_ATTRIBUTES.get(kind, ())
    return frozenset(found | {attributes[position] for position in positions if position < len(attributes)})


def _verify_leaf(proven: Proven) -> None:
    """2. The leaf leads to the head that the write names, in that organisation's log and incarnation."""
    if proven.leaf is None or proven.path is None:
        return
    kind, attributes = _split(proven.key)
    path: LeafPath = proven.path
    if kind != "log" or len(attributes) != 2 or attributes[1] != incarnation_attribute(path.incarnation):
        raise Tampered("the write is not the head of that log", reason="leaf", place="proves.key")
    try:
        heads = parse_value(LogHeads, proven.value.encode())
        head = heads.records if proven.kind == "record" else heads.access
        encoded = proven.leaf.encode()
        owner = parse_record_leaf(encoded).custodian if proven.kind == "record" else attributes[0]
        if proven.kind != "record":
            parse_access_leaf(encoded)
    except (Invalid, UnicodeEncodeError) as error:
        raise Tampered("the leaf or the head is not of its form", reason="leaf", place="proves") from error
    if owner != attributes[0] or head.size != path.size:
        raise Tampered("the leaf is of another log or tree", reason="leaf", place="proves.leaf")
    verify_leaf(encoded, path, head.root)


def _verify_write(receipt: Receipt, entry: LogEntry) -> None:
    """3. The write leaf leads to the entry's root."""
    place, proven = receipt.write, receipt.proves
    try:
        digest = encode_bytes(hashlib.sha256(proven.value.encode()).digest())
        leaf = jcs.canonical([place.transaction, place.tx_id, proven.key, digest])
    except (Invalid, UnicodeEncodeError) as error:
        raise Tampered("the write is not of its form", reason="write", place="write") from error
    path = [decode_digest(item, "write.path") for item in place.path]
    root = decode_digest(entry.writes, "block.writes")
    merkle.verify_inclusion(merkle.leaf_hash(leaf), place.index, place.size, path, root)


def _verify_inclusion(block: str, number: int, log: Inclusion, checkpoint: Checkpoint) -> None:
    """4. The entry leads to the checkpoint's root."""
    if log.size != checkpoint.size:
        raise Tampered("the checkpoint is of another size", reason="inclusion", place="log.size")
    path = [decode_digest(item, "log.path") for item in log.path]
    merkle.verify_inclusion(merkle.leaf_hash(block.encode()), number, checkpoint.size, path, checkpoint.root)


def _entry(text: str) -> LogEntry:
    try:
        return parse_entry(text.encode())
    except (Invalid, UnicodeEncodeError) as error:
        raise Tampered("the block's entry is not of its form", reason="entry", place="block") from error


def _note(text: str) -> SignedNote:
    try:
        return parse_note(text)
    except Invalid as error:
        raise Tampered(error.detail, reason="checkpoint", place="checkpoint") from error


def _json(text: str) -> jcs.JsonObject:
    try:
        return jcs.parse_object(text.encode())
    except (Invalid, UnicodeEncodeError) as error:
        raise Tampered("the value or leaf is not canonical JSON", reason="not-canonical", place="proves") from error


def _split(key: str) -> tuple[str, tuple[str, ...]]:
    """Object type and attributes of a composite key, each part ended by U+0000 behind a leading one."""
    parts = key.split("\0")
    if len(parts) < 3 or parts[0] or parts[-1]:
        raise Tampered("the key is no state key", reason="write", place="proves.key")
    return parts[1], tuple(parts[2:-1])


def _collect(value: jcs.JsonValue, found: set[str]) -> None:
    if isinstance(value, dict):
        for name in PARTY_FIELDS & value.keys():
            named = value[name]
            if isinstance(named, str):
                found.add(named)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        if isinstance(child, (dict, list)):
            _collect(child, found)
