"""Signed grants on their way: kept in the vault before they are sent, until the grantee has its package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Self

from domain import jcs, statements
from domain.instants import moment
from node_service.client.wire import ConsentedStatement, GrantPackage
from patient_wallet.drafts import GrantChoice
from patient_wallet.vault import Vault

_PREFIX: Final = "package:"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One signed grant.

    Attributes:
        choice: digest of what the patient chose: the same choice again, before an answer came, is the same grant.
        answered: whether the custodian said that it is on the ledger; its package is handed over only then.
    """

    custodian: str
    grantee: str
    url: str
    choice: str
    answered: bool
    package: GrantPackage = field(repr=False)

    @property
    def body(self) -> ConsentedStatement:
        """What the custodian gets."""
        sent = self.package
        return ConsentedStatement(
            statement=sent.statement, signature=sent.signature, consent=sent.consent, salt=sent.salt
        )

    def keep(self, vault: Vault) -> None:
        """Write it down."""
        box = {name: getattr(self, name) for name in ("custodian", "grantee", "url", "choice", "answered")}
        vault.put(_PREFIX + self.package.grant, box | {"package": self.package.model_dump(mode="json")})

    def forget(self, vault: Vault) -> None:
        """It was refused, or its grantee has it."""
        vault.remove(_PREFIX + self.package.grant)

    def with_answer(self) -> Self:
        """On the ledger."""
        return replace(self, answered=True)

    def is_late(self, now: datetime) -> bool:
        """Whether no ledger would take it any more."""
        return moment(statements.parse(self.package.statement).envelope.anchor_by) <= now


def all_outgoing(vault: Vault) -> list[Outgoing]:
    """What is on its way."""
    return [_read(vault.get(name)) for name in vault.names() if name.startswith(_PREFIX)]


def digest_of(choice: GrantChoice) -> str:
    """What makes two choices the same."""
    parts = [
        choice.grantee, choice.preset, choice.practitioner, sorted(choice.categories), sorted(choice.purposes),
        list(choice.permissions), int(choice.valid_for.total_seconds()), sorted(choice.records),
        sorted(choice.withheld), choice.request,
    ]  # fmt: skip
    return hashlib.sha256(jcs.canonical(parts)).hexdigest()


def _read(box: dict[str, Any]) -> Outgoing:
    return Outgoing(**{**box, "package": GrantPackage.model_validate(box["package"])})
