"""The lock of a store: those who overlap without end do not keep out whoever waits for it alone."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from domain.errors import Unavailable
from offchain.stores.lock import alone, beside_others


def test_who_waits_to_be_alone_lets_nobody_new_in_and_comes_next(tmp_path: Path) -> None:
    path, entered, left = tmp_path / "lock", threading.Event(), threading.Event()

    def erases() -> None:
        with alone(path, 30):
            entered.set()
            left.wait(30)

    eraser = threading.Thread(target=erases, daemon=True)
    with ExitStack() as first:
        first.enter_context(beside_others(path, 1))
        with beside_others(path, 1):
            pass
        eraser.start()
        kept_out, end = False, time.monotonic() + 10
        while not kept_out and time.monotonic() < end:  # until the eraser has begun to wait
            try:
                with beside_others(path, 0):
                    pass
            except Unavailable as error:
                kept_out = error.reason == "busy"
        assert kept_out
        assert not entered.is_set()
    assert entered.wait(30)
    with pytest.raises(Unavailable), beside_others(path, 0):
        pass
    left.set()
    eraser.join(30)
    with beside_others(path, 1), beside_others(path, 1):
        pass
