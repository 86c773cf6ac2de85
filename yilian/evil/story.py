"""The story of a hospital that cheats: an honest beginning, then one theft after another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yilian.demo import story
from yilian.demo.network import Network
from yilian.demo.report import Report, Step, StepFailed, check
from yilian.evil import alone, clocks, emergencies, limits, naming, pair, revoked, root
from yilian.evil.malicious import MaliciousHospital
from yilian.evil.tap import Tap
from yilian.evil.theft import Refusal, Stage, Theft

THEFTS = (
    *alone.THEFTS, *naming.THEFTS, *clocks.THEFTS, *revoked.BEFORE, *revoked.THEFTS,
    *emergencies.THEFTS, *root.THEFTS, *pair.THEFTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefusedStep(Step):
    """A theft that was refused: by whom, and why."""

    by: str
    reason: str


def tell(report: Report, network: Network, source: Path) -> None:
    """Set the stage, try every theft, and name what no software prevents.

    Raises:
        StepFailed: the stage could not be set. A theft that succeeds fails its step, and the others are still tried.
    """
    stage = _set(report, network, source)
    with report.step("control", "The cheat gets what was granted: its tools work", "对照：作恶者能取得已授权内容"):
        _control(stage)
    for theft in THEFTS:
        _try(stage, theft)
    limits.tell(report)


def _set(report: Report, network: Network, source: Path) -> Stage:
    tap = Tap()
    cast = story.hire(network, tap.connect)
    with report.step("ingest", "Records go in, sealed and anchored", "病历入库：加密、上链锚定"):
        story.ingest(report, cast, source)
    with report.step("enrol", "The patient enrols the wallet", "患者登记钱包"):
        story.enrol(report, cast)
    with report.step("grant", "The patient grants, and withholds one record", "患者授权，保留一份病历"):
        request = story.request(report, cast)
        choice, seen = story.preview(report, cast, request)
        story.grant(report, cast, choice)
    entries = list(cast.wallet.records(cast.custodian.msp_id))
    return Stage(
        report,
        network,
        cast,
        cheat=MaliciousHospital(cast.reader, network.ledger),
        accomplice=MaliciousHospital(cast.third, network.ledger),
        tap=tap,
        withheld=choice.withheld[0].partition("/")[2],
        granted=[entry for entry in entries if entry.record in seen.released and entry.resource_type == "Observation"],
    )


def _control(stage: Stage) -> None:
    """Asked as the protocol wants it, the custodian releases; so a refusal below is about the theft, not the tools."""
    custodian, opened, wanted = stage.cast.custodian, stage.opened(), stage.granted[0].record
    listed = {entry.record for entry in stage.cheat.search(custodian, opened).items}
    check(wanted in listed and stage.withheld not in listed, "the grant does not list what it covers")
    released = [item.entry.record for item in stage.cheat.release(custodian, opened, [wanted]).items]
    check(wanted in released, "the grant does not release what it covers")


def _try(stage: Stage, theft: Theft) -> None:
    """One attempt; the next is tried whatever came of it. A refusal counts only by whom and for what is expected."""
    refusals: list[Refusal] = []
    try:
        with stage.report.step(f"evil-{theft.name}", f"A hospital {theft.english}", f"恶意医院：{theft.chinese}"):
            refusals.append(theft.attempt(stage))
            verify_expected(theft, refusals[0])
    except StepFailed:
        return
    [refusal] = refusals
    step = stage.report.steps[-1]
    stage.report.steps[-1] = RefusedStep(step.name, step.ok, step.seconds, refusal.by, refusal.reason)
    stage.report.say(f"refused by the {refusal.by}: {refusal}", f"被{_CHINESE[refusal.by]}拒绝：{refusal}")


def verify_expected(theft: Theft, refusal: Refusal) -> None:
    """Compare who refused and why with what the theft is listed with.

    Raises:
        StepFailed: it is another one, or another reason.
    """
    expected = theft.expected
    check(
        refusal == expected,
        f"refused by the {refusal.by}: {refusal}, where the {expected.by} was expected to say {expected.reason}",
    )


_CHINESE = {
    "custodian": "保管医院",
    "contract": "合约",
    "ledger": "账本",
    "reader": "读取医院",
    "witness": "见证者",
    "wallet": "钱包",
    "auditor": "审计员",
    "seal": "加密",
}
