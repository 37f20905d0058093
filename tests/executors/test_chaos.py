"""Worker processes that meet every fate at once: what comes out is what each item's own fate says, and nothing else."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import check_leaks
from tests.sizes import examples

FATES = ("fine", "raises", "exits", "is killed", "crashes", "hangs", "gives a lock", "leaves", "is an orphan's parent")
Item = tuple[int, str]


class Fate:
    """Do to a worker what the item says; with `folder`, the second try of an item succeeds."""

    def __init__(self, folder: str | None) -> None:
        self.folder = folder

    def __call__(self, item: Item) -> Any:
        number, fate = item
        if fate == "fine" or self._tried(number):
            return number
        return getattr(self, fate.replace(" ", "_").replace("'", ""))()

    def _tried(self, number: int) -> bool:
        if self.folder is None:
            return False
        mark = Path(self.folder, str(number))
        if mark.exists():
            return True
        mark.touch()
        return False

    def raises(self) -> None:
        raise LookupError("no")

    def exits(self) -> None:
        os._exit(3)

    def is_killed(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def crashes(self) -> None:
        ctypes.string_at(0)

    def hangs(self) -> None:
        time.sleep(1000)

    def gives_a_lock(self) -> Any:
        return threading.Lock()

    def leaves(self) -> None:
        raise SystemExit(5)

    def is_an_orphans_parent(self) -> None:
        if os.fork() == 0:  # a child that holds the pipe open for a while longer than its parent lives
            time.sleep(2)
            os._exit(0)
        os._exit(4)


fates = st.lists(st.sampled_from((*FATES[:1] * 12, *FATES[1:])), max_size=24)
#: Each example starts and loses processes: few by default, many at night.
EXAMPLES = examples(5, nightly=200)


@pytest.fixture(scope="module", autouse=True)
def _warm_loop() -> None:
    """Let uvloop make the descriptors that it keeps for the process."""
    sf.flow([1]).map(str, on=sf.threads(1)).to(None).run_sync()


def _items(fates: list[str]) -> list[Item]:
    return list(enumerate(fates))


@settings(max_examples=EXAMPLES)
@given(fates, st.integers(1, 3), st.booleans(), st.sampled_from((None, 1, 7)), st.booleans())
def test_each_item_has_its_own_fate(
    fates: list[str], workers: int, ordered: bool, recycle: int | None, views: bool
) -> None:
    letters: list[sf.DeadLetter] = []
    out: list[int] = []
    place = sf.processes(workers, timeout=0.4, recycle_after=recycle, views=views)
    flow = sf.flow(_items(fates)).map(Fate(None), on=place, ordered=ordered, on_error=sf.dead_letter(letters))
    with check_leaks():
        report = flow.to(out).run_sync()
    good = [number for number, fate in _items(fates) if fate == "fine"]
    assert (out if ordered else sorted(out)) == good
    assert sorted(letter.index for letter in letters) == [n for n, fate in _items(fates) if fate != "fine"]
    assert all(stage.conserved for stage in report.statistics.stages)
    kinds = {letter.index: letter.exception.rpartition(".")[2] for letter in letters}
    for number, fate in _items(fates):
        if fate != "fine":
            assert kinds[number] == _KINDS[fate], (fate, kinds[number])


_KINDS = {
    "raises": "LookupError",
    "exits": "WorkerDied",
    "is killed": "WorkerDied",
    "crashes": "WorkerDied",
    "hangs": "ItemTimeout",
    "gives a lock": "NotTransferable",
    "leaves": "RuntimeError",
    "is an orphan's parent": "WorkerDied",
}


@settings(max_examples=EXAMPLES)
@given(fates, st.integers(1, 3), st.booleans())
def test_a_second_try_saves_all(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str], n: int, ordered: bool
) -> None:
    folder = str(tmp_path_factory.mktemp("tried"))
    retry = sf.Retry(attempts=2, base=0, jitter=False)
    out: list[int] = []
    flow = sf.flow(_items(fates)).map(Fate(folder), on=sf.processes(n, timeout=0.4), ordered=ordered, retry=retry)
    report = flow.to(out).run_sync()
    assert (out if ordered else sorted(out)) == list(range(len(fates)))
    # A result that was lost with its share is made again, and then its item has been tried before.
    assert report.statistics.stages[1].retried <= sum(fate != "fine" for fate in fates)


def test_a_worker_that_is_to_be_replaced_still_keeps_to_the_timeout() -> None:
    """Its second share was with it already when it had done its part."""
    items = [(number, "hangs" if number % 3 == 2 else "fine") for number in range(12)]
    out: list[int] = []
    flow = sf.flow(items).map(Fate(None), on=sf.processes(1, timeout=0.3, recycle_after=1), on_error="skip")
    flow.to(out).run_sync()
    assert out == [number for number, fate in items if fate == "fine"]


class Slow:
    """Be an item or a result that pickle never has done with, on one side."""

    def __init__(self, number: int, *, sent: bool) -> None:
        self.number, self.sent = number, sent

    def __reduce__(self) -> Any:
        if not self.sent:
            time.sleep(1000)
        return _never, (self.number,)


def _never(number: int) -> None:
    time.sleep(1000)


def test_a_timeout_holds_for_what_pickle_does_as_well() -> None:
    """Nobody else fails for it: the others of its share are done one by one."""
    items: list[Any] = [0, Slow(1, sent=True), 2, 3, 4, 5]

    def give(item: Any) -> Any:
        return Slow(item, sent=False) if item == 3 else item

    letters: list[sf.DeadLetter] = []
    flow = sf.flow(items).map(give, on=sf.processes(1, timeout=0.3), on_error=sf.dead_letter(letters))
    out: list[Any] = []
    flow.to(out).run_sync()
    assert out == [0, 2, 4, 5]
    assert [(letter.index, letter.exception.rpartition(".")[2]) for letter in letters] == [
        (1, "ItemTimeout"),
        (3, "ItemTimeout"),
    ]


def test_a_worker_that_has_long_been_idle_is_not_late() -> None:
    """The time of its last item says nothing about the next one, whose resource may take its time to open."""

    class Opening:
        def __enter__(self) -> None:
            time.sleep(0.5)  # longer than an item may take

        def __exit__(self, *_: object) -> None: ...

    with sf.processes(1, timeout=0.25) as place:
        for _ in range(2):
            flow = sf.flow(range(3)).map(lambda item, _: item, on=place, resource=Opening)
            assert list(flow) == [0, 1, 2]
