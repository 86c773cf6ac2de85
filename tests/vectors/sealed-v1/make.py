"""Makes the golden vectors of sealed object version 1. Run once per version; committed files are law, not output.

Usage: python tests/vectors/sealed-v1/make.py FOLDER (writes objects.json, rejected.json, wraps.json)
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from domain.identifiers import encode_bytes, identifier
from offchain.envelope.composite import Manifest, Member, seal_manifest
from offchain.envelope.content import Description, PlainBytes
from offchain.envelope.header import Header
from offchain.envelope.hpke import HPKE_HYBRID, HPKE_X25519, RecipientPrivateKey
from offchain.envelope.keys import CustodyKey, DataKey, RecordSecret, SessionKey
from offchain.envelope.messages import seal_message
from offchain.envelope.seal import seal, seal_stream
from offchain.envelope.sealed import SealedBytes
from offchain.envelope.suite import A256GCM_1M, A256GCM_64_TEST, Suite
from offchain.envelope.wraps import KeyBinding, wrap_for_access, wrap_for_custodian, wrap_for_patient, wrap_session

Json = dict[str, Any]


def _bytes(label: str, size: int = 32) -> bytes:
    return hashlib.shake_128(f"yilian vector {label}".encode()).digest(size)


def _id(label: str) -> str:
    return identifier(_bytes(label, 16))


def _object(name: str, suite: Suite, size: int, description: Description, *, known: bool = True) -> Json:
    header = Header(_id(name), "HospitalA", _bytes(f"salt {name}"), suite)
    key, content = DataKey(_bytes(f"key {name}")), _bytes(f"content {name}", size)
    if known:
        sealed = seal(PlainBytes(content, description), key, header)
    else:
        stream = seal_stream([content], description, key, header)
        sealed = SealedBytes(b"".join(stream), stream.digest, stream.chunk_list, header)
    short = len(sealed.data) <= 4096
    return {
        "name": name,
        "suite": suite.name,
        "objectId": header.object_id,
        "origin": header.origin,
        "salt": header.salt.hex(),
        "dataKey": key.reveal().hex(),
        "contentType": description.content_type,
        "fileName": description.file_name,
        "contentShake128Of": f"yilian vector content {name}",
        "contentBytes": size,
        "lengthKnown": known,
        "sealed": sealed.data.hex() if short else None,
        "sealedSha256": hashlib.sha256(sealed.data).hexdigest(),
        "sealedBytes": len(sealed.data),
        "chunkList": sealed.chunk_list.encode().hex(),
        "digest": sealed.digest,
    }


def objects() -> list[Json]:
    """Objects that open."""
    text = Description("text/plain", "a.txt")
    return [
        _object("empty", A256GCM_64_TEST, 0, Description("text/plain")),
        _object("one-chunk", A256GCM_64_TEST, 3, text),
        _object("one-full-chunk", A256GCM_64_TEST, 6, text),
        _object("two-chunks-by-one-byte", A256GCM_64_TEST, 7, text),
        _object("exact-chunks", A256GCM_64_TEST, 6 + 3 * 64, text),
        _object("five-chunks", A256GCM_64_TEST, 250, text),
        _object("length-not-known-before", A256GCM_64_TEST, 250, text, known=False),
        _object("chinese-file-name", A256GCM_1M, 40, Description("text/plain;charset=utf-8", "出院小结.txt")),
        _object("production-padded", A256GCM_1M, 1999, Description("application/fhir+json")),
        _object("production-three-chunks", A256GCM_1M, 2_500_000, Description("application/dicom", "IM0001")),
    ]


def _changed(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def rejected() -> list[Json]:
    """What a reader must refuse, with the kind of failure."""
    good = _object("five-chunks", A256GCM_64_TEST, 250, Description("text/plain", "a.txt"))
    other = _object("other", A256GCM_64_TEST, 250, Description("text/plain", "a.txt"))
    data, listed = bytes.fromhex(good["sealed"]), bytes.fromhex(good["chunkList"])
    other_data, other_list = bytes.fromhex(other["sealed"]), bytes.fromhex(other["chunkList"])
    head = _head_bytes(data)
    swapped = data[:head] + data[head + 80 : head + 160] + data[head : head + 80] + data[head + 160 :]
    cases = [
        ("wrong-key", data, listed, {"dataKey": _bytes("wrong").hex()}),
        (
            "other-object",
            bytes.fromhex(other["sealed"]),
            bytes.fromhex(other["chunkList"]),
            {"digest": other["digest"]},
        ),
        ("not-anchored", other_data, other_list, {}),
        ("truncated", data[:-1], listed, {}),
        ("truncated", data[: head + 160], listed, {}),
        ("trailing", data + b"\x00", listed, {}),
        ("header-altered", _changed(data, 20), listed, {}),
        ("header-altered", _changed(data, head - 1), listed, {}),
        ("chunk-altered", _changed(data, head), listed, {}),
        ("chunk-altered", _changed(data, len(data) - 1), listed, {}),
        ("chunk-altered", swapped, listed, {}),
        ("chunk-list", data, _changed(listed, len(listed) - 1), {}),
        ("chunk-list", data, listed[:-32], {}),
    ]
    common = {name: good[name] for name in ("objectId", "dataKey", "digest")}
    return [
        {**common, "reason": reason, "sealed": sealed.hex(), "chunkList": chunks.hex(), **changes}
        for reason, sealed, chunks, changes in cases
    ]


def _head_bytes(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "big") + 32


def wraps() -> Json:
    """Wraps, messages and a manifest: made with fresh randomness, to be opened."""
    key, custody, session = DataKey(_bytes("wk")), CustodyKey(_bytes("ck")), SessionKey(_bytes("sk"))
    secret = RecordSecret(_bytes("rs"))
    binding, access = KeyBinding(_id("object"), _id("record"), 7), _id("access")
    patient, hospital = RecipientPrivateKey.generate(HPKE_X25519), RecipientPrivateKey.generate(HPKE_HYBRID)
    info: list[str | int] = ["grant-package", access]
    return {
        "dataKey": key.reveal().hex(),
        "custodyKey": custody.reveal().hex(),
        "recordSecret": secret.reveal().hex(),
        "sessionKey": session.reveal().hex(),
        "objectId": binding.object_id,
        "recordId": binding.record_id,
        "version": binding.version,
        "accessId": access,
        "patientPrivate": patient.reveal().hex(),
        "patientPublic": patient.public.text,
        "hospitalPrivate": hospital.reveal().hex(),
        "hospitalPublic": hospital.public.text,
        "hospitalPublicDigest": hospital.public.digest,
        "custodianWrap": wrap_for_custodian(key, custody, secret, "k1", binding).encode().decode(),
        "patientWrap": wrap_for_patient(key, patient.public, binding).encode().decode(),
        "sessionWrap": wrap_session(session, hospital.public, access).encode().decode(),
        "accessWrap": wrap_for_access(key, session, access, binding).encode().decode(),
        "message": "授权包 grant package",
        "messageInfo": info,
        "messageToPatient": seal_message(patient.public, info, "授权包 grant package".encode()).encode().decode(),
        "messageToHospital": seal_message(hospital.public, info, "授权包 grant package".encode()).encode().decode(),
        "manifest": _manifest(),
    }


def _member(number: int) -> Member:
    key, attributes = DataKey(_bytes(f"k{number}")), {"sopInstanceUid": f"1.2.{number}"}
    return Member(_id(f"m{number}"), encode_bytes(_bytes(f"d{number}")), 1000 + number, key, dict(attributes))


def _manifest() -> Json:
    members = tuple(_member(number) for number in range(2))
    key, header = DataKey(_bytes("manifest key")), Header(_id("manifest"), "HospitalA", _bytes("manifest salt"))
    sealed = seal_manifest(Manifest(members, {"modality": "CT"}), key, header)
    return {
        "objectId": header.object_id,
        "dataKey": key.reveal().hex(),
        "digest": sealed.digest,
        "sealed": sealed.data.hex(),
        "members": [
            {
                "objectId": member.object_id,
                "digest": member.digest,
                "length": member.length,
                "dataKey": member.key.reveal().hex(),
                "attributes": member.attributes,
            }
            for member in members
        ],
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, value in (("objects", objects()), ("rejected", rejected()), ("wraps", wraps())):
        text = json.dumps(value, indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")
