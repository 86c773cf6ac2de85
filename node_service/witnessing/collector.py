"""Collects signed checkpoints: what this hospital anchored becomes ``witnessed`` by other members' signatures."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from domain import checkpoints, jcs, merkle
from domain.checkpoints import SignedNote
from domain.errors import NotFound, Tampered, Unavailable, YilianError
from domain.forks import fork_of
from domain.instants import instant
from domain.receipts import required_signatures
from node_service.client.witness_client import WitnessClient
from node_service.context import Node
from node_service.pauses import Pauses
from node_service.witnessing import notes
from node_service.witnessing.freshness import keep_evidence
from node_service.witnessing.members import Witness, active_members, other_witnesses, witness_keys

IDLE: Final = timedelta(seconds=5)
AGAIN: Final = timedelta(milliseconds=200)
MORE_SIGNERS: Final = timedelta(seconds=1)
PAUSE_AFTER_FAILURE: Final = timedelta(seconds=10)
STARTING: Final = "behind"
"""What a witness says that was started anew and has not verified again what it had signed before."""
_LOG: Final = logging.getLogger(__name__)
Connect = Callable[[str], WitnessClient]


class WitnessCollector:
    """One per node with a witness of its own; ``step`` is called by one thread.

    The own witness's log is what the others' notes are compared with: it alone verified the blocks for this hospital.

    Args:
        own: the own witness.
        connect: makes a client for another witness's address.
    """

    def __init__(self, node: Node, own: WitnessClient, connect: Connect) -> None:
        self._node, self._own, self._connect = node, own, connect
        self._clients: dict[str, WitnessClient] = {}
        self._pauses = Pauses(PAUSE_AFTER_FAILURE, PAUSE_AFTER_FAILURE)
        self._lock = threading.Lock()
        self._wanted = -1
        self.wake: Callable[[], object] = lambda: None

    def want(self, block: int) -> None:
        """Somebody asks for a receipt from this block: let the next checkpoint cover it; called by any thread."""
        with self._lock:
            self._wanted = max(self._wanted, block)
        self.wake()

    def step(self, now: datetime) -> datetime:
        """Collect one checkpoint over what is anchored or asked for; return when to look again.

        Raises:
            Tampered: the own witness found something altered, or another member signed another history.
            Unavailable: the own witness does not answer.
        """
        self._check_own()
        with self._node.database.reading() as session:
            anchored = notes.newest_anchored_block(session, self._node.msp_id)
            kept, members = notes.newest(session), active_members(session)
        wanted = max(-1 if anchored is None else anchored, self._wanted)
        if kept is not None and kept.size > wanted:
            if members.keys() <= set(kept.signers):
                return now + IDLE
            size = kept.size
        elif wanted < 0:
            return now + IDLE
        else:
            size = wanted + 1
        try:
            is_whole = self._collect(size, now)
        except NotFound:
            return now + AGAIN  # the own witness has not verified this block yet
        return now + (IDLE if is_whole else MORE_SIGNERS)

    def close(self) -> None:
        """Close the connections."""
        for client in (self._own, *self._clients.values()):
            client.close()

    def _check_own(self) -> None:
        health = self._own.health()
        if health.alarm is not None and health.alarm.reason == STARTING:
            raise Unavailable("the own witness verifies again what it has kept", reason=STARTING)
        if health.alarm is not None:
            raise Tampered("the own witness stopped", reason=health.alarm.reason[:64], place=health.alarm.place[:256])
        if (health.channel, health.msp) != (self._node.ledger.channel, self._node.msp_id):
            raise Unavailable("another hospital's witness answers as the own one", reason="other-witness")

    def _collect(self, size: int, now: datetime) -> bool:
        """Merge and keep the notes of one size; true if every member's witness that may be called signed."""
        node, at = self._node, instant(now)
        with node.database.reading() as session:
            keys, others = witness_keys(session, at), other_witnesses(session, node.settings, at)
            kept = notes.newest(session)
        own = signed_by(self._own.checkpoint(size), node.msp_id, keys.get(node.msp_id, ()))
        if own is None or own.checkpoint.size != size:
            raise Unavailable("the own witness signs with a key that is not in the registry", reason="witness-key")
        found = [own]
        if kept is not None:
            before = checkpoints.parse_note(kept.note)
            self._verify_continues(before, own)
            found += [before] if before.checkpoint == own.checkpoint else []
        signed = set(checkpoints.verify_note(checkpoints.merge(found), keys))
        for other in others:
            note = None if other.msp_id in signed else self._note_of(other, own, now)
            found += [] if note is None else [note]
        note = checkpoints.merge(found)
        signers = checkpoints.verify_note(note, keys)
        if kept is None or (kept.size, kept.signers) != (size, list(signers)):
            enough = len(set(signers) - {node.msp_id}) >= required_signatures(len(keys))
            with node.database.transaction() as session:
                notes.keep(session, note, signers, witnessed=enough)
        return {other.msp_id for other in others} <= set(signers)

    def _note_of(self, witness: Witness, own: SignedNote, now: datetime) -> SignedNote | None:
        """The note of another witness; None while it is behind, silent, or answers what is not its own."""
        if not self._pauses.is_due(witness.msp_id, now):
            return None
        try:
            said_by = self._client(witness.url).checkpoint(own.checkpoint.size)
            note = signed_by(said_by, witness.msp_id, witness.keys)
        except NotFound:
            return None
        except YilianError as error:
            _LOG.warning("no note of the witness of %s: %s", witness.msp_id, error.reason)
            self._pauses.tried(witness.msp_id, now)
            return None
        asked = own.checkpoint
        if note is None or (note.checkpoint.origin, note.checkpoint.size) != (asked.origin, asked.size):
            self._pauses.tried(witness.msp_id, now)
            return None
        if note.checkpoint.root != asked.root:
            keep_evidence(self._node, "fork", fork_of(own, note).encode())
            raise Tampered(
                "another member's witness signed another history of this channel",
                reason="fork",
                place=f"size {asked.size} by {witness.msp_id}",
            )
        return note

    def _client(self, url: str) -> WitnessClient:
        if url not in self._clients:
            self._clients[url] = self._connect(url)
        return self._clients[url]

    def _verify_continues(self, before: SignedNote, own: SignedNote) -> None:
        """What the own witness signs now continues what it signed before."""
        old, new = sorted((before, own), key=lambda note: note.checkpoint.size)
        first, second = old.checkpoint, new.checkpoint
        proof = [] if first.size == second.size else self._own.consistency(first.size, second.size)
        try:
            merkle.verify_consistency(first.size, first.root, second.size, second.root, proof)
        except Tampered as error:
            document = jcs.canonical({"v": 1, "type": "broken-log", "notes": [old.text(), new.text()]})
            keep_evidence(self._node, "broken-log", document)
            raise Tampered(
                "the own witness's log does not continue what it signed before",
                reason="broken-log",
                place=f"size {second.size}",
            ) from error


def signed_by(note: SignedNote, msp_id: str, keys: Sequence[bytes]) -> SignedNote | None:
    """The note with one line by a member's keys alone, verified; None where there is none.

    What else a note carries could spoil the lines of others when notes are merged: a member with many keys could fill
    a note up, so that nobody else's signature fits in it.

    Raises:
        Tampered: the line does not hold.
    """
    name = checkpoints.key_name(note.checkpoint.channel, msp_id)
    known = {(name, checkpoints.key_hash(name, key)) for key in keys}
    lines = tuple(line for line in note.signatures if (line.name, line.key_hash) in known)
    if not lines:
        return None
    kept = SignedNote(note.checkpoint, lines[:1])
    checkpoints.verify_note(kept, {msp_id: keys})
    return kept
