"""PEM as Go's ``encoding/pem`` decodes it, with headers: its writer chooses them, also for a certificate of others."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left
from typing import Final

from domain.errors import Invalid

_BEGIN: Final = re.compile(rb"(?:\A|(?<=\n))-----BEGIN (?P<label>[^\n]*)-----[ \t]*\r?\n")
_PLAIN: Final = re.compile(rb"^[^:\n]*$", re.MULTILINE)
_END: Final = b"\n-----END "
_SPACE: Final = b" \t\r\n"


def read_block(pem: bytes) -> tuple[bytes, bytes]:
    """Label and content of the first block that can be decoded.

    Raises:
        Invalid: there is none.
    """
    plain = [line.start() for line in _PLAIN.finditer(pem)]
    for begin in _BEGIN.finditer(pem):
        index = bisect_left(plain, begin.end())
        if index == len(plain):  # headers and nothing behind them
            break
        at = plain[index]
        content = _content(pem, at, pem.find(_END, at - (at == begin.end())), begin["label"])
        if content is not None:
            return begin["label"], content
    raise Invalid("bytes are not PEM", reason="bad-certificate")


def _content(pem: bytes, at: int, end: int, label: bytes) -> bytes | None:
    trailer = end + len(_END)
    if end < 0 or not pem.startswith(label + b"-----", trailer):
        return None
    line, newline, _ = pem[trailer + len(label) + 5 :].partition(b"\n")
    if (line.removesuffix(b"\r") if newline else line).strip(b" \t"):
        return None
    return _decode(pem[at : max(at, end)].translate(None, _SPACE))


def _decode(text: bytes) -> bytes | None:
    if len(text) % 4:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
