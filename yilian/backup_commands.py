"""``yilian node backup`` and ``restore`` (docs/operations.md, “Backup”)."""

# Annotations are evaluated here and now: typer reads them, and they speak the language chosen at run time.

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from domain.identifiers import IDENTIFIER_BYTES, identifier
from domain.instants import instant
from node_service.backup.archive import BackupReport, back_up
from node_service.backup.continuing import Behind, behind_ledger
from node_service.backup.manifest import CUSTODY, OBJECTS
from node_service.backup.ports import CopyObjects
from node_service.backup.restoring import RestoreReport, restore
from node_service.composition import CUSTODY_FOLDER, SystemClock, build, open_blobs, open_custody
from node_service.settings import Settings
from offchain.custody.restoring import CustodyFromSnapshot
from offchain.custody.root_key import read_root_key
from offchain.disk import Disk
from offchain.stores import SealedStore
from offchain.stores.copying import copy_objects
from offchain.stores.local import LocalStore
from yilian.language import Text


def add_backup(node: typer.Typer, t: Text) -> None:
    """Add the commands."""

    @node.command(
        name="backup",
        help=t(
            "Back the node up while it runs: database, objects, sealed record secrets, sealed identity keys. A "
            "database on PostgreSQL is backed up before, by pg_basebackup (docs/operations.md).",
            "在线备份节点：数据库、对象、密封的记录密钥、密封的身份密钥。PostgreSQL 数据库须先用 pg_basebackup 备份"
            "（见 docs/operations.md）。",
        ),
    )
    def make(
        folder: Annotated[Path, typer.Argument(help=t("New folder of the backup.", "新的备份目录。"))],
        objects: Annotated[
            bool, typer.Option(help=t("Copy the objects, or only list them.", "复制对象，或仅列出。"))
        ] = True,
    ) -> None:
        report = make_backup(Settings.from_environment(), folder, objects=objects)
        manifest = report.manifest
        typer.echo(
            t(
                f"Backup of {manifest.at}: {manifest.objects} objects named, {manifest.copied} copied.",
                f"{manifest.at} 的备份：列出 {manifest.objects} 个对象，复制 {manifest.copied} 个。",
            )
        )
        if not manifest.has_database:
            typer.echo(
                t(
                    "PostgreSQL's database is not in it: it needs the base backup that was made before it.",
                    "不含 PostgreSQL 数据库：须配合在此之前所做的基础备份。",
                )
            )
        _tell_all(t("not in the store", "存储中没有"), report.gone)
        typer.echo(
            t(
                "It opens with the root key of now alone: yilian custody root-key FILE, kept in another safe.",
                "只有当前根密钥能打开：yilian custody root-key 文件，另行妥善保管。",
            )
        )

    _add_restore(node, t)


def _add_restore(node: typer.Typer, t: Text) -> None:
    @node.command(
        name="restore",
        help=t(
            "Restore a backup into an empty data folder. A database on PostgreSQL is restored before, from its own "
            "backup, and runs (docs/operations.md).",
            "将备份恢复到空的数据目录。PostgreSQL 数据库须先从其自身备份恢复并已运行（见 docs/operations.md）。",
        ),
    )
    def take(
        folder: Annotated[Path, typer.Argument(help=t("Folder of the backup.", "备份目录。"))],
        root_key: Annotated[Path, typer.Option(help=t("File of the newest root key.", "最新根密钥文件。"))],
        custody: Annotated[
            Path | None,
            typer.Option(
                help=t(
                    "A newer snapshot of the record secrets, or the replica's folder.", "更新的记录密钥快照或副本目录。"
                )
            ),
        ] = None,
    ) -> None:
        settings = Settings.from_environment()
        report = restore_backup(settings, folder, root_key, custody)
        _tell(report, t)
        _tell_behind(continue_after_restore(settings), t)


def make_backup(settings: Settings, folder: Path, *, objects: bool) -> BackupReport:
    """Back a node up (see :func:`node_service.backup.archive.back_up`)."""
    clock = SystemClock()
    with ExitStack() as opened:
        store = open_blobs(settings, clock, opened)
        copy: CopyObjects | None = partial(_copy, store, folder / OBJECTS) if objects else None
        return back_up(settings, open_custody(settings), copy, folder, instant(clock.now()))


def restore_backup(settings: Settings, folder: Path, root_key: Path, custody: Path | None) -> RestoreReport:
    """Restore a node (see :func:`node_service.backup.restoring.restore`)."""
    snapshot = CustodyFromSnapshot(read_root_key(root_key, Disk()), custody or folder / CUSTODY)
    at = instant(SystemClock().now())
    return restore(settings, folder, snapshot, CUSTODY_FOLDER, _from(settings, folder / OBJECTS), at)


def continue_after_restore(settings: Settings) -> Behind:
    """Compare the restored node with the ledger, and let the custody's totals go on from what the ledger saw."""
    running = build(settings)
    try:
        behind = behind_ledger(running.node)
        at = instant(running.node.clock.now())
    finally:
        running.resources.close()
    open_custody(settings).continue_count(identifier(os.urandom(IDENTIFIER_BYTES)), behind.unwraps, at)
    return behind


def _from(settings: Settings, objects: Path) -> Callable[[Path], CopyObjects]:
    """Copies into the store that the restored node will have; what Kubo still holds is found there."""

    def into(data_dir: Path) -> CopyObjects:
        def copy(digests: Iterable[str]) -> tuple[str, ...]:
            with ExitStack() as opened:
                target = open_blobs(settings.model_copy(update={"data_dir": data_dir}), SystemClock(), opened)
                target.settle()
                if not objects.exists():
                    return tuple(digest for digest in digests if not target.exists(digest))
                return copy_objects(LocalStore(objects), target, digests)

        return copy

    return into


def _copy(store: SealedStore, folder: Path, digests: Iterable[str]) -> tuple[str, ...]:
    return copy_objects(store, LocalStore(folder), digests)


def _tell(report: RestoreReport, t: Text) -> None:
    typer.echo(
        t(
            f"Restored the state of {report.manifest.at}: {report.records} records.",
            f"已恢复 {report.manifest.at} 的状态：{report.records} 条记录。",
        )
    )
    _tell_all(
        t("newer than the last increment of secrets, store again", "晚于最后一次密钥增量，需重新存入"),
        report.without_key,
    )
    _tell_all(t("erased after the backup, erase again", "备份后已删除，需再次删除"), report.forgotten)
    _tell_all(
        t("object missing, bring it from the store's backup", "缺少对象，需从存储备份取回"), report.missing_objects
    )


def _tell_behind(behind: Behind, t: Text) -> None:
    if behind.needs_incarnation:
        typer.echo(
            t(
                f"The ledger holds {behind.record_leaves} record and {behind.access_leaves} access leaves more: "
                "restore a newer copy, or start the node, and then 'yilian node open-incarnation restore'.",
                f"账本多出 {behind.record_leaves} 条记录叶与 {behind.access_leaves} 条访问叶：恢复更新的备份，"
                "或启动节点后执行 yilian node open-incarnation restore。",
            )
        )
    typer.echo(
        t(
            "The record secrets have a new root key: yilian custody root-key FILE.",
            "记录密钥已换新根密钥：yilian custody root-key 文件。",
        )
    )


def _tell_all(what: str, names: Iterable[str]) -> None:
    for name in names:
        typer.echo(f"{name}\t{what}")
