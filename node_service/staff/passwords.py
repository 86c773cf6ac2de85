"""Passwords: Argon2id with the second recommended parameters of RFC 9106 section 4 (64 MiB, 3 passes, 4 lanes)."""

from __future__ import annotations

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from domain.errors import Invalid

MIN_PASSWORD_CHARACTERS: Final = 12
MAX_PASSWORD_CHARACTERS: Final = 1024

_HASHER: Final = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
_NOBODY: Final = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5LW5vYm9keS0tLQ$xqW9rj1JCwHD0Eh7UE1WDPTPyKcZIVdPE8w3OOMYLh8"


def check_password(password: str) -> str:
    """Return the password if it has an allowed length.

    Raises:
        Invalid: shorter or longer than allowed; the password itself is not repeated.
    """
    if not MIN_PASSWORD_CHARACTERS <= len(password) <= MAX_PASSWORD_CHARACTERS:
        raise Invalid(
            f"a password has {MIN_PASSWORD_CHARACTERS} to {MAX_PASSWORD_CHARACTERS} characters", place="password"
        )
    return password


def hash_password(password: str) -> str:
    """The Argon2id hash in its PHC string form.

    Raises:
        Invalid: as :func:`check_password`.
    """
    return _HASHER.hash(check_password(password))


def fits(password_hash: str | None, password: str) -> bool:
    """Whether the password belongs to the hash; without a hash the same work is done for nothing.

    So the time of an answer does not tell which user names exist.
    """
    try:
        return _HASHER.verify(password_hash or _NOBODY, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(password_hash)
