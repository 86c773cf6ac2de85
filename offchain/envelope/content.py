"""What is sealed: the content with its type and name, a preamble before it, Padmé padding behind small ones.

Plaintext = content length, 8 bytes ‖ description length, 4 bytes ‖ description in JCS ‖ content ‖ zero bytes.
Source of the padding: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
PoPETs 2019, section 4 (at most 12 % overhead; leaks O(log log length) bits).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from domain import jcs
from domain.errors import Invalid, Tampered
from offchain.envelope.suite import Suite

LENGTH_UNKNOWN: Final = (1 << 64) - 1
MAX_CONTENT_TYPE_CHARACTERS: Final = 255
MAX_FILE_NAME_CHARACTERS: Final = 255
_FIXED_BYTES: Final = 12
_MAX_DESCRIPTION_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Description:
    """Media type (RFC 6838) and, where there is one, file name; both are patient data and lie inside the seal."""

    content_type: str = field(repr=False)
    file_name: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        text = self.content_type
        if not 0 < len(text) <= MAX_CONTENT_TYPE_CHARACTERS or not (text.isascii() and text.isprintable()):
            raise Invalid("a media type of at most 255 printable ASCII characters is expected", place="contentType")
        if self.file_name is not None and not 0 < len(self.file_name) <= MAX_FILE_NAME_CHARACTERS:
            raise Invalid("a file name of at most 255 characters is expected", place="fileName")
        jcs.check_signable(self.file_name)

    def encode(self) -> bytes:
        """The description in JCS."""
        name = {} if self.file_name is None else {"fileName": self.file_name}
        return jcs.canonical({"contentType": self.content_type, **name})

    @classmethod
    def parse(cls, encoded: bytes) -> Description:
        """Read a description.

        Raises:
            Invalid: not canonical, or no media type.
        """
        fields = jcs.parse_object(encoded, max_bytes=_MAX_DESCRIPTION_BYTES)
        content_type, file_name = fields.get("contentType"), fields.get("fileName")
        if not isinstance(content_type, str) or not (file_name is None or isinstance(file_name, str)):
            raise Invalid("the description has no media type", place="description")
        return cls(content_type, file_name)


@dataclass(frozen=True, slots=True)
class PlainBytes:
    """Content in the clear: never goes to a disk, a queue or another hospital."""

    content: bytes = field(repr=False)
    description: Description


@dataclass(frozen=True, slots=True)
class Preamble:
    """The first bytes of the plaintext."""

    description: Description
    length: int
    size: int

    @classmethod
    def parse(cls, plaintext: bytes | memoryview) -> Preamble:
        """Read the preamble from the first chunk.

        Raises:
            Tampered: it is not one; only a holder of the key can have made it so.
        """
        length = int.from_bytes(plaintext[:8], "big")
        end = _FIXED_BYTES + int.from_bytes(plaintext[8:_FIXED_BYTES], "big")
        if not _FIXED_BYTES < end <= min(len(plaintext), _FIXED_BYTES + _MAX_DESCRIPTION_BYTES):
            raise Tampered("the preamble in the sealed object cannot be read", reason="preamble")
        try:
            description = Description.parse(bytes(plaintext[_FIXED_BYTES:end]))
        except Invalid as error:
            raise Tampered("the preamble in the sealed object cannot be read", reason="preamble") from error
        return cls(description, length, end)


def encode_preamble(description: Description, length: int | None, suite: Suite) -> bytes:
    """The preamble; ``None`` where the length is not known yet.

    Raises:
        Invalid: it does not fit into the first chunk.
    """
    encoded = description.encode()
    number = LENGTH_UNKNOWN if length is None else length
    preamble = number.to_bytes(8, "big") + len(encoded).to_bytes(4, "big") + encoded
    if len(preamble) > suite.chunk_bytes:
        raise Invalid("the description does not fit into the first chunk", reason="preamble")
    return preamble


def padme(length: int) -> int:
    """The padded length of ``length`` bytes."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask


def content_length(preamble: Preamble, plaintext_bytes: int, first_chunk: memoryview, *, single: bool) -> int:
    """The true length of the content, checked against length and padding of the plaintext.

    Raises:
        Tampered: they do not agree.
    """
    if not single:
        length = plaintext_bytes - preamble.size
        if preamble.length not in (length, LENGTH_UNKNOWN):
            raise Tampered("the sealed length is not that of the content", reason="preamble")
        return length
    end = preamble.size + preamble.length
    if end > plaintext_bytes or padme(end) != plaintext_bytes or bytes(first_chunk[end:]).strip(b"\x00"):
        raise Tampered("the padding in the sealed object is not as it must be", reason="preamble")
    return preamble.length
