"""edwards25519 with its cofactor (RFC 8032 section 5.1), slow and plain: it makes points that libraries never make."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

PRIME: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, PRIME) % PRIME


@dataclass(frozen=True, slots=True)
class Point:
    """An affine point."""

    x: int
    y: int

    def __add__(self, other: Point) -> Point:
        product = _D * self.x * other.x * self.y * other.y % PRIME
        x = (self.x * other.y + other.x * self.y) * pow(1 + product, -1, PRIME) % PRIME
        y = (self.y * other.y + self.x * other.x) * pow(1 - product, -1, PRIME) % PRIME
        return Point(x, y)

    def __rmul__(self, scalar: int) -> Point:
        result, step = NEUTRAL, self
        while scalar:
            result, step, scalar = result + step if scalar & 1 else result, step + step, scalar >> 1
        return result

    def encode(self) -> bytes:
        """The canonical encoding."""
        return (self.y | (self.x & 1) << 255).to_bytes(32, "little")


NEUTRAL: Final = Point(0, 1)


def decoded(encoded: bytes) -> Point:
    """The point of an encoding."""
    number = int.from_bytes(encoded, "little")
    y = number & (1 << 255) - 1
    square = (y * y - 1) * pow(_D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    if (x * x - square) % PRIME:
        raise ValueError("not on the curve")
    return Point(PRIME - x if x & 1 != number >> 255 else x, y)


BASE: Final = decoded(bytes.fromhex("58" + "66" * 31))
TORSION: Final = decoded(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"))
"""A point of order 8."""


def challenge(commitment: bytes, public: bytes, message: bytes) -> int:
    """SHA-512(R ‖ A ‖ M) as a number, not yet reduced."""
    return int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little")


def scalar(label: str) -> int:
    """A scalar below the order, from a label."""
    return int.from_bytes(hashlib.sha512(label.encode()).digest(), "little") % ORDER
