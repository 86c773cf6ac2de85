"""``channel.json`` of a ledger's directory and of an export: which channel this is, and its genesis block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from domain import jcs
from domain.errors import Invalid

MAX_CHANNEL_FILE_BYTES = 64 * 1024
_HASH = re.compile(r"[0-9a-f]{64}")
_CHANNEL_NAME = re.compile(r"[a-z][a-z0-9.-]{0,248}")
_CONTRACT_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+){0,15}")


@dataclass(frozen=True, slots=True)
class ChannelFile:
    """Channel, name of the contract, and the genesis block's header hash in hex."""

    channel: str
    contract: str
    genesis: str

    def __post_init__(self) -> None:
        check_names(self.channel, self.contract)
        _check(self.genesis, "genesis", _HASH)

    def encode(self) -> bytes:
        """JCS ``{"v": 1, channel, contract, genesis}``."""
        return jcs.canonical({"v": 1, "channel": self.channel, "contract": self.contract, "genesis": self.genesis})


def check_names(channel: str, contract: str) -> None:
    """Checks that both names are of the forms that Fabric demands.

    Raises:
        Invalid: otherwise.
    """
    _check(channel, "channel", _CHANNEL_NAME)
    _check(contract, "contract", _CONTRACT_NAME)


def read_channel_file(path: Path) -> ChannelFile:
    """Reads ``channel.json``; unknown fields are left to later versions.

    Raises:
        Invalid: not there, not readable, or of a newer version.
    """
    try:
        value = jcs.parse_object(path.read_bytes(), max_bytes=MAX_CHANNEL_FILE_BYTES)
    except OSError as error:
        raise Invalid("there is no channel.json that can be read", reason="not-a-ledger", place=path.name) from error
    if value.get("v") != 1:
        raise Invalid("channel.json has an unknown version", reason="schema-version", place=path.name)
    return ChannelFile(*(_text(value, name) for name in ("channel", "contract", "genesis")))


def _text(value: jcs.JsonObject, name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise Invalid("a text is expected", place=name)
    return text


def _check(text: str, place: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(text):
        raise Invalid("this is not of the form that Fabric demands", reason="bad-name", place=place)
