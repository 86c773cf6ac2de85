"""Targets: what stands in requests before anybody is known: bodies, ranges, tokens."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from domain.errors import Denied
from domain.identifiers import encode_bytes, identifier
from node_service.api import tus
from node_service.api.body_examples import EXAMPLES
from node_service.api.byte_ranges import MAX_RANGE_BYTES, parse_range
from node_service.api.content_ranges import PART, UNSATISFIABLE, WHOLE, entity_tag, part_of
from node_service.api.problems import answer, problem
from node_service.api.strict_json import read_json
from node_service.client import exchange_wire, wire
from node_service.sharing import jose
from node_service.sharing.dpop import verify_proof
from tests.fuzz.target import SECRET, Target, accepted, as_json

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC: Final = _KEY.public_key().public_bytes_raw()
_TAG: Final = entity_tag(identifier(bytes(16)))


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every body of the interface by name."""
    for module in (wire, exchange_wire):
        for name, kind in vars(module).items():
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__:
                yield name, kind


_MODELS: Final = dict(models())


def fuzz_body(data: bytes) -> None:
    """``model`` newline ``JSON``: a body is refused without being quoted, or has one meaning."""
    name, _, text = data.partition(b"\n")
    kind = _MODELS.get(name.decode("utf-8", "replace"), wire.Problem)
    for value in accepted(partial(read_json, text)):
        try:
            body = kind.model_validate(value)
        except ValidationError as error:
            _check_refusal(error)
        else:
            assert kind.model_validate_json(body.model_dump_json()) == body


def fuzz_range(data: bytes) -> None:
    """A range has both ends and a bound."""
    for asked in accepted(partial(parse_range, data.decode("latin-1"))):
        assert asked.offset >= 0
        assert 0 < asked.length <= MAX_RANGE_BYTES


def fuzz_content_range(data: bytes) -> None:
    """``Range`` newline ``If-Range``, as a server reads headers: a part lies within the content and says where."""
    asked, _, if_range = data.decode("latin-1").partition("\n")
    for length in (0, 1, 100):
        for condition in (None, if_range, _TAG):
            part = part_of(length, _TAG, asked, condition)
            assert 0 <= part.begin <= part.end <= length
            assert (part.end - part.begin == length) or part.status != WHOLE
            assert (part.end > part.begin) == (part.status == PART) or part.status == WHOLE
            assert (part.status == UNSATISFIABLE) == ("Content-Length" not in part.headers)
            assert all(text.isascii() and text.isprintable() for text in part.headers.values())


def fuzz_token(data: bytes) -> None:
    """Tokens of anybody: nothing is accepted that its key did not sign."""
    token = data.decode("latin-1")
    accepted(partial(jose.unverified, token), Denied)
    accepted(partial(jose.header, token, typ=("", "jwt")), Denied)
    for _ in accepted(partial(jose.claims, token, _PUBLIC, ("iss", "exp")), Denied):
        assert data in _tokens(), "a token was forged"
    address = "https://a.example/x"
    accepted(partial(verify_proof, token, token="t", method="GET", url=address, now=_NOW), Denied)


def fuzz_tus(data: bytes) -> None:
    """``number`` newline ``Upload-Metadata``, as a server reads headers: refused, or an upload with a name."""
    said, _, metadata = data.decode("latin-1").partition("\n")
    for count in accepted(partial(tus.number, said, "Upload-Length")):
        assert 0 <= count < 10**15
    for target in accepted(partial(tus.target, metadata)):
        assert 0 < len(target.upload) <= 64
        assert 0 < len(target.source) <= 128


def _check_refusal(error: ValidationError) -> None:
    for path in ("/api/x", "/fhir/x", "/wallet/x"):
        found = problem(RequestValidationError(error.errors()), path)
        body = bytes(answer(found, path).body)
        assert found.status == 400
        assert SECRET.encode() not in body, "a refusal quotes the body"
        assert len(body) < 2000


def _bodies() -> list[bytes]:
    return [name.encode() + b"\n" + as_json({**example, SECRET: SECRET}) for name, example in EXAMPLES.items()] + [
        name.encode() + b"\n" + as_json(example) for name, example in EXAMPLES.items()
    ]


def _content_ranges() -> list[bytes]:
    return [b"bytes=0-99", b"bytes=5-\n" + _TAG.encode(), b"bytes=-5\n", b"bytes=100-200", b" bytes=0-1,3-4 "]


def _tokens() -> list[bytes]:
    times = {"exp": 1767225700, "iat": 1767225600}
    claims = {"iss": SECRET, "sub": "AMSP", "aud": "urn:yilian:org:BMSP", "jti": "1", **times}
    key = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(_PUBLIC)}
    proof = {"htm": "GET", "htu": "https://a.example/x", "jti": "1", "ath": SECRET, **times}
    unsigned = ".".join(encode_bytes(json.dumps(part).encode()) for part in ({"alg": "none"}, claims)) + "."
    return [
        jwt.encode(claims, _KEY, algorithm="EdDSA").encode(),
        jwt.encode(proof, _KEY, algorithm="EdDSA", headers={"typ": "dpop+jwt", "jwk": key}).encode(),
        unsigned.encode(),
    ]


def _uploads() -> list[bytes]:
    def said(**pairs: str) -> bytes:
        return b"7\n" + ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in pairs.items()).encode()

    return [
        said(upload="u", source=SECRET, patient=identifier(bytes(16)), filetype="application/dicom; x"),
        said(upload="王", source="s", other=SECRET),
        b"0\nupload",
    ]


TARGETS: Final = (
    Target("body", fuzz_body, _bodies),
    Target("range", fuzz_range, lambda: [b"bytes=0-1048575", b"bytes=5-5", b" bytes=0-1,3-4 "], takes_json=False),
    Target("content-range", fuzz_content_range, _content_ranges, takes_json=False),
    Target("token", fuzz_token, _tokens, takes_json=False),
    Target("tus", fuzz_tus, _uploads, takes_json=False),
)
