from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from domain.errors import Unavailable
from node_service.database.engine import Database


def test_an_error_of_the_database_does_not_repeat_the_values_of_its_statement(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'node.db'}")
    with pytest.raises(Unavailable) as refused, database.transaction() as session:
        session.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "Synthetic Sally"})
    assert "nowhere" in str(refused.value.__cause__)
    assert "Sally" not in str(refused.value.__cause__)
    database.close()
