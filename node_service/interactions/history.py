"""A Bundle of stored versions, put together as text, so that every resource keeps its stored bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from node_service.client.wire import RecordEntry
from node_service.records.reading import OpenedRecord


def history_bundle(base: str, versions: Sequence[tuple[RecordEntry, OpenedRecord]]) -> bytes:
    """The answer to ``history-instance`` (FHIR R4 http.html, section 3.1.0.13), newest version first.

    Args:
        base: address of the FHIR interface, for ``fullUrl``.
        versions: entries with their stored bytes.
    """
    head = f'{{"resourceType":"Bundle","type":"history","total":{len(versions)},"entry":['.encode()
    return head + b",".join(_entry(base, entry, opened.content) for entry, opened in versions) + b"]}"


def _entry(base: str, entry: RecordEntry, content: bytes) -> bytes:
    path = f"{entry.resource_type}/{entry.record}"
    first = entry.version == 1
    request = {"method": "POST" if first else "PUT", "url": entry.resource_type if first else path}
    response = {
        "status": "201" if first else "200",
        "etag": f'W/"{entry.version}"',
        "lastModified": entry.stored_at,
    }
    members = [
        b'"fullUrl":' + _text(f"{base}/{path}"),
        b'"resource":' + content,
        b'"request":' + _text(request),
        b'"response":' + _text(response),
    ]
    return b"{" + b",".join(members) + b"}"


def _text(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
