"""CDA documents by their header, and XML that attacks."""

from __future__ import annotations

import tracemalloc

import pytest

from domain.errors import Invalid
from node_service.cda import header_xml, wst500
from node_service.cda.datatypes import Coded, InstanceIdentifier, point_in_time
from node_service.cda.document import RelatedDocument, parse_document
from tests.unit.node_service.cda.documents import admission, ccd, discharge

OPEN = b'<ClinicalDocument xmlns="urn:hl7-org:v3">'


def test_a_continuity_of_care_document_is_read_by_its_header() -> None:
    read = parse_document(ccd(replaces="TT987"))
    assert read.id == InstanceIdentifier("2.16.840.1.113883.19.5.99999.1", "TT988")
    assert read.code == Coded("34133-9", "2.16.840.1.113883.6.1", "Summarization of Episode Note")
    assert read.code.as_fhir["system"] == "http://loinc.org"
    assert (read.title, read.part) == ("Continuity of care: Riverside Clinic", None)
    assert read.effective == "2024-03-05T08:30:00+08:00"
    assert (read.language, read.confidentiality, read.version_number) == ("en-US", "N", 1)
    assert read.set_id == InstanceIdentifier("2.16.840.1.113883.19.5.99999.19", "set-1")
    assert read.patients == (
        {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:2.16.840.1.113883.19.5.99999.2", "value": "998991"}],
            "name": [{"text": "Sally Ann Synthetic"}],
            "gender": "female",
            "birthDate": "1975-05-01",
        },
    )
    assert (read.authors, read.custodian) == (("Dr. Henry Seven",), "Riverside Clinic")
    assert read.related == (RelatedDocument("RPLC", InstanceIdentifier("2.16.840.1.113883.19.5.99999.1", "TT987")),)


def test_a_service_that_began_with_the_birth_does_not_tell_the_birth_date() -> None:
    assert parse_document(ccd()).period == ("", "2024-03-05")


def test_many_harmless_confidentiality_codes_hide_no_strict_one() -> None:
    strict = b'<confidentialityCode code="V"'
    flood = b'<confidentialityCode code="N"/>' * 1_001
    encoded = ccd(body="V")
    assert encoded.count(strict) == 1
    assert parse_document(encoded.replace(strict, flood + strict)).confidentiality == "V"


def test_the_strictest_confidentiality_anywhere_in_the_document_counts() -> None:
    assert parse_document(ccd(body="V")).confidentiality == "V"
    assert parse_document(ccd(body="L")).confidentiality == "N"
    assert parse_document(ccd(body="secret")).confidentiality == "R"


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16", "GB2312", "GBK", "GB18030"])
def test_an_admission_record_of_wst_500_is_read_in_every_encoding_of_chinese_systems(encoding: str) -> None:
    read = parse_document(admission(encoding=encoding))
    assert (read.title, read.part, read.custodian, read.authors) == ("入院记录", 34, "仁济医院", ("李医生",))
    assert read.patients[0]["identifier"] == [
        {"system": "urn:oid:2.16.156.10011.1.12", "value": "ZY0001"},
        {"system": "urn:oid:2.16.156.10011.1.3", "value": "11010519491231002X"},
    ]
    assert (read.patients[0]["gender"], read.patients[0]["birthDate"]) == ("female", "1949-12-31")
    # Empty elements of the template say nothing; a time of day without a zone is none in FHIR.
    assert (read.set_id, read.version_number, read.related) == (None, None, ())
    assert (read.effective, read.period) == ("2024-03-01", ("2024-02-29", ""))


