from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from domain.errors import Invalid, OutcomeUnknown, Unavailable, YilianError
from network.embedded import commit_queue
from network.embedded.commit_queue import CommitQueue

LONG_S = 10.0


class Disk:
    """Commits block by block, each only when the test lets it."""

    def __init__(self) -> None:
        self.blocks: list[list[bytes]] = []
        self.entered = threading.Semaphore(0)
        self.release = threading.Semaphore(0)
        self.failure: Callable[[Sequence[bytes]], YilianError | None] = lambda envelopes: None

    def commit(self, envelopes: Sequence[bytes]) -> None:
        self.entered.release()
        assert self.release.acquire(timeout=LONG_S)
        error = self.failure(envelopes)
        if error is not None:
            raise error
        self.blocks.append(list(envelopes))


class Caller(threading.Thread):
    """Broadcasts one envelope and keeps what came of it."""

    def __init__(self, queue: CommitQueue, name: str) -> None:
        super().__init__(daemon=True)
        self.tx_id = name
        self.error: YilianError | None = None
        self._queue = queue
        self.start()

    def run(self) -> None:
        try:
            self._queue.broadcast(self.tx_id, self.tx_id.encode(), LONG_S)
        except YilianError as error:
            self.error = error


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def queue(disk: Disk) -> CommitQueue:
    return CommitQueue(disk.commit)


def behind_a_commit(disk: Disk, queue: CommitQueue, names: Sequence[str]) -> list[Caller]:
    """Callers of whom the first is being committed while the others wait in the queue."""
    first = Caller(queue, names[0])
    assert disk.entered.acquire(timeout=LONG_S)
    callers = [first]
    for count, name in enumerate(names[1:], start=1):
        callers.append(Caller(queue, name))
        while queue.waiting < count:
            assert callers[-1].is_alive()
    return callers


def finish(disk: Disk, callers: Sequence[Caller], commits: int) -> None:
    for _ in range(commits):
        disk.release.release()
    for caller in callers:
        caller.join(timeout=LONG_S)
        assert not caller.is_alive()


def test_everybody_who_waits_during_a_commit_shares_the_next_block(disk: Disk, queue: CommitQueue) -> None:
    callers = behind_a_commit(disk, queue, ["a", "b", "c", "d"])
    finish(disk, callers, commits=2)
    assert disk.blocks == [[b"a"], [b"b", b"c", b"d"]]
    assert [caller.error for caller in callers] == [None] * 4


def test_a_block_has_a_bounded_number_of_transactions(
    disk: Disk, queue: CommitQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_queue, "MAX_BLOCK_TRANSACTIONS", 2)
    finish(disk, behind_a_commit(disk, queue, ["a", "b", "c", "d"]), commits=3)
    assert disk.blocks == [[b"a"], [b"b", b"c"], [b"d"]]


def test_a_block_has_a_bounded_size_but_takes_one_of_any_size(
    disk: Disk, queue: CommitQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_queue, "MAX_BLOCK_BYTES", 3)
    finish(disk, behind_a_commit(disk, queue, ["a", "bb", "c", "ddddd"]), commits=3)
    assert disk.blocks == [[b"a"], [b"bb", b"c"], [b"ddddd"]]


def test_a_failed_block_fails_each_of_its_transactions(disk: Disk, queue: CommitQueue) -> None:
    disk.failure = lambda envelopes: Unavailable("disk full") if len(envelopes) > 1 else None
    callers = behind_a_commit(disk, queue, ["a", "b", "c"])
    finish(disk, callers, commits=2)
    assert disk.blocks == [[b"a"]]
    assert [type(caller.error) for caller in callers] == [type(None), Unavailable, Unavailable]
    assert callers[1].error is not callers[2].error


def test_an_unknown_outcome_names_each_callers_own_transaction(disk: Disk, queue: CommitQueue) -> None:
    disk.failure = lambda envelopes: OutcomeUnknown("fsync failed", tx_id="") if len(envelopes) > 1 else None
    callers = behind_a_commit(disk, queue, ["a", "b", "c"])
    finish(disk, callers, commits=2)
    unknown = [caller.error for caller in callers[1:]]
    assert [isinstance(error, OutcomeUnknown) and error.tx_id for error in unknown] == ["b", "c"]


def test_a_transaction_that_no_channel_takes_does_not_keep_the_others_out(disk: Disk, queue: CommitQueue) -> None:
    disk.failure = lambda envelopes: Invalid("unsupported") if b"bad" in envelopes else None
    callers = behind_a_commit(disk, queue, ["a", "b", "bad", "c"])
    finish(disk, callers, commits=5)
    assert disk.blocks == [[b"a"], [b"b"], [b"c"]]
    assert [type(caller.error) for caller in callers] == [type(None), type(None), Invalid, type(None)]


def test_who_never_got_a_turn_is_not_in(disk: Disk, queue: CommitQueue) -> None:
    callers = behind_a_commit(disk, queue, ["a"])
    with pytest.raises(Unavailable):
        queue.broadcast("late", b"late", timeout_s=0)
    finish(disk, callers, commits=1)
    assert disk.blocks == [[b"a"]]


def test_a_commit_that_breaks_off_leaves_the_outcome_unknown_to_those_who_wait(disk: Disk, queue: CommitQueue) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(envelopes: Sequence[bytes]) -> YilianError | None:
        raise Interrupted

    disk.failure = interrupt
    disk.release.release()
    with pytest.raises(Interrupted):
        queue.broadcast("a", b"a", LONG_S)
    disk.failure = lambda envelopes: None
    disk.release.release()
    queue.broadcast("b", b"b", LONG_S)
    assert disk.blocks == [[b"b"]]
