from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Boolean, Column, Integer, LargeBinary, MetaData, Table, insert, inspect, text

from domain.errors import Conflict
from node_service.database.engine import Database
from node_service.database.migrations import NEWEST, upgrade
from node_service.database.migrations.generations import BORNE, is_borne
from node_service.database.migrations.running import configuration, run
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


def test_a_newer_revision_of_a_generation_that_is_borne_is_left_as_it_is(url: str) -> None:
    upgrade(url)
    database = Database(url)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :newer"), {"newer": f"{BORNE[-1]}99"})
    upgrade(url)
    with database.reading() as session:
        assert session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == f"{BORNE[-1]}99"
    database.close()


def test_revisions_are_four_digits_in_order() -> None:
    known = [one.revision for one in ScriptDirectory.from_config(configuration()).walk_revisions()]
    assert known == sorted(known, reverse=True)
    assert all(len(one) == 4 and one.isdigit() and is_borne(one) for one in known)


def test_after_all_migrations_what_the_first_revision_of_the_generation_wrote_is_still_taken(url: str) -> None:
    """So a node of the release before goes on, and may be started again, while a new one has migrated."""
    first = f"{BORNE[0]}01"
    database = Database(url)
    with database.transaction() as session:
        run(session.connection(), None, first)
        old = MetaData()
        old.reflect(session.connection())
    upgrade(url)
    with database.transaction() as session:
        for table in old.sorted_tables:
            if table.name != "alembic_version":
                session.execute(insert(table).values(least(table)))
    with database.reading() as session:
        new = MetaData()
        new.reflect(session.connection())
        for name, table in old.tables.items():
            kept = new.tables[name].columns
            assert [str(kept[column.name].type) for column in table.columns] == [str(one.type) for one in table.columns]
            assert [one.name for one in table.primary_key] == [one.name for one in new.tables[name].primary_key]
    database.close()


def least(table: Table) -> dict[str, object]:
    """A row with what the table asks for and nothing else; rows of all tables refer to each other."""
    return {column.name: value(column) for column in table.columns if not column.nullable}


def value(column: Column[Any]) -> object:
    if isinstance(column.type, LargeBinary):
        return b"x"
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, JSON):
        return {}
    return 1 if isinstance(column.type, Integer) else "x"


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
