"""Whether the keys in the data folder are those that the database was written with.

A node that began with other keys would seal beside what it cannot open, so it does not begin at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, and_, inspect, select

from domain.errors import Conflict, Tampered
from domain.ports import CustodyRecord
from node_service.database.account_models import Staff
from node_service.database.erasure_models import Removal
from node_service.database.migrations import NEWEST
from node_service.database.models import Outbox, RecordVersion, Wrap
from node_service.database.standing import revision
from node_service.secrets import FILE_NAME, NodeSecrets
from node_service.staff.accounts import name_context

_RESTORED: Final = ("restored", "lost")
"""Purposes of the custody log's entries after a restore: its own time, and a later one of what it may have lost."""
_COMPARED: Final = 5
"""Rows of a kind, so that each start is quick."""
_FIRST: Final = select(RecordVersion.record, RecordVersion.stored_at.label("at")).where(RecordVersion.version == 1)
"""A record's secret is as old as its first version: a copy that knows the record knows all its versions."""
_NEWEST_LOGGED: Final = (
    _FIRST.where(RecordVersion.log_index.is_not(None))
    .order_by(RecordVersion.incarnation.desc(), RecordVersion.log_index.desc())
    .limit(_COMPARED)
)
_NEWEST_WAITING: Final = (
    _FIRST.join(Outbox, and_(Outbox.record == RecordVersion.record, Outbox.version == RecordVersion.version))
    .order_by(Outbox.id.desc())
    .limit(_COMPARED)
)
_NEWEST_ERASED: Final = (
    select(Removal.record, Removal.forgotten_at.label("at"))
    .where(Removal.action == "erase", Removal.state.in_(("forgotten", "done")), Removal.forgotten_at.is_not(None))
    .order_by(Removal.forgotten_at.desc())
    .limit(_COMPARED)
)


class OpenedCustody(Protocol):
    """The key custody in the data folder."""

    def standing(self, records: Sequence[str]) -> Sequence[str]:
        """``kept``, ``forgotten`` or ``unknown`` for each record."""

    def history(self) -> Iterator[CustodyRecord]:
        """All entries of its log."""


def verify_own_keys(connection: Connection, secrets: NodeSecrets, custody_keys: Collection[str]) -> None:
    """Compare the keys with some accounts and records; one that fits is enough, for single rows may be damaged.

    Args:
        custody_keys: ids of all keys of the key custody.

    Raises:
        Conflict: the database is another node's (``other-keys``), or the keyring (``other-keyring``). Nothing was
            changed.
    """
    accounts = connection.execute(select(Staff.id, Staff.display_name).limit(_COMPARED)).all()
    if accounts and not any(_opens(secrets, account.id, account.display_name) for account in accounts):
        raise Conflict(
            f"{FILE_NAME} is not of this database: put this node's own file back, or name its own database",
            reason="other-keys", place="YILIAN_DATABASE_URL",
        )  # fmt: skip
    keys = connection.scalars(select(Wrap.key_id).where(Wrap.recipient == "custodian").limit(_COMPARED)).all()
    if keys and not any(key in custody_keys for key in keys):
        raise Conflict(
            "the custody keyring is not of this database: put this node's own custody folder back, or restore it from"
            " its backup with the newest root key",
            reason="other-keyring", place="custody",
        )  # fmt: skip


def _opens(secrets: NodeSecrets, account: str, display_name: bytes) -> bool:
    try:
        secrets.open_local(name_context(account), display_name)
    except Tampered:
        return False
    return True


def is_in_use(connection: Connection) -> bool:
    """Whether there is something to compare keys with, in a schema that this program knows."""
    written = revision(connection)
    if written is not None and written > NEWEST:
        return False  # not compared, and not changed
    existing = inspect(connection)
    return any(
        existing.has_table(table.__tablename__) and connection.execute(select(column).limit(1)).first() is not None
        for table, column in ((Staff, Staff.id), (Wrap, Wrap.record))
    )


def verify_secrets_are_newest(connection: Connection, custody: OpenedCustody) -> None:
    """Compare the record secrets with the newest records and the newest erasures.

    What a restore lost it named: the custody log tells of it. Without that the folder is an older copy: a node that
    went on would make second secrets for records that have one, and open what was erased.

    Raises:
        Conflict: the secrets are older than the database (``older-secrets``). Nothing was changed.
        Tampered, Unavailable: custody.
    """
    stored = [*connection.execute(_NEWEST_LOGGED), *connection.execute(_NEWEST_WAITING)]
    erased = [*connection.execute(_NEWEST_ERASED)]
    standing = custody.standing([row.record for row in (*stored, *erased)])
    lacking = [row.at for row, one in zip(stored, standing, strict=False) if one == "unknown"]
    lacking += [row.at for row, one in zip(erased, standing[len(stored) :], strict=True) if one != "forgotten"]
    if not lacking:
        return
    restored = max((one.entry.at for one in custody.history() if one.entry.purpose in _RESTORED), default="")
    if max(lacking) > restored:
        raise Conflict(
            "the record secrets are older than the database: put the newest custody folder back, take the replica's by"
            " 'yilian custody takeover', or restore a backup with the newest snapshot ('yilian node restore')",
            reason="older-secrets", place="custody",
        )  # fmt: skip
