"""Taking FHIR in: validate, plan, seal, store, then every row in one database transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from domain.errors import Conflict, Unavailable
from domain.identifiers import IDENTIFIER_BYTES, identifier
from node_service.client.wire import IngestReport, InputIssue, RecordRef
from node_service.context import Node
from node_service.database.models import RecordToken
from node_service.records.bundles import SealedSkeleton, has_skeleton, seal_skeleton, write_skeleton
from node_service.records.drafts import Draft
from node_service.records.identity import Item, bundle_token
from node_service.records.input import Input, issue, read_input
from node_service.records.planning import Plan, plan
from node_service.records.quality import write_findings
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.writing import write_versions

MAX_RECORDS_PER_TRANSACTION: Final = 500
MAX_OBJECTS_PER_PUT: Final = 4000
MAX_RACES: Final = 4
CLOSED: Final = ("record-erased", "record-retracted")
"""Of a Bundle that brings such a record again nothing is kept: its skeleton would hold the refused text."""
Also = Callable[[Session, Sequence[RecordRef]], None]
"""Written in the same transaction as the records, for example a row of the access log."""


@dataclass(slots=True)
class _Run:
    """One call: what came, what became of it."""

    id: str
    source: str
    patient: str | None
    given: Input
    also: Also | None
    stored: list[RecordRef] = field(default_factory=list)
    unchanged: int = 0
    refused: list[InputIssue] = field(default_factory=list)
    quality: Counter[str] = field(default_factory=Counter)
    placed: dict[int, tuple[str, int]] = field(default_factory=dict)
    names_closed: bool = False

    @property
    def is_kept_whole(self) -> bool:
        """True for a Bundle all of whose resources became records: a refused one would lie in the skeleton.

        It may be about somebody none of whose records the Bundle holds, so no erasure would reach it there.
        """
        if self.given.bundle is None or self.names_closed:
            return False
        return all(entry.resource is None or entry.index in self.placed for entry in self.given.bundle.entries)

    def report(self) -> IngestReport:
        """The report of the run."""
        return IngestReport(
            run=self.id,
            stored=self.stored,
            unchanged=self.unchanged,
            skipped=self.given.skipped,
            refused=[*self.given.refused, *self.refused],
            resources_by_type=dict(Counter(one.resource_type for one in self.stored)),
            quality=dict(self.quality),
        )


def ingest_fhir(
    node: Node, body: bytes, media_type: str, source: str, patient: str | None = None, *, also: Also | None = None
) -> IngestReport:
    """Take in a resource, a Bundle or NDJSON; ``stored`` is durable when this returns.

    A refused entry does not stop the others, except in a transaction Bundle, where nothing is stored then.

    Args:
        node: the hospital.
        body: the received bytes.
        media_type: FHIR JSON or NDJSON.
        source: name of the source system; ids of input count within it.
        patient: the person to whom all patients' records go; None: found by reference and identifiers.
        also: written in the same transaction as each batch of records.

    Raises:
        Invalid: another media type, or the body cannot be read at all.
        NotFound: ``patient`` is unknown.
        Unavailable: store, custody or database; what was reported as stored before stays, and the call may be repeated.
    """
    given = read_input(node, body, media_type, source)
    run = _Run(identifier(node.random(IDENTIFIER_BYTES)), source, patient, given, also)
    if given.is_transaction and given.refused:
        return run.report()
    for items in given.rounds():
        _store_round(node, run, items)
    if run.is_kept_whole:
        _store_skeleton(node, run)
    return run.report()


def _store_round(node: Node, run: _Run, items: Sequence[Item]) -> None:
    """Plan and write; where another writer came first, plan again with what it left."""
    before = len(run.stored)
    for _ in range(MAX_RACES):
        already = len(run.stored) - before  # by a batch of this round, before another writer came first
        with node.database.reading() as session:
            made = plan(node, session, run.source, items, run.patient)
        if run.given.is_transaction and made.refused:
            run.refused.extend(_refusals(run, made))
            return
        try:
            _write(node, run, made)
        except Conflict:
            continue
        run.unchanged += made.unchanged - already
        run.refused.extend(_refusals(run, made))
        run.names_closed = run.names_closed or any(reason in CLOSED for _, reason in made.refused)
        run.placed.update(made.placed)
        return
    raise Unavailable("other writers were faster each time", reason="races")


def _write(node: Node, run: _Run, made: Plan) -> None:
    drafts = list(made.drafts.values())
    whole = run.given.is_transaction
    batches = list(_batches(drafts, len(drafts) if whole else MAX_RECORDS_PER_TRANSACTION))
    stored: list[RecordRef] = []
    for number, batch in enumerate(batches):
        versions = [seal_draft(node, draft) for draft in batch]
        for start in range(0, len(versions), MAX_OBJECTS_PER_PUT):
            put_sealed(node, versions[start : start + MAX_OBJECTS_PER_PUT])
        with node.database.transaction() as session:
            if number == 0:
                made.people.write(session)
                _reserve(session, made.reserved)
                write_findings(node, session, run.id, made.findings)
            written = write_versions(node, session, versions)
            if run.also is not None:
                run.also(session, written)
        stored.extend(written)
        run.stored.extend(written)
    run.quality.update(finding.code.value for finding in made.findings)


def _batches(drafts: Sequence[Draft], size: int) -> Iterator[Sequence[Draft]]:
    return (drafts[start : start + size] for start in range(0, len(drafts), max(size, 1)))


def _reserve(session: Session, reserved: dict[bytes, str]) -> None:
    """Tokens of Patients that have not come yet.

    Raises:
        Conflict: another run reserved one of them meanwhile.
    """
    if not reserved:
        return
    if session.execute(select(RecordToken.token).where(RecordToken.token.in_(reserved)).limit(1)).first():
        raise Conflict("another run names the same patient", reason="reserved")
    rows = [{"token": token, "record": record} for token, record in reserved.items()]
    session.connection().execute(insert(RecordToken), rows)


def _store_skeleton(node: Node, run: _Run) -> None:
    bundle = run.given.bundle
    token = bundle_token(node.secrets, run.source, run.given.digest)
    with node.database.reading() as session:
        if bundle is None or has_skeleton(session, token):
            return
    skeleton: SealedSkeleton = seal_skeleton(node, token, bundle, run.placed)
    with node.database.transaction() as session:
        if not has_skeleton(session, token):
            write_skeleton(node, session, skeleton)


def _refusals(run: _Run, made: Plan) -> list[InputIssue]:
    return [
        issue(run.source, item.place, f"{reason}: the record under this identity cannot take it")
        for item, reason in made.refused
    ]
