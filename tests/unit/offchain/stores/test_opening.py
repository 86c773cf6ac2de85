"""The id of a data folder's store: random, made once, and part of every backup."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import Invalid
from node_service.backup import archive
from offchain.stores.opening import STORE_ID_FILE, store_id


def test_an_id_is_made_once_for_each_data_folder_and_read_again(tmp_path: Path) -> None:
    first = store_id(tmp_path / "first")
    assert store_id(tmp_path / "first") == first
    assert store_id(tmp_path / "second") != first
    assert (tmp_path / "first" / STORE_ID_FILE).stat().st_mode & 0o777 == 0o600
    assert STORE_ID_FILE in archive.IDENTITY_FILES


@pytest.mark.parametrize("text", ["", "yilian", "*" * 22])
def test_a_file_that_holds_no_id_is_refused_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / STORE_ID_FILE).write_text(text)
    with pytest.raises(Invalid):
        store_id(tmp_path)
    assert (tmp_path / STORE_ID_FILE).read_text() == text
