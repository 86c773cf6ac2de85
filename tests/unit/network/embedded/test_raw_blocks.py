"""Raw blocks of an embedded ledger, as a witness reads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from domain.errors import Tampered, Unavailable
from network.embedded.founding import Founding
from network.embedded.ledger import EmbeddedLedger
from network.embedded.raw_blocks import RawBlockFile


@pytest.fixture
def raw(founding: Founding) -> Iterator[RawBlockFile]:
    with closing(RawBlockFile(founding.directory)) as opened:
        yield opened


def test_the_bytes_are_those_of_the_ledger(raw: RawBlockFile, ledger: EmbeddedLedger) -> None:
    for number in range(40):
        ledger.submit("Put", f'{{"drawer":"{number}","text":"v"}}'.encode())
    assert raw.height() == ledger.height() > 40
    assert list(raw.blocks(0)) == [ledger.raw_block(number) for number in range(raw.height())]
    assert list(raw.blocks(39)) == [ledger.raw_block(number) for number in range(39, raw.height())]
    assert list(raw.blocks(raw.height())) == []


def test_waiting_ends_at_a_new_block_or_in_time(raw: RawBlockFile) -> None:
    assert raw.wait_for_block(raw.height() - 1, 5.0)
    assert not raw.wait_for_block(raw.height(), 0.0)


def test_a_missing_block_is_tampering(raw: RawBlockFile, founding: Founding) -> None:
    with closing(sqlite3.connect(founding.directory / "ledger.db")) as connection:
        connection.execute("UPDATE block SET number = 9 WHERE number = 1")
        connection.commit()
    with pytest.raises(Tampered, match="block 1"):
        list(raw.blocks(0))


def test_nothing_can_be_written_through_it(raw: RawBlockFile) -> None:
    with pytest.raises(Unavailable, match="READONLY"), raw._reading() as connection:
        connection.execute("DELETE FROM block")
