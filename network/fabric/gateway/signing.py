"""An identity with what signs for it, and messages that are signed once: by that signer, or offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from network.fabric.gateway.errors import SigningError
from network.fabric.gateway.identity import Identity
from network.fabric.gateway.signers import Hash, Sign


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """Who acts and how it signs; without ``signer`` every message must be given its signature."""

    identity: Identity
    signer: Sign | None
    hash: Hash

    def sign(self, digest: bytes) -> bytes:
        """The signature over a digest.

        Raises:
            SigningError: no signer, or it returned nothing.
        """
        if self.signer is None:
            raise SigningError("there is no signer: sign the digest elsewhere and give the signature")
        signature = self.signer(digest)
        if not signature:
            raise SigningError("the signer returned no signature")
        return signature


class Signable:
    """Something with content and one signature over its digest."""

    def __init__(self, signing: SigningIdentity, signed: Any, content: str) -> None:
        self._signing = signing
        self._signed = signed
        self._content = content

    @property
    def digest(self) -> bytes:
        """What is signed: the hash of the content (the content itself where the gateway's hash is ``none``)."""
        return self._signing.hash(getattr(self._signed, self._content))

    @property
    def is_signed(self) -> bool:
        return bool(self._signed.signature)

    def set_signature(self, signature: bytes) -> None:
        """Takes a signature over ``digest`` that was made elsewhere."""
        self._signed.signature = signature

    def sign(self) -> None:
        """Signs with the gateway's signer unless there is a signature; every call to the network does this first.

        Raises:
            SigningError: there is neither a signature nor a signer.
        """
        if not self.is_signed:
            self.set_signature(self._signing.sign(self.digest))
