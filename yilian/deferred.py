"""Commands that are imported when they are asked for, so that one command does not pay for the imports of all."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from yilian.language import Text

Register = Callable[[typer.Typer, Text], None]

SUMMARIES: Final = {
    "audit": ("Export, verify and query the ledger.", "导出、验证、查询账本。"),
    "contract": (
        "The contract as a service that a Fabric peer calls, and its package.",
        "供 Fabric 节点调用的合约服务及其安装包。",
    ),
    "custody": ("Keys that wrap data keys, and what forgets.", "密钥保管与遗忘。"),
    "demo": (
        "The whole story on this machine: three hospitals, a patient, a doctor, an auditor.",
        "在本机演示全过程：三家医院、一位患者、一位医生、一位审计员。",
    ),
    "erasure": ("Erasure, retraction, locks.", "删除、撤回与锁定。"),
    "ingest": (
        "Feed FHIR (JSON, NDJSON), DICOM, CDA and PDF files to a node; PDF with --patient. "
        "Run it again after an interruption: nothing doubles. "
        "Large files go on by themselves where a connection broke.",
        "将 FHIR（JSON、NDJSON）、DICOM、CDA 与 PDF 文件送入节点；PDF 须给出 --patient。"
        "中断后重新运行即可，不会重复；大文件在连接中断后自动续传。",
    ),
    "ledger": ("The embedded ledger.", "内嵌账本。"),
    "network": ("A Hyperledger Fabric network of this machine.", "本机的 Hyperledger Fabric 网络。"),
    "node": ("One hospital's node.", "一家医院的节点。"),
    "wallet": ("The patient's wallet.", "患者钱包。"),
    "witness": ("A witness: verifies every block and signs what it saw.", "见证者：验证每个区块并签名所见。"),
}
"""What the overview of all commands says of each, known without its module."""


class Deferred(TyperGroup):
    """Stands for a command in the overview; its entry point is loaded when the command is to run or to explain itself.

    A command without a summary, of another distribution, is loaded for the overview.
    """

    def __init__(self, entry: EntryPoint, t: Text) -> None:
        self._entry, self._text = entry, t
        summary = SUMMARIES.get(entry.name)
        super().__init__(name=entry.name, help=self.command().help if summary is None else t(*summary))

    def command(self) -> TyperCommand | TyperGroup:
        """The command itself."""
        app = typer.Typer()
        register: Register = self._entry.load()
        register(app, self._text)
        return cast("TyperCommand | TyperGroup", get_group(app).commands[self._entry.name])

    def make_context(self, *args: Any, **named: Any) -> Any:
        """Let the command itself read its arguments; the context names it, so that it is what runs."""
        return self.command().make_context(*args, **named)
