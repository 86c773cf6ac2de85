"""``yilian audit lint``: whether anything stands on the ledger that should not."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from domain.errors import Tampered
from network.verifier.content import Item, passed_over, unlisted
from network.verifier.report import VerifiedBlock
from patient_wallet.shown import cell
from yilian.audit_export import verify_folder
from yilian.contract_versions import CONTRACT
from yilian.language import Text


def add_lint(audit: typer.Typer, t: Text) -> None:
    """Add ``audit lint``."""

    @audit.command(
        help=t(
            "Name every value on the ledger that is no id, digest, key, signature, time, address, number or code.",
            "指出账本上不属于编号、摘要、密钥、签名、时间、地址、数字或代码的每个值。",
        )
    )
    def lint(
        folder: Annotated[Path, typer.Argument(help=t("Folder of NNNN.block files.", "NNNN.block 文件夹。"))],
        genesis: Annotated[
            str | None, typer.Option(help=t("Expected genesis digest (hex).", "期望的创世摘要。"))
        ] = None,
    ) -> None:
        found: list[Item] = []
        others = Counter[str]()

        def look(block: VerifiedBlock) -> None:
            found.extend(unlisted(block, CONTRACT))
            others.update(passed_over(block))

        chain = verify_folder(folder, genesis, look)
        for item in found:
            typer.echo(cell(str(item)))
        if found:
            detail = t("the ledger holds values that nothing lists", "账本含有未列明的值")
            raise Tampered(detail, reason="unlisted", place=str(found[0]))
        count = chain.transactions - others.total()
        typer.echo(t(f"{count} transactions hold listed values only.", f"{count} 笔交易仅含列明的值。"))
        named = ", ".join(f"{many} × {name}" for name, many in sorted(others.items()))
        typer.echo(t(f"Not looked at, as Fabric's own: {named}", f"属于 Fabric 自身、未检查：{named}"))
