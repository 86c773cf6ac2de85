"""``create`` and ``update`` (FHIR R4 http.html, sections 3.1.0.8 and 3.1.0.4), by Idempotency-Key and If-Match."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy.orm import Session

from domain.errors import Conflict, Invalid, NotFound
from domain.identifiers import IDENTIFIER_BYTES, check_identifier, encode_bytes, identifier
from domain.instants import instant
from node_service.context import Node
from node_service.database.account_models import IdempotencyKey
from node_service.database.models import Record
from node_service.fhir.bundle import Entry
from node_service.fhir.quality import Finding
from node_service.fhir.resource import Resource, parse_resource
from node_service.fhir.validation import verify_resource
from node_service.interactions.written import Written, write_plan
from node_service.records.identity import Item
from node_service.records.planning import Plan, plan
from node_service.staff.principal import StaffPrincipal

CREATED: Final = 201
_KEY: Final = re.compile(r"[\x21-\x7e]{1,128}")
_ETAG: Final = re.compile(r'W/"([1-9]\d{0,8})"', re.ASCII)


def create(node: Node, principal: StaffPrincipal, resource_type: str, body: bytes, key: str | None) -> Written:
    """Store a resource under a fresh id; with a key, the same request again answers the same.

    Raises:
        Invalid: not a valid resource of the type, or no key.
        Conflict: the key was used for another request (``idempotency-key``).
        Unavailable: store, custody or database.
    """
    request = node.secrets.blind_content(f"POST {resource_type}\n".encode() + body)
    if key is not None and (known := _repeated(node, principal, key, request)) is not None:
        return Written(*known, resource_type, created=True)
    item = _item(*_valid(node, resource_type, body), node.secrets.blind("fhir-create", _fresh(node)))
    made = _planned(node, item)
    draft = made.drafts[0]

    def remember(session: Session) -> None:
        if key is not None:
            session.add(_key_row(node, principal, key, request, (draft.record, draft.version)))

    try:
        write_plan(node, principal, made, remember)
    except Conflict:
        known = None if key is None else _repeated(node, principal, key, request)
        if known is None:
            raise
        return Written(*known, resource_type, created=True)
    return Written(draft.record, draft.version, resource_type, created=True)


def update(
    node: Node, principal: StaffPrincipal, resource_type: str, record: str, body: bytes, if_match: str | None
) -> Written:
    """Store the next version of a resource that is here.

    Raises:
        Invalid: not a valid resource of that type and id, or no ``If-Match`` (``precondition-required``).
        NotFound: there is no such resource; ids are given by this node only.
        Conflict: another version is the current one (``precondition``), or the record belongs to somebody else.
        Unavailable: store, custody or database.
    """
    expected, (resource, noted) = _version_of(if_match), _valid(node, resource_type, body)
    if resource.id != record:
        raise Invalid("the resource's id is the id in the address", reason="id", place=f"{resource_type}.id")
    with node.database.reading() as session:
        row = session.get(Record, check_identifier(record, "id"))
    if row is None or row.resource_type != resource_type:
        raise NotFound("there is no such resource", reason="no-record")
    if row.current_version != expected:
        raise _precondition()
    made = _planned(node, _item(resource, noted, row.source_token))
    if made.unchanged:
        return Written(record, expected, resource_type, created=False)
    if made.drafts and made.drafts[0].version != expected + 1:
        raise _precondition()
    write_plan(node, principal, made, lambda _session: None)
    return Written(record, expected + 1, resource_type, created=False)


def check_key(key: str | None) -> str | None:
    """The Idempotency-Key if it is one.

    Raises:
        Invalid: longer than 128 characters, or other than visible ASCII.
    """
    if key is not None and not _KEY.fullmatch(key):
        raise Invalid("1 to 128 visible ASCII characters are expected", place="Idempotency-Key")
    return key


def _valid(node: Node, resource_type: str, body: bytes) -> tuple[Resource, tuple[Finding, ...]]:
    resource = parse_resource(body, max_bytes=node.settings.max_upload_bytes)
    if resource.resource_type != resource_type:
        raise Invalid("a resource of the type in the address is expected", reason="type", place="resourceType")
    return resource, verify_resource(resource)


def _item(resource: Resource, noted: tuple[Finding, ...], source_token: bytes) -> Item:
    return Item(Entry(0, None, None, resource), resource, source_token, "", noted)


def _planned(node: Node, item: Item) -> Plan:
    """Under a source of its own: what a client calls its resources is no name for anybody else."""
    with node.database.reading() as session:
        return plan(node, session, f"fhir:{_fresh(node)}", [item])


def _fresh(node: Node) -> str:
    return identifier(node.random(IDENTIFIER_BYTES))


def _repeated(node: Node, principal: StaffPrincipal, key: str, request: bytes) -> tuple[str, int] | None:
    with node.database.reading() as session:
        row = session.get(IdempotencyKey, (f"staff:{principal.id}", _key_token(node, key)))
    if row is None:
        return None
    if row.request_token != request or row.record is None or row.version is None:
        raise Conflict("the Idempotency-Key was used for another request", reason="idempotency-key")
    return row.record, row.version


def _key_row(
    node: Node, principal: StaffPrincipal, key: str, request: bytes, written: tuple[str, int]
) -> IdempotencyKey:
    return IdempotencyKey(
        principal=f"staff:{principal.id}",
        key=_key_token(node, key),
        request_token=request,
        status=CREATED,
        record=written[0],
        version=written[1],
        created_at=instant(node.clock.now()),
    )


def _key_token(node: Node, key: str) -> str:
    """A client may have made its key of a patient's number, so what is kept is blind."""
    return encode_bytes(node.secrets.blind("idempotency-key", key))


def _version_of(if_match: str | None) -> int:
    if if_match is None:
        raise Invalid("say with If-Match which version you read", reason="precondition-required", place="If-Match")
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise Invalid('an entity tag such as W/"3" is expected', place="If-Match")
    return int(found[1])


def _precondition() -> Conflict:
    return Conflict("another version is the current one; read it and decide anew", reason="precondition")
