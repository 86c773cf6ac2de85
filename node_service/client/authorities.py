"""Whose certificates count at https addresses: a file of authorities instead of the public ones."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import Final

from domain.errors import Invalid

CA_FILE: Final = "YILIAN_CA_FILE"
"""Names the file, for nodes and for command lines that call them."""


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
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError:
        detail = "the file of authorities holds no certificates (PEM)"
    except OSError as error:
        detail = f"the file of authorities cannot be read: {error.strerror}"
    raise Invalid(detail, reason="authorities", place=setting)


def chosen_authorities(environment: Mapping[str, str] = os.environ) -> ssl.SSLContext | None:
    """Those that the environment of a command line names.

    Raises:
        Invalid: as :func:`read_authorities`.
    """
    return read_authorities(environment.get(CA_FILE, ""))
