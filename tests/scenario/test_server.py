"""What a server on the network has to stand: endless and slow heads, many wrong passwords, curious callers."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator

import httpx
import pytest

from node_service.api.rate_limits import Rate, RateLimit
from node_service.api.server_protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from node_service.client.node_client import StaffClient
from node_service.client.transport import Transport
from tests.scenario.network import PASSWORD, Hospital, serve


@pytest.fixture
def connection(renhe: Hospital) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", renhe.settings.port), timeout=10) as opened:
        yield opened


def is_closed(connection: socket.socket) -> bool:
    try:
        while received := connection.recv(65536):
            assert b" 200 " not in received
    except ConnectionResetError:
        pass
    return True


def test_an_endless_head_is_cut_off(connection: socket.socket) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n")
    try:
        for number in range(MAX_HEAD_BYTES // 512 + 8):
            connection.sendall(f"X-{number}: ".encode() + b"a" * 512 + b"\r\n")
    except (BrokenPipeError, ConnectionResetError):
        return
    assert is_closed(connection)


def test_a_head_that_never_ends_is_given_up(renhe: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "head_timeout_s", 0.2)
    with socket.create_connection(("127.0.0.1", renhe.settings.port), timeout=10) as slow:
        slow.sendall(b"GET /health HTTP/1.1\r\nHost:")
        assert is_closed(slow)


def test_a_connection_serves_many_requests_within_the_bounds(renhe: Hospital) -> None:
    with httpx.Client(base_url=renhe.url, trust_env=False) as http:
        for _ in range(MAX_HEAD_BYTES // 4096 + 4):
            assert http.get("/health", headers={"X-Long": "a" * 4096}).status_code == 200


def test_the_server_does_not_say_what_it_is_made_of(renhe: Hospital) -> None:
    with httpx.Client(base_url=renhe.url, trust_env=False) as http:
        answer = http.get("/nowhere")
        assert "server" not in answer.headers
        assert http.get("/docs").status_code == 404


def test_a_ready_node_says_so_and_metrics_name_routes_but_no_identifiers(renhe: Hospital) -> None:
    somebody = "mfrggzdfmztwq2lknnwg23tpoe"
    with httpx.Client(base_url=renhe.url, trust_env=False) as http:
        http.get(f"/wallet/records/{somebody}/sealed?name=Wang")
        assert http.get("/ready").json() == {"ready": True, "obstacles": []}
        text = http.get("/metrics").text
    assert 'route="/wallet/records/{record}/sealed",status="401"' in text
    assert somebody not in text
    assert "yilian_alarm 0.0" in text


def test_a_node_comes_back_after_a_stop_with_everything_that_it_acknowledged(hospitals: dict[str, Hospital]) -> None:
    mingde = hospitals["MingdeMSP"]
    body = b'{"resourceType":"Patient","gender":"unknown"}'
    created = mingde.staff("dr").fhir("POST", "/Patient", content=body)
    record = created.headers["location"].split("/")[-3]
    before = mingde.staff("dr").record_content(record)
    mingde.stop()
    hospitals["MingdeMSP"] = back = serve(mingde.settings)
    client = StaffClient(Transport(back.url))
    client.sign_in("dr", PASSWORD)
    assert client.record_content(record) == before
    client.transport.close()


def test_an_address_that_used_up_its_attempts_has_to_wait(
    hospitals: dict[str, Hospital], monkeypatch: pytest.MonkeyPatch
) -> None:
    mingde = hospitals["MingdeMSP"]
    state = mingde.running.app.state
    strict = dataclasses.replace(state.services, sign_in_rate=RateLimit(Rate(burst=1, per_s=0.001)))
    monkeypatch.setattr(state, "services", strict)
    with httpx.Client(base_url=mingde.url, trust_env=False) as http:
        answers = [http.post("/api/staff/sessions", json={"username": "x", "password": "y"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]
    assert int(answers[1].headers["retry-after"]) > 0
