"""``yilian ingest``: feed files and folders to a node."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import json
import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TransferSpeedColumn
from rich.table import Table

from node_service.client.authorities import chosen_authorities
from node_service.client.node_client import StaffClient
from node_service.client.transport import Transport
from yilian.ingestion import Feed, Summary
from yilian.language import Text

PASSWORD_VARIABLE: Final = "YILIAN_STAFF_PASSWORD"  # noqa: S105 - the name of a variable
DEFAULT_NODE: Final = "http://127.0.0.1:8001"
_SHOWN: Final = 20


def sign_in(node: str, username: str, t: Text) -> StaffClient:
    """A signed-in client; the password comes from the variable or is asked for."""
    trusted = chosen_authorities()
    given = os.environ.get(PASSWORD_VARIABLE)
    password: str = given if given is not None else typer.prompt(t("Password", "密码"), hide_input=True, err=True)
    client = StaffClient(Transport(node, trusted=trusted))
    client.sign_in(username, password)
    return client


def register(app: typer.Typer, t: Text) -> None:
    """Add the command."""

    @app.command(
        help=t(
            "Feed FHIR (JSON, NDJSON), DICOM, CDA and PDF files to a node; PDF with --patient. "
            "Run it again after an interruption: nothing doubles. "
            "Large files go on by themselves where a connection broke.",
            "将 FHIR（JSON、NDJSON）、DICOM、CDA 与 PDF 文件送入节点；PDF 须给出 --patient。"
            "中断后重新运行即可，不会重复；大文件在连接中断后自动续传。",
        )
    )
    def ingest(
        paths: Annotated[list[Path], typer.Argument(help=t("Files and folders.", "文件与文件夹。"))],
        username: Annotated[str, typer.Option(help=t("Staff account.", "工作人员账号。"))],
        node: Annotated[str, typer.Option(help=t("Address of the node.", "节点地址。"))] = DEFAULT_NODE,
        patient: Annotated[str | None, typer.Option(help=t("Patient id that it belongs to.", "所属患者 id。"))] = None,
        source: Annotated[
            str | None,
            typer.Option(help=t("Sending system; default: the folder's name.", "来源系统；默认为文件夹名。")),
        ] = None,
        quality: Annotated[
            Path | None, typer.Option(help=t("Write the data-quality report here.", "将数据质量报告写入此文件。"))
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help=t("Print JSON.", "输出 JSON。"))] = False,
    ) -> None:
        client = sign_in(node, username, t)
        with _progress() as shown:
            bars = Bars(shown, t)
            feed = Feed(client, os.urandom, source, patient, bars.large)
            summary = feed.files(paths, bars.reading)
        if quality is not None:
            write_quality(quality, feed.client, summary)
        if as_json:
            typer.echo(json.dumps(as_object(summary), ensure_ascii=False))
        else:
            print_summary(Console(), summary, t)
        if summary.refused:
            raise typer.Exit(1)


def _progress() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn())
    return Progress(*columns, TransferSpeedColumn(), console=Console(stderr=True), transient=True)


class Bars:
    """What is read, and a bar for the large file that is on its way."""

    def __init__(self, shown: Progress, t: Text) -> None:
        self._shown = shown
        self._t = t
        self._task = shown.add_task(t("reading", "读取中"), total=None)

    def reading(self, name: str) -> None:
        """Something is done."""
        self._shown.update(self._task, description=name, total=None, completed=0)

    def large(self, name: str, sent: int, length: int) -> None:
        """So many bytes of a large file are there."""
        description = self._t(f"uploading {name}", f"上传 {name}")
        self._shown.update(self._task, description=description, total=length, completed=sent)


def write_quality(path: Path, client: StaffClient, summary: Summary) -> None:
    """Write the data-quality report as JSON lines {source, code, place}: no values."""
    with path.open("w", encoding="utf-8") as file:
        for source, run in summary.runs_with_findings:
            for entry in client.quality(run):
                line = {"source": source, "code": entry.code, "place": entry.place}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def as_object(summary: Summary) -> dict[str, object]:
    """The summary for programs."""
    return {
        "stored": len(summary.stored),
        "unchanged": summary.unchanged,
        "resources_by_type": dict(sorted(summary.resources_by_type.items())),
        "dicom_instances": summary.dicom_instances,
        "quality": dict(sorted(summary.quality.items())),
        "skipped": [issue.model_dump() for issue in summary.skipped],
        "refused": [issue.model_dump() for issue in summary.refused],
    }


def print_summary(console: Console, summary: Summary, t: Text) -> None:
    """The summary for people: counts, then what was refused, then what was skipped."""
    stored, images = len(summary.stored), summary.dicom_instances
    console.print(
        t(
            f"{stored} records stored ({images} images), {summary.unchanged} unchanged, "
            f"{len(summary.skipped)} skipped, {len(summary.refused)} refused.",
            f"已存 {stored} 份病历（{images} 幅影像），{summary.unchanged} 份无变化，"
            f"跳过 {len(summary.skipped)} 个，拒绝 {len(summary.refused)} 个。",
        ),
        highlight=False,
    )
    for title, issues, style in (
        (t("Refused: a kind we take, but invalid", "拒绝：类型可接收，但内容无效"), summary.refused, "red"),
        (t("Skipped: not a kind we take", "跳过：不是可接收的类型"), summary.skipped, "dim"),
    ):
        if issues:
            table = Table(t("file", "文件"), t("place", "位置"), t("reason", "原因"), title=title, style=style)
            for issue in issues[:_SHOWN]:
                table.add_row(issue.source, issue.place or "–", issue.reason)
            if len(issues) > _SHOWN:
                table.add_row(
                    "…", "", t(f"{len(issues) - _SHOWN} more; --json lists all", f"另有 {len(issues) - _SHOWN} 个")
                )
            console.print(table)
    if summary.quality:
        findings = ", ".join(f"{code} {count}" for code, count in sorted(summary.quality.items()))
        console.print(t(f"Data quality: {findings}", f"数据质量：{findings}"), highlight=False)
