"""How a node is, from its database and from what the running process tells everybody."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from domain.certificates import UNTRUSTED
from domain.errors import Unavailable
from node_service.client.answers import unanswered
from node_service.client.authorities import read_authorities
from node_service.database.engine import Database
from node_service.database.migrations import NEWEST
from node_service.database.models import Outbox
from node_service.database.standing import Leader, leader, revision
from node_service.ledger_sync.alarm import alarms
from node_service.ledger_sync.projection import height
from node_service.settings import Settings

_TIMEOUT_S: Final = 10.0
_MAX_ANSWER_BYTES: Final = 1 << 20
_EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104 - what a node listens on, not this program
_PREFIX: Final = "yilian_"
_SHOWN: Final = (
    "ledger_height", "projection_lag_blocks", "access_rows_unsequenced", "records", "records_anchored",
    "records_witnessed", "objects_damaged", "writes_unendorsed", "stores_down", "store_copies_owed",
    "store_erasures_owed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Standing:
    """How a node is.

    Attributes:
        database: its kind, as SQLAlchemy names it.
        revision: of the schema; None where there is none.
        is_shared: whether several processes may serve.
        obstacles: why the running node is not ready, or is not asked; None where it does not answer.
        measured: what the running node measured, by the names of its metrics.
        alarms: that stand, each with its reason.
    """

    msp_id: str
    database: str
    revision: str | None
    newest: str
    is_shared: bool
    leader: Leader | None
    projected: int
    outbox: int
    alarms: tuple[str, ...]
    obstacles: tuple[str, ...] | None
    measured: Mapping[str, float]

    @property
    def is_well(self) -> bool:
        """The node runs, is ready, somebody leads, and no alarm stands."""
        led = self.leader is not None or not self.is_shared
        return self.obstacles == () and not self.alarms and led


def look(settings: Settings, url: str) -> Standing:
    """Look now.

    Args:
        url: of the running node; empty: where the settings say that it listens.

    Raises:
        Invalid: the file of authorities cannot be used.
        Unavailable, Tampered: the database cannot be read.
    """
    trusted = read_authorities(settings.ca_file)
    address = url.rstrip("/") or _own_address(settings)
    with closing(Database(settings.sqlalchemy_url)) as database:
        with database.rows() as connection:
            found = revision(connection)
        projected, outbox, standing = _counted(database) if found else (0, 0, ())
        return Standing(
            msp_id=settings.msp_id,
            database=database.engine.dialect.name,
            revision=found,
            newest=NEWEST,
            is_shared=database.is_shared,
            leader=leader(database),
            projected=projected,
            outbox=outbox,
            alarms=standing,
            obstacles=_obstacles(address, trusted),
            measured=_measured(address, trusted),
        )


def _counted(database: Database) -> tuple[int, int, tuple[str, ...]]:
    with database.reading() as session:
        return height(session), _outbox(session), tuple(f"{one.name}: {one.reason}" for one in alarms(session))


def _outbox(session: Session) -> int:
    return int(session.execute(select(func.count(Outbox.id))).scalar_one())


def _own_address(settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in _EVERYWHERE else settings.host
    return str(httpx.URL(scheme="http", host=host, port=settings.port))


def _obstacles(address: str, trusted: ssl.SSLContext | None) -> tuple[str, ...] | None:
    try:
        told: Any = json.loads(_answer(f"{address}/ready", trusted) or "null")
        return tuple(str(one) for one in told["obstacles"])
    except Unavailable as error:
        return (error.reason,)
    except (ValueError, KeyError, TypeError):
        return None


def _measured(address: str, trusted: ssl.SSLContext | None) -> Mapping[str, float]:
    try:
        families = list(text_string_to_metric_families((_answer(f"{address}/metrics", trusted) or b"").decode()))
    except (ValueError, Unavailable):
        return {}
    told = {family.name.removeprefix(_PREFIX): family.samples[0].value for family in families if family.samples}
    return {name: told[name] for name in _SHOWN if name in told}


def _answer(url: str, trusted: ssl.SSLContext | None) -> bytes | None:
    """What it answers, whatever the status; None if it does not, or with far too much.

    Raises:
        Unavailable: its certificate is not trusted.
    """
    content = bytearray()
    try:
        with (
            httpx.Client(verify=trusted or True, timeout=_TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", url) as answer,
        ):
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _MAX_ANSWER_BYTES:
                    return None
    except httpx.InvalidURL:
        return None
    except httpx.HTTPError as error:
        lost = unanswered("the node", error)
        if lost.reason == UNTRUSTED:
            raise lost from error
        return None
    return bytes(content)
