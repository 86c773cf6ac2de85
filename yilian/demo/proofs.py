"""What the story proves: records are witnessed, lines have receipts, a revocation is proven, effective and obeyed."""

from __future__ import annotations

import time
from typing import Final

from domain.errors import Denied, NotFound
from domain.receipt_form import parse_receipt
from domain.receipts import verify_receipt
from yilian.demo.report import Report, check
from yilian.demo.story import Cast

WITNESSED_TIMEOUT_S: Final = 60.0
RECEIPTS_TIMEOUT_S: Final = 30.0
REFUSED_WITHIN_S: Final = 1.0
_POLL_S: Final = 0.1


def wait_witnessed(report: Report, cast: Cast) -> None:
    """The other hospitals' witnesses verified every block and signed; the custodian's records are ``witnessed``."""
    deadline = time.monotonic() + WITNESSED_TIMEOUT_S
    while True:
        status = cast.records.client.status()
        report.witnessed = status.witnessed
        if status.witnessed >= status.records:
            break
        check(time.monotonic() < deadline, f"only {status.witnessed} of {status.records} records are witnessed")
        time.sleep(_POLL_S)
    report.say(
        f"{report.witnessed} records are witnessed by other hospitals",
        f"{report.witnessed} 份病历已被其他医院见证",
    )


def receipts(report: Report, cast: Cast) -> None:
    """Every line about the doctor's read gets a receipt; one is verified once more from its bytes alone."""
    home = cast.custodian.msp_id
    deadline = time.monotonic() + RECEIPTS_TIMEOUT_S
    while True:
        lines = [one for one in cast.wallet.accesses(home, proven=True) if one.row.access == cast.access]
        proven = [one for one in lines if one.receipt is not None]
        if lines and len(proven) == len(lines):
            break
        check(time.monotonic() < deadline, f"only {len(proven)} of {len(lines)} lines have a receipt")
        time.sleep(_POLL_S)
    encoded, verified = cast.wallet.receipt(home, "access-row", lines[0].row.id)
    members = cast.wallet.members(home)
    again = verify_receipt(parse_receipt(encoded), members.file)
    check(again.proven == verified.proven, "a receipt proves something else from its bytes")
    check(set(again.signers).isdisjoint((home, cast.reader.msp_id)), "a party signed for itself")
    check(len(members.compared) == len(members.urls), "the hospitals were not all asked who the members are")
    report.receipts = len(proven)
    signers = ", ".join(again.signers)
    report.say(
        f"{len(proven)} lines, each with a verified receipt, signed by {signers} (here one operator runs all)",
        f"{len(proven)} 行各有一份已验证的凭证，签名者 {signers}（演示中全部由一方运营）",
    )


def revoke(report: Report, cast: Cast) -> None:
    """The patient revokes; a receipt and the custodian's word prove it; then the open access is worth nothing."""
    done = cast.wallet.revoke(cast.custodian.msp_id, cast.grant)
    said = time.monotonic()
    check(done.receipt is not None, "no receipt proves the revocation")
    check(done.effective is not None, "the custodian does not say that the revocation is effective")
    check(len(done.accepted_by) >= 2, "the revocation went to one hospital alone")
    check(_is_refused(cast), "still readable after the revocation was effective")
    waited = time.monotonic() - said
    check(waited < REFUSED_WITHIN_S, "refused only after more than a second")
    try:
        cast.shared.open_access(cast.patient, cast.grant, "TREAT")
    except (NotFound, Denied):
        block = done.receipt.block if done.receipt else 0
        report.say(
            f"a receipt proves it in block {block}, the custodian signed that it binds, refused {waited:.2f} s later",
            f"凭证证明其在区块 {block}，保管医院签名确认生效，{waited:.2f} 秒后即被拒绝",
        )
        return
    check(False, "a revoked grant opened another access")


def _is_refused(cast: Cast) -> bool:
    try:
        cast.shared.record(cast.access, cast.chart[0].entry.record)
    except (NotFound, Denied):
        return True
    return False
