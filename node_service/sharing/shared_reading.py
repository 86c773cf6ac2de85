"""Reading at another hospital: search, release, verification, own access row, and only then the content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from domain import jcs
from domain.errors import Invalid, NotFound, Tampered, Unavailable
from domain.identifiers import decode_bytes, encode_bytes
from node_service.access_log.rows import Entry, record_alone
from node_service.access_log.rows import record as record_row
from node_service.client import exchange_wire, wire
from node_service.context import Node
from node_service.ledger_sync import projection
from node_service.sharing.accesses import OwnOpening, own_opening
from node_service.sharing.exchange import Exchange
from node_service.sharing.practitioners import Practitioner
from node_service.sharing.verification import (
    Expected,
    VerifiedLeaf,
    VerifiedRecord,
    foreign_input,
    open_record,
    open_session,
    verify_leaf,
)
from node_service.witnessing.freshness import catch_up
from offchain.envelope import composite
from offchain.envelope.composite import Manifest, Member
from offchain.envelope.content import PlainBytes
from offchain.envelope.sealed import SealedBytes

RECORDS_PER_RELEASE: Final = 500
MAX_CHART_RECORDS: Final = 20_000
RANGE_BYTES: Final = 8 << 20
MAX_OBJECT_BYTES: Final = 512 << 20
MAX_INLINE_BYTES: Final = 1 << 20
MAX_CHART_BYTES: Final = 256 << 20
"""Of all contents of one chart; what a custodian sends must not fill the reader's memory."""
MAX_MANIFESTS: Final = 32


