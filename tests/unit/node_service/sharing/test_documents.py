"""Documents elsewhere: the same bytes under the same grant, and no word of what is withheld."""

from __future__ import annotations

from domain.identifiers import decode_bytes
from node_service.client import wire
from node_service.documents.cda import ingest_cda
from node_service.sharing import accesses
from tests.unit.node_service.cda.documents import admission
from tests.unit.node_service.sharing.conftest import Story
from tests.unit.node_service.sharing.consortium import A, B, doctor, run


def test_a_shared_document_has_the_same_bytes_and_does_not_tell_from_what_a_record_was_derived(story: Story) -> None:
    home, away = story.consortium[A], story.consortium[B]
    body = admission(encoding="GBK")
    document, reference = ingest_cda(home.node, body, "text/xml", "emr", story.wallet.patient).stored
    home.settle()
    story.consortium.follow()
    grant = story.wallet.share(away, categories=("document",))
    who = doctor()
    handle = run(
        accesses.open_access(
            away.node, who, wire.OpenAccessBody(patient=story.wallet.patient, grant=grant, purpose="TREAT")
        )
    )
    items = {item.entry.record: item for item in run(story.reading.chart(who, handle.id)).items}
    assert items.keys() == {document.record, reference.record}
    assert decode_bytes(items[document.record].content, "content", max_length=1 << 20) == body
    assert items[document.record].entry.media_type == "application/xml"
    assert {item.entry.derived_from for item in items.values()} == {None}