def test_the_part_of_wst_500_is_known_by_template_or_code_and_gives_the_title() -> None:
    assert len(wst500.TITLES) == 53
    assert parse_document(discharge()).part == 49
    assert parse_document(admission(title="")).title == "入院记录"
    assert wst500.part("C0053", wst500.CODE_SYSTEM, ()) == 53
    assert wst500.part("", "", ["2.16.156.10011.2.1.1.21"]) == 1
    for code, system, templates in [
        ("C0054", wst500.CODE_SYSTEM, ()),
        ("C0000", wst500.CODE_SYSTEM, ()),
        ("C0034", "1.2.3", ()),
        ("", "", ("2.16.156.10011.2.1.1.20", "2.16.156.10011.2.1.1.74", "2.16.156.10011.2.1.1.99999999999")),
    ]:
        assert wst500.part(code, system, templates) is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024", "2024"),
        ("202403", "2024-03"),
        ("20240305", "2024-03-05"),
        ("2024030508", "2024-03-05"),
        ("20240305083000.123-0500", "2024-03-05T08:30:00-05:00"),
        ("202403050830+0800", "2024-03-05T08:30:00+08:00"),
        ("20240231", ""),
        ("20240305256000+0800", ""),
        ("", ""),
        ("2024-03-05", ""),
        ("٢٠٢٤", ""),
    ],
)
def test_a_point_in_time_becomes_what_fhir_can_say(written: str, read: str) -> None:
    assert point_in_time(written) == read


@pytest.mark.parametrize(
    ("encoded", "reason", "place"),
    [
        (b"", "broken-xml", "line 1"),
        (b"SECRET", "broken-xml", "line 1"),
        (OPEN + b"<id", "broken-xml", "line 1"),
        (OPEN + b"\n<id>&SECRET;</id></ClinicalDocument>", "broken-xml", "line 2"),
        (b'<ClinicalDocument xmlns="SECRET"/>', "not-cda", "line 1"),
        (b"<html/>", "not-cda", "line 1"),
        (b"<!DOCTYPE x>" + OPEN, "forbidden-xml", "line 1"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + OPEN + b"&a;</ClinicalDocument>", "forbidden-xml", "line 1"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + OPEN, "forbidden-xml", "line 1"),
        (b'<?xml version="1.0" encoding="SECRET-9"?>' + OPEN + b"</ClinicalDocument>", "broken-xml", "line 1"),
        (b'<?xml version="1.0" encoding="gbk"?>' + OPEN + b"\xff\xff</ClinicalDocument>", "broken-xml", "line 1"),
        (OPEN + b"</ClinicalDocument>", "required", "ClinicalDocument.id"),
        (OPEN + b'<id root="1.2" extension=" "/></ClinicalDocument>', "required", "ClinicalDocument.id"),
        (OPEN + b'<id nullFlavor="UNK" root="1.2"/></ClinicalDocument>', "required", "ClinicalDocument.id"),
        (OPEN + b'<id root="1.2"/></ClinicalDocument>', "required", "ClinicalDocument.recordTarget"),
        (OPEN + b"<a>" * 300, "too-many", "line 1"),
        (OPEN + b"<a/>" * 6000, "too-many", "line 1"),
        (OPEN + b"<component>" + b"<a/>" * 500_000, "too-many", "line 1"),
        (OPEN + b"<title>" + b"x" * 5000, "too-many", "line 1"),
        (OPEN + b"<a " + b" ".join(b'a%d=""' % n for n in range(60)) + b"/>", "too-many", "line 1"),
        (b" " * (header_xml.MAX_DOCUMENT_BYTES + 1), "too-large", ""),
    ],
)  # fmt: skip
def test_what_is_no_readable_document_is_refused_with_its_place(encoded: bytes, reason: str, place: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_document(encoded)
    assert (refused.value.reason, refused.value.place) == (reason, place)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "encoded",
    [
        OPEN + b'<title a="' + b"x" * (30 << 20) + b'"/></ClinicalDocument>',
        OPEN + b"<component><text>" + b"x" * (30 << 20) + b"</text></component></ClinicalDocument>",
        OPEN + b"<!--" + b"x" * (30 << 20) + b"--></ClinicalDocument>",
        OPEN + b"<component>" + b"<a>" * 10_000_000,
    ],
    ids=["attribute", "text", "comment", "depth"],
)
def test_one_endless_piece_costs_little_memory(encoded: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(Invalid):
            parse_document(encoded)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 << 20
