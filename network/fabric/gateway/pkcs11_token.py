"""Signers whose keys never leave a token: PKCS#11 (a hardware security module, SoftHSM); needs the extra ``pkcs11``."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pkcs11
from pkcs11.util.ec import encode_named_curve_parameters

from network.blocks.signature import encode_low_s
from network.fabric.gateway.errors import SigningError
from network.fabric.gateway.signers import Signer

_CURVES: Final = {encode_named_curve_parameters(name): name for name in ("secp256r1", "secp384r1")}


class Pkcs11Token:
    """A token that this process is logged in to; it is opened once, since its login counts for the whole process."""

    def __init__(self, token: Any, login: Any) -> None:
        self._token = token
        self._login = login
        self._sessions: list[Any] = []

    @classmethod
    def open(cls, library: Path, *, label: str, pin: str) -> Self:
        """Logs in.

        Args:
            library: the token's PKCS#11 module.

        Raises:
            SigningError: no such library or token, a wrong PIN, or logged in already.
        """
        try:
            token = pkcs11.lib(str(library)).get_token(token_label=label)
            return cls(token, token.open(user_pin=pin))
        except pkcs11.PKCS11Error as error:
            raise SigningError(f"the token cannot be opened: {type(error).__name__}") from error

    def signer(self, key_id: bytes) -> Signer:
        """A signer with the P-256 or P-384 key that has this CKA_ID; threads may share it: the library takes turns.

        Raises:
            SigningError: no such key, or one of another kind.
        """
        try:
            session = self._token.open()
            self._sessions.append(session)
            key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, key_type=pkcs11.KeyType.EC, id=key_id)
            curve = _CURVES.get(key[pkcs11.Attribute.EC_PARAMS])
        except pkcs11.PKCS11Error as error:
            raise SigningError(f"the token's key cannot be used: {type(error).__name__}") from error
        if curve is None:
            raise SigningError("the token's key is neither P-256 nor P-384")
        return Signer(_Pkcs11Sign(key, curve))

    def close(self) -> None:
        """Logs out; its signers cannot sign any more."""
        for session in (*self._sessions, self._login):
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Pkcs11Sign:
    def __init__(self, key: Any, curve: str) -> None:
        self._key = key
        self._curve = curve

    def __call__(self, digest: bytes) -> bytes:
        try:
            signature = self._key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        except pkcs11.PKCS11Error as error:
            raise SigningError(f"the token did not sign: {type(error).__name__}") from error
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        return encode_low_s(r, s, self._curve)
