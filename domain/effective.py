"""The custodian's word that a patient's refusal binds at its node (docs/formats/witness.md, "Effective")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from domain import signed_texts
from domain.checks import check_integer, check_text
from domain.errors import Invalid, Tampered
from domain.identifiers import check_identifier, check_msp_id
from domain.instants import check_instant
from domain.signed_texts import Sign, SignedText

TYPE: Final = "effective"
_MAX_CHANNEL_CHARACTERS: Final = 249
_MAX_TX_ID_CHARACTERS: Final = 128


@dataclass(frozen=True, slots=True)
class Effective:
    """Since ``at`` the custodian's projection holds the block in which the statement was valid.

    Attributes:
        statement: id of the statement: a revoke, revoke-all or dissent.
        tx_id, block: where it was valid.
        at: one second later nothing is released that the statement forbids.
    """

    channel: str
    custodian: str
    patient: str
    statement: str
    tx_id: str
    block: int
    at: str

    def __post_init__(self) -> None:
        check_text(self.channel, "channel", max_characters=_MAX_CHANNEL_CHARACTERS)
        check_msp_id(self.custodian, "custodian")
        check_identifier(self.patient, "patient")
        check_identifier(self.statement, "statement")
        check_text(self.tx_id, "tx_id", max_characters=_MAX_TX_ID_CHARACTERS)
        check_integer(self.block, "block")
        check_instant(self.at, "at")


def sign_effective(effective: Effective, sign: Sign) -> SignedText:
    """The custodian's word with the signature of its ``signing`` key."""
    return signed_texts.sign_text(signed_texts.encode(TYPE, effective), sign)


def verify_effective(
    signed: SignedText, *, channel: str, custodian: str, statement: str, keys: Sequence[bytes]
) -> Effective:
    """Verify the custodian's word about one statement.

    Args:
        keys: the custodian's ``signing`` keys.

    Raises:
        Tampered: not signed by the custodian, or about another channel, custodian or statement.
        Invalid: the signed text is no such word.
    """
    signed_texts.verify_text(signed, keys)
    effective = signed_texts.parse(Effective, TYPE, signed.text)
    if (effective.channel, effective.custodian, effective.statement) != (channel, custodian, statement):
        raise Tampered("the custodian's word is about another statement", reason="another-statement")
    return effective


def to_json(signed: SignedText) -> dict[str, str]:
    """The word as it is sent: ``{"effective", "signature"}``."""
    return {"effective": signed.text, "signature": signed.signature}


def from_json(value: object) -> SignedText:
    """Read what :func:`to_json` wrote.

    Raises:
        Invalid: otherwise.
    """
    if not isinstance(value, dict) or value.keys() != {"effective", "signature"}:
        raise Invalid("the custodian's word and its signature are expected", place="effective")
    return SignedText(value["effective"], value["signature"])
