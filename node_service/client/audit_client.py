"""What the hospital's own auditor asks the node."""

from __future__ import annotations

from collections.abc import Iterator

from node_service.client import audit_wire
from node_service.client.answers import read_value
from node_service.client.node_client import StaffClient


class AuditClient:
    """The logs of one node, asked in the session of an audit administrator."""

    def __init__(self, staff: StaffClient) -> None:
        self._staff = staff

    def heads(self) -> audit_wire.LogHeads:
        """The heads of both logs, by incarnation."""
        return read_value(audit_wire.LogHeads, self._staff.call("GET", "/audit/logs").content)

    def consistency(self, log: str, incarnation: int, old_size: int, new_size: int) -> audit_wire.LogConsistency:
        """The proof that the later log continues the earlier one."""
        params = {"incarnation": incarnation, "from": old_size, "to": new_size}
        answer = self._staff.call("GET", f"/audit/logs/{log}/consistency", params=params)
        return read_value(audit_wire.LogConsistency, answer.content)

    def rows(self, incarnation: int) -> Iterator[audit_wire.LogRow]:
        """All rows of the access log, in their order."""
        start: int | None = 0
        while start is not None:
            params = {"incarnation": incarnation, "from": start}
            page = read_value(
                audit_wire.LogRowPage, self._staff.call("GET", "/audit/logs/access/rows", params=params).content
            )
            yield from page.items
            start = page.next
