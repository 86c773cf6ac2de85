"""Thefts by a hospital that sets its own clock, or waits, to read longer than was allowed.

What a wrong clock of the custodian's own machine comes to is tried in ``tests/faults/node/test_clocks.py``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from domain.transactions import AuthorizeAccess
from yilian.demo.report import check
from yilian.evil.forging import sign_grant
from yilian.evil.malicious import ShiftedClock
from yilian.evil.theft import CUSTODIAN, Refusal, Stage, Theft, denied

MINUTES: Final = timedelta(minutes=14)
HOURS: Final = timedelta(hours=2)
DAYS: Final = timedelta(days=8)
_SIGNED_AGO: Final = timedelta(hours=3)
_ENDED_AGO: Final = timedelta(minutes=5)


def turn_the_clock(stage: Stage) -> Refusal:
    """Opens an access far in the future by its own peer's clock, to have it for weeks."""
    return _open_ahead(stage, DAYS)


def go_ahead(stage: Stage) -> Refusal:
    """Opens accesses by a clock that is 14 minutes, and one that is two hours ahead, to have them for longer."""
    nearly, refusal = _open_ahead(stage, MINUTES), _open_ahead(stage, HOURS)
    check(nearly == refusal, f"refused for another reason: {nearly}")
    return refusal


def go_behind(stage: Stage) -> Refusal:
    """Opens accesses under a grant that has ended, by clocks 14 minutes and two hours behind, where it had not."""
    nearly, refusal = _open_behind(stage, MINUTES), _open_behind(stage, HOURS)
    check(nearly == refusal, f"refused for another reason: {nearly}")
    return refusal


def order_after_the_end(stage: Stage) -> Refusal:
    """Has a read endorsed while its grant lives, and orders it after the grant's end.

    The ledger takes it, since nothing has changed that was read: it is the custodian's own clock that ends it.
    """
    grant, end = _ended_grant(stage, MINUTES)
    opened, held = stage.cheat.endorse_access(
        stage.cast.patient, grant, stage.practitioner, clock=ShiftedClock(-MINUTES), until=end
    )
    stage.cheat.order(held)
    return denied(stage, opened.id, lambda: stage.cheat.search(stage.cast.custodian, opened))


def _open_ahead(stage: Stage, shift: timedelta) -> Refusal:
    clock = ShiftedClock(shift)
    opened = stage.cheat.open_access(stage.cast.patient, stage.cast.grant, stage.practitioner, clock=clock)
    return denied(stage, opened.id, lambda: stage.cheat.search(stage.cast.custodian, opened))


def _open_behind(stage: Stage, shift: timedelta) -> Refusal:
    grant, end = _ended_grant(stage, shift)
    clock = ShiftedClock(-shift)
    opened = stage.cheat.open_access(stage.cast.patient, grant, stage.practitioner, clock=clock, until=end)
    return denied(stage, opened.id, lambda: stage.cheat.search(stage.cast.custodian, opened))


def _ended_grant(stage: Stage, behind: timedelta) -> tuple[str, datetime]:
    """A grant of the patient that came onto the ledger in its time and ended five minutes ago; its id and its end."""
    end = datetime.now(UTC) - _ENDED_AGO
    signed = sign_grant(stage, stage.cheat.msp_id, ago=_SIGNED_AGO, valid_for=_SIGNED_AGO - _ENDED_AGO)
    stage.cheat.commit(AuthorizeAccess(signed.text, signed.signature), clock=ShiftedClock(-behind))
    return signed.id, end


THEFTS: Final = (
    Theft(
        "clock",
        "opens an access eight days ahead by its own clock",
        "拨快时钟八天",
        turn_the_clock,
        Refusal(CUSTODIAN, "expired"),
    ),
    Theft(
        "clock-ahead",
        "opens accesses 14 minutes and two hours ahead by its own clock",
        "拨快时钟十四分钟与两小时",
        go_ahead,
        Refusal(CUSTODIAN, "expired"),
    ),
    Theft(
        "clock-behind",
        "opens accesses under an ended grant, its clock 14 minutes and two hours behind",
        "拨慢时钟十四分钟与两小时，使用已到期的授权",
        go_behind,
        Refusal(CUSTODIAN, "expired"),
    ),
    Theft(
        "late-endorsement",
        "orders after the grant's end what was endorsed before",
        "授权到期前背书，到期后排序",
        order_after_the_end,
        Refusal(CUSTODIAN, "expired"),
    ),
)
