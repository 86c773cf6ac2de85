"""HTTP calls to one node: deadlines, bounded answers, no redirects, errors of the product's own taxonomy."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import httpx
from pydantic import BaseModel

from domain.errors import Tampered, Unavailable
from node_service.client.answers import (
    MAX_JSON_BYTES,
    MAX_PROBLEM_BYTES,
    UNPACKED,
    body_of,
    error_of,
    lost,
    verify_unpacked,
)

CONNECT_TIMEOUT_S: Final = 5.0
SENT_BYTES: Final = 256 * 1024
"""Longer bodies are sent in pieces: the library copies what is left of a piece after each part that the socket took."""
Params = Mapping[str, str | int | None]
Headers = Mapping[str, str]
Authorise = Callable[[str, str], Headers]
"""Makes the headers that prove who asks, from the method and the address without its query."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer that is no error."""

    status: int
    headers: Headers = field(repr=False)
    content: bytes = field(repr=False)


class Transport:
    """Calls one node.

    Args:
        url: address of the node.
        timeout_s: deadline of a whole call, but for uploads and downloads that stream.
        http: for tests; by default a client of its own without proxies of the environment.
        public_url: address under which the node knows itself, where it differs from ``url``.
        trusted: whose certificates count; None: those of the public authorities.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 30.0,
        http: httpx.Client | None = None,
        public_url: str | None = None,
        trusted: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.public_url = (public_url or url).rstrip("/")
        self._timeout_s = timeout_s
        self._http = http or httpx.Client(
            verify=trusted or True,
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | bytes | Iterable[bytes] | None = None,
        params: Params | None = None,
        headers: Headers | None = None,
        authorise: Authorise | None = None,
        max_bytes: int = MAX_JSON_BYTES,
        timeout_s: float | None = None,
    ) -> Answer:
        """Call and read the whole answer.

        Raises:
            YilianError: what the node answered; ``OutcomeUnknown`` where its answer to a POST was lost.
        """
        deadline = time.monotonic() + (timeout_s or self._timeout_s)
        with self.stream(
            method, path, body=body, params=params, headers=headers, authorise=authorise, timeout_s=timeout_s
        ) as answer:
            content = bytearray()
            for piece in _pieces(method, answer, deadline):
                content += piece
                if len(content) > max_bytes:
                    raise Tampered("the node's answer is longer than allowed", reason="answer-size")
            return Answer(answer.status_code, answer.headers, bytes(content))

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        body: BaseModel | bytes | Iterable[bytes] | None = None,
        params: Params | None = None,
        headers: Headers | None = None,
        authorise: Authorise | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[httpx.Response]:
        """Call and leave the answer's body to the caller.

        Raises:
            YilianError: as :meth:`call`.
        """
        request = self._request(method, path, body, params, headers, authorise, timeout_s)
        try:
            answer = self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise lost(method, error) from error
        try:
            verify_unpacked(answer)
            if answer.status_code >= 300:
                raise error_of(answer.status_code, _problem(answer), may_have_done=method == "POST")
            yield answer
        finally:
            answer.close()

    def _request(
        self,
        method: str,
        path: str,
        body: BaseModel | bytes | Iterable[bytes] | None,
        params: Params | None,
        headers: Headers | None,
        authorise: Authorise | None,
        timeout_s: float | None,
    ) -> httpx.Request:
        sent = UNPACKED | dict(headers or {})
        if isinstance(body, BaseModel):
            body, sent = body_of(body), {"Content-Type": "application/json", **sent}
        if isinstance(body, bytes) and len(body) > SENT_BYTES:
            sent["Content-Length"] = str(len(body))
            body = _cut(body)
        if authorise is not None:
            sent |= authorise(method, self.public_url + path)
        given = {name: value for name, value in (params or {}).items() if value is not None}
        timeout = httpx.Timeout(timeout_s or self._timeout_s, connect=CONNECT_TIMEOUT_S)
        return self._http.build_request(
            method, self.url + path, content=body, params=given, headers=sent, timeout=timeout
        )


def _cut(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), SENT_BYTES):
        yield body[start : start + SENT_BYTES]


def _pieces(method: str, answer: httpx.Response, deadline: float) -> Iterator[bytes]:
    try:
        for piece in answer.iter_bytes():
            if time.monotonic() > deadline:
                raise Unavailable("the node answers too slowly", reason="deadline")
            yield piece
    except httpx.HTTPError as error:
        raise lost(method, error) from error


def _problem(answer: httpx.Response) -> bytes:
    content = bytearray()
    try:
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > MAX_PROBLEM_BYTES:
                break
    except httpx.HTTPError:
        return b""
    return bytes(content)
