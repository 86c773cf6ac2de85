"""What a node asks witnesses (docs/formats/witness.md, "The witness's HTTP interface")."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
import httpx
from pydantic import BaseModel, ConfigDict

from domain import checkpoints, jcs, witness_answers
from domain.checkpoints import SignedNote
from domain.errors import Invalid, Tampered, Unavailable
from domain.identifiers import decode_bytes
from domain.receipt_form import Inclusion, WritePlace
from domain.signed_texts import SignedText
from domain.transactions import MAX_PROOF_HASHES
from domain.wire import from_json
from domain.witness_log import MAX_ENTRY_BYTES
from node_service.client.answers import read_value, unanswered
from node_service.client.bounded import read_bounded
from node_service.client.transport import Transport

ANSWER_TIMEOUT_S: Final = 1.5
CALL_TIMEOUT_S: Final = 2.0
MAX_ANSWER_BYTES: Final = 16 * 1024
_MAX_PROOF_BYTES: Final = 64 * 1024
_JSON: Final = {"Content-Type": "application/json"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class WitnessAlarm(_Body):
    """Why a witness stopped."""

    reason: str
    place: str


class WitnessHealth(_Body):
    """How far a witness is."""

    channel: str
    msp: str
    size: int
    alarm: WitnessAlarm | None


class _Entry(_Body):
    entry: str
    path: list[str]


class _Proof(_Body):
    proof: list[str]


class Questions:
    """Puts questions to witnesses; their answers are not verified here.

    Args:
        http: for tests; by default a client of its own without redirects and proxies of the environment.
        trusted: whose certificates count; None: those of the public authorities.
    """

    def __init__(self, http: httpx.AsyncClient | None = None, *, trusted: ssl.SSLContext | None = None) -> None:
        self._http = http or httpx.AsyncClient(
            verify=trusted or True, timeout=ANSWER_TIMEOUT_S, follow_redirects=False, trust_env=False
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ask(self, url: str, nonce: str) -> SignedText:
        """Put one question to the witness at an address.

        Raises:
            Unavailable: nobody answers in time, or an alarm stands there.
            Tampered: what came back is no answer.
        """
        content = jcs.canonical({"nonce": nonce})
        request = self._http.build_request("POST", f"{url}/answers", content=content, headers=_JSON)
        try:
            with anyio.fail_after(ANSWER_TIMEOUT_S):
                answered = await read_bounded(self._http, request, MAX_ANSWER_BYTES)
        except TimeoutError:
            raise Unavailable("the witness answers too slowly", reason="deadline") from None
        except httpx.HTTPError as error:
            raise unanswered("the witness", error) from error
        with _form("answer"):
            return witness_answers.from_json(jcs.load(answered, max_bytes=MAX_ANSWER_BYTES, max_depth=2))


class WitnessClient:
    """One witness, asked by background work and for receipts. What it says is verified by whoever uses it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def health(self) -> WitnessHealth:
        """How far it is, and whether it stopped."""
        return read_value(WitnessHealth, self._get("/health"))

    def checkpoint(self, size: int) -> SignedNote:
        """Its signed note of a size.

        Raises:
            NotFound: it has not verified so many blocks.
            Unavailable: it does not answer.
            Tampered: what it answers is no note.
        """
        with _form("note"):
            return checkpoints.parse_note(self._get(f"/checkpoints/{size}", checkpoints.MAX_NOTE_BYTES).decode())

    def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that its log of ``old`` entries is the beginning of that of ``new``."""
        found = read_value(_Proof, self._get(f"/consistency/{old}/{new}"))
        with _form("proof"):
            return _hashes(found.proof)

    def entry(self, number: int, size: int) -> tuple[str, Inclusion]:
        """The entry of a block, and its inclusion in the log of a size."""
        found = read_value(_Entry, self._get(f"/entries/{number}", params={"size": size}))
        with _form("entry"):
            if len(found.entry) > MAX_ENTRY_BYTES:
                raise Invalid("an entry is shorter", place="entry")
            return found.entry, Inclusion(size, tuple(found.path))

    def write(self, block: int, tx_id: str, key: str) -> WritePlace:
        """Where a write leaf stands in its block.

        Raises:
            NotFound: there is no such write.
        """
        content = self._get(f"/writes/{block}", params={"tx_id": tx_id, "key": key})
        with _form("write"):
            fields = jcs.load(content, max_bytes=_MAX_PROOF_BYTES, max_depth=3)
            if not isinstance(fields, dict):
                raise Invalid("an object is expected", place="write")
            return from_json(WritePlace, {**fields, "tx_id": tx_id}, "write")

    def _get(
        self, path: str, max_bytes: int = _MAX_PROOF_BYTES, params: dict[str, str | int | None] | None = None
    ) -> bytes:
        return self._transport.call("GET", path, params=params, max_bytes=max_bytes, timeout_s=CALL_TIMEOUT_S).content


def _hashes(values: list[str]) -> list[bytes]:
    if len(values) > MAX_PROOF_HASHES:
        raise Invalid("a proof is shorter", place="proof")
    return [decode_bytes(value, "proof", length=32) for value in values]


@contextmanager
def _form(place: str) -> Iterator[None]:
    """What breaks the form of the interface is the witness's fault, not the caller's."""
    try:
        yield
    except (Invalid, UnicodeDecodeError) as error:
        raise Tampered("the witness's answer has not its form", reason="answer-form", place=place) from error
