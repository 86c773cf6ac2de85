"""Hostile connections to a running node: heads, lengths, paths and crowds."""

from __future__ import annotations

import itertools
import json
import re
import socket
from contextlib import ExitStack
from typing import Any, Final

import httpx
import pytest

from node_service.api.server_protocol import MAX_HEAD_BYTES
from tests.cpu import is_frugal
from tests.faults.counts import repetitions
from tests.hostile.victim import MAX_ANSWER_S, MAX_CPU_S, SECRET, Answer, Victim

GET: Final = b"GET /health HTTP/1.1\r\nHost: victim\r\n"
POST: Final = b"POST /wallet/nonces HTTP/1.1\r\nHost: victim\r\nContent-Type: application/json\r\n"
END: Final = b"Connection: close\r\n\r\n"
IDLE_CONNECTIONS: Final = repetitions(500, 4000)
REFUSED: Final[dict[str, bytes]] = {
    "no-http": b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n",
    "two-lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n" + END + b"{}",
    "length-and-chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n" + END + b"0\r\n\r\n",
    "negative-length": POST + b"Content-Length: -1\r\n" + END,
    "length-with-plus": POST + b"Content-Length: +2\r\n" + END + b"{}",
    "length-of-400-digits": POST + b"Content-Length: " + b"9" * 400 + b"\r\n" + END,
    "no-chunk": POST + b"Transfer-Encoding: chunked\r\n" + END + b"zz\r\n" + SECRET + b"\r\n",
    "chunk-of-2-to-the-64": POST + b"Transfer-Encoding: chunked\r\n" + END + b"ffffffffffffffffff\r\n",
    "bare-line-feed-in-a-name": GET + b"X\nInjected: 1\r\n" + END,
    "null-in-a-value": GET + b"X: a\x00b\r\n" + END,
    "space-before-colon": GET + b"Content-Length : 5\r\n" + END,
    "null-in-the-path": b"GET /health\x00 HTTP/1.1\r\nHost: victim\r\n" + END,
}
IDENTIFIERS: Final = (
    "..%2f..%2fetc%2fpasswd", "%2e%2e%2f", "..%5c", "%00", "a%00b", "%0d%0aX-Injected:%201", "%ff%fe", "%c0%af", "%",
    "%zz", "%F0%9F%98%80", "e%CC%81", "%E2%80%AE", "%D9%A1", "%EF%BC%91", "-1", "1e400", "0x10", "9" * 24,
    "'%20OR%201=1--", "a" * 8000, "%20", "*", "..;", "{id}", "%3Cscript%3E",
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_that_breaks_the_protocol_gets_no_answer_but_a_refusal(victim: Victim, name: str) -> None:
    answer = victim.send_raw([REFUSED[name]])
    assert answer.status == 0 or 400 <= answer.status < 500, answer.head
    assert SECRET not in answer.head + answer.body
    assert is_frugal(answer.cpu_s, MAX_CPU_S)


def test_a_head_of_64_kib_is_cut_off(victim: Victim) -> None:
    line = b"X-Long: " + b"a" * (2 * MAX_HEAD_BYTES) + b"\r\n"
    with victim.unharmed():
        assert victim.send_raw([GET, line, END]).status in (0, 400, 431)
        assert victim.send_raw([GET, *[b"X: a\r\n"] * (MAX_HEAD_BYTES // 3), END]).status in (0, 400, 431)


def test_what_stands_behind_a_complete_body_is_another_request(victim: Victim) -> None:
    """No smuggling: a body is as long as it says, and what follows is judged as a request of its own."""
    smuggled = POST + b"Content-Length: 4\r\n\r\n" + b"nullDELETE /x HTTP/1.1\r\nHost: victim\r\n" + END
    received = _all_of(victim, smuggled)
    assert received.count(b"HTTP/1.1 ") == 2
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1 404") == 1


def test_requests_behind_each_other_are_answered_in_order(victim: Victim) -> None:
    received = _all_of(victim, (GET + b"\r\n") * 20 + b"GET /nowhere HTTP/1.1\r\nHost: victim\r\n" + END)
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", received) == [b"200"] * 20 + [b"404"]


def test_http_1_0_is_answered_and_the_connection_closed(victim: Victim) -> None:
    received = _all_of(victim, b"GET /health HTTP/1.0\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")


def test_a_body_that_is_shorter_than_it_says_leaves_nothing(victim: Victim) -> None:
    with victim.unharmed():
        head = (
            "POST /fhir/Observation HTTP/1.1\r\nHost: victim\r\nContent-Type: application/fhir+json\r\n"
            f"Authorization: {victim.headers('clinician')['Authorization']}\r\nContent-Length: 5000\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", victim.hospital.port), timeout=MAX_ANSWER_S) as connection:
            connection.sendall(head.encode() + b'{"resourceType":"Observation"}')
            connection.shutdown(socket.SHUT_WR)
            received = connection.recv(1 << 16)
    assert not received.startswith(b"HTTP/1.1 2")


def test_many_idle_and_slow_connections_hold_up_nobody(victim: Victim) -> None:
    with ExitStack() as open_ones, victim.unharmed():
        for number in range(IDLE_CONNECTIONS):
            connection = socket.create_connection(("127.0.0.1", victim.hospital.port), timeout=MAX_ANSWER_S)
            open_ones.enter_context(connection)
            if number % 3 == 1:
                connection.sendall(GET)
            elif number % 3 == 2:
                connection.sendall(POST + b"Content-Length: 1000\r\n\r\n{")
        answer = victim.send("GET", "/ready", {"Connection": "close"})
        assert answer.status == 200
        assert is_frugal(answer.cpu_s, MAX_CPU_S)


def test_a_strange_identifier_in_any_path_finds_nothing(victim: Victim) -> None:
    """Every parameter of every path of the OpenAPI document, each with every strange identifier."""
    document = httpx.get(f"{victim.hospital.url}/openapi.json", trust_env=False, timeout=MAX_ANSWER_S).json()
    count = 0
    for template, operations in document["paths"].items():
        for method, place in itertools.product(operations, range(template.count("{"))):
            for strange in IDENTIFIERS[:: repetitions(3, 1)]:
                answer = _ask(victim, method, template, place, strange)
                assert answer.status == 0 or 400 <= answer.status < 500 or _is_page(answer), (
                    f"{method} {template} with {strange[:40]}: {answer.status} {answer.body[:200]!r}"
                )
                assert b"Injected" not in answer.head
                count += 1
    assert count > 200


def _ask(victim: Victim, method: str, template: str, place: int, strange: str) -> Answer:
    parts, number = [], 0
    for part in template.split("/"):
        if part.startswith("{"):
            parts.append(strange if number == place else "mfrggzdfmztwq2lknnwg23tpoe")
            number += 1
        else:
            parts.append(part)
    role = {"/audit": "system-administrator"}.get(template[:6], "clinician")
    body = b"{}" if method != "get" else b""
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    return victim.send(method.upper(), "/".join(parts), victim.headers(role, **headers), [body])


def _is_page(answer: Answer) -> bool:
    """A list about nobody may be empty instead of absent."""
    if answer.status != 200:
        return False
    found: dict[str, Any] = json.loads(answer.body)
    return not any(found.values())


def _all_of(victim: Victim, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", victim.hospital.port), timeout=MAX_ANSWER_S) as connection:
        connection.sendall(request)
        received = bytearray()
        while piece := connection.recv(1 << 16):
            received += piece
    return bytes(received)


@pytest.mark.parametrize(
    "query", ["limit=1000000000", "limit=-1", "limit=0", "after=%00", "after=" + "a" * 9000, "limit=1e9", "after=%27--"]
)
def test_an_expensive_or_strange_search_is_refused_or_cheap(victim: Victim, query: str) -> None:
    for path, role in (("/api/patients", "medical-records"), ("/api/erasures", "privacy-officer")):
        answer = victim.send("GET", f"{path}?{query}", victim.headers(role, Connection="close"))
        assert answer.status in (0, 200, 400), answer.body
        assert is_frugal(answer.cpu_s, MAX_CPU_S)


HEADERS: Final = (
    "é",
    "\x80",
    "\xff" * 300,
    "%ff",
    "%",
    "upload é",
    "upload dQ==,source ==",
    "-1",
    "1" * 400,
    "a,b;q=\xe9",
)
"""Values that are no ASCII, as servers read them (RFC 9110, 5.5), and such that mean nothing."""


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/api/ingest/uploads", "Upload-Metadata"),
        ("POST", "/api/ingest/uploads", "Upload-Length"),
        ("POST", "/api/ingest/uploads", "Tus-Resumable"),
        ("POST", "/api/ingest/pdf?source=s&patient=" + "a" * 26, "Content-ID"),
        ("POST", "/api/ingest/pdf?source=s&patient=" + "a" * 26, "Slug"),
        ("POST", "/api/ingest/fhir?source=s", "Content-Type"),
        ("PATCH", "/api/ingest/uploads/" + "a" * 26, "Upload-Offset"),
        ("GET", "/fhir/Patient/" + "a" * 26, "If-None-Match"),
        ("GET", "/fhir/Patient/" + "a" * 26, "Accept"),
        ("GET", "/api/records/" + "a" * 26, "Range"),
        ("GET", "/api/records/" + "a" * 26, "Authorization"),
        ("GET", "/api/records/" + "a" * 26, "DPoP"),
    ],
)
def test_a_header_of_any_characters_is_refused(victim: Victim, method: str, path: str, name: str) -> None:
    sound = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": "", "Content-ID": "d", "Slug": ""}
    for value in HEADERS:
        headers = victim.headers("medical-records", **{**sound, "Content-Type": "application/pdf", name: value})
        answer = victim.send(method, path, {**headers, "Content-Length": "0", "Connection": "close"})
        assert 400 <= answer.status < 500, f"{value!r}: {answer.status} {answer.body[:200]!r}"
        assert is_frugal(answer.cpu_s, MAX_CPU_S)
