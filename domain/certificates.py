"""Certificates of https servers: how a connection that did not come about tells that one was not trusted."""

from __future__ import annotations

from typing import Final

UNTRUSTED: Final = "https-certificate"
"""Reason of the refusal: nothing was sent, neither token nor body."""
_OPENSSL: Final = "CERTIFICATE_VERIFY_FAILED"


def is_untrusted(told: str) -> bool:
    """True if OpenSSL refused the other side's certificate: unknown authority, another name, or it has ended.

    Args:
        told: the error of connecting, and of nothing later: from then on the words may be the other side's.
    """
    return _OPENSSL in told
