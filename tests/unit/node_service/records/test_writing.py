from __future__ import annotations

import os
from dataclasses import replace

import pytest

from domain.errors import Conflict
from domain.identifiers import encode_bytes, identifier
from domain.paths import verify_leaf
from node_service.database.models import AnchoredHead
from node_service.ledger_sync import projection
from node_service.records.drafts import FHIR_JSON, Draft
from node_service.records.entries import entry
from node_service.records.evidence import leaf_and_path
from node_service.records.reading import open_version
from offchain.envelope.content import Description, PlainBytes
from tests.unit.node_service.records.hospital import MSP_ID, Hospital
from tests.unit.node_service.records.storing import store_record

CONTENT = b'{"resourceType":"Organization","name":"Synthetic Clinic"}'


def draft(content: bytes = CONTENT, **changes: object) -> Draft:
    made = Draft(
        record=identifier(os.urandom(16)),
        version=1,
        kind="directory",
        patient=None,
        resource_type="Organization",
        category="directory",
        media_type=FHIR_JSON,
        content=PlainBytes(content, Description(FHIR_JSON)),
        source_token=os.urandom(32),
        content_token=os.urandom(32),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_stored_record_becomes_anchored_and_opens_to_the_same_bytes(hospital: Hospital) -> None:
    node = hospital.node
    with node.database.transaction() as session:
        reference = store_record(node, session, draft())
    with node.database.reading() as session:
        assert entry(node, session, reference.record).state == "stored"
    hospital.settle()
    with node.database.reading() as session:
        assert entry(node, session, reference.record).state == "anchored"
        leaf, path = leaf_and_path(node, session, reference.record, 1)
        assert path is not None
        head = session.get(AnchoredHead, (MSP_ID, path.incarnation, "records", path.size))
        assert head is not None
        verify_leaf(leaf, path, encode_bytes(head.root))
    assert open_version(node, reference.record).content == CONTENT


def test_a_second_writer_of_the_same_version_meets_a_conflict(hospital: Hospital) -> None:
    node = hospital.node
    first = draft()
    with node.database.transaction() as session:
        store_record(node, session, first)
    late = replace(first, version=3, previous_leaf=bytes(32))
    with pytest.raises(Conflict), node.database.transaction() as session:
        store_record(node, session, late)


def test_only_records_of_the_chosen_categories_stand_on_the_ledger_by_id(hospital: Hospital) -> None:
    node = hospital.node
    with node.database.transaction() as session:
        plain = store_record(node, session, draft())
    hospital.settle()
    with node.database.reading() as session:
        assert projection.state(session, "record", MSP_ID, plain.record) is None
