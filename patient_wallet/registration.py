"""What the wallet remembers of one hospital, and the statements that it signs there."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from domain.errors import Denied, Tampered
from domain.identifiers import decode_bytes, encode_bytes
from domain.instants import instant
from domain.statements import MAX_FLOOR_STEP, Body, Envelope, Statement
from node_service.client.wire import HospitalCard, PatientCard
from patient_wallet.keys import HospitalKeys

ANCHOR_WITHIN: Final = timedelta(hours=24)
SESSION_WITHIN: Final = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement's text with its signature."""

    id: str
    text: str
    signature: str


@dataclass(frozen=True, slots=True)
class Registration:
    """The patient at one hospital: where, under which id, with which keys, in which epochs."""

    msp_id: str
    name: str
    url: str
    channel: str
    patient: str = field(repr=False)
    keys: HospitalKeys = field(repr=False)
    grant_epoch: int

    def sign(self, body: Body, *, statement: str, now: datetime, within: timedelta = ANCHOR_WITHIN) -> Signed:
        """Sign a statement about the own registration."""
        envelope = Envelope(
            id=statement,
            channel=self.channel,
            patient=self.patient,
            custodian=self.msp_id,
            key_epoch=self.keys.key_epoch,
            grant_epoch=self.grant_epoch,
            anchor_by=instant(now + within),
        )
        text = Statement(envelope, body).encode()
        return Signed(statement, text, self.keys.sign(text))

    @property
    def card(self) -> PatientCard:
        """What the patient shows so that another hospital can address them."""
        return PatientCard(
            custodian=self.msp_id,
            patient=self.patient,
            key_epoch=self.keys.key_epoch,
            wrap_key=self.keys.public.wrap,
        )

    def with_floor(self, floor: int) -> Registration:
        """With the grant epoch raised; it never falls, whatever a hospital says.

        Raises:
            Tampered: the hospital claims a floor far above; grants signed under it would outlive revocations.
        """
        if floor > self.grant_epoch + MAX_FLOOR_STEP:
            raise Tampered("the hospital claims a floor that cannot be", reason="floor", place=self.msp_id)
        return replace(self, grant_epoch=max(self.grant_epoch, floor))

    def verify_card(self, card: HospitalCard) -> None:
        """Compare the hospital that answers with the one that was enrolled at.

        Raises:
            Denied: it is another one.
        """
        if (card.msp_id, card.channel) != (self.msp_id, self.channel):
            raise Denied("another hospital answers at this address", reason="other-hospital")

    def to_box(self) -> dict[str, Any]:
        """The content of the vault's box."""
        box = {name: value for name, value in asdict(self).items() if name != "keys"}
        return box | {
            "key_epoch": self.keys.key_epoch,
            "signing_seed": encode_bytes(self.keys.signing_seed),
            "wrap_secret": encode_bytes(self.keys.wrap_secret),
        }

    @classmethod
    def from_box(cls, box: dict[str, Any]) -> Registration:
        """Read the content of the vault's box."""
        fields = dict(box)
        keys = HospitalKeys(
            fields["msp_id"],
            fields.pop("key_epoch"),
            decode_bytes(fields.pop("signing_seed"), "signing_seed", length=32),
            decode_bytes(fields.pop("wrap_secret"), "wrap_secret", length=32),
        )
        return cls(keys=keys, **fields)