class SharedReading:
    """One per node; remembers opened manifests while their accesses live, never other content."""

    def __init__(self, node: Node, exchange: Exchange) -> None:
        self._node = node
        self._exchange = exchange
        self._manifests: OrderedDict[tuple[str, str], Manifest] = OrderedDict()

    async def search(
        self, practitioner: Practitioner, access: str, *, after: str | None = None, limit: int = 1000
    ) -> wire.RecordPage:
        """What the custodian would release under an own access.

        Raises:
            NotFound: no such open access of this practitioner, or the custodian does not release under it any more.
            Unavailable: the custodian, the ledger or the own access log.
        """
        opening = await self._opening(practitioner, access)
        page = await self._search(opening, after, limit)
        await self._log(practitioner, opening, "search", [item.record for item in page.items])
        return page

    async def read(self, practitioner: Practitioner, access: str, record: str) -> wire.SharedRecord:
        """One record, opened and verified.

        Raises:
            NotFound: as :meth:`search`, or the record is not released.
            Tampered: the answer does not verify; nothing is shown.
            Unavailable: as :meth:`search`.
        """
        opening = await self._opening(practitioner, access)
        found = [one for one in await self._fetch(opening, [record]) if one.entry.record == record]
        if not found:
            raise NotFound("there is no such record", reason="no-record")
        await self._log_read(practitioner, opening, [record])
        return _shared(found[0])

    async def chart(self, practitioner: Practitioner, access: str) -> wire.SharedChart:
        """Everything that is released, opened and verified, with the directory records it refers to.

        Raises:
            NotFound, Tampered, Unavailable: as :meth:`read`; one record that does not verify stops all.
            Invalid: too long for one answer.
        """
        opening = await self._opening(practitioner, access)
        wanted = await self._all_ids(opening)
        opened: dict[str, VerifiedRecord] = {}
        content_bytes = 0
        for start in range(0, len(wanted), RECORDS_PER_RELEASE):
            for one in await self._fetch(opening, wanted[start : start + RECORDS_PER_RELEASE]):
                opened[one.entry.record] = one
                content_bytes += len(one.content.content)
            if content_bytes > MAX_CHART_BYTES:
                raise Invalid("the chart is too long for one answer; read its records one by one", reason="too-large")
        for record in await self._log_read(practitioner, opening, sorted(opened)):
            del opened[record]
        missing = sum(record not in opened for record in wanted)
        return wire.SharedChart(items=[_shared(one) for one in opened.values()], withheld_or_absent=missing)

    async def members(self, practitioner: Practitioner, access: str, record: str) -> list[wire.MemberRef]:
        """The members of a composite record.

        Raises:
            NotFound: as :meth:`read`, or the record is not composite.
            Tampered, Unavailable: as :meth:`read`.
        """
        opening = await self._opening(practitioner, access)
        manifest = await self._manifest(practitioner, opening, record)
        return [_member_ref(member) for member in manifest.members]

    async def member(self, practitioner: Practitioner, access: str, record: str, object_id: str) -> PlainBytes:
        """One member, fetched under the access, verified against the manifest, opened.

        Raises:
            NotFound, Tampered, Unavailable: as :meth:`members`.
        """
        opening = await self._opening(practitioner, access)
        member = (await self._manifest(practitioner, opening, record)).member(object_id)
        data = await self._object(opening, member.digest, None)
        return await self._node.in_crypto(_open_member, member, data)

    async def _opening(self, practitioner: Practitioner, access: str) -> OwnOpening:
        return await self._node.in_database(_own_opening, self._node, practitioner.id, access)

    async def _search(self, opening: OwnOpening, after: str | None, limit: int) -> wire.RecordPage:
        body = exchange_wire.ExchangeSearch(opening=opening.wire(), after=after, limit=limit)
        return await self._exchange.search(opening.custodian, body)

    async def _all_ids(self, opening: OwnOpening) -> list[str]:
        ids: dict[str, None] = {}
        after: str | None = None
        while True:
            page = await self._search(opening, after, 1000)
            ids.update(dict.fromkeys(item.record for item in page.items))
            if page.next is None:
                return list(ids)
            if (after is not None and page.next <= after) or len(ids) > MAX_CHART_RECORDS:
                raise Tampered("the custodian's pages do not end", reason="pages")
            after = page.next

    async def _fetch(self, opening: OwnOpening, records: Sequence[str]) -> list[VerifiedRecord]:
        """Release, then verify everything that came, as verification.py says; without what closed on its way."""
        public_key = encode_bytes(opening.private_key.public.raw)
        body = exchange_wire.ExchangeRelease(opening=opening.wire(), public_key=public_key, records=list(records))
        released = await self._exchange.release(opening.custodian, body)
        with foreign_input():
            _check_asked_for(released, records)
        expected = Expected(opening.custodian, opening.patient, opening.id, opening.block)
        leaves = await self._verified_leaves(expected, released)
        session_key = await self._node.in_crypto(open_session, released.session, opening.private_key, opening.id)
        opened: list[VerifiedRecord] = []
        for item, leaf in zip(released.items, leaves, strict=True):
            if leaf is None:
                continue
            data = await self._object(opening, leaf.leaf.digest, item.sealed)
            one = await self._node.in_crypto(open_record, expected, item, leaf, session_key, data)
            self._remember(opening, one)
            opened.append(one)
        return opened

    async def _verified_leaves(self, expected: Expected, released: exchange_wire.Released) -> list[VerifiedLeaf | None]:
        """Against the own projection; where it has not seen a head yet, once more when it is fresh."""
        try:
            return await self._node.in_database(_verify_leaves, self._node, expected, released)
        except Unavailable:
            await catch_up(self._node)
            return await self._node.in_database(_verify_leaves, self._node, expected, released)

    async def _object(self, opening: OwnOpening, digest: str, inline: str | None) -> bytes:
        """The sealed bytes, out of the answer or range by range; the digest is compared by whoever opens them."""
        if inline is not None:
            with foreign_input():
                return decode_bytes(inline, "sealed", max_length=MAX_INLINE_BYTES)
        data = bytearray()
        while True:
            part = await self._exchange.read_object(opening.custodian, opening.id, digest, len(data), RANGE_BYTES)
            data += part
            if len(part) < RANGE_BYTES:
                return bytes(data)
            if len(data) > MAX_OBJECT_BYTES:
                raise Tampered("the object does not end", reason="too-large", place=digest)

    async def _manifest(self, practitioner: Practitioner, opening: OwnOpening, record: str) -> Manifest:
        """The manifest, read once under an opening; every use of it is a row of the own log."""
        known = self._manifests.get((opening.id, record))
        if known is not None:
            await self._log_read(practitioner, opening, [record])
            return known
        await self.read(practitioner, opening.id, record)
        known = self._manifests.get((opening.id, record))
        if known is None:
            raise NotFound("the record has no members", reason="not-composite")
        return known

    def _remember(self, opening: OwnOpening, one: VerifiedRecord) -> None:
        if one.manifest is None:
            return
        self._manifests[opening.id, one.entry.record] = one.manifest
        while len(self._manifests) > MAX_MANIFESTS:
            self._manifests.popitem(last=False)

    async def _log(self, practitioner: Practitioner, opening: OwnOpening, action: str, records: Sequence[str]) -> None:
        """The own row, durable before anybody sees anything."""
        await self._node.in_database(record_alone, self._node, self._entry(practitioner, opening, action, records))

    async def _log_read(self, practitioner: Practitioner, opening: OwnOpening, records: Sequence[str]) -> set[str]:
        """The own row about what is shown; what ended while the answer was on its way is not, and is returned.

        Raises:
            NotFound: all of it ended.
        """
        entry = self._entry(practitioner, opening, "read", records)
        ended = await self._node.in_database(_record_reading, self._node, opening.custodian, entry)
        for record in ended:
            self._manifests.pop((opening.id, record), None)
        if records and len(ended) == len(records):
            raise NotFound("the record was erased or retracted meanwhile", reason="no-record")
        return ended

    def _entry(self, practitioner: Practitioner, opening: OwnOpening, action: str, records: Sequence[str]) -> Entry:
        return Entry(
            action=action,
            organisation=self._node.msp_id,
            actor=practitioner.id,
            patient=opening.local_patient,
            records=tuple(records),
            purpose=opening.purpose,
            access=opening.id,
            reader=practitioner.reader(self._node.random),
        )


