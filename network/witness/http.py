"""The witness over HTTP (docs/formats/witness.md): public to the members, no credentials, every input bounded."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Final

import anyio
from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Lifespan

from domain import jcs, witness_answers
from domain.errors import Invalid, NotFound, Tampered, Unavailable, YilianError
from domain.identifiers import encode_bytes
from domain.witness_log import MAX_KEY_CHARACTERS, MAX_TX_ID_CHARACTERS
from network.witness.witness import Witness

MAX_BODY_BYTES: Final = 1024
BODY_TIMEOUT_S: Final = 5.0
REQUESTS_PER_S: Final = 200
MAX_ADDRESSES: Final = 10_000
_PROBLEM_JSON: Final = "application/problem+json"
_STATUS: Final[dict[type[YilianError], int]] = {Invalid: 400, NotFound: 404, Tampered: 503, Unavailable: 503}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")


class RequestRate:
    """So many requests a second from one address, in bounded memory; the address unused for longest is forgotten."""

    def __init__(self, per_s: int = REQUESTS_PER_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        self._used: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Count one request; False if the address has had its share of this second."""
        second = int(self._clock())
        then, used = self._used.pop(address, (second, 0))
        used = used + 1 if then == second else 1
        self._used[address] = (second, used)
        if len(self._used) > MAX_ADDRESSES:
            self._used.popitem(last=False)
        return used <= self._per_s


def build_app(
    witness: Witness, *, rate: RequestRate | None = None, lifespan: Lifespan[FastAPI] | None = None
) -> FastAPI:
    """The application over one witness; ``lifespan`` is what runs as long as it is served."""
    app = FastAPI(title="Yilian witness", openapi_url=None, docs_url=None, redoc_url=None, lifespan=lifespan)
    _add_limits(app, rate or RequestRate())
    _add_signed(app, witness)
    _add_proofs(app, witness)
    for kind in (YilianError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer_error)
    return app


def _add_limits(app: FastAPI, rate: RequestRate) -> None:
    @app.middleware("http")
    async def limit(request: Request, call_next: Callable[[Request], object]) -> Response:
        address = request.client.host if request.client else ""
        if not rate.allows(address):
            return _problem(429, "rate-limit", "too many requests from this address; try again in a moment")
        return await call_next(request)  # type: ignore[no-any-return,misc]


def _add_signed(app: FastAPI, witness: Witness) -> None:
    @app.get("/health")
    def health() -> dict[str, object]:
        alarm, identity = witness.alarm, witness.identity
        told = None if alarm is None else {"reason": alarm.reason, "place": alarm.place}
        return {"channel": identity.channel, "msp": identity.msp, "size": witness.size, "alarm": told}

    @app.post("/answers")
    async def answers(request: Request) -> dict[str, str]:
        nonce = _nonce(await _body(request))
        return witness_answers.to_json(await run_in_threadpool(witness.answer, nonce))

    @app.get("/checkpoints/{size}", response_class=PlainTextResponse)
    def checkpoints(size: str) -> str:
        return witness.note(None if size == "latest" else _number(size)).text()


def _add_proofs(app: FastAPI, witness: Witness) -> None:
    @app.get("/consistency/{old}/{new}")
    def consistency(old: str, new: str) -> dict[str, list[str]]:
        return {"proof": [encode_bytes(item) for item in witness.consistency(_number(old), _number(new))]}

    @app.get("/entries/{number}")
    def entries(number: str, size: Annotated[str, Query(max_length=16)]) -> dict[str, object]:
        proof = witness.entry(_number(number), _number(size))
        return {"entry": proof.text.decode(), "path": [encode_bytes(item) for item in proof.path]}

    @app.get("/writes/{number}")
    def writes(
        number: str,
        tx_id: Annotated[str, Query(max_length=MAX_TX_ID_CHARACTERS)],
        key: Annotated[str, Query(max_length=MAX_KEY_CHARACTERS)],
    ) -> dict[str, object]:
        found = witness.write(_number(number), tx_id, key)
        path = [encode_bytes(item) for item in found.path]
        return {"transaction": found.transaction, "index": found.index, "size": found.size, "path": path}


async def _body(request: Request) -> bytes:
    """The body, refused as soon as it is too long or too slow."""
    body = b""
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise HTTPException(413)
    except TimeoutError:
        raise HTTPException(408) from None
    return body


def _nonce(body: bytes) -> str:
    fields = jcs.load(body, max_bytes=MAX_BODY_BYTES, max_depth=1)
    if not isinstance(fields, dict) or fields.keys() != {"nonce"}:
        raise Invalid("a question is an object with a nonce", place="body")
    return witness_answers.check_nonce(fields["nonce"])


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise NotFound("there is no such number", reason="no-number")
    return int(text)


def _answer_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, YilianError):
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
        return _problem(status, error.reason, error.detail, error.place)
    status = error.status_code if isinstance(error, HTTPException) else 400
    return _problem(status, HTTPStatus(status).phrase.lower().replace(" ", "-"), "")


def _problem(status: int, reason: str, detail: str, place: str = "") -> Response:
    """A problem document (RFC 9457) with the members that a node's problems have."""
    content = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, "reason": reason, "place": place}
    headers = {"Retry-After": "1"} if status in (429, 503) else {"Connection": "close"} if status in (408, 413) else {}
    return JSONResponse(content, status, headers, _PROBLEM_JSON)
