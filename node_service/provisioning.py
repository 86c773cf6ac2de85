"""Making a node: folders, keys, database, first account, entry in the ledger's registry.

Every step looks first what is there, so an interrupted run is simply run again.
"""

from __future__ import annotations

import os
import secrets as tokens
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import inspect, select

from domain import transactions
from domain.errors import Conflict, NotFound, OutcomeUnknown, Unavailable
from domain.instants import instant
from domain.jcs import JsonObject
from domain.ports import Ledger, TransactionStatus
from domain.transactions import OrganizationKey, RegisterOrganization, UpdateOrganization
from domain.wire import from_json, to_json
from node_service import secrets
from node_service.client.wire import StaffAccount, StaffMember
from node_service.composition import CUSTODY_FOLDER, SystemClock, build
from node_service.context import Node
from node_service.database.account_models import Staff
from node_service.database.engine import Database
from node_service.organization_keys import published_keys, witness_keys
from node_service.profiles import check_profile, note_key_origin
from node_service.settings import Settings
from node_service.staff.accounts import create_account
from node_service.staff.passwords import check_password
from offchain.custody.file_keyring import FileKeyring

FOLDER_MODE: Final = 0o700
FIRST_USERNAME: Final = "administrator"
COMMIT_TIMEOUT_S: Final = 30.0
_PAUSE_S: Final = 0.2
_PASSWORD_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was made.

    Attributes:
        administrator: the first account, None if there were accounts already.
        password: of the first account where it was made up here: to be shown once and kept nowhere.
        registered: whether the registry of the ledger was written now.
    """

    administrator: StaffMember | None
    password: str | None = field(repr=False)
    registered: bool


def initialise(settings: Settings, *, username: str = FIRST_USERNAME, password: str | None = None) -> Initialised:
    """Make the node that the settings describe, or complete what is missing of it.

    Args:
        settings: of the node; its ledger exists already.
        username, password: of the first system administrator; a password is made up if none is given.

    Raises:
        Invalid: the profile does not allow it, or a value breaks a rule.
        Conflict: keys and database are not of one node.
        Unavailable: disk, database or ledger.
    """
    given = check_password(password or tokens.token_urlsafe(_PASSWORD_BYTES))
    make_folders(settings)
    _make_keys(settings)
    check_profile(settings)
    running = build(settings)
    try:
        member = _first_account(running.node, username, given)
        registered = register(running.node)
    finally:
        running.resources.close()
    return Initialised(member, given if member is not None and password is None else None, registered)


def make_folders(settings: Settings) -> None:
    """Make the data folder; only its owner may enter.

    Raises:
        Unavailable: the disk refuses.
    """
    try:
        settings.data_dir.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        settings.data_dir.chmod(FOLDER_MODE)
    except OSError as error:
        raise Unavailable(f"the data folder cannot be made: {error.strerror}", reason="folder") from error


def register(node: Node) -> bool:
    """Bring addresses and keys of the hospital into the ledger's registry; true if it was written now.

    A key that is published already stays as it is; one that is not the node's own any more is ended.

    Raises:
        Invalid, Denied, Conflict: the contract refused.
        Unavailable, OutcomeUnknown: run it again.
    """
    known = _registered(node.ledger, node.msp_id)
    now, url, witness = node.clock.now(), node.settings.public_url, node.settings.witness_url or None
    own = published_keys(node.secrets, now) + witness_keys(node.settings, node.ledger.channel, now)
    if known is None:
        _submit(node, RegisterOrganization(url, own, witness))
        return True
    keys = _merged(_keys(known), own, instant(now))
    if (known.get("url"), known.get("witness_url"), keys) == (url, witness, _keys(known)):
        return False
    _submit(node, UpdateOrganization(url, keys, witness))
    return True


def _make_keys(settings: Settings) -> None:
    if not (settings.data_dir / secrets.FILE_NAME).exists():
        if _has_rows(settings):
            raise Conflict("there is a database, but its keys are gone; restore them", reason="keys-gone")
        note_key_origin(settings)
        secrets.create(settings.data_dir)
        _sync(settings.data_dir)
    if not (settings.data_dir / CUSTODY_FOLDER / "keyring.json").exists():
        if _has_rows(settings):
            raise Conflict("there is a database, but its keyring is gone; restore it", reason="keys-gone")
        FileKeyring.create(settings.data_dir / CUSTODY_FOLDER, instant(SystemClock().now()))


def _first_account(node: Node, username: str, password: str) -> StaffMember | None:
    with node.database.reading() as session:
        if session.scalar(select(Staff.id).limit(1)) is not None:
            return None
    account = StaffAccount(username=username, password=password, display_name=username, roles=["system-administrator"])
    return create_account(node, account)


def _has_rows(settings: Settings) -> bool:
    """Whether somebody works with the database already; a database that was only just made has no accounts."""
    if not settings.database_url and not (settings.data_dir / "node.db").exists():
        return False
    database = Database(settings.sqlalchemy_url)
    try:
        with database.rows() as connection:
            has_accounts = inspect(connection).has_table(Staff.__tablename__)
            return has_accounts and connection.scalar(select(Staff.id).limit(1)) is not None
    finally:
        database.close()


def _registered(ledger: Ledger, msp_id: str) -> JsonObject | None:
    try:
        found = ledger.evaluate("QueryOrganization", {"msp": msp_id})
    except NotFound:
        return None
    return found if isinstance(found, dict) else None


def _keys(entry: JsonObject) -> tuple[OrganizationKey, ...]:
    keys = entry.get("keys")
    return tuple(from_json(OrganizationKey, key, "keys") for key in keys) if isinstance(keys, list) else ()


def _merged(
    published: tuple[OrganizationKey, ...], own: tuple[OrganizationKey, ...], at: str
) -> tuple[OrganizationKey, ...]:
    """What stands, with foreign keys of the same uses ended, and the own keys that are missing."""
    own_kids, uses = {key.kid for key in own}, {key.use for key in own}
    ended = tuple(
        from_json(OrganizationKey, to_json(key) | {"valid_until": at})
        if key.kid not in own_kids and key.use in uses and key.valid_until is None
        else key
        for key in published
    )
    return ended + tuple(key for key in own if key.kid not in {key.kid for key in published})


def _submit(node: Node, transaction: transactions.Transaction) -> None:
    name, arguments = transactions.encode(transaction)
    status = _decided(node.ledger, node.ledger.submit(name, arguments))
    if not status.valid:
        raise Conflict(f"the network refused the entry in the registry: {status.code}", reason="not-valid")


def _decided(ledger: Ledger, tx_id: str) -> TransactionStatus:
    """What became of a transaction, once it is in a block of the own peer.

    Raises:
        OutcomeUnknown: it is in none in time.
    """
    deadline = time.monotonic() + COMMIT_TIMEOUT_S
    while (left := deadline - time.monotonic()) > 0:
        try:
            height, status = ledger.height(), ledger.status(tx_id)
        except Unavailable:  # it was there a moment ago, when it took the transaction
            time.sleep(min(left, _PAUSE_S))
            continue
        if status is not None:
            return status
        ledger.wait_for_block(height, left)
    raise OutcomeUnknown("the entry in the registry was not seen in a block in time; run it again", tx_id=tx_id)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
