"""The committed bytes of sealed object version 1: our code makes and opens them, and so does a second reading."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.errors import Tampered
from domain.identifiers import encode_bytes
from offchain.envelope.chunk_list import ChunkList
from offchain.envelope.composite import Member, open_manifest
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.hpke import HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey
from offchain.envelope.keys import CustodyKey, DataKey, RecordSecret, SessionKey
from offchain.envelope.messages import SealedMessage, open_message
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.suite import A256GCM_1M, A256GCM_64_TEST, suite_named
from offchain.envelope.unseal import unseal
from offchain.envelope.wraps import (
    KeyBinding,
    Wrap,
    unwrap_for_access,
    unwrap_for_custodian,
    unwrap_for_patient,
    unwrap_session,
)
from tests.unit.offchain.sealing import verified

Json = dict[str, Any]
FOLDER = Path(__file__).resolve().parents[3] / "vectors" / "sealed-v1"
SUITES = (A256GCM_1M, A256GCM_64_TEST)
OBJECTS: list[Json] = json.loads((FOLDER / "objects.json").read_text(encoding="utf-8"))
REJECTED: list[Json] = json.loads((FOLDER / "rejected.json").read_text(encoding="utf-8"))
WRAPS: Json = json.loads((FOLDER / "wraps.json").read_text(encoding="utf-8"))


def _content(vector: Json) -> bytes:
    return hashlib.shake_128(vector["contentShake128Of"].encode()).digest(vector["contentBytes"])


def _sealed(vector: Json) -> SealedBytes:
    suite = suite_named(vector["suite"], SUITES)
    header = Header(vector["objectId"], vector["origin"], bytes.fromhex(vector["salt"]), suite)
    description = Description(vector["contentType"], vector["fileName"])
    key = DataKey(bytes.fromhex(vector["dataKey"]))
    if vector["lengthKnown"]:
        return seal(PlainBytes(_content(vector), description), key, header)
    stream = seal_stream([_content(vector)], description, key, header)
    return SealedBytes(b"".join(stream), stream.digest, stream.chunk_list, header)


@pytest.mark.parametrize("vector", OBJECTS, ids=lambda vector: vector["name"])
def test_sealing_gives_the_committed_bytes(vector: Json) -> None:
    sealed = _sealed(vector)
    if vector["sealed"] is not None:
        assert sealed.data.hex() == vector["sealed"]
    assert hashlib.sha256(sealed.data).hexdigest() == vector["sealedSha256"]
    assert len(sealed.data) == vector["sealedBytes"]
    assert sealed.chunk_list.encode().hex() == vector["chunkList"]
    assert sealed.digest == vector["digest"]


@pytest.mark.parametrize("vector", OBJECTS, ids=lambda vector: vector["name"])
def test_the_committed_bytes_open(vector: Json) -> None:
    data = _sealed(vector).data if vector["sealed"] is None else bytes.fromhex(vector["sealed"])
    sealed = SealedBytes.of(data, SUITES).verified(vector["digest"], SUITES)
    opened = unseal(sealed, DataKey(bytes.fromhex(vector["dataKey"])), object_id=vector["objectId"])
    assert opened.whole(max_bytes=1 << 23).content == _content(vector)
    assert (opened.description.content_type, opened.description.file_name) == (
        vector["contentType"],
        vector["fileName"],
    )


def _hkdf(key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    pseudo_random = hmac.digest(salt, key, "sha256")
    output = block = b""
    while len(output) < length:
        block = hmac.digest(pseudo_random, block + info + bytes([len(output) // 32 + 1]), "sha256")
        output += block
    return output[:length]


def _root(hashes: list[bytes]) -> bytes:
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(hashes[:split]) + _root(hashes[split:])).digest()


@pytest.mark.parametrize("vector", OBJECTS, ids=lambda vector: vector["name"])
def test_a_second_reading_of_the_format_from_its_document_agrees(vector: Json) -> None:
    """Written from docs/formats/sealed-object.md with hashlib, hmac and AESGCM alone."""
    data = _sealed(vector).data
    end = 8 + int.from_bytes(data[4:8], "big")
    header, commitment, body = data[:end], data[end : end + 32], data[end + 32 :]
    derived = _hkdf(bytes.fromhex(vector["dataKey"]), bytes.fromhex(vector["salt"]), header, 71)
    assert commitment == derived[39:]
    step = 16 + (64 if vector["suite"].endswith("64-TEST") else 1 << 20)
    chunks = [body[start : start + step] for start in range(0, len(body), step)]
    plaintext = b""
    for number, chunk in enumerate(chunks):
        nonce = derived[32:39] + number.to_bytes(4, "big") + bytes([number == len(chunks) - 1])
        plaintext += AESGCM(derived[:32]).decrypt(nonce, chunk, header + commitment)
    start = 12 + int.from_bytes(plaintext[8:12], "big")
    assert json.loads(plaintext[12:start])["contentType"] == vector["contentType"]
    assert plaintext[start : start + vector["contentBytes"]] == _content(vector)
    root = _root([hashlib.sha256(b"\x00" + chunk).digest() for chunk in chunks])
    total = len(data).to_bytes(8, "big")
    assert encode_bytes(hashlib.sha256(b"YLN1" + header + commitment + total + root).digest()) == vector["digest"]


@pytest.mark.parametrize("vector", REJECTED, ids=lambda vector: vector["reason"])
def test_what_must_be_rejected_is_rejected_with_its_kind(vector: Json) -> None:
    with pytest.raises(Tampered) as caught:
        _open_rejected(vector)
    assert caught.value.reason == vector["reason"]


def _open_rejected(vector: Json) -> None:
    sealed = verified(
        bytes.fromhex(vector["sealed"]), vector["digest"], ChunkList.parse(bytes.fromhex(vector["chunkList"]))
    )
    opened = unseal(sealed, DataKey(bytes.fromhex(vector["dataKey"])), object_id=vector["objectId"])
    opened.whole(max_bytes=1 << 20)


def test_the_committed_wraps_open() -> None:
    binding = KeyBinding(WRAPS["objectId"], WRAPS["recordId"], WRAPS["version"])
    key, session = DataKey(bytes.fromhex(WRAPS["dataKey"])), SessionKey(bytes.fromhex(WRAPS["sessionKey"]))
    wraps = {
        name: Wrap.parse(WRAPS[name].encode()) for name in ("custodianWrap", "patientWrap", "sessionWrap", "accessWrap")
    }
    patient = RecipientPrivateKey(HPKE_X25519, bytes.fromhex(WRAPS["patientPrivate"]))
    hospital = RecipientPrivateKey(HPKE_HYBRID, bytes.fromhex(WRAPS["hospitalPrivate"]))
    assert (patient.public.text, hospital.public.text) == (WRAPS["patientPublic"], WRAPS["hospitalPublic"])
    assert hospital.public.digest == WRAPS["hospitalPublicDigest"]
    custody, secret = CustodyKey(bytes.fromhex(WRAPS["custodyKey"])), RecordSecret(bytes.fromhex(WRAPS["recordSecret"]))
    assert unwrap_for_custodian(wraps["custodianWrap"], custody, secret, binding) == key
    assert unwrap_for_patient(wraps["patientWrap"], patient, binding) == key
    assert unwrap_session(wraps["sessionWrap"], hospital, WRAPS["accessId"]) == session
    assert unwrap_for_access(wraps["accessWrap"], session, WRAPS["accessId"], binding) == key


@pytest.mark.parametrize(
    ("alg", "private", "message"),
    [(HPKE_X25519, "patientPrivate", "messageToPatient"), (HPKE_HYBRID, "hospitalPrivate", "messageToHospital")],
)
def test_the_committed_messages_open(alg: str, private: str, message: str) -> None:
    recipient = RecipientPrivateKey(alg, bytes.fromhex(WRAPS[private]))
    opened = open_message(recipient, WRAPS["messageInfo"], SealedMessage.parse(WRAPS[message].encode()))
    assert opened.decode() == WRAPS["message"]


def test_the_committed_manifest_opens() -> None:
    vector = WRAPS["manifest"]
    sealed = SealedBytes.of(bytes.fromhex(vector["sealed"])).verified(vector["digest"])
    manifest = open_manifest(sealed, DataKey(bytes.fromhex(vector["dataKey"])), object_id=vector["objectId"])
    assert manifest.attributes == {"modality": "CT"}
    assert list(manifest.members) == [
        Member(m["objectId"], m["digest"], m["length"], DataKey(bytes.fromhex(m["dataKey"])), m["attributes"])
        for m in vector["members"]
    ]
