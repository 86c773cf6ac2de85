"""Verifies a receipt offline against a members file (docs/formats/witness.md, "Receipts"). Python >= 3.11 and PyNaCl.

    python verify_receipt.py receipt.json members.json [--party MSP]…
Exit codes: 0 verified, 1 altered, 2 unusable input, 3 not witnessed by enough members that take no part in it.
"""

import argparse
import base64
import json
import re
import sys
import unicodedata
from hashlib import sha256
from pathlib import Path
from typing import Any

from nacl import exceptions, signing
from nacl.bindings import crypto_core_ed25519_is_valid_point

ALTERED, UNUSABLE, NOT_WITNESSED = 1, 2, 3
PARTY_FIELDS = {"custodian", "requester", "grantee", "organisation", "by", "msp_id"}
PARTY_ATTRIBUTES = {"org": [0], "log": [0], "record": [0], "status": [0], "attestation": [0, 2], "review": [1]}
RECORD = "v|record|version|previous|custodian|author|owner|digest|size_bucket|day|salt"
ROW = "v|id|at|action|organisation|actor|purpose|access|patient|records|outcome|salt"
LEAVES = {"record": RECORD, "access-row": ROW}
NOTE = re.compile(r"(.*)\n([1-9][0-9]{0,15})\n(.*)\n\n((?:.*\n)+)")
LINE = re.compile(r"— ([!-*,-~]{1,400}) ([A-Za-z0-9+/=]+)")
LEDGER, KIND = ("embedded", "fabric"), ("write", *LEAVES)
WRITE = {"transaction": "count", "tx_id": 128, "index": "count", "size": "count", "path": "path"}
PLAIN = {"kind": KIND, "key": 1024, "value": 1 << 20}
LEAF_PATH = {"incarnation": "count", "index": "count", "size": "count", "hashes": "path"}
RECEIPT = {
    "v": (1,), "type": ("receipt",), "channel": 249, "ledger": LEDGER, "proves": "any", "write": WRITE,
    "block": 1024, "log": {"size": "count", "path": "path"}, "checkpoint": 32768,
}  # fmt: skip
ENTRY = {"v": (1,), "number": "count", "header": "hash", "writes": "hash", "codes": "hash"}
MEMBERS = {"v": (1,), "channel": 249, "ledger": LEDGER, "members": [{"msp": "msp", "witness": ["point"]}]}


class Refused(Exception):
    """Why, and the exit code: ALTERED, UNUSABLE or NOT_WITNESSED."""


def must(holds: object, code: int, why: str) -> None:
    if not holds:
        raise Refused(code, why)


def canonical(value: Any, depth: int = 0) -> str:
    """RFC 8785 of the signed subset: integers up to 2**53 - 1, texts in NFC."""
    if value is None or isinstance(value, bool) or (type(value) is int and abs(value) < 2**53):
        return json.dumps(value)
    if isinstance(value, str):
        must(unicodedata.is_normalized("NFC", value.encode().decode()), UNUSABLE, "a text is not in NFC")
        return json.dumps(value, ensure_ascii=False)
    must(isinstance(value, (list, dict)) and depth < 16, UNUSABLE, "no signed JSON")
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth + 1) for item in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name], depth + 1)}" for name in names) + "}"


def parse(text: str, code: int, shape: Any = "any") -> Any:
    """An object in its canonical spelling and of a shape."""
    try:
        value = json.loads(text)
        must(isinstance(value, dict) and canonical(value) == text and fits(value, shape), code, "unexpected")
    except (ValueError, RecursionError, Refused):
        raise Refused(code, "not canonical JSON of the expected shape") from None
    return value


