"""One frozen set of settings per process, from the environment (``YILIAN_…``); unknown names are refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.errors import Invalid

PREFIX = "YILIAN_"
OTHER_PROGRAMS = (
    "YILIAN_CONTRACTS", "YILIAN_LANG", "YILIAN_STAFF_PASSWORD", "YILIAN_WALLET_FILE", "YILIAN_WALLET_PASSPHRASE"
)  # fmt: skip
"""Variables of the command line and the wallet, which a node leaves alone."""

_FAULTS = {"extra_forbidden": "there is no such setting", "missing": "this setting is required"}


class Settings(BaseModel):
    """Settings of one node. Each field ``name`` is read from ``YILIAN_NAME``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["demo", "pilot", "production"] = Field("demo", description="what is allowed to be unsafe")
    msp_id: str = Field(description="MSP id of the hospital")
    name: str = Field(description="the hospital's name as people read it")
    data_dir: Path = Field(description="folder of the node: keys, database, objects")
    ledger_dir: Path | None = Field(None, description="folder of the embedded ledger, for laptop and pilot")
    fabric_connection: Path | None = Field(
        None, description="file that says how to reach the channel of a Fabric network; instead of the folder"
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the data folder")
    stores: tuple[str, ...] = Field(
        ("local",), description="where sealed objects lie, also at several places: local, addresses of Kubo's RPC"
    )
    store_quorum: int = Field(
        0, ge=0, le=8, description="how many of these have an object before it counts as stored; 0: all"
    )
    ipfs_token_file: str = Field("", description="file with the token of Kubo's RPC; empty: none, on loopback only")
    ipfs_ca_file: str = Field(
        "", description="file with the authorities (PEM) of Kubo's https certificate; empty: the public ones"
    )
    public_url: str = Field("http://127.0.0.1:8001", description="address under which other hospitals reach the node")
    witness_url: str = Field(
        "", description="address under which others reach the hospital's witness; empty: it has none"
    )
    witness_key_file: str = Field("", description="file with the public key of the hospital's witness; empty: none")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8001, ge=0, le=65535, description="port to listen on")
    workers: int = Field(1, ge=1, le=64, description="processes that serve; more than one share a PostgreSQL database")
    allowed_nodes: tuple[str, ...] = Field(
        (), description="URLs of other hospitals' nodes and witnesses that may be called"
    )
    ca_file: str = Field(
        "", description="file with the authorities (PEM) of hospitals' https certificates; empty: the public ones"
    )
    time_zone: str = Field("Asia/Shanghai", description="time zone of dates without one")
    max_upload_bytes: int = Field(512 * 1024 * 1024, ge=1024, description="largest request body")
    commit_timeout_s: float = Field(10.0, gt=0, description="how long an answer waits for a commit")
    freshness: Literal["ledger", "witnesses"] = Field(
        "ledger", description="whose word decides what is fresh before a release: the ledger's, or other witnesses'"
    )
    witness_api_url: str = Field("", description="address at which the node asks its own witness; empty: it has none")
    freshness_timeout_s: float = Field(2.0, gt=0, description="how long a release waits for the own projection")
    anchor_interval_s: float = Field(0.1, gt=0, description="least time between two anchors while records wait")
    ledger_record_categories: tuple[str, ...] = Field(
        ("document",), description="categories whose records also stand on the ledger by id, as leaf hashes"
    )
    access_anchor_interval_s: float = Field(10.0, gt=0, description="time between anchors for access rows alone")
    ledger_threads: int = Field(32, ge=1, description="ledger calls at once")
    database_threads: int = Field(16, ge=1, description="database calls at once")
    crypto_threads: int = Field(4, ge=1, description="sealing and opening at once")
    staff_session_minutes: int = Field(15, ge=1, le=720, description="idle time after which staff sign in again")
    emergencies_per_practitioner_hour: int = Field(3, ge=1, description="break-glass limit before the duty officer")
    emergencies_per_hospital_hour: int = Field(12, ge=1, description="the same for all practitioners of one hospital")
    retention_file: str = Field("", description="file of retention rules (TOML); empty: the shipped rules of China")
    custody_replica: str = Field("", description="host:port of the replica of the record secrets; empty: none")
    custody_escrow_file: str = Field("", description="file in another safe that holds the newest root key; empty: none")
    custody_snapshot_dir: str = Field(
        "", description="folder of backups that gets the record secrets every 30 s, sealed; empty: none"
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: object) -> Self:
        """Read the settings; keyword arguments win over the environment.

        Raises:
            Invalid: a name is unknown, or a value breaks a rule; the message names it.
        """
        source = os.environ if environment is None else environment
        given: dict[str, object] = {
            name.removeprefix(PREFIX).lower(): _split(name, text) for name, text in source.items() if _is_ours(name)
        }
        given.update({name: value for name, value in overrides.items() if value is not None})
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = PREFIX + "_".join(str(part) for part in first["loc"]).upper()
            detail = _FAULTS.get(first["type"], first["msg"])
            raise Invalid(f"{detail}; docs/operations.md lists the settings", place=name, reason="settings") from None

    @model_validator(mode="after")
    def _check_time_zone(self) -> Self:
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid(
                "there is no time zone of this name; an example is Asia/Shanghai",
                place="YILIAN_TIME_ZONE",
                reason="settings",
            ) from None
        return self

    @model_validator(mode="after")
    def _check_workers(self) -> Self:
        if self.workers > 1 and not self.database_url.startswith("postgresql"):
            raise Invalid(
                "several processes share a PostgreSQL database; set YILIAN_DATABASE_URL, or one worker",
                place="YILIAN_WORKERS",
                reason="settings",
            )
        return self

    @model_validator(mode="after")
    def _check_ledger(self) -> Self:
        if (self.ledger_dir is None) == (self.fabric_connection is None):
            raise Invalid(
                "set exactly one of YILIAN_LEDGER_DIR and YILIAN_FABRIC_CONNECTION; docs/operations.md lists them",
                place="YILIAN_LEDGER_DIR",
                reason="settings",
            )
        return self

    @model_validator(mode="after")
    def _check_stores(self) -> Self:
        if not self.stores or len(set(self.stores)) != len(self.stores) or self.store_quorum > len(self.stores):
            raise Invalid(
                "one store or more are needed, none twice, and a quorum of no more than there are",
                place="YILIAN_STORES",
                reason="settings",
            )
        return self

    @property
    def embedded_folder(self) -> Path:
        """The folder of the embedded ledger.

        Raises:
            Invalid: the node stands on a Fabric network.
        """
        if self.ledger_dir is None:
            raise Invalid("there is no embedded ledger", place="YILIAN_LEDGER_DIR", reason="settings")
        return self.ledger_dir

    @property
    def retention_path(self) -> Path | None:
        """The hospital's own file of retention rules, None for the shipped one."""
        return Path(self.retention_file) if self.retention_file else None

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'node.db'}"


_LISTS = ("YILIAN_ALLOWED_NODES", "YILIAN_LEDGER_RECORD_CATEGORIES", "YILIAN_STORES")


def _is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and name not in OTHER_PROGRAMS


def _split(name: str, text: str) -> object:
    return tuple(text.split()) if name in _LISTS else text
