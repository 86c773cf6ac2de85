"""A FHIR read with the durable access log beside the same route without it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import httpx
from fastapi import Response
from sqlalchemy import select

from node_service.api.authentication import Clinical
from node_service.api.services import Serving
from node_service.client.wire import StaffAccount, StaffLogin, Token
from node_service.context import Node
from node_service.database.models import Record
from node_service.records.ingest import ingest_fhir
from node_service.records.reading import open_version
from node_service.staff.accounts import create_account
from scripts.bench.comparison import Comparison, Figure, Goal, Place, Side
from scripts.bench.hospital import Hospital, hospital
from scripts.bench.inputs import FHIR_JSON, bundles

_READS: Final = 100


@contextmanager
def case(place: Place) -> Iterator[Comparison]:
    """Both answer through the whole application, without a socket; one request at a time."""
    with hospital(place) as north, asyncio.Runner() as runner:
        ingest_fhir(north.node, bundles(place)[0], FHIR_JSON, "source")
        north.running.app.add_api_route("/unlogged/{record}", _unlogged, methods=["GET"], response_class=Response)
        client = httpx.AsyncClient(transport=httpx.ASGITransport(north.running.app), base_url="http://127.0.0.1:8001")
        runner.run(_sign_in(client, north))
        records = _observations(north.node)
        logged = [f"/fhir/Observation/{record}" for record in records]
        unlogged = [f"/unlogged/{record}" for record in records]
        yield Comparison(
            operation="FHIR read of an own record",
            unit="read",
            ours=Side("role, durable log, open", lambda: runner.run(_read(client, logged))),
            peer=Side("open without log", lambda: runner.run(_read(client, unlogged))),
            goal=Goal(Figure.CPU, 1.3),
            note="both authenticate and both write the custody log",
        )
        runner.run(client.aclose())


async def _unlogged(serving: Serving, _member: Clinical, record: str) -> Response:
    opened = await serving.node.in_crypto(open_version, serving.node, record)
    return Response(opened.content, 200, None, opened.media_type)


async def _sign_in(client: httpx.AsyncClient, north: Hospital) -> None:
    password = secrets.token_urlsafe()
    account = StaffAccount(username="doctor", password=password, display_name="Dr. Example", roles=["clinician"])
    create_account(north.node, account)
    login = StaffLogin(username="doctor", password=password).model_dump_json()
    answer = await client.post("/api/staff/sessions", content=login, headers={"Content-Type": "application/json"})
    token = Token.model_validate_json(answer.raise_for_status().content)
    client.headers["Authorization"] = f"Bearer {token.access_token}"


async def _read(client: httpx.AsyncClient, urls: Sequence[str]) -> float:
    for number in range(_READS):
        (await client.get(urls[number % len(urls)])).raise_for_status()
    return _READS


def _observations(node: Node) -> list[str]:
    with node.database.reading() as session:
        return list(session.scalars(select(Record.id).where(Record.resource_type == "Observation").limit(50)))