def fits(value: Any, shape: Any) -> bool:
    """Whether a value has a shape: fields, a list of one shape, allowed values, a text's longest length, a pattern."""
    if isinstance(shape, dict):
        same = isinstance(value, dict) and value.keys() == shape.keys()
        return same and all(fits(value[name], part) for name, part in shape.items())
    if isinstance(shape, list):
        return isinstance(value, list) and len(value) <= 1000 and all(fits(item, shape[0]) for item in value)
    if isinstance(shape, tuple):
        return any(type(value) is type(allowed) and value == allowed for allowed in shape)
    if shape == "count":
        return type(value) is int and 0 <= value < 2**53
    if shape == "path":
        return isinstance(value, list) and len(value) <= 128 and all(fits(item, "hash") for item in value)
    if shape in ("hash", "point"):
        raw = decode(value) if isinstance(value, str) and len(value) == 43 else b""
        return len(raw) == 32 and (shape == "hash" or bool(crypto_core_ed25519_is_valid_point(raw)))
    if shape == "msp":
        return isinstance(value, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]{0,63}", value) is not None
    return shape == "any" or (isinstance(value, str) and 0 < len(value) <= shape)


def decode(text: str, *, url: bool = True) -> bytes:
    """Base64 in its one spelling: URL-safe without padding, or standard; nothing where it is another."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4) if url else text, b"-_" if url else None, validate=True)
    except ValueError:
        return b""
    again = base64.urlsafe_b64encode(raw).rstrip(b"=") if url else base64.b64encode(raw)
    return raw if again.decode() == text else b""


def verify_inclusion(leaf: str, index: int, size: int, path: list[str], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2."""
    must(index < size, ALTERED, "outside the tree")
    position, last, value = index, size - 1, sha256(b"\0" + leaf.encode()).digest()
    for sibling in map(decode, path):
        must(last > 0, ALTERED, "a path is too long")
        right = position & 1 or position == last
        value = sha256(b"\x01" + (sibling + value if right else value + sibling)).digest()
        while right and not position & 1 and position:
            position, last = position >> 1, last >> 1
        position, last = position >> 1, last >> 1
    must(last == 0 and value == root, ALTERED, "a path does not lead to its root")


def verify_leaf(proves: dict[str, Any], key: list[str]) -> None:
    path, record = proves["path"], proves["kind"] == "record"
    must(key[0] == "log" and key[2:] == [f"{path['incarnation']:010d}"], ALTERED, "not the head of that log")
    head = parse(proves["value"], ALTERED).get("records" if record else "access")
    leaf = parse(proves["leaf"], ALTERED, dict.fromkeys(LEAVES[proves["kind"]].split("|"), "any") | {"v": (1,)})
    must(not record or leaf["custodian"] == key[1], ALTERED, "the leaf is of another organisation")
    must(fits(head, {"size": (path["size"],), "root": "hash"}), ALTERED, "the head is of another size")
    verify_inclusion(proves["leaf"], path["index"], path["size"], path["hashes"], decode(head["root"]))


def verify_note(text: str, file: dict[str, Any]) -> tuple[str, int, bytes, set[str]]:
    """Origin, size, root and signers; lines of unknown keys are passed over."""
    note = NOTE.fullmatch(text) or ["", "", "0", "", "\n"]
    origin, size, root, body = note[1], int(note[2]), decode(note[3], url=False), text.partition("\n\n")[0] + "\n"
    lines = [LINE.fullmatch(line) for line in note[4][:-1].split("\n")]
    signatures = [(line[1], decode(line[2], url=False)) for line in lines if line]
    must(len(root) == 32 and size < 2**53 and len(signatures) == len(lines) <= 100, ALTERED, "a note's form")
    different = {(name, raw[:4]) for name, raw in signatures if len(raw) > 4}
    must(len(different) == len(signatures), ALTERED, "a signature's form, or a key signs twice")
    known, signers = {}, set()
    for msp, key in ((member["msp"], decode(key)) for member in file["members"] for key in member["witness"]):
        name = f"yilian/{file['channel']}/{msp}"
        known[name, sha256(f"{name}\n\x01".encode() + key).digest()[:4]] = (msp, key)
    for name, raw in signatures:
        if found := known.get((name, raw[:4])):
            must(len(raw) == 68 and crypto_core_ed25519_is_valid_point(raw[4:36]), ALTERED, "a signature's form")
            try:
                signing.VerifyKey(found[1]).verify(body.encode(), raw[4:])  # S below the group order too
            except exceptions.BadSignatureError:
                raise Refused(ALTERED, "a signature does not hold") from None
            signers.add(found[0])
    return origin, size, root, signers


