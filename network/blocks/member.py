"""Members: identities that the MSP they name has verified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.errors import Denied, Tampered
from network.blocks.identity import Identity, parse_identity
from network.blocks.msp import Membership, Msp
from network.blocks.signature import verify_signature


@dataclass(frozen=True, slots=True)
class Member:
    """An identity that its MSP verified."""

    identity: Identity
    membership: Membership

    def verify_signature(self, signature: bytes, message: bytes) -> None:
        """Checks one signature of this member, over the hash that its MSP names.

        Raises:
            Tampered: the signature does not fit, or nobody knows the hash.
        """
        scheme = self.membership.scheme
        if scheme is None:
            raise Tampered("the MSP names an unknown family of hashes", reason="bad-signature")
        verify_signature(self.identity.public_key, signature, message, scheme)


def verify_member(raw_identity: bytes, msps: Mapping[str, Msp]) -> Member:
    """Finds the MSP of an identity and verifies it there.

    Whatever a library raises over bytes that anybody can put into a transaction means that they are no member: an
    exception of a kind that nobody has met must not end a witness.

    Raises:
        Denied: unknown MSP, unreadable or not a valid member.
    """
    try:
        return _member(raw_identity, msps)
    except (Denied, MemoryError):
        raise
    except Exception as error:
        raise Denied("identity cannot be read", reason="bad-identity") from error


def _member(raw_identity: bytes, msps: Mapping[str, Msp]) -> Member:
    identity = parse_identity(raw_identity)
    msp = msps.get(identity.msp_id)
    if msp is None:
        raise Denied("MSP is not in the channel", reason="unknown-msp")
    return Member(identity, msp.verify_identity(identity))
