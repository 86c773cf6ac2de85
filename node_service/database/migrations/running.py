"""Running Alembic, which a database of the newest schema does not need."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from domain.errors import Conflict
from node_service.database.migrations.generations import is_borne

_LOG: Final = logging.getLogger(__name__)


def run(connection: Connection, revision: str | None, to: str = "head") -> None:
    """Run the migrations after ``revision``, from none if it is None; a newer schema that is borne stays as it is.

    Raises:
        Conflict: the schema is newer than what this program works with.
    """
    config = configuration()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is None or revision in known:
        config.attributes["connection"] = connection
        command.upgrade(config, to)
    elif is_borne(revision):
        _LOG.warning("the database is of revision %s, made by a newer version of the node; it is left so", revision)
    else:
        raise Conflict("the database was written by a newer version of the node", reason="newer-schema")


def configuration() -> Config:
    """Alembic's configuration of this package."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
