"""What clinicians ask their own node about records of other hospitals (docs/formats/http.md, ``/api/shared``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydantic import TypeAdapter

from node_service.client import wire
from node_service.client.answers import read_value
from node_service.client.node_client import UPLOAD_TIMEOUT_S, StaffClient

_GRANTS: Final = TypeAdapter(list[wire.ReceivedGrant])
_MEMBER_REFS: Final = TypeAdapter(list[wire.MemberRef])


class SharedClient:
    """Shared reading within a session of staff."""

    def __init__(self, staff: StaffClient) -> None:
        self._staff = staff

    def request_access(self, request: wire.AccessRequest) -> wire.Committed:
        """Ask a patient for access."""
        return read_value(wire.Committed, self._staff.call("POST", "/api/shared/requests", body=request).content)

    def grants(self) -> list[wire.ReceivedGrant]:
        """The grants that wallets delivered here."""
        return read_value(_GRANTS, self._staff.call("GET", "/api/shared/grants").content)

    def confirm_match(self, patient: str, grant: str, local_patient: str | None) -> wire.ReceivedGrant:
        """Say whose records a grant is about."""
        body = wire.MatchConfirmation(local_patient=local_patient)
        answer = self._staff.call("POST", f"/api/shared/grants/{patient}/{grant}/confirm", body=body)
        return read_value(wire.ReceivedGrant, answer.content)

    def open_access(self, patient: str, grant: str, purpose: str) -> wire.AccessHandle:
        """Open a patient's records at another hospital under a grant."""
        body = wire.OpenAccessBody(patient=patient, grant=grant, purpose=purpose)
        return read_value(wire.AccessHandle, self._staff.call("POST", "/api/shared/accesses", body=body).content)

    def break_glass(self, body: wire.EmergencyBody) -> wire.AccessHandle:
        """Open a patient's records at another hospital in an emergency."""
        return read_value(wire.AccessHandle, self._staff.call("POST", "/api/shared/emergencies", body=body).content)

    def review(self, emergency: str, body: wire.ReviewBody) -> wire.Committed:
        """Review an emergency, as privacy officer."""
        answer = self._staff.call("POST", f"/api/shared/emergencies/{emergency}/reviews", body=body)
        return read_value(wire.Committed, answer.content)

    def admit(self, emergency: str, *, approve: bool) -> None:
        """Decide about an emergency that was held at this hospital, the patient's custodian."""
        body = wire.AdmissionBody(approve=approve)
        self._staff.call("POST", f"/api/shared/emergencies/{emergency}/admission", body=body)

    def records(self, access: str, after: str | None = None) -> wire.RecordPage:
        """A page of what may be read under an open access."""
        answer = self._staff.call("GET", f"/api/shared/accesses/{access}/records", params={"after": after})
        return read_value(wire.RecordPage, answer.content)

    def record(self, access: str, record: str) -> wire.SharedRecord:
        """A record, opened and verified."""
        answer = self._staff.call("GET", f"/api/shared/accesses/{access}/records/{record}")
        return read_value(wire.SharedRecord, answer.content)

    def chart(self, access: str) -> wire.SharedChart:
        """Everything that may be read under an open access, opened and verified."""
        answer = self._staff.call("POST", f"/api/shared/accesses/{access}/chart", timeout_s=UPLOAD_TIMEOUT_S)
        return read_value(wire.SharedChart, answer.content)

    def members(self, access: str, record: str) -> list[wire.MemberRef]:
        """The instances of a shared series."""
        answer = self._staff.call("GET", f"/api/shared/accesses/{access}/records/{record}/members")
        return read_value(_MEMBER_REFS, answer.content)

    def member(self, access: str, record: str, object_id: str) -> Iterator[bytes]:
        """An instance's bytes as they come."""
        path = f"/api/shared/accesses/{access}/records/{record}/members/{object_id}"
        staff = self._staff
        with staff.transport.stream("GET", path, authorise=staff.authorise, timeout_s=UPLOAD_TIMEOUT_S) as answer:
            yield from answer.iter_bytes()

    def contribute(self, access: str, body: wire.ContributionBody) -> wire.RecordRef:
        """Give the patient's custodian a record that this hospital signed."""
        answer = self._staff.call("POST", f"/api/shared/accesses/{access}/contributions", body=body)
        return read_value(wire.RecordRef, answer.content)
