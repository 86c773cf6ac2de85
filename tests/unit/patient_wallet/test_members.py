"""Who the members are: asked anew when something does not verify, and never believed of fewer hospitals than before."""

from __future__ import annotations

import pytest

from domain.receipt_form import Member, Members
from patient_wallet.members import KnownMembers, renewed

A, B = "RenheMSP", "TongjiMSP"


def told(*compared: str, key: str = "k") -> KnownMembers:
    file = Members("yilian", "fabric", (Member(A, ()), Member(B, ())))
    return KnownMembers(file, {A: "http://a", B: "http://b"}, {A: (key,)}, compared)


@pytest.mark.parametrize("now", [told(A, key="new"), told(A, B, key="new")], ids=["as-many", "more"])
def test_what_as_many_hospitals_tell_now_is_believed(now: KnownMembers) -> None:
    assert renewed(told(A), now) is now
    assert renewed(None, now) is now


def test_one_hospital_alone_does_not_replace_what_two_agreed_on() -> None:
    before = told(A, B)
    assert renewed(before, told(A, key="forged")) is before
