"""The custodian's side of a shared read: search and release, decided here and logged before any key leaves.

Procedure (architecture.md, "Shared read"): 1 the projection is fresh; 2 the opening is verified; 3 each record is
decided; 4 keys come out of custody; 5 directory records that a permitted resource refers to join; 6 it is asked again
what is fresh, and in one transaction, while that is young, the opening is verified once more on the then present view
and the access row that names every released record is committed; where it comes to nothing after 4, a row of
the refusal names the records whose keys were prepared;
7 the answer: data keys under a session key, and that sealed to the one-use key of the access entry.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
from sqlalchemy.orm import Session

from domain.errors import Denied, Invalid, Tampered, Unavailable, YilianError
from domain.identifiers import check_code, encode_bytes
from domain.instants import instant
from domain.paths import LeafPath
from domain.vocabulary import PATIENT_WRAP_ALG
from node_service.access_log.rows import Entry, record, record_alone
from node_service.client import exchange_wire, wire
from node_service.context import Node
from node_service.ledger_sync.alarm import raise_alarm
from node_service.records.entries import entries as record_entries
from node_service.records.entries import page_of_patient
from node_service.records.evidence import leaves_and_paths
from node_service.records.reading import VersionKey, version_keys
from node_service.sharing import emergencies
from node_service.sharing.candidates import judge, ledger_statuses, readable, readable_directory, requested
from node_service.sharing.decision import READABLE
from node_service.sharing.directory import directory_references
from node_service.sharing.openings import EmergencyBasis, LiveOpening, verify_opening
from node_service.sharing.refusals import logged_refusals
from node_service.sharing.sealed_messages import from_wire
from node_service.witnessing.freshness import Fresh, wait_until_fresh
from offchain.envelope.hpke import HPKE_HYBRID, RecipientPublicKey
from offchain.envelope.keys import SessionKey
from offchain.envelope.messages import SealedMessage
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.wraps import KeyBinding, wrap_for_access, wrap_session

ALARM: Final = "release"
MAX_INLINE_BYTES: Final = 256 * 1024
MAX_INLINE_TOTAL_BYTES: Final = 64 << 20
MAX_DIRECTORY_RECORDS: Final = 1000
MAX_READER_BYTES: Final = 8 * 1024
DIRECTORY_DEPTH: Final = 2
_TRIES: Final = 3
_LOGGING_S: Final = 20.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record that will be released, with its key and evidence."""

    entry: wire.RecordEntry
    held: VersionKey = field(repr=False)
    path: LeafPath
    chunks: tuple[bytes, ...]
    inline: SealedBytes | None = field(repr=False)
    references: frozenset[str] = field(repr=False)


