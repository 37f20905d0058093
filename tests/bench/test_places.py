"""What the works about places are made of: loads of a known length, a ring in shared memory, victims."""

import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import data, load
from bench.flows.killed import is_victim, lethal
from bench.flows.memory_limit import limit_of, tree_pss
from bench.flows.placed_arrays import Results, both, both_in_place, both_without_temporaries, recycled
from bench.ring import SLOTS, ring


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(data.FOLDER, str(tmp_path))
    return tmp_path


def test_a_load_is_found_out_once_and_then_the_same_for_everybody(folder: Path) -> None:
    found = load.known()

    assert found.turns > 100
    assert found.rounds > 10
    assert load.known() == found
    assert len(list(folder.iterdir())) == 1


def test_loads_depend_on_their_item_and_on_nothing_else() -> None:
    assert load.turning(2, 5) == (5 * 31) * 31 + 1
    assert load.hashing(3, 5) == load.hashing(3, 5) != load.hashing(3, 6)


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("work", [both_in_place, both_without_temporaries])
@pytest.mark.parametrize("count", [0, 1, 2 * SLOTS, 2 * SLOTS + 1, 20])
def test_a_ring_gives_every_result_in_order(work, copied: bool, count: int) -> None:
    def arrays() -> Iterator[np.ndarray]:
        for number in range(count):
            yield np.full(100, number * number / 2, np.float32)

    with ring(100, 2, work) as slots:
        results = [(int(result[0]), int(result[-1])) for result in slots.passed(arrays(), copied=copied)]

    assert results == [(number, number) for number in range(count)]
    assert not multiprocessing.active_children()


def test_the_arrays_have_exact_results_and_each_its_own() -> None:
    arrays = recycled(1)

    assert all(array.nbytes == 1 << 20 and array.dtype == np.float32 for array in arrays)
    assert [both(array)[:3].tolist() for array in arrays[:2]] == [[0, 1, 2], [1, 2, 3]]


def test_a_wrong_array_is_no_result() -> None:
    arrays = recycled(1)
    results = Results(arrays, 8)

    with pytest.raises(AssertionError):
        results.take(both(arrays[1]))


def test_the_clock_starts_after_the_warm_results() -> None:
    arrays = recycled(1)
    results = Results(arrays, 10)
    right = [both(array) for array in arrays]

    for number in range(10):
        results.take(right[number % len(right)])
    assert results.seconds == 0
    results.take(right[0])

    assert results.seconds > 0
    assert results.seen()[0] == 11


def test_a_victim_kills_its_process_the_first_time_only(tmp_path: Path) -> None:
    victim = next(item for item in range(1000) if is_victim(item))
    process = multiprocessing.get_context("spawn").Process(target=lethal, args=(str(tmp_path), 1, victim))
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert lethal(str(tmp_path), 1, victim) == load.turning(1, victim)
    assert lethal(str(tmp_path), 1, victim + 1) == load.turning(1, victim + 1)
    assert sum(map(is_victim, range(1000))) == 10


def test_the_memory_of_a_tree_is_that_of_its_processes_and_none_for_who_has_ended() -> None:
    import os

    assert tree_pss(os.getpid()) > 1 << 20
    assert tree_pss(2**22 - 1) == 0
    assert limit_of(10**10) == 10**9