def _own_opening(node: Node, practitioner: str, access: str) -> OwnOpening:
    with node.database.reading() as session:
        return own_opening(node, session, practitioner, access)


def _record_reading(node: Node, custodian: str, entry: Entry) -> set[str]:
    """Write the row without what the ledger calls ended by now, which is returned.

    In one transaction: a notice of an erasure finds either this row, and the keys are destroyed, or nothing was shown.
    """
    with node.database.transaction() as session:
        ended = projection.ended_records(session, custodian, entry.records)
        left = tuple(one for one in entry.records if one not in ended)
        if left or not ended:
            record_row(node, session, replace(entry, records=left))
    return ended


def _verify_leaves(node: Node, expected: Expected, released: exchange_wire.Released) -> list[VerifiedLeaf | None]:
    with node.database.reading() as session:
        return [verify_leaf(session, expected, item) for item in released.items]


def _check_asked_for(released: exchange_wire.Released, records: Sequence[str]) -> None:
    """Nothing but what was asked for, and directory records; each once."""
    asked, seen = set(records), set()
    for item in released.items:
        record = item.entry.record
        if record in seen or (record not in asked and item.entry.kind != "directory"):
            raise Tampered("the custodian sent what nobody asked for", reason="unasked", place=record)
        seen.add(record)


def _open_member(member: Member, data: bytes) -> PlainBytes:
    with foreign_input():
        sealed = SealedBytes.of(data)
        return composite.open_member(member, sealed.verified(member.digest)).whole(max_bytes=MAX_OBJECT_BYTES)


def _shared(one: VerifiedRecord) -> wire.SharedRecord:
    manifest = one.manifest
    return wire.SharedRecord(
        entry=one.entry,
        content=encode_bytes(one.content.content if manifest is None else _described(manifest)),
        digest=one.digest,
        block=one.block,
        members=0 if manifest is None else len(manifest.members),
    )


def _described(manifest: Manifest) -> bytes:
    """A manifest as people get it: without its members' keys."""
    members = [{**_member_ref(member).model_dump(), "attributes": member.attributes} for member in manifest.members]
    return jcs.canonical({"attributes": manifest.attributes, "members": members})


def _member_ref(member: Member) -> wire.MemberRef:
    return wire.MemberRef(object_id=member.object_id, digest=member.digest, length=member.length)
