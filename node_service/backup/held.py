"""What an archived or restored database says that it holds: which sealed objects, which records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import Conflict, Unavailable
from domain.identifiers import encode_bytes
from node_service.database.engine import Database
from node_service.database.models import Record
from node_service.own_keys import verify_own_keys
from node_service.secrets import NodeSecrets

_DIGESTS: Final = text(
    "SELECT digest FROM record_version WHERE content_token <> :erased"
    " UNION SELECT digest FROM member UNION SELECT digest FROM bundle_skeleton"
)
_RECORDS: Final = text("SELECT id FROM record WHERE status <> 'erased' UNION ALL SELECT id FROM bundle_skeleton")
_NEWEST: Final = text(
    "SELECT max(at) FROM (SELECT max(stored_at) AS at FROM record_version"
    " UNION ALL SELECT max(forgotten_at) FROM removal) AS newest"
)
_ERASED: Final = b""


@dataclass(frozen=True, slots=True)
class Held:
    """What one database refers to.

    Attributes:
        digests: the anchored digests of all objects, sorted.
        records: ids of all records that are not erased, and of the Bundles that are kept.
        newest: when the last record was stored or erased, by the clock of then; empty if nothing was.
    """

    digests: tuple[str, ...]
    records: tuple[str, ...]
    newest: str


class HeldDatabase(ABC):
    """A database that is part of a backup, or lies beside one."""

    __slots__ = ()

    def verify_keys(self, secrets: NodeSecrets, custody_keys: Collection[str]) -> None:
        """As :func:`node_service.own_keys.verify_own_keys`."""
        with self._rows() as connection:
            verify_own_keys(connection, secrets, custody_keys)

    def read(self) -> Held:
        """Read it.

        Raises:
            Conflict: there is no node's database.
            Unavailable: it cannot be read.
            Tampered: its pages are damaged.
        """
        with self._rows() as connection:
            return _held(connection)

    @abstractmethod
    def _rows(self) -> AbstractContextManager[Connection]:
        """A view of it."""


@dataclass(frozen=True, slots=True)
class HeldInFile(HeldDatabase):
    """SQLite's file, which is not changed."""

    path: Path

    @contextmanager
    def _rows(self) -> Iterator[Connection]:
        engine = create_engine(f"sqlite:///{self.path.resolve().as_uri()}?mode=ro&uri=true", hide_parameters=True)
        try:
            with engine.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise Unavailable("the archived database cannot be read", reason="backup") from error
        finally:
            engine.dispose()


@dataclass(frozen=True, slots=True)
class HeldOnServer(HeldDatabase):
    """PostgreSQL's, which its own tools archived and restored."""

    url: str

    @contextmanager
    def _rows(self) -> Iterator[Connection]:
        database = Database(self.url)
        try:
            with database.rows() as connection:
                if not inspect(connection).has_table(Record.__tablename__):
                    raise Conflict(
                        "the database is no node's yet: restore PostgreSQL's own backup first",
                        reason="database-empty", place="YILIAN_DATABASE_URL",
                    )  # fmt: skip
                yield connection
        finally:
            database.close()


def _held(connection: Connection) -> Held:
    """In one view of a server, so that both agree."""
    digests = connection.execute(_DIGESTS, {"erased": _ERASED}).scalars()
    sorted_digests = tuple(sorted(encode_bytes(digest) for digest in digests))
    records, newest = tuple(connection.execute(_RECORDS).scalars()), connection.execute(_NEWEST).scalar()
    return Held(sorted_digests, records, newest or "")