def parties_in(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(parties_in, value))
    own = value if isinstance(value, dict) else {}
    return {own[n] for n in PARTY_FIELDS & own.keys() if isinstance(own[n], str)}.union(*map(parties_in, own.values()))


def verify_receipt(receipt_text: str, members_text: str, parties: list[str]) -> dict[str, Any]:
    """Verify the texts of a receipt and a members file; signatures of ``parties`` do not count."""
    receipt, file = parse(receipt_text, UNUSABLE, RECEIPT), parse(members_text, UNUSABLE, MEMBERS)
    proves, write, log, names = receipt["proves"], receipt["write"], receipt["log"], file["members"]
    plain = isinstance(proves, dict) and proves.get("kind") == "write"
    must(fits(proves, PLAIN if plain else {**PLAIN, "leaf": 65536, "path": LEAF_PATH}), UNUSABLE, "proves")
    path = proves.get("path", {"index": 0, "size": 1, "incarnation": 1})
    must(path["index"] < path["size"] and path["incarnation"], UNUSABLE, "proves.path")
    keys = [key for member in names for key in member["witness"]]
    stands_once = len({member["msp"] for member in names}) == len(names) and len(set(keys)) == len(keys)
    must(names and stands_once, UNUSABLE, "nobody, or a member or a key twice")
    must(all(receipt[name] == file[name] for name in ("channel", "ledger")), ALTERED, "another channel or ledger")
    must(re.fullmatch(r"\0[^\0]*\0(.*\0)?", proves["key"], re.DOTALL), ALTERED, "the key is no state key")
    key = proves["key"][1:-1].split("\0")
    if not plain:
        verify_leaf(proves, key)
    entry = parse(receipt["block"], ALTERED, ENTRY)
    digest = base64.urlsafe_b64encode(sha256(proves["value"].encode()).digest()).decode().rstrip("=")
    leaf = canonical([write["transaction"], write["tx_id"], proves["key"], digest])
    verify_inclusion(leaf, write["index"], write["size"], write["path"], decode(entry["writes"]))
    origin, size, root, signers = verify_note(receipt["checkpoint"], file)
    must((origin, size) == (f"yilian/{file['channel']}", log["size"]), ALTERED, "a checkpoint of another log or size")
    verify_inclusion(receipt["block"], entry["number"], size, log["path"], root)
    named = parties_in([parse(proves[name], ALTERED) for name in ("value", "leaf") if name in proves])
    at_key = [key[1 + at] for at in PARTY_ATTRIBUTES.get(key[0], []) if 1 + at < len(key)]
    counted, required = sorted(signers - named.union(at_key, parties)), max(1, (len(names) - 1) // 2)
    must(len(counted) >= required, NOT_WITNESSED, f"{len(counted)} of {required} signatures")
    said = {"kind": proves["kind"], "block": entry["number"], "tx_id": write["tx_id"], "signers": counted}
    return said | {"required": required, "single_operator": file["ledger"] == "embedded"}


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Verify a receipt offline.")
    options.add_argument("files", nargs=2, type=Path)
    options.add_argument("--party", action="append", default=[])
    given = options.parse_args()
    try:
        receipt_text, members_text = (path.read_bytes().decode() for path in given.files)
        sys.stdout.write(json.dumps(verify_receipt(receipt_text, members_text, given.party)) + "\n")
    except (Refused, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.args[0] if isinstance(error, Refused) else UNUSABLE)
