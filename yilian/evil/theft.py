"""What a theft is: an attempt against running hospitals, and who refused it with which reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from domain.errors import Denied, NotFound, Unavailable, YilianError
from domain.identifiers import encode_bytes
from node_service.client import wire
from node_service.client.answers import Unsent
from yilian.demo.network import Network
from yilian.demo.report import Report, StepFailed
from yilian.demo.story import Cast, until_fresh
from yilian.evil.database import denial, digest_of, newest_access_row
from yilian.evil.malicious import MaliciousHospital, Opened
from yilian.evil.tap import Tap

CUSTODIAN: Final = "custodian"
CONTRACT: Final = "contract"
LEDGER: Final = "ledger"


@dataclass(slots=True)
class Stage:
    """Where thefts are tried: the story's hospitals, two of which cheat.

    Attributes:
        cheat: the hospital to which the patient granted (the story's reader).
        accomplice: the third hospital.
        tap: what somebody on the wallet's wire sees.
        withheld: a record that the grant does not cover.
        granted: records that it covers.
    """

    report: Report
    network: Network
    cast: Cast
    cheat: MaliciousHospital = field(repr=False)
    accomplice: MaliciousHospital = field(repr=False)
    tap: Tap = field(repr=False)
    withheld: str
    granted: list[wire.RecordEntry]
    _opened: Opened | None = None

    @property
    def home(self) -> str:
        """MSP id of the custodian."""
        return self.cast.custodian.msp_id

    @property
    def practitioner(self) -> str:
        """The pseudonym that the grant names."""
        return self.cast.doctor.member.id

    def opened(self) -> Opened:
        """A genuine access of the cheat under the patient's grant."""
        if self._opened is None:
            self._opened = self.cheat.open_access(self.cast.patient, self.cast.grant, self.practitioner)
        return self._opened

    def now(self, *, hours: int = 0) -> datetime:
        """The present moment, or some hours later."""
        return datetime.now(UTC) + timedelta(hours=hours)

    def other_people(self) -> list[str]:
        """Patient ids of others at the custodian."""
        page = self.cast.registrar.client.patients(None)
        return [item.patient for item in page.items if item.patient != self.cast.patient]

    def digest_of(self, record: str) -> str:
        """The address of a record's object, as the custodian's database root knows it."""
        return encode_bytes(digest_of(self.node_db, record))

    @property
    def node_db(self) -> Path:
        """The custodian's database, as its root opens it."""
        return self.cast.custodian.folder / "node.db"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Who stopped a theft, and the reason it gave.

    Attributes:
        reason: one stable word; with ``by`` it is what a theft is listed with.
        detail: where or what exactly, different from run to run.
    """

    by: str
    reason: str
    detail: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


@dataclass(frozen=True, slots=True)
class Theft:
    """One attempt.

    Attributes:
        name: of the step in the report.
        english, chinese: what is tried.
        attempt: raises ``StepFailed`` if anything was stolen.
        expected: who is to refuse, and why: what fails for another reason, say a slip in the attempt, proves nothing.
    """

    name: str
    english: str
    chinese: str
    attempt: Callable[[Stage], Refusal]
    expected: Refusal


@dataclass(frozen=True, slots=True)
class Limit:
    """What no software prevents, and what is left to say about it."""

    name: str
    english: str
    chinese: str


def refused(by: str, call: Callable[[], object], *kinds: type[YilianError]) -> Refusal:
    """Make the call and return how it was refused.

    Args:
        by: who is to refuse.
        kinds: the only errors that count as a refusal: a server that is merely down stops no thief.

    Raises:
        StepFailed: the call succeeded, or failed for another reason.
    """
    try:
        call()
    except kinds as error:
        if isinstance(error, Unavailable) and (isinstance(error, Unsent) or error.reason in ("no-answer", "deadline")):
            raise StepFailed(f"{by} did not answer") from error
        return Refusal(by, error.reason, error.place)
    except YilianError as error:
        raise StepFailed(f"{by} refused for another reason: {type(error).__name__} {error.reason}") from error
    raise StepFailed(f"{by} let it pass")


def denied(stage: Stage, access: str, call: Callable[[], object]) -> Refusal:
    """Make a call that the custodian is to refuse like something absent; the reason is that in its own access log.

    The cheat does not learn it: whatever it may not have looks the same to it.

    Raises:
        StepFailed: the call succeeded, failed for another reason, or left no row of a refusal.
    """
    before = newest_access_row(stage.node_db)
    refused(CUSTODIAN, lambda: until_fresh(call), NotFound, Denied)
    reason = denial(stage.node_db, access, before)
    if reason is None:
        raise StepFailed(f"the {CUSTODIAN} refused and did not log it")
    return Refusal(CUSTODIAN, reason)
