"""What the media of a mirrored store owe: objects that they have to get or to lose, written down until it is done."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from offchain.stores.small_database import SmallDatabase

Kind = Literal["copy", "erase"]
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS owed (
        mirror TEXT NOT NULL, digest TEXT NOT NULL, kind TEXT NOT NULL, since TEXT NOT NULL,
        PRIMARY KEY (mirror, digest)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS owed_erasures ON owed (digest) WHERE kind = 'erase'",
)


@dataclass(frozen=True, slots=True)
class Debt:
    """How much one mirror owes."""

    copies: int
    erasures: int
    erasing_since: str | None


class Owed:
    """The notes; each change is durable on return."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            Unavailable, Tampered: it cannot be opened, or is damaged.
        """
        self._database = SmallDatabase(path, _SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def note(self, mirrors: Collection[str], digests: Collection[str], kind: Kind, since: str) -> None:
        """Write down what these mirrors owe; it takes the place of what they owed of the same objects before."""
        rows = [(mirror, digest, kind, since) for mirror in mirrors for digest in digests]
        if rows:
            with self._database.changing() as connection:
                connection.executemany("INSERT OR REPLACE INTO owed VALUES (?, ?, ?, ?)", rows)

    def note_damaged(self, mirror: str, digest: str, since: str) -> None:
        """A copy is missing or altered; no note while any mirror owes the object's erasure."""
        with self._database.changing() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO owed SELECT ?, ?, 'copy', ?"
                " WHERE NOT EXISTS (SELECT 1 FROM owed WHERE digest = ? AND kind = 'erase')",
                (mirror, digest, since, digest),
            )

    def settled(self, mirror: str, digests: Collection[str]) -> None:
        """This mirror owes nothing of these objects any more."""
        if self.owes_any(digests):
            with self._database.changing() as connection:
                pairs = [(mirror, digest) for digest in digests]
                connection.executemany("DELETE FROM owed WHERE mirror = ? AND digest = ?", pairs)

    def owes_any(self, digests: Collection[str]) -> bool:
        """Whether anything is owed of one of these objects."""
        if not self._database.rows("SELECT 1 FROM owed LIMIT 1"):
            return False
        query = "SELECT 1 FROM owed WHERE digest = ? LIMIT 1"
        return any(self._database.rows(query, digest) for digest in digests)

    def is_erased(self, digest: str) -> bool:
        """True if the object was deleted and some mirror may still have it."""
        return bool(self._database.rows("SELECT 1 FROM owed WHERE digest = ? AND kind = 'erase' LIMIT 1", digest))

    def owes_copy(self, mirror: str, digest: str) -> bool:
        """True if a mirror has to get this object."""
        query = "SELECT 1 FROM owed WHERE mirror = ? AND digest = ? AND kind = 'copy'"
        return bool(self._database.rows(query, mirror, digest))

    def of(self, mirror: str, kind: Kind, limit: int) -> Sequence[str]:
        """Digests that a mirror owes, the oldest notes first."""
        query = "SELECT digest FROM owed WHERE mirror = ? AND kind = ? ORDER BY since, digest LIMIT ?"
        return [str(row[0]) for row in self._database.rows(query, mirror, kind, limit)]

    def debt(self, mirror: str) -> Debt:
        """How much a mirror owes."""
        query = "SELECT kind, COUNT(*), MIN(since) FROM owed WHERE mirror = ? GROUP BY kind"
        found = {str(row[0]): (int(row[1]), str(row[2])) for row in self._database.rows(query, mirror)}
        erasures, since = found.get("erase", (0, None))
        return Debt(found.get("copy", (0, ""))[0], erasures, since)
