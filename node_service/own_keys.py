"""Whether the keys in the data folder are those that the database was written with.

A node that began with other keys would seal beside what it cannot open, so it does not begin at all.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from domain.errors import Conflict, Tampered
from node_service.database.account_models import Staff
from node_service.database.models import Wrap
from node_service.secrets import FILE_NAME, NodeSecrets
from node_service.staff.accounts import name_context


def verify_own_keys(connection: Connection, secrets: NodeSecrets, custody_keys: Collection[str]) -> None:
    """Compare the keys with one account and one record of the database.

    Args:
        custody_keys: ids of all keys of the key custody.

    Raises:
        Conflict: the database is another node's (``other-keys``), or the keyring (``other-keyring``). Nothing was
            changed.
    """
    account = connection.execute(select(Staff.id, Staff.display_name).limit(1)).first()
    try:
        if account is not None:
            secrets.open_local(name_context(account.id), account.display_name)
    except Tampered:
        raise Conflict(
            f"{FILE_NAME} is not of this database: put this node's own file back, or name its own database",
            reason="other-keys", place="YILIAN_DATABASE_URL",
        ) from None  # fmt: skip
    key = connection.scalar(select(Wrap.key_id).where(Wrap.recipient == "custodian").limit(1))
    if key is not None and key not in custody_keys:
        raise Conflict(
            "the custody keyring is not of this database: put this node's own custody folder back, or restore it from"
            " its backup with the newest root key",
            reason="other-keyring", place="custody",
        )  # fmt: skip
