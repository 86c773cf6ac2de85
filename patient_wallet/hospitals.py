"""The hospitals where the wallet is enrolled: what is kept of each, sessions with them, and whoever else is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from domain.errors import Denied, NotFound
from domain.identifiers import IDENTIFIER_BYTES, decode_bytes, identifier
from domain.statements import Session
from node_service.client.transport import Transport
from node_service.client.wallet_client import WalletClient
from patient_wallet.members import BOX as MEMBERS_BOX
from patient_wallet.members import KnownMembers
from patient_wallet.registration import SESSION_WITHIN, Registration
from patient_wallet.vault import INDEX_BOX, Vault

Connect = Callable[[str], Transport]
Random = Callable[[int], bytes]
Now = Callable[[], datetime]


class Hospitals:
    """Opens only the box of the hospital concerned; a session lives as long as the hospital keeps it."""

    def __init__(self, vault: Vault, connect: Connect, random: Random, now: Now) -> None:
        self._vault, self._connect, self._random, self._now = vault, connect, random, now
        self._sessions: dict[str, tuple[WalletClient, datetime]] = {}
        self._strangers: dict[str, WalletClient] = {}

    def names(self) -> dict[str, str]:
        """MSP id → name of the hospitals at which this wallet is enrolled."""
        return {msp_id: entry["name"] for msp_id, entry in self._vault.get(INDEX_BOX)["hospitals"].items()}

    def registration(self, msp_id: str) -> Registration:
        """The registration at a hospital.

        Raises:
            NotFound: the wallet is not enrolled there.
        """
        if f"hospital:{msp_id}" not in self._vault.names():
            known = ", ".join(self.names()) or "none"
            raise NotFound(f"this wallet is not enrolled at {msp_id}; known: {known}", reason="not-enrolled")
        return Registration.from_box(self._vault.get(f"hospital:{msp_id}"))

    def remember(self, registration: Registration) -> None:
        """Keep a registration, its keys in a box of the hospital's own."""
        self._vault.put(f"hospital:{registration.msp_id}", registration.to_box())
        index = self._vault.get(INDEX_BOX)
        index["hospitals"][registration.msp_id] = {
            "name": registration.name, "url": registration.url.rstrip("/"), "channel": registration.channel,
        }  # fmt: skip
        self._vault.put(INDEX_BOX, index)

    def forget(self, msp_id: str) -> None:
        """Keep nothing of a registration."""
        index = self._vault.get(INDEX_BOX)
        index["hospitals"].pop(msp_id, None)
        self._vault.put(INDEX_BOX, index)
        self._vault.remove(f"hospital:{msp_id}")

    def with_floor(self, msp_id: str, floor: int) -> Registration:
        """The registration, of which no epoch below ``floor`` is signed any more."""
        registration = self.registration(msp_id)
        raised = registration.with_floor(floor)
        if raised != registration:
            self._vault.put(f"hospital:{msp_id}", raised.to_box())
        return raised

    def session(self, msp_id: str) -> WalletClient:
        """A client that is signed in there.

        Raises:
            NotFound: the wallet is not enrolled there.
        """
        kept = self._sessions.get(msp_id)
        if kept is not None and kept[1] > self._now():
            return kept[0]
        registration = self.registration(msp_id)
        client = WalletClient(
            self._connect(registration.url), decode_bytes(registration.keys.public.signing, "signing"),
            registration.keys.sign_bytes, now_s=lambda: self._now().timestamp(),
        )  # fmt: skip
        nonce = client.nonce(registration.patient)
        signed = registration.sign(
            Session(msp_id, nonce.nonce), statement=self.identifier(), now=self._now(), within=SESSION_WITHIN
        )
        client.open_session(signed.text, signed.signature)
        self._sessions[msp_id] = (client, self._now() + SESSION_WITHIN)
        return client

    def stranger(self, url: str) -> WalletClient:
        """A client that carries no session."""
        if url not in self._strangers:
            self._strangers[url] = WalletClient(self._connect(url), bytes(32), _refuse_to_sign)
        return self._strangers[url]

    def others(self, registration: Registration) -> list[str]:
        """Addresses that no hospital names now: of the others where the wallet is enrolled, and of members before."""
        enrolled = self._vault.get(INDEX_BOX)["hospitals"]
        own = [one["url"] for one in enrolled.values() if one.get("channel") == registration.channel]
        box = self.box(f"{MEMBERS_BOX}:{registration.msp_id}")
        return [*own, *(KnownMembers.from_box(box).urls.values() if box else ())]

    def box(self, name: str) -> dict[str, Any]:
        """What is kept under a name; empty where nothing is."""
        return self._vault.get(name) if name in self._vault.names() else {}

    def identifier(self) -> str:
        """A new one, for a statement."""
        return identifier(self._random(IDENTIFIER_BYTES))


def _refuse_to_sign(_message: bytes) -> bytes:
    raise Denied("this call carries no session", reason="unauthenticated")
