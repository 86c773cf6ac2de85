"""Asking a witness over HTTP; what it answers is hostile until it is verified."""

from __future__ import annotations

import ssl
from typing import Final

import httpx

from domain import jcs
from domain.certificates import UNTRUSTED, is_untrusted
from domain.checkpoints import MAX_NOTE_BYTES, SignedNote, parse_note
from domain.checks import check_sequence
from domain.errors import Invalid, NotFound, Unavailable
from domain.identifiers import decode_bytes
from domain.merkle import HASH_BYTES
from domain.transactions import MAX_PROOF_HASHES

TIMEOUT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_OK: Final = 200


class WitnessClient:
    """One witness, by its address. Redirects are not followed.

    Args:
        transport: instead of connections over the network.
        trusted: whose certificates count; None: those of the public authorities.
    """

    def __init__(
        self, url: str, transport: httpx.BaseTransport | None = None, *, trusted: ssl.SSLContext | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url, verify=trusted or True, timeout=TIMEOUT_S, transport=transport, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def note(self, size: int | None = None) -> SignedNote:
        """The signed checkpoint of a size, of the latest by default; its signatures are not verified.

        Raises:
            NotFound: the witness has not verified so many blocks.
            Invalid: what came is no note.
            Unavailable: no answer.
        """
        encoded = self._get(f"/checkpoints/{'latest' if size is None else size}")
        if len(encoded) > MAX_NOTE_BYTES:
            raise Invalid("the witness's note is too long", reason="too-large", place=self.url)
        try:
            return parse_note(encoded.decode())
        except UnicodeDecodeError as error:
            raise Invalid("the witness's note is not UTF-8", reason="not-utf8", place=self.url) from error

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """The witness's proof that its log of one size begins its log of another; not verified.

        Raises:
            NotFound, Invalid, Unavailable: as :meth:`note`.
        """
        fields = jcs.load(self._get(f"/consistency/{old}/{new}"), max_bytes=MAX_ANSWER_BYTES, max_depth=2)
        proof = fields.get("proof") if isinstance(fields, dict) else None
        hashes = check_sequence(proof, "proof", max_items=MAX_PROOF_HASHES)
        return tuple(decode_bytes(item, "proof", length=HASH_BYTES) for item in hashes)

    def _get(self, path: str) -> bytes:
        content = b""
        try:
            with self._http.stream("GET", path) as response:
                for part in response.iter_bytes():
                    content += part
                    if len(content) > MAX_ANSWER_BYTES:
                        raise Invalid("the witness's answer is too long", reason="too-large", place=self.url)
        except httpx.HTTPError as error:
            if isinstance(error, httpx.ConnectError) and is_untrusted(str(error)):
                raise Unavailable("its certificate is not trusted", reason=UNTRUSTED, place=self.url) from error
            raise Unavailable(f"no answer: {type(error).__name__}", reason="witness", place=self.url) from error
        if response.status_code == 404:
            raise NotFound("the witness has not verified so many blocks", reason="no-size", place=self.url)
        if response.status_code != _OK:
            raise Unavailable(f"the witness answers {response.status_code}", reason="witness", place=self.url)
        return content
