"""What staff and programs of a hospital ask their own node (docs/formats/http.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Self
from urllib.parse import quote

from pydantic import TypeAdapter

from domain.errors import Denied
from node_service.client import erasure_wire, wire
from node_service.client.answers import read_value
from node_service.client.transport import Answer, Headers, Params, Transport

UPLOAD_TIMEOUT_S: Final = 600.0
FHIR_JSON: Final = "application/fhir+json"
NDJSON: Final = "application/fhir+ndjson"
XML: Final = "application/xml"
PDF: Final = "application/pdf"
_MEMBERS: Final = TypeAdapter(list[wire.StaffMember])
_MEMBER_REFS: Final = TypeAdapter(list[wire.MemberRef])
_NOTICES: Final = TypeAdapter(list[wire.NoticeEntry])


class StaffClient:
    """A session of one member of staff or program with a node."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    # --- Session ----------------------------------------------------------------------------------------------------

    def sign_in(self, username: str, password: str) -> wire.Token:
        """Open a session that the following calls use.

        Raises:
            Denied: name or password are wrong, or the account is locked.
        """
        login = wire.StaffLogin(username=username, password=password)
        answer = self.transport.call("POST", "/api/staff/sessions", body=login)
        token = read_value(wire.Token, answer.content)
        self._token = token.access_token
        return token

    def sign_out(self) -> None:
        """End the session."""
        self.call("DELETE", "/api/staff/sessions/current")
        self._token = None

    def authorise(self, _method: str, _url: str) -> Headers:
        """The header of the session."""
        if self._token is None:
            raise Denied("sign in first", reason="unauthenticated")
        return {"Authorization": f"Bearer {self._token}"}

    def call(
        self,
        method: str,
        path: str,
        *,
        body: wire.Wire | bytes | Iterable[bytes] | None = None,
        params: Params | None = None,
        headers: Headers | None = None,
        timeout_s: float | None = None,
    ) -> Answer:
        """Call a route within the session."""
        return self.transport.call(
            method, path, body=body, params=params, headers=headers, authorise=self.authorise, timeout_s=timeout_s
        )

    # --- Hospital and staff -----------------------------------------------------------------------------------------

    def hospital(self) -> wire.HospitalCard:
        """Who the hospital is."""
        return read_value(wire.HospitalCard, self.transport.call("GET", "/hospital").content)

    def status(self) -> wire.NodeStatus:
        """How far the node is."""
        return read_value(wire.NodeStatus, self.call("GET", "/api/status").content)

    def staff(self) -> list[wire.StaffMember]:
        """All accounts."""
        return read_value(_MEMBERS, self.call("GET", "/api/staff").content)

    def open_account(self, account: wire.StaffAccount) -> wire.StaffMember:
        """Open an account."""
        return read_value(wire.StaffMember, self.call("POST", "/api/staff", body=account).content)

    def notices(self) -> list[wire.NoticeEntry]:
        """Notices of the own roles."""
        return read_value(_NOTICES, self.call("GET", "/api/notices").content)

    def receipt(self, kind: str, name: str, patient: str | None = None) -> bytes:
        """The receipt of something of the hospital, for its auditors; not verified here."""
        return self.call("GET", f"/api/receipts/{kind}/{name}", params={"patient": patient}).content

    def access_row_receipt(self, incarnation: int, index: int) -> bytes:
        """The receipt of one row of the access log; not verified here."""
        return self.call("GET", f"/api/receipts/access-rows/{incarnation}/{index}").content

    # --- Taking in --------------------------------------------------------------------------------------------------

    def ingest_fhir(
        self, content: bytes, *, source: str, patient: str | None = None, media_type: str = FHIR_JSON
    ) -> wire.IngestReport:
        """Take in a resource, a Bundle or NDJSON."""
        return read_value(
            wire.IngestReport,
            self.call(
                "POST",
                "/api/ingest/fhir",
                body=content,
                params={"source": source, "patient": patient},
                headers={"Content-Type": media_type},
                timeout_s=UPLOAD_TIMEOUT_S,
            ).content,
        )

    def ingest_cda(self, content: bytes, *, source: str, patient: str | None = None) -> wire.IngestReport:
        """Take in a CDA document."""
        return self._ingest_document("/api/ingest/cda", content, XML, {"source": source, "patient": patient})

    def ingest_pdf(  # each is a parameter of the route
        self,
        content: bytes,
        *,
        source: str,
        document: str,
        patient: str,
        title: str | None = None,
        date: str | None = None,
        code: str | None = None,
    ) -> wire.IngestReport:
        """Take in a PDF file under the caller's document id; ``code``: its kind as ``system|code``."""
        said = {"source": source, "patient": patient, "date": date, "type": code}
        about = {"Content-ID": quote(document, safe=""), "Slug": quote(title or "", safe="")}
        return self._ingest_document("/api/ingest/pdf", content, PDF, said, about)

    def _ingest_document(
        self, path: str, content: bytes, media_type: str, said: Params, about: Headers | None = None
    ) -> wire.IngestReport:
        headers = {"Content-Type": media_type, **(about or {})}
        answer = self.call("POST", path, body=content, params=said, headers=headers, timeout_s=UPLOAD_TIMEOUT_S)
        return read_value(wire.IngestReport, answer.content)

    def ingest_dicom(
        self, content: bytes | Iterable[bytes], *, source: str, upload: str, patient: str | None = None
    ) -> wire.InstanceReceipt:
        """Take in one DICOM instance of an upload."""
        return read_value(
            wire.InstanceReceipt,
            self.call(
                "PUT",
                "/api/ingest/dicom",
                body=content,
                params={"source": source, "upload": upload, "patient": patient},
                headers={"Content-Type": "application/dicom"},
                timeout_s=UPLOAD_TIMEOUT_S,
            ).content,
        )

    def close_dicom(self, *, upload: str) -> wire.IngestReport:
        """Close an upload: its series become records."""
        answer = self.call("POST", "/api/ingest/dicom/close", params={"upload": upload}, timeout_s=UPLOAD_TIMEOUT_S)
        return read_value(wire.IngestReport, answer.content)

    def quality(self, run: str) -> Iterator[wire.QualityEntry]:
        """The data-quality report of a run."""
        after: int | None = 0
        while after is not None:
            answer = self.call("GET", f"/api/ingest/runs/{run}/quality", params={"after": after})
            page = read_value(wire.QualityPage, answer.content)
            yield from page.items
            after = page.next

    # --- Own records ------------------------------------------------------------------------------------------------

    def patients(self, after: str | None = None, limit: int | None = None) -> wire.PersonPage:
        """A page of the hospital's people."""
        return read_value(
            wire.PersonPage, self.call("GET", "/api/patients", params={"after": after, "limit": limit}).content
        )

    def patient(self, patient: str) -> wire.PersonEntry:
        """One person."""
        return read_value(wire.PersonEntry, self.call("GET", f"/api/patients/{patient}").content)

    def patient_records(self, patient: str, after: str | None = None) -> wire.RecordPage:
        """A page of a person's records."""
        return read_value(
            wire.RecordPage, self.call("GET", f"/api/patients/{patient}/records", params={"after": after}).content
        )

    def issue_enrolment_code(self, patient: str) -> wire.EnrolmentCodeIssued:
        """A one-time code for a person who was identified."""
        return read_value(
            wire.EnrolmentCodeIssued, self.call("POST", f"/api/patients/{patient}/enrolment-codes").content
        )

    def record(self, record: str) -> wire.RecordEntry:
        """A record's entry."""
        return read_value(wire.RecordEntry, self.call("GET", f"/api/records/{record}").content)

    def record_content(self, record: str) -> bytes:
        """A record's stored bytes."""
        return self.call("GET", f"/api/records/{record}/content").content

    def record_members(self, record: str) -> list[wire.MemberRef]:
        """The instances of a series."""
        return read_value(_MEMBER_REFS, self.call("GET", f"/api/records/{record}/members").content)

    def record_member(self, record: str, object_id: str) -> Iterator[bytes]:
        """An instance's bytes as they come."""
        path = f"/api/records/{record}/members/{object_id}"
        with self.transport.stream("GET", path, authorise=self.authorise, timeout_s=UPLOAD_TIMEOUT_S) as answer:
            yield from answer.iter_bytes()

    # --- Erasure, retraction, locks ---------------------------------------------------------------------------------

    def erasures(self, after: str | None = None) -> erasure_wire.ErasureCasePage:
        """A page of erasure cases."""
        return read_value(
            erasure_wire.ErasureCasePage, self.call("GET", "/api/erasures", params={"after": after}).content
        )

    def erasure(self, case: str) -> erasure_wire.ErasureCase:
        """One case."""
        return read_value(erasure_wire.ErasureCase, self.call("GET", f"/api/erasures/{case}").content)

    def order_erasure(self, records: list[str]) -> erasure_wire.ErasureCase:
        """Erase records of one patient as far as the retention rules allow."""
        body = erasure_wire.ErasureOrder(records=records)
        return read_value(erasure_wire.ErasureCase, self.call("POST", "/api/erasures", body=body).content)

    def decide_erasure(self, case: str) -> erasure_wire.ErasureCase:
        """Apply the retention rules to a case."""
        return read_value(erasure_wire.ErasureCase, self.call("POST", f"/api/erasures/{case}/decision").content)

    def retract(self, record: str, reason: str, patient: str | None = None) -> erasure_wire.Retraction:
        """Retract a record, and file its content anew under the right person."""
        body = erasure_wire.RetractionBody(reason=reason, patient=patient)
        return read_value(
            erasure_wire.Retraction, self.call("POST", f"/api/records/{record}/retraction", body=body).content
        )

    def lock(self, record: str, reason: str, until: str) -> wire.Committed:
        """Keep a record from release and erasure until a time."""
        body = erasure_wire.LockBody(reason=reason, until=until)
        return read_value(wire.Committed, self.call("POST", f"/api/records/{record}/lock", body=body).content)

    # --- FHIR -------------------------------------------------------------------------------------------------------

    def fhir(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        idempotency_key: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        """A FHIR interaction below ``/fhir``; the answer's headers carry ``ETag``, ``Location``, ``Yilian-State``."""
        headers = {"Accept": FHIR_JSON}
        if content is not None:
            headers["Content-Type"] = FHIR_JSON
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        if if_match is not None:
            headers["If-Match"] = if_match
        return self.call(method, f"/fhir{path}", body=content, headers=headers)
