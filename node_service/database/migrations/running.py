"""Running Alembic, which a database of the newest schema does not need."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from domain.errors import Conflict


def run(connection: Connection, revision: str | None) -> None:
    """Run the migrations after ``revision``, from none if it is None.

    Raises:
        Conflict: nobody here knows that revision.
    """
    config = configuration()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise Conflict("the database was written by a newer version of the node", reason="newer-schema")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def configuration() -> Config:
    """Alembic's configuration of this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
