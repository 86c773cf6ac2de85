"""What the bytes in the contract's transactions are: every value is of a kind that the design lists, or is named.

Looked at are arguments (statements inside them too), written and read keys, written values, events and answers. A
closed table says for each field name which kind it has; a text that no table expects is a finding, wherever it stands.
So is what stands around them, what cannot be read, and any other contract's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from domain import entries, jcs, statements, transactions, vocabulary
from domain.checks import check_integer, check_member
from domain.errors import Invalid
from domain.identifiers import check_code, check_digest, check_identifier, check_msp_id, decode_bytes
from domain.instants import check_instant
from network.blocks.codes import code_name
from network.blocks.transaction import HeaderType, Transaction
from network.blocks.validation import ValidatedTransaction
from network.verifier.report import VerifiedBlock
from network.verifier.wrapping import stray

OPENED_EVENT: Final = "IncarnationOpened"
CONFIGURATION: Final = "configuration"
LIFECYCLE: Final = "_lifecycle"
_VALID: Final = "VALID"
_NUL: Final = "\x00"


class Kind(StrEnum):
    """What may stand on the ledger."""

    IDENTIFIER = "identifier"
    DIGEST = "digest"
    KEY = "key"
    SIGNATURE = "signature"
    INSTANT = "instant"
    ORGANISATION = "organisation"
    ADDRESS = "address"
    NUMBER = "number"
    CODE = "code"
    NAME = "name"  # of a key of an organisation, and of the channel
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Item:
    """One value and where it stands; ``kind`` is :attr:`Kind.UNKNOWN` where nothing lists it."""

    block: int
    tx_id: str
    place: str
    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"block {self.block} transaction {self.tx_id} {self.place}"


Found = tuple[str, Kind, str]
_CODES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "status": (
            *entries.ORGANIZATION_STATUSES, *entries.REGISTRATION_STATUSES, *entries.RECORD_STATUSES,
            *entries.GRANT_STATUSES, *entries.DISSENT_STATUSES,
        ),
        "reason": (
            *vocabulary.CLOSE_REASONS, *vocabulary.RETRACT_REASONS, *vocabulary.LOCK_REASONS,
            *vocabulary.INCARNATION_REASONS, *vocabulary.BREAK_GLASS_REASONS,
        ),
        "categories": vocabulary.CATEGORIES,
        "purposes": (*vocabulary.PURPOSES, vocabulary.BREAK_GLASS_PURPOSE),
        "purpose": (*vocabulary.PURPOSES, vocabulary.BREAK_GLASS_PURPOSE),
        "permissions": vocabulary.PERMISSIONS,
        "kind": (*vocabulary.STATEMENT_KINDS, "grant", "dissent"),
        "use": vocabulary.KEY_USES,
        "alg": tuple(vocabulary.KEY_ALGORITHMS.values()),
        "signing_alg": ("Ed25519",),
        "wrap_alg": (vocabulary.PATIENT_WRAP_ALG,),
        "outcome": vocabulary.REVIEW_OUTCOMES,
        "type": tuple(statements.TYPES),
        "contract": (vocabulary.CONTRACT,),
    }
)  # fmt: skip
_FIELDS: Final[Mapping[Kind, frozenset[str]]] = MappingProxyType(
    {
        Kind.IDENTIFIER: frozenset(
            {"id", "patient", "record", "records", "grant", "request", "emergency", "practitioner", "reviewer",
             "enrolled_by", "revoked_by", "withdrawn_by", "target"}
        ),
        Kind.DIGEST: frozenset(
            {"root", "proof", "leaf", "digest", "statement_digest", "consent_digest", "key_digest", "reader_digest",
             "note_digest", "subject_tag", "records_digest"}
        ),
        Kind.KEY: frozenset({"signing", "wrap", "key"}),
        Kind.SIGNATURE: frozenset({"signature", "new_signature"}),
        Kind.INSTANT: frozenset(
            {"at", "opened_at", "valid_from", "valid_until", "until", "retained_until", "recorded_until", "anchor_by"}
        ),
        Kind.ORGANISATION: frozenset({"custodian", "grantee", "requester", "by", "msp"}),
        Kind.ADDRESS: frozenset({"url", "witness_url"}),
        Kind.NUMBER: frozenset(
            {"v", "size", "key_epoch", "grant_epoch", "floor", "unwraps", "incarnation", "records_size", "access_size"}
        ),
        Kind.CODE: frozenset(_CODES),
        Kind.NAME: frozenset({"kid", "channel"}),
    }
)  # fmt: skip
KIND_OF: Final[Mapping[str, Kind]] = MappingProxyType({name: kind for kind, names in _FIELDS.items() for name in names})
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "org": ("msp",), "org-key": ("key",), "patient": ("id",), "floor": ("patient",), "log": ("msp", "number"),
        "record": ("msp", "record"), "status": ("msp", "record"), "attestation": ("msp", "record", "msp"),
        "grant": ("patient", "id"), "dissent": ("patient", "id"), "statement-used": ("patient", "id"),
        "request": ("id",), "answer": ("request",), "access": ("id",), "emergency": ("id",),
        "review": ("emergency", "msp"), "statement": ("kind", "id"),
    }
)  # fmt: skip


def unlisted(block: VerifiedBlock, contract: str) -> Iterator[Item]:
    """The values of a block that are of no listed kind, and transactions that name a patient and a record together."""
    found = list(items_of(block, contract))
    yield from (item for item in found if item.kind is Kind.UNKNOWN)
    by_transaction: dict[str, list[Item]] = {}
    for item in found:
        by_transaction.setdefault(item.tx_id, []).append(item)
    for tx_id, items in by_transaction.items():
        names = {_last(item.place) for item in items if item.kind is Kind.IDENTIFIER}
        if "patient" in names and names & {"record", "records"}:
            yield Item(block.number, tx_id, "patient and record", Kind.UNKNOWN, "")


def items_of(block: VerifiedBlock, contract: str) -> Iterator[Item]:
    """Every value of the contract's transactions in a verified block; refused ones are in the block all the same.

    Whatever else stands there is of no listed kind, but for what :func:`passed_over` names.
    """
    for one in block.transactions:
        tx_id = "" if one.envelope is None else one.envelope.tx_id
        for place, kind, value in _found(one, contract):
            yield Item(block.number, tx_id, place, kind, value)


def passed_over(block: VerifiedBlock) -> Iterator[str]:
    """What is no transaction of the contract and by Fabric's rules not free: by the name of its kind, once for each.

    Configurations of the channel and definitions of contracts say who the members are and how they decide.
    """
    for one in block.transactions:
        if _is_configuration(one):
            yield CONFIGURATION
        elif one.transaction is not None and one.transaction.chaincode == LIFECYCLE:
            yield LIFECYCLE


def _is_configuration(one: ValidatedTransaction) -> bool:
    return one.transaction is None and one.envelope is not None and one.envelope.type == HeaderType.CONFIG


def _found(one: ValidatedTransaction, contract: str) -> Iterator[Found]:
    transaction = one.transaction
    if transaction is None:
        if not _is_configuration(one):
            yield "transaction that cannot be read", Kind.UNKNOWN, ""
    elif transaction.chaincode == contract:
        yield from _transaction(transaction, is_valid=code_name(one.code) == _VALID)
        for place in stray(transaction):
            yield place, Kind.UNKNOWN, ""
    elif transaction.chaincode != LIFECYCLE:
        yield "transaction of another contract", Kind.UNKNOWN, transaction.chaincode


def _transaction(transaction: Transaction, *, is_valid: bool) -> Iterator[Found]:
    yield from _arguments(transaction)
    written = list[str]()
    for rwset in transaction.rwsets:
        foreign = rwset.namespace != transaction.chaincode
        if foreign and rwset.has_writes:
            yield f"namespace {rwset.namespace}", Kind.UNKNOWN, ""
        if rwset.collections or rwset.metadata_write_keys:
            yield f"namespace {rwset.namespace} private data", Kind.UNKNOWN, ""
        if foreign:
            continue
        for read in rwset.reads:
            yield from _key("read", read.key)
        for write in rwset.writes:
            written.append("/".join(_parts(write.key)))
            yield from _key("write", write.key)
            yield from _value(write.key, write.value)
    yield from _event(transaction, written, is_valid=is_valid)
    yield from _answer(transaction)


def _arguments(transaction: Transaction) -> Iterator[Found]:
    try:
        name, encoded = transaction.args
        kind = name.decode("ascii")
        fields = jcs.parse_object(encoded)
        transactions.parse(kind, encoded)
    except (Invalid, ValueError):
        yield "arguments", Kind.UNKNOWN, ""
        return
    yield from _walk(f"{kind} arguments", fields)


def _key(use: str, key: str) -> Iterator[Found]:
    object_type, *attributes = _parts(key) or [""]
    names = _ATTRIBUTES.get(object_type)
    if names is None or len(names) != len(attributes):
        yield f"{use} key", Kind.UNKNOWN, key
        return
    for name, value in zip(names, attributes, strict=True):
        place = f"{use} {object_type}.{'patient' if (object_type, name) == ('patient', 'id') else name}"
        if name == "number":
            yield (
                place,
                Kind.NUMBER if value.isascii() and value.isdigit() and len(value) == 10 else Kind.UNKNOWN,
                value,
            )
        else:
            yield place, _kind(name, value), value


def _value(key: str, value: bytes | None) -> Iterator[Found]:
    object_type = (_parts(key) or [""])[0]
    kind = entries.OBJECT_TYPES.get(object_type)
    if value is None or kind is None:
        yield f"value of {object_type}", Kind.UNKNOWN, ""
        return
    try:
        fields = jcs.parse_object(value)
        is_whole = entries.encode(entries.parse(kind, value)) == value
    except Invalid:
        yield f"value of {object_type}", Kind.UNKNOWN, ""
        return
    if not is_whole:
        yield f"value of {object_type} with a field that its type has not", Kind.UNKNOWN, ""
    yield from _walk(object_type, fields)


def _event(transaction: Transaction, written: list[str], *, is_valid: bool) -> Iterator[Found]:
    event = transaction.event
    if event is None:
        return
    if event.name not in (*transactions.NAMES, OPENED_EVENT):
        yield "event name", Kind.UNKNOWN, event.name
    if event.payload != jcs.canonical({"keys": sorted(written)}) and is_valid:
        yield "event", Kind.UNKNOWN, ""


def _answer(transaction: Transaction) -> Iterator[Found]:
    response = transaction.response
    if response.message or response.payload not in (b'{"changed":true}', b'{"changed":false}'):
        yield "answer", Kind.UNKNOWN, response.message


def _walk(place: str, value: jcs.JsonValue) -> Iterator[Found]:
    name = _last(place)
    if isinstance(value, dict):
        for field, inner in value.items():
            yield from _walk(f"{place}.{field}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(place, inner)
    elif name == "statement" and isinstance(value, str):
        yield from _statement(place, value)
    elif value is not None:
        yield place, _kind(name, value), str(value)


def _statement(place: str, text: str) -> Iterator[Found]:
    try:
        statements.parse(text)
        fields = jcs.parse_object(text.encode())
    except Invalid:
        yield place, Kind.UNKNOWN, ""
        return
    yield from _walk(place, fields)


def _kind(name: str, value: jcs.JsonValue) -> Kind:
    kind = KIND_OF.get(name, Kind.UNKNOWN)
    try:
        _CHECKS[kind](value, name)
    except Invalid:
        return Kind.UNKNOWN
    return kind


def _check_code(value: object, name: str) -> object:
    return check_member(value, name, _CODES[name])


def _check_key(value: object, name: str) -> object:
    if (
        len(decode_bytes(value, name, max_length=max(vocabulary.KEY_BYTES.values())))
        not in vocabulary.KEY_BYTES.values()
    ):
        raise Invalid("this is not as long as a key", place=name)
    return value


def _check_signature(value: object, name: str) -> object:
    return decode_bytes(value, name, length=64)


def _refuse(value: object, name: str) -> object:
    raise Invalid("no kind lists this field", place=name)


_CHECKS: Final[Mapping[Kind, Callable[[object, str], object]]] = MappingProxyType(
    {
        Kind.IDENTIFIER: check_identifier,
        Kind.DIGEST: check_digest,
        Kind.KEY: _check_key,
        Kind.SIGNATURE: _check_signature,
        Kind.INSTANT: check_instant,
        Kind.ORGANISATION: check_msp_id,
        Kind.ADDRESS: transactions.check_url,
        Kind.NUMBER: check_integer,
        Kind.CODE: _check_code,
        Kind.NAME: check_code,
        Kind.UNKNOWN: _refuse,
    }
)


def _parts(key: str) -> list[str]:
    """Object type and attributes of a composite key; empty for any other key."""
    if len(key) < 2 or key[0] != _NUL or key[-1] != _NUL:
        return []
    return key[1:-1].split(_NUL)


def _last(place: str) -> str:
    return place.replace(" ", ".").rsplit(".", 1)[-1]
