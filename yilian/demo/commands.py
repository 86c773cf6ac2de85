"""``yilian demo``: tells the story, then stays up with the addresses printed."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from domain.errors import Invalid
from node_service.sources.walk import walk
from yilian.demo import proofs, story
from yilian.demo.containers import Compose, ContainedNetwork
from yilian.demo.fabric_ground import FabricGround
from yilian.demo.network import Network
from yilian.demo.report import Report, StepFailed
from yilian.evil import story as thefts
from yilian.language import Text
from yilian.synthetic.history import write_histories
from yilian.synthetic.people import people
from yilian.synthetic.phantom import write_ct_phantom


class Ledgers(StrEnum):
    """What a demo can stand on."""

    EMBEDDED = "embedded"
    FABRIC = "fabric"
    FABRIC_NATIVE = "fabric-native"


SEED: Final = 20260101
PATIENTS: Final = 6


def register(app: typer.Typer, t: Text) -> None:
    """Add the command."""

    @app.command(
        help=t(
            "The whole story on this machine: three hospitals, a patient, a doctor, an auditor.",
            "在本机演示全过程：三家医院、一位患者、一位医生、一位审计员。",
        )
    )
    def demo(
        data: Annotated[
            Path | None, typer.Option(help=t("Folder of FHIR and DICOM files.", "FHIR 与 DICOM 文件夹。"))
        ] = None,
        headless: Annotated[bool, typer.Option(help=t("End after the story.", "讲完即结束。"))] = False,
        report: Annotated[Path | None, typer.Option(help=t("Write a JSON report.", "写出 JSON 报告。"))] = None,
        evil: Annotated[
            bool,
            typer.Option(help=t("One hospital cheats: each theft is tried.", "有医院作恶：逐一尝试每种窃取。")),
        ] = False,
        ledger: Annotated[
            Ledgers,
            typer.Option(
                help=t(
                    "What the hospitals share: one file, or a Fabric network: in containers where Docker and images "
                    "are there, else as processes.",
                    "共享账本：单文件或 Fabric 网络；有 Docker 及镜像时使用容器，否则使用本机进程。",
                )
            ),
        ] = Ledgers.EMBEDDED,
        folder: Annotated[
            Path | None, typer.Option(help=t("Keep everything in this new folder.", "将所有数据保存在此新文件夹。"))
        ] = None,
    ) -> None:
        _check(data, ledger, evil=evil)
        signal.signal(signal.SIGTERM, _end)  # so that no node outlives the demo
        told = Report(Console(), t)
        with _place(folder) as place:
            try:
                _tell(told, place, data, ledger, stay=not headless, evil=evil)
            except StepFailed as failed:
                told.console.print(t(f"The story ends at: {failed}.", f"演示在此中止：{failed}。"), style="red")
            finally:
                if report is not None:
                    told.write(report)
            if not told.ok:
                _show_logs(told.console, place)
                raise typer.Exit(1)


def _check(data: Path | None, ledger: Ledgers, *, evil: bool) -> None:
    if data is not None and not data.is_dir():
        raise Invalid(f"there is no folder {data}", place="--data")
    if data is not None and next(walk([data]), None) is None:
        raise Invalid(f"there is no file in {data}", place="--data")
    if evil and ledger is not Ledgers.EMBEDDED:
        raise Invalid("the thefts are tried on the embedded ledger only", place="--evil")


def _tell(report: Report, place: Path, data: Path | None, ledger: Ledgers, *, stay: bool, evil: bool) -> None:
    t = report.t
    source = data or synthetic(place / "input")
    names = {
        "RenheMSP": t("Renhe Hospital", "仁和医院"),
        "MingdeMSP": t("Mingde Hospital", "明德医院"),
        "AnkangMSP": t("Ankang Hospital", "安康医院"),
    }
    with _network(report, place, names, ledger) as network:
        if evil and isinstance(network, Network):
            thefts.tell(report, network, source)
        else:
            tell_story(report, network, source)
        if stay:
            _stay(report, network)


def tell_story(report: Report, network: story.Stage, source: Path) -> None:
    """The ordinary story on a stage that stands; each step goes into the report."""
    cast = story.hire(network)
    with report.step("ingest", "Records go in, sealed and anchored", "病历入库：加密、上链锚定"):
        story.ingest(report, cast, source)
    with report.step("witnessed", "Other hospitals' witnesses sign what they saw", "其他医院的见证者对所见签名"):
        proofs.wait_witnessed(report, cast)
    with report.step("enrol", "The patient enrols the wallet", "患者登记钱包"):
        story.enrol(report, cast)
    with report.step("refused", "A doctor elsewhere is refused", "外院医生被拒绝"):
        story.refuse_stranger(report, cast)
    with report.step("request", "The doctor asks", "医生请求访问"):
        request_id = story.request(report, cast)
    with report.step("preview", "The patient previews", "患者预览"):
        choice, seen = story.preview(report, cast, request_id)
    with report.step("grant", "The patient grants", "患者授权"):
        story.grant(report, cast, choice)
    with report.step("shared-read", "The doctor pulls, verifies, opens", "医生取得、验证、打开"):
        story.read_shared(report, cast, choice, seen)
    with report.step("who-read", "The patient sees who read what", "患者查看谁读了什么"):
        story.who_read(report, cast)
    with report.step("receipts", "Each line has a receipt that anybody can verify", "每一行都有任何人可验证的凭证"):
        proofs.receipts(report, cast)
    with report.step("revoke", "The patient revokes: proven, effective, obeyed", "患者撤销：有凭证、已生效、被遵守"):
        proofs.revoke(report, cast)
    with report.step("break-glass", "Break-glass: notified and reviewed", "急诊破窗：通知并审核"):
        story.break_glass(report, cast)
    with report.step("tamper", "A flipped byte in the store is found and named", "存储被改一个字节：发现并指名"):
        story.flip_a_byte(report, cast)
    with report.step("audit", "The auditor verifies and replays the chain", "审计员验证并重放账本"):
        story.audit(report, cast, network)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


@contextmanager
def _network(
    report: Report, place: Path, names: dict[str, str], ledger: Ledgers
) -> Iterator[Network | ContainedNetwork]:
    with ExitStack() as running:
        with report.step("network", "Three hospitals start over one ledger", "三家医院在同一账本上启动"):
            network = _made(report, place, names, ledger)
            network.__enter__()
            running.push(network)
        yield network


def _made(report: Report, place: Path, names: dict[str, str], ledger: Ledgers) -> Network | ContainedNetwork:
    if ledger is Ledgers.EMBEDDED:
        return Network(place, names, witnesses=True)
    compose = Compose.find() if ledger is Ledgers.FABRIC else None
    if compose is None:
        report.say("a Fabric network of processes on this machine", "本机进程组成的 Fabric 网络")
        return Network(place, names, witnesses=True, ground=FabricGround(place / "fabric", list(names)))
    report.say("Fabric in containers, until all are healthy this takes minutes", "容器中的 Fabric，全部就绪需要数分钟")
    return ContainedNetwork(compose, place, names)


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise Invalid(f"{folder} is not empty", place="--folder")
        yield folder.resolve()
        return
    temporary = Path(tempfile.mkdtemp(prefix="yilian-demo-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def synthetic(folder: Path) -> Path:
    """Write made-up histories and a phantom of a CT series."""
    write_histories(folder / "histories-zh", SEED, PATIENTS, "zh")
    write_histories(folder / "histories-en", SEED, PATIENTS, "en")
    write_ct_phantom(folder / "ct-phantom", SEED, people(SEED, 1, "zh")[0])
    return folder


def _stay(report: Report, network: story.Stage) -> None:
    t = report.t
    report.console.print(
        t("Everything held. The hospitals stay up; Ctrl-C ends.", "全部成立。医院继续运行，按 Ctrl-C 结束。"),
        style="green",
    )
    for hospital in network.hospitals:
        report.console.print(f"    {hospital.name} ({hospital.msp_id}): {hospital.url}/openapi.json", highlight=False)
        report.console.print(
            f"        administrator / {hospital.administrator_password}", highlight=False, markup=False
        )
    report.console.print(t(f"    ledger: {network.place}", f"    账本：{network.place}"), highlight=False)
    try:
        signal.pause()
    except KeyboardInterrupt:
        report.console.print(t("Stopping.", "正在停止。"))


def _show_logs(console: Console, place: Path) -> None:
    for log in sorted(place.glob("*.log")):
        tail = log.read_text(errors="replace").splitlines()[-15:]
        if tail:
            console.print(f"--- {log.name}", markup=False)
            console.print("\n".join(tail), markup=False, highlight=False)
