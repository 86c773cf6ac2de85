"""Whose certificates count at https addresses: a file of authorities instead of the public ones."""

from __future__ import annotations

import os
import ssl
import stat
from collections.abc import Mapping
from typing import Final

from domain.errors import Invalid

CA_FILE: Final = "YILIAN_CA_FILE"
"""Names the file, for nodes and for command lines that call them."""
MAX_FILE_BYTES: Final = 1 << 20
"""More than the public authorities of the whole world take."""


def read_authorities(file: str, setting: str = CA_FILE) -> ssl.SSLContext | None:
    """The authorities of a file (PEM), and no others; without a file None, which stands for the public ones.

    Args:
        setting: what named the file, for the error.

    Raises:
        Invalid: the file cannot be read, or holds no certificate.
    """
    if not file:
        return None
    try:
        return _trusting(_content(file))
    except (ssl.SSLError, ValueError):
        detail = "the file of authorities holds no certificates (PEM)"
    except OSError as error:
        detail = f"the file of authorities cannot be read: {error.strerror or error}"
    raise Invalid(detail, reason="authorities", place=setting)


def _content(file: str) -> str:
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would be waited for
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no file")
        content = opened.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it has more than {MAX_FILE_BYTES} bytes")
    return content.decode("ascii", "ignore")  # words between the certificates may be in any language


def _trusting(content: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=content or "-")
    if not made.cert_store_stats()["x509"]:
        raise ValueError("no certificate")
    return made


def chosen_authorities(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext | None:
    """Those that the environment of a command line names.

    Raises:
        Invalid: as :func:`read_authorities`.
    """
    return read_authorities(environment.get(CA_FILE, ""))
