"""What a hospital's node asks the node of another hospital (docs/formats/http.md, ``/exchange``)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import httpx

from domain.errors import Denied, Unavailable
from node_service.client import exchange_wire, wire
from node_service.client.answers import MAX_PROBLEM_BYTES, body_of, read_value, unanswered
from node_service.client.bounded import read_bounded
from node_service.client.proofs import Sign, client_assertion

CALL_TIMEOUT_S: Final = 20.0
CONNECT_TIMEOUT_S: Final = 3.0
MAX_PAGE_BYTES: Final = 8 << 20
MAX_RELEASE_BYTES: Final = 288 << 20
_TOKEN_MARGIN_S: Final = 20.0
_JSON: Final = {"Content-Type": "application/json"}
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
Address = Callable[[str], Awaitable[str]]
"""The allowed address of a hospital by its MSP id; raises ``NotFound`` or ``Denied``."""


class ExchangeClient:
    """Calls other hospitals as this hospital; tokens are kept until shortly before they expire.

    Every call is safe to repeat: readings change nothing, deliveries carry their own ids.

    Args:
        msp_id, kid, sign: this hospital and its ``signing`` key in the registry.
        address: where a hospital is, out of the registry and the administrator's list.
        now_s: seconds since the epoch, for assertions.
        trusted: whose certificates count; None: those of the public authorities.
        http: for tests; by default a client of its own without redirects and proxies of the environment.
    """

    def __init__(
        self,
        msp_id: str,
        kid: str,
        sign: Sign,
        address: Address,
        *,
        now_s: Callable[[], float] = time.time,
        trusted: ssl.SSLContext | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._msp_id = msp_id
        self._kid = kid
        self._sign = sign
        self._address = address
        self._now_s = now_s
        self._http = http or httpx.AsyncClient(
            verify=trusted or True,
            timeout=httpx.Timeout(CALL_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            trust_env=False,
        )
        self._tokens: dict[str, tuple[str, float]] = {}

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def deliver_request(self, custodian: str, body: exchange_wire.RequestDelivery) -> None:
        """Hand a sealed request to the patient's custodian."""
        await self._post(custodian, "/exchange/requests", body, MAX_PROBLEM_BYTES)

    async def search(self, custodian: str, body: exchange_wire.ExchangeSearch) -> wire.RecordPage:
        """List what may be released under an opening."""
        return read_value(wire.RecordPage, await self._post(custodian, "/exchange/search", body, MAX_PAGE_BYTES))

    async def release(self, custodian: str, body: exchange_wire.ExchangeRelease) -> exchange_wire.Released:
        """Fetch sealed records with their keys."""
        return read_value(
            exchange_wire.Released, await self._post(custodian, "/exchange/release", body, MAX_RELEASE_BYTES)
        )

    async def read_object(self, custodian: str, access: str, digest: str, offset: int, length: int) -> bytes:
        """A range of the sealed bytes of a released object; fewer only at its end."""
        path = f"/exchange/objects/{digest}"
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        return await self._call(custodian, "GET", path, length, headers=headers, params={"access": access})

    async def deliver_contribution(self, custodian: str, body: exchange_wire.ContributionDelivery) -> wire.RecordRef:
        """Hand over a record that this hospital sealed and signed for the patient's custodian."""
        content = await self._post(custodian, "/exchange/contributions", body, MAX_PROBLEM_BYTES)
        return read_value(wire.RecordRef, content)

    async def deliver_notices(self, holder: str, body: exchange_wire.NoticeDelivery) -> exchange_wire.NoticeReceipt:
        """Tell a hospital that had records released what became of them."""
        content = await self._post(holder, "/exchange/notices", body, MAX_PROBLEM_BYTES)
        return read_value(exchange_wire.NoticeReceipt, content)

    async def _post(self, custodian: str, path: str, body: wire.Wire, max_bytes: int) -> bytes:
        return await self._call(custodian, "POST", path, max_bytes, headers=_JSON, content=body_of(body))

    async def _call(
        self,
        custodian: str,
        method: str,
        path: str,
        max_bytes: int,
        *,
        headers: dict[str, str],
        content: bytes | None = None,
        params: dict[str, str] | None = None,
    ) -> bytes:
        """Call with a token; one that the other side forgot is asked for anew, once."""
        url = await self._address(custodian)
        for attempt in (1, 2):
            sent = {**headers, "Authorization": f"Bearer {await self._token(custodian, url)}"}
            request = self._http.build_request(method, url + path, content=content, params=params, headers=sent)
            try:
                return await self._send(request, max_bytes)
            except Denied as error:
                self._tokens.pop(custodian, None)
                if attempt == 2 or error.reason not in ("no-session", "unauthenticated"):
                    raise
        raise Denied("the other hospital does not accept this hospital's token", reason="no-session")

    async def _token(self, custodian: str, url: str) -> str:
        token, until = self._tokens.get(custodian, ("", 0.0))
        if time.monotonic() < until:
            return token
        assertion = client_assertion(self._msp_id, self._kid, self._sign, audience=custodian, now_s=self._now_s())
        body = exchange_wire.ExchangeToken(
            grant_type="client_credentials", client_assertion_type=_ASSERTION_TYPE, client_assertion=assertion
        )
        request = self._http.build_request("POST", f"{url}/exchange/token", content=body_of(body), headers=_JSON)
        begun = time.monotonic()
        issued = read_value(wire.Token, await self._send(request, MAX_PROBLEM_BYTES))
        self._tokens[custodian] = (issued.access_token, begun + issued.expires_in - _TOKEN_MARGIN_S)
        return issued.access_token

    async def _send(self, request: httpx.Request, max_bytes: int) -> bytes:
        try:
            with anyio.fail_after(CALL_TIMEOUT_S):
                return await read_bounded(self._http, request, max_bytes)
        except TimeoutError:
            raise Unavailable("the other hospital answers too slowly", reason="deadline") from None
        except httpx.HTTPError as error:
            raise unanswered("the other hospital", error) from error
