"""One record written as ingestion writes many: sealed and stored first, then its rows."""

from __future__ import annotations

from sqlalchemy.orm import Session

from node_service.client.wire import RecordRef
from node_service.context import Node
from node_service.records.drafts import Draft
from node_service.records.sealing import put_sealed, seal_draft
from node_service.records.writing import write_versions


def store_record(node: Node, session: Session, draft: Draft) -> RecordRef:
    """Write the rows in the caller's transaction."""
    version = seal_draft(node, draft)
    put_sealed(node, [version])
    return write_versions(node, session, [version])[0]