@dataclass(slots=True)
class _Attempt:
    """How far a release came: whose opening it is, and the records whose keys custody was asked for."""

    live: LiveOpening | None = None
    opened: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A release that lacks only its row in the access log."""

    live: LiveOpening
    ids: tuple[str, ...]
    reader: SealedMessage | None
    released: exchange_wire.Released = field(repr=False)


async def search(node: Node, caller: str, body: exchange_wire.ExchangeSearch) -> wire.RecordPage:
    """List what may be released under an opening.

    Raises:
        Denied: the opening is not verified; outside it looks like something that does not exist.
        Tampered: forged committed state.
        Unavailable: not fresh in time, an alarm stands, or the access row cannot be written.
    """
    reader = reader_of(body.opening)
    await wait_until_fresh(node, caller, block=body.opening.block)
    return await node.in_database(_search, node, caller, body, reader)


async def release(node: Node, caller: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
    """Release the permitted ones of the requested records; the others are simply not among the items.

    Raises:
        Invalid: a field breaks a rule.
        Denied: the opening is not verified, or the key is not the one of the access entry.
        Tampered: forged committed state, or a stored object was altered.
        Unavailable: not fresh in time, an alarm stands, custody, store or the access log cannot serve.
    """
    reader = reader_of(body.opening)
    one_use = RecipientPublicKey.parse(HPKE_HYBRID, body.public_key, "public_key")
    await wait_until_fresh(node, caller, block=body.opening.block)
    attempt = _Attempt()
    try:
        ready = await node.in_crypto(_ready, node, caller, body, one_use, reader, attempt)
        await _commit_fresh(node, caller, body.opening, ready)
    except (Exception, asyncio.CancelledError) as error:  # also who hangs up, and a fault of our own
        if not isinstance(error, asyncio.CancelledError):
            await _log_unreleased(node, attempt, error)
            raise
        with anyio.move_on_after(_LOGGING_S, shield=True):
            await _log_unreleased(node, attempt, error)
        raise
    return ready.released


async def _commit_fresh(node: Node, caller: str, opening: exchange_wire.Opening, ready: _Ready) -> None:
    for _ in range(_TRIES):
        fresh = await wait_until_fresh(node, caller)  # deciding may have taken long, and something may be refused since
        if await node.in_database(_commit, node, caller, opening, ready, fresh):
            return
    raise Unavailable("what was fresh was old again when it came to release; ask again", reason="not-fresh")


async def _log_unreleased(node: Node, attempt: _Attempt, error: BaseException) -> None:
    """Keys came out of custody and none leaves: the log tells that, of which records, and why.

    Where it cannot be written, the reconciliation of keys and rows shows them, and what ended the attempt stays the
    answer.
    """
    if attempt.live is None or not attempt.opened:
        return
    entry = access_entry(attempt.live, "deny", tuple(attempt.opened), None, outcome=_outcome(error))
    try:
        await node.in_database(record_alone, node, entry)
    except Exception as failed:  # noqa: BLE001 - what ended the attempt is the answer
        _LOG.warning("a release that failed is not in the access log (%s)", type(failed).__name__)


def _outcome(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    try:
        return check_code(error.reason if isinstance(error, YilianError) else "failed", "reason")
    except Invalid:
        return "failed"


def verified_opening(node: Node, session: Session, caller: str, opening: exchange_wire.Opening) -> LiveOpening:
    """Verify an opening; a refusal about a patient of this hospital is logged, so that the patient sees the attempt.

    Forged committed state raises an alarm: nothing is released any more until a person has looked.

    Raises:
        Denied, Tampered, Unavailable: as :func:`node_service.sharing.openings.verify_opening`.
    """
    try:
        with logged_refusals(node, caller, opening.patient, opening.access):
            return verify_opening(node, session, caller, opening)
    except Tampered as error:
        raise_alarm(node.database, ALARM, error, instant(node.clock.now()))
        raise


def _search(
    node: Node, caller: str, body: exchange_wire.ExchangeSearch, reader: SealedMessage | None
) -> wire.RecordPage:
    with node.database.reading() as session:
        live = verified_opening(node, session, caller, body.opening)
        page = _readable_page(node, session, live, body)
    with logged_refusals(node, caller, live.patient, live.id):
        emergencies.admit(node, live, reader)
    ids = tuple(item.record for item in page.items)
    record_alone(node, access_entry(live, "search", ids, reader))
    return page


def _readable_page(
    node: Node, session: Session, live: LiveOpening, body: exchange_wire.ExchangeSearch
) -> wire.RecordPage:
    """A page of what may be released and of nothing else: its length and cursor tell nothing about what is withheld."""
    judge_now, found, after = judge(node, session, live), list[wire.RecordEntry](), body.after
    while True:
        page = page_of_patient(
            node,
            session,
            live.patient,
            after=after,
            limit=body.limit + 1,
            resource_types=body.resource_types,
            categories=body.categories,
        )
        found += readable(node, session, judge_now, page.items)
        if len(found) > body.limit:
            return wire.RecordPage(items=found[: body.limit], next=found[body.limit - 1].record)
        if page.next is None:
            return wire.RecordPage(items=found, next=None)
        after = page.next


def _ready(
    node: Node,
    caller: str,
    body: exchange_wire.ExchangeRelease,
    one_use: RecipientPublicKey,
    reader: SealedMessage | None,
    attempt: _Attempt,
) -> _Ready:
    with node.database.reading() as session:
        live = verified_opening(node, session, caller, body.opening)
        with logged_refusals(node, caller, live.patient, live.id):
            if not hmac.compare_digest(one_use.digest, live.key_digest):
                raise Denied("the key is not the one of the access entry", reason="one-use-key")
        chosen = requested(node, session, judge(node, session, live), body.records)
    with logged_refusals(node, caller, live.patient, live.id):
        emergencies.admit(node, live, reader)
    attempt.live = live
    prepared = _with_directory(node, live, _prepare(node, live, chosen, attempt.opened), attempt.opened)
    released = _released(live, prepared, one_use)  # before the last look, so that nothing slow lies behind it
    return _Ready(live, tuple(item.entry.record for item in prepared), reader, released)


def _commit(node: Node, caller: str, opening: exchange_wire.Opening, ready: _Ready, fresh: Fresh) -> bool:
    """Look for the last time and write the row; False, and nothing done, where what was fresh is old by now."""
    live = ready.live
    with node.database.transaction() as session:
        _verify_unchanged(node, session, live, verify_opening(node, session, caller, opening), ready.ids)
        action = "break-glass" if isinstance(live.basis, EmergencyBasis) else "release"
        if not fresh.is_young(node):
            return False
        record(node, session, access_entry(live, action, ready.ids, ready.reader))
    return True


def _verify_unchanged(node: Node, session: Session, live: LiveOpening, now: LiveOpening, ids: tuple[str, ...]) -> None:
    """What the decisions stood on still stands: terms, dissents, and the records' statuses.

    Raises:
        Unavailable: something changed meanwhile; asked again, it is decided anew.
    """
    closed = ledger_statuses(node, session, ids) or [
        one.record for one in record_entries(node, session, ids) if one.status != READABLE
    ]
    if closed or (now.basis, now.dissents) != (live.basis, live.dissents):
        raise Unavailable("something changed while this was decided; ask again", reason="changed")


def access_entry(
    live: LiveOpening, action: str, records: tuple[str, ...], reader: SealedMessage | None, outcome: str = "ok"
) -> Entry:
    """The row of the access log for something done under an opening."""
    return Entry(
        action=action,
        organisation=live.caller,
        actor=live.practitioner,
        patient=live.patient,
        records=records,
        purpose=live.purpose,
        access=live.id,
        outcome=outcome,
        reader=reader,
    )


def reader_of(opening: exchange_wire.Opening) -> SealedMessage | None:
    """The reader's name, sealed to the patient: a few hundred bytes, which become part of every row.

    Raises:
        Invalid: not sealed in a form that the patient's key opens, or too long.
    """
    if opening.reader is None:
        return None
    found = from_wire(opening.reader, "opening.reader")
    if found.alg != PATIENT_WRAP_ALG or len(found.sealed) > MAX_READER_BYTES:
        raise Invalid("a reader is sealed to the patient in a few bytes", reason="reader", place="opening.reader")
    return found


def _prepare(node: Node, live: LiveOpening, chosen: Sequence[wire.RecordEntry], opened: list[str]) -> list[Prepared]:
    """Evidence, key and sealed bytes of each that is anchored; ``opened`` is told whose keys custody is asked for.

    An object beyond the inline limits comes from the object route.
    """
    with node.database.reading() as session:
        evidence = leaves_and_paths(node, session, [(entry.record, entry.version) for entry in chosen])
    anchored = [(entry, path) for entry in chosen if (path := evidence[entry.record, entry.version][1]) is not None]
    if not anchored:
        return []
    versions = [(entry.record, entry.version) for entry, _ in anchored]
    opened += [record for record, _ in versions]
    prepared, inline_bytes = list[Prepared](), MAX_INLINE_TOTAL_BYTES
    keys = version_keys(node, versions, purpose="release", entry_id=live.id)
    for (entry, path), held in zip(anchored, keys, strict=True):
        with node.blobs.get(held.digest) as sealed:
            fits = sealed.geometry.total_bytes <= min(MAX_INLINE_BYTES, inline_bytes)
            inline = sealed.whole() if fits else None
            references = directory_references(entry, sealed, held)
            chunks = sealed.chunk_list.hashes
        inline_bytes -= len(inline.data) if inline is not None else 0
        prepared.append(Prepared(entry, held, path, chunks, inline, references))
    return prepared


def _with_directory(node: Node, live: LiveOpening, prepared: list[Prepared], opened: list[str]) -> list[Prepared]:
    """Directory records to which a permitted resource, or such a directory record, refers."""
    known = {item.entry.record for item in prepared}
    newest = prepared
    for _ in range(DIRECTORY_DEPTH):
        wanted = sorted({one for item in newest for one in item.references} - known)[:MAX_DIRECTORY_RECORDS]
        if not wanted:
            break
        with node.database.reading() as session:
            chosen = readable_directory(node, session, wanted)
        newest = _prepare(node, live, chosen, opened)
        known.update(wanted)
        prepared = [*prepared, *newest]
    return prepared


def _released(live: LiveOpening, prepared: Sequence[Prepared], one_use: RecipientPublicKey) -> exchange_wire.Released:
    session_key = SessionKey.generate()
    return exchange_wire.Released(
        session=encode_bytes(wrap_session(session_key, one_use, live.id).encode()),
        items=[_item(live, one, session_key) for one in prepared],
    )


def _item(live: LiveOpening, one: Prepared, session_key: SessionKey) -> wire.SealedRecord:
    binding = KeyBinding(one.held.object_id, one.held.record, one.held.version)
    wrap = wrap_for_access(one.held.key, session_key, live.id, binding)
    return wire.SealedRecord(
        entry=one.entry,
        object_id=one.held.object_id,
        leaf=encode_bytes(one.held.leaf),
        path=wire_path(one.path),
        wrap=encode_bytes(wrap.encode()),
        chunks=[encode_bytes(value) for value in one.chunks],
        sealed=None if one.inline is None else encode_bytes(one.inline.data),
    )


def wire_path(path: LeafPath) -> wire.Path:
    """A path as a body."""
    return wire.Path(incarnation=path.incarnation, index=path.index, size=path.size, hashes=list(path.hashes))
