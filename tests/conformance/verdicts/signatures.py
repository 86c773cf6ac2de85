"""Ed25519 signatures on which libraries differ, and what the strict rule says about each.

The kinds of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020, table 1), made anew: small and mixed
order in A and in R, equations that hold with or without the cofactor, S beyond the order, other
encodings than the canonical one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tests.conformance.verdicts.edwards import BASE, NEUTRAL, ORDER, PRIME, TORSION, Point, challenge, decoded, scalar

GOOD = ""
WEAK, FORM, EQUATION = "weak-key", "signature-form", "signature"


@dataclass(frozen=True, slots=True)
class Case:
    """One signature; ``reason`` is empty where it is good."""

    name: str
    public: str
    signature: str
    message: str
    reason: str


def cases() -> list[dict[str, str]]:
    """The corpus, the same at every call."""
    found = [*_good(), *_orders(), *_scalars(), *_encodings(), *_altered()]
    assert len({case.name for case in found}) == len(found)
    return [asdict(case) for case in found]


def _case(name: str, public: bytes, signature: bytes, message: bytes, reason: str) -> Case:
    return Case(name, public.hex(), signature.hex(), message.hex(), reason)


def _signed(public: bytes, secret: int, commitment: bytes, nonce: int, message: bytes) -> bytes:
    response = (nonce + challenge(commitment, public, message) * secret) % ORDER
    return commitment + response.to_bytes(32, "little")


def _good() -> Iterator[Case]:
    for number in range(8):
        secret, nonce = scalar(f"secret {number}"), scalar(f"nonce {number}")
        public, commitment, message = (secret * BASE).encode(), (nonce * BASE).encode(), bytes(range(number * 9))
        yield _case(f"good {number}", public, _signed(public, secret, commitment, nonce, message), message, GOOD)


def _orders() -> Iterator[Case]:
    """Every torsion part in A and in R, with a message for which the cofactorless equation holds, and one where not."""
    for key_part in range(8):
        for commitment_part in range(8):
            for kind, secret in (("mixed", scalar("mixed key")), ("small", 0)):
                if key_part or commitment_part or kind == "small":
                    yield from _torsion(kind, secret, key_part, commitment_part)


def _torsion(kind: str, secret: int, key_part: int, commitment_part: int) -> Iterator[Case]:
    nonce = scalar(f"nonce {kind} {key_part} {commitment_part}") if kind == "mixed" or key_part % 2 else 0
    public = _point(secret, key_part).encode()
    commitment = _point(nonce, commitment_part).encode()
    wanted = {True: "holds", False: "holds with cofactor only"}
    reason = FORM if kind == "mixed" and not key_part else WEAK
    for number in range(400):
        message = f"{kind} {number}".encode()
        holds = (commitment_part + challenge(commitment, public, message) * key_part) % 8 == 0
        if (name := wanted.pop(holds, None)) is not None:
            signature = _signed(public, secret, commitment, nonce, message)
            yield _case(f"{kind} A+{key_part}T R+{commitment_part}T {name}", public, signature, message, reason)


def _point(multiple: int, part: int) -> Point:
    return (multiple * BASE if multiple else NEUTRAL) + (part * TORSION if part else NEUTRAL)


def _scalars() -> Iterator[Case]:
    """S + n·L satisfies the same equation: without the bound, anybody makes second signatures."""
    public, signature, message = _known()
    response = int.from_bytes(signature[32:], "little")
    for name, value in {
        "S + L": response + ORDER, "S + 8L": response + 8 * ORDER, "S = L": ORDER, "S = L - 1": ORDER - 1,
        "S = 0": 0, "S with high bits": response | 7 << 253, "S all ones": 2**256 - 1,
    }.items():  # fmt: skip
        reason = FORM if value >= ORDER else EQUATION
        yield _case(name, public, signature[:32] + value.to_bytes(32, "little"), message, reason)


def _encodings() -> Iterator[Case]:
    """y at or beyond the prime, a sign on x = 0, and y that are on no point."""
    public, signature, message = _known()
    others = [*range(PRIME, 2**255), *(number | 1 << 255 for number in range(PRIME, 2**255)), 1 | 1 << 255]
    others += [PRIME - 1 | 1 << 255, *_off_the_curve()]
    for number in others:
        encoded = number.to_bytes(32, "little")
        yield _case(f"A = {number:x}", encoded, signature, message, WEAK)
        yield _case(f"R = {number:x}", public, encoded + signature[32:], message, FORM)


def _off_the_curve() -> list[int]:
    found = []
    for number in range(2, 40):
        try:
            decoded(number.to_bytes(32, "little"))
        except ValueError:
            found.append(number)
    return found[:6]


def _altered() -> Iterator[Case]:
    """A genuine signature with one byte changed, cut, or for another message or key."""
    public, signature, message = _known()
    yield _case("another message", public, signature, message + b"!", EQUATION)
    yield _case("another key", (scalar("other") * BASE).encode(), signature, message, EQUATION)
    yield _case("another R", public, (scalar("other R") * BASE).encode() + signature[32:], message, EQUATION)
    for length in (0, 32, 63, 65, 128):
        yield _case(f"signature of {length} bytes", public, (signature * 2)[:length], message, FORM)
    for length in (0, 31, 33, 64):
        yield _case(f"key of {length} bytes", (public * 2)[:length], signature, message, WEAK)


def _known() -> tuple[bytes, bytes, bytes]:
    secret, nonce, message = scalar("known"), scalar("known nonce"), b"statement"
    public = (secret * BASE).encode()
    return public, _signed(public, secret, (nonce * BASE).encode(), nonce, message), message
