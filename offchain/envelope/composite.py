"""Composite records: a sealed manifest names members that are sealed objects of their own.

A later member makes a new manifest version; members that stay are named again with their keys wrapped anew, and
nothing of them is sealed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain import jcs
from domain.errors import Invalid, NotFound, Tampered
from domain.identifiers import check_digest, check_identifier, decode_bytes, encode_bytes
from domain.jcs import JsonObject
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.keys import DataKey, SecretKey
from offchain.envelope.seal import seal
from offchain.envelope.sealed import SealedBytes, SealedObject
from offchain.envelope.suite import DATA_KEY_BYTES
from offchain.envelope.unseal import OpenedObject, unseal
from offchain.envelope.wraps import MAX_WRAPPED_BYTES, decrypt_key, encrypt_key

MANIFEST_TYPE: Final = "application/vnd.yilian.manifest+json;version=1"
MAX_MEMBERS: Final = 20_000
MAX_MANIFEST_BYTES: Final = 32 << 20
_DESCRIPTION: Final = Description(MANIFEST_TYPE)


@dataclass(frozen=True, slots=True)
class Member:
    """One sealed object of a composite record.

    Attributes:
        object_id: the member's object.
        digest: its anchored digest.
        length: bytes of its content.
        key: its data key.
        attributes: open JSON of the kind of record, for example SOP class and instance UID.
    """

    object_id: str
    digest: str
    length: int
    key: DataKey
    attributes: JsonObject = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_identifier(self.object_id, "member.objectId")
        check_digest(self.digest, "member.digest")
        if not 0 <= self.length <= jcs.MAX_SAFE_INTEGER:
            raise Invalid("the length of a member is out of range", place="member.length")
        jcs.check_signable(self.attributes)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The members of one version of a composite record, and attributes of the whole."""

    members: tuple[Member, ...]
    attributes: JsonObject = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not 0 < len(self.members) <= MAX_MEMBERS:
            raise Invalid(f"a composite record has 1 to {MAX_MEMBERS} members", reason="too-large")
        if len({member.object_id for member in self.members}) != len(self.members):
            raise Invalid("two members have the same object id", reason="duplicate-member")
        jcs.check_signable(self.attributes)

    def member(self, object_id: str) -> Member:
        """The member of that id.

        Raises:
            NotFound: there is none.
        """
        for member in self.members:
            if member.object_id == object_id:
                return member
        raise NotFound("the manifest has no such member", place=object_id)

    def with_members(self, more: Sequence[Member]) -> Manifest:
        """The next version: these members too, the sealed ones reused.

        Raises:
            Invalid: an id is there already.
        """
        return Manifest((*self.members, *more), self.attributes)


class _MemberWrappingKey(SecretKey):
    __slots__ = ()


def seal_manifest(manifest: Manifest, key: DataKey, header: Header) -> SealedBytes:
    """Seal a manifest as an object of its own; ``key`` and header are fresh for each version.

    Raises:
        Invalid: longer than a manifest may be.
    """
    wrapping = _wrapping_key(key, header.object_id)
    members = [_encode_member(member, wrapping, header.object_id) for member in manifest.members]
    content = jcs.canonical({"attributes": manifest.attributes, "members": members})
    if len(content) > MAX_MANIFEST_BYTES:
        raise Invalid(f"a manifest has at most {MAX_MANIFEST_BYTES} bytes", reason="too-large")
    return seal(PlainBytes(content, _DESCRIPTION), key, header)


def open_manifest(sealed: SealedObject, key: DataKey, *, object_id: str) -> Manifest:
    """Open a manifest with the keys of its members.

    Raises:
        Tampered: as :func:`offchain.envelope.unseal.unseal`, or a member key is wrapped for another place.
        Invalid: the object is no manifest.
    """
    plain = unseal(sealed, key, object_id=object_id).whole(max_bytes=MAX_MANIFEST_BYTES)
    if plain.description.content_type != MANIFEST_TYPE:
        raise Invalid("the sealed object is no manifest", reason="not-a-manifest")
    fields = jcs.parse_object(plain.content, max_bytes=MAX_MANIFEST_BYTES)
    members, attributes = fields.get("members"), fields.get("attributes")
    if not isinstance(members, list) or not isinstance(attributes, dict):
        raise Invalid("the manifest has no members", reason="not-a-manifest")
    wrapping = _wrapping_key(key, object_id)
    return Manifest(tuple(_decode_member(member, wrapping, object_id) for member in members), attributes)


def verify_member(member: Member, sealed: SealedObject) -> None:
    """Verify that an object is the one that the manifest names.

    Raises:
        Tampered: it is another object.
    """
    if (sealed.header.object_id, sealed.digest) != (member.object_id, member.digest):
        raise Tampered("the object is not the member that the manifest names", reason="other-object")


def open_member(member: Member, sealed: SealedObject) -> OpenedObject:
    """Open a member as the manifest describes it.

    Raises:
        Tampered: it is another object, is altered, or is not as long as the manifest says.
    """
    verify_member(member, sealed)
    opened = unseal(sealed, member.key, object_id=member.object_id)
    if opened.length != member.length:
        raise Tampered("the member is not as long as the manifest says", reason="length", place=member.object_id)
    return opened


def _wrapping_key(key: DataKey, manifest_id: str) -> _MemberWrappingKey:
    """A key of its own, so that the manifest's data key serves one purpose only (NIST SP 800-57 part 1, 5.2)."""
    info = jcs.canonical(["yilian manifest members 1", manifest_id])
    derived = HKDF(algorithm=SHA256(), length=DATA_KEY_BYTES, salt=None, info=info).derive(key.reveal())
    return _MemberWrappingKey(derived)


def _aad(manifest_id: str, object_id: str, digest: str) -> list[str | int]:
    return [manifest_id, object_id, digest]


def _encode_member(member: Member, wrapping: SecretKey, manifest_id: str) -> JsonObject:
    wrapped = encrypt_key(member.key, wrapping, _aad(manifest_id, member.object_id, member.digest))
    return {
        "attributes": member.attributes,
        "digest": member.digest,
        "key": encode_bytes(wrapped),
        "length": member.length,
        "objectId": member.object_id,
    }


def _decode_member(value: object, wrapping: SecretKey, manifest_id: str) -> Member:
    fields = value if isinstance(value, dict) else {}
    object_id = check_identifier(fields.get("objectId"), "member.objectId")
    digest = check_digest(fields.get("digest"), "member.digest")
    length, attributes = fields.get("length"), fields.get("attributes")
    if not isinstance(length, int) or isinstance(length, bool) or not isinstance(attributes, dict):
        raise Invalid("a member has a length and attributes", place="member")
    wrapped = decode_bytes(fields.get("key"), "member.key", max_length=MAX_WRAPPED_BYTES)
    key = DataKey(decrypt_key(wrapped, wrapping, _aad(manifest_id, object_id, digest)))
    return Member(object_id, digest, length, key, attributes)
