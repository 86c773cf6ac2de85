from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from domain.errors import Conflict
from node_service.database.engine import Database
from node_service.database.migrations import NEWEST, upgrade
from node_service.database.migrations.running import configuration
from node_service.database.models import Base


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / '100%.db'}"


def test_migrations_and_models_describe_the_same_schema(url: str) -> None:
    upgrade(url)
    database = Database(url)
    with database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_the_newest_migration_is_named() -> None:
    assert ScriptDirectory.from_config(configuration()).get_current_head() == NEWEST


def test_an_upgrade_of_an_up_to_date_database_changes_nothing(url: str) -> None:
    upgrade(url)
    database = Database(url)
    with database.transaction() as session:
        session.execute(text("INSERT INTO log_size (log, incarnation, size) VALUES ('records', 1, 7)"))
    upgrade(url)
    with database.reading() as session:
        assert session.execute(text("SELECT size FROM log_size")).scalar_one() == 7
    database.close()


def test_a_database_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    upgrade(url)
    database = Database(url)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Conflict) as refusal:
        upgrade(url)
    assert refusal.value.reason == "newer-schema"
    with database.reading() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
    database.close()


def test_a_failed_migration_leaves_no_table_behind(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the disk is gone")

    monkeypatch.setattr("alembic.op.create_index", break_down)
    with pytest.raises(RuntimeError):
        upgrade(url)
    database = Database(url)
    with database.reading() as session:
        assert inspect(session.connection()).get_table_names() == []
    database.close()
