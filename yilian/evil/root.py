"""Thefts by whoever is root of a hospital's database, disks and ledger file, without the keys of its node."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from domain.errors import Tampered
from domain.identifiers import decode_bytes
from network.embedded.export import export
from yilian.audit_export import verify_folder
from yilian.demo.report import StepFailed, check
from yilian.evil import database
from yilian.evil.theft import CUSTODIAN, Refusal, Stage, Theft, refused

AUDITOR: Final = "auditor"
SEAL: Final = "seal"
_MIN_TEXT_CHARACTERS: Final = 4
_MIN_TEXTS: Final = 3
_FSCK_TIMEOUT_S: Final = 120.0


def read_the_disks(stage: Stage) -> Refusal:
    """Searches every file of the hospital and of the ledger for the patient's name, address and numbers."""
    texts = _personal_texts(stage)
    check(len(texts) >= _MIN_TEXTS, "the patient's record has too few texts to look for")
    for path in _files(stage):
        content = path.read_bytes()
        for text in texts:
            check(text.encode() not in content, f"a text of the patient stands in {path.name}")
    return Refusal(SEAL, "ciphertext-only")


def swap_two_keys(stage: Stage) -> Refusal:
    """Exchanges the wrapped keys of two records, so that one opens as the other."""
    one, other = (entry.record for entry in stage.granted[:2])
    node_db = stage.cast.custodian.folder / "node.db"
    database.swap_wraps(node_db, one, other)
    try:
        return refused(CUSTODIAN, lambda: stage.cast.house_doctor.client.record_content(one), Tampered)
    finally:
        database.swap_wraps(node_db, one, other)


def swap_two_objects(stage: Stage) -> Refusal:
    """Puts one genuine sealed object in the place of another."""
    first, second = (_object(stage, entry.record) for entry in stage.granted[:2])
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    try:
        record = stage.granted[0].record
        return refused(CUSTODIAN, lambda: stage.cast.house_doctor.client.record_content(record), Tampered)
    finally:
        first.write_bytes(kept)


def rewrite_who_read(stage: Stage) -> Refusal:
    """Rewrites the row of the access log that tells who read."""
    node_db = stage.cast.custodian.folder / "node.db"
    row, leaf = database.access_row(node_db, stage.opened().id, stage.cheat.msp_id)
    altered = leaf.replace(stage.cheat.msp_id.encode(), stage.accomplice.msp_id.encode())
    check(altered != leaf, "the row does not tell who read")
    database.write_access_row(node_db, row, altered)
    try:
        found = _fsck(stage)
    finally:
        database.write_access_row(node_db, row, leaf)
    check(found.returncode != 0, "the altered row was not noticed")
    check(str(row) in found.stdout, "the altered row was not named")
    check(_fsck(stage).returncode == 0, "the log does not verify after it was put right")
    return Refusal(AUDITOR, "fsck", f"row {row}")


def rewrite_the_ledger(stage: Stage) -> Refusal:
    """Alters one byte of a committed transaction in a copy of the ledger, and hands the copy to an auditor."""
    copied, folder = stage.network.folder / "rewritten", stage.network.folder / "rewritten-export"
    shutil.copytree(stage.network.ledger, copied)
    number = _alter_last_block_with(copied / "ledger.db", stage.cast.grant.encode())
    export(copied, folder)
    refusal = refused(AUDITOR, lambda: verify_folder(folder, stage.network.ground.genesis), Tampered)
    return Refusal(AUDITOR, refusal.reason, f"block {number}")


def _personal_texts(stage: Stage) -> list[str]:
    """Texts out of the patient's own Patient resource: names, address, telephone, identifiers."""
    entry = next(item for item in stage.cast.wallet.records(stage.home) if item.resource_type == "Patient")
    opened = stage.cast.wallet.open(stage.home, entry.record)
    check(opened.content is not None, "the patient's own resource has no content")
    resource = json.loads(opened.content or b"")
    kept = {name: resource[name] for name in ("name", "address", "telecom", "identifier") if name in resource}
    texts = {text for text in _texts(kept) if len(text.encode()) >= _MIN_TEXT_CHARACTERS and ":" not in text}
    return sorted(texts - _CODES)


_CODES: Final = frozenset(
    {"official", "usual", "home", "work", "phone", "mobile", "male", "female", "temp", "nickname"}
)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _files(stage: Stage) -> Iterator[Path]:
    for folder in (stage.cast.custodian.folder, stage.network.ledger):
        yield from (path for path in folder.rglob("*") if path.is_file())
    yield stage.cast.custodian.log


def _object(stage: Stage, record: str) -> Path:
    name = decode_bytes(stage.digest_of(record), "digest").hex()
    return next(stage.cast.custodian.folder.rglob(name))


def _fsck(stage: Stage) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "yilian", "audit", "fsck", "--no-objects"]
    try:
        return subprocess.run(  # noqa: S603 - our own command
            command,
            env=stage.cast.custodian.environment,
            capture_output=True,
            text=True,
            timeout=_FSCK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed("the check of the node's logs does not end") from error


def _alter_last_block_with(ledger: Path, text: bytes) -> int:
    """Flip a letter of ``text`` in the newest block that holds it; return the block's number."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        rows = connection.execute("SELECT number, raw FROM block ORDER BY number DESC")
        number, block = next((number, bytes(block)) for number, block in rows if text in bytes(block))
        altered = block.replace(text, bytes([text[0] ^ 1]) + text[1:], 1)
        connection.execute("UPDATE block SET raw = ? WHERE number = ?", (altered, number))
    return int(number)


THEFTS: Final = (
    Theft(
        "disk",
        "searches every disk for the patient's name and numbers",
        "搜遍磁盘找姓名与号码",
        read_the_disks,
        Refusal(SEAL, "ciphertext-only"),
    ),
    Theft(
        "swapped-keys",
        "exchanges the keys of two records",
        "调换两份病历的密钥",
        swap_two_keys,
        Refusal(CUSTODIAN, "wrap-altered"),
    ),
    Theft(
        "swapped-objects",
        "exchanges two sealed objects",
        "调换两个密封对象",
        swap_two_objects,
        Refusal(CUSTODIAN, "object-altered"),
    ),
    Theft("rewritten-log", "rewrites who read", "篡改读取日志", rewrite_who_read, Refusal(AUDITOR, "fsck")),
    Theft(
        "rewritten-ledger",
        "rewrites a committed transaction",
        "篡改已提交的交易",
        rewrite_the_ledger,
        Refusal(AUDITOR, "data-hash"),
    ),
)
