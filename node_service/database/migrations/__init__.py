"""Schema migrations (Alembic), run from code: an installed node needs neither ``alembic.ini`` nor the command."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from domain.errors import Conflict
from node_service.database.engine import Database


def upgrade(url: str) -> None:
    """Bring the database to the newest schema, in one transaction; nothing happens if it is there already.

    Raises:
        Conflict: the database was written by a newer version of the node.
        Unavailable: the database is locked, full or gone.
        Tampered: the file is damaged.
    """
    database = Database(url)
    try:
        with database.transaction() as session:
            config = configuration()
            connection = session.connection()
            _refuse_newer(config, MigrationContext.configure(connection).get_current_revision())
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def configuration() -> Config:
    """Alembic's configuration of this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def _refuse_newer(config: Config, revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise Conflict("the database was written by a newer version of the node", reason="newer-schema")
