"""Every contender that is installed does each work rightly, at a small size; what is missing is said."""

from functools import cache
from pathlib import Path

import orjson
import pytest

from bench import data
from bench.flows import WORKS
from bench.flows.ints import increment, is_even, triple
from bench.flows.json_lines import is_active, to_order
from bench.harness import result_of, spawn
from bench.report import Setting
from bench.works import Outcome

NIGHTLY = pytest.mark.nightly
QUICK = Setting(scale="quick", rounds=1)
#: The baselines and we by day; other ways to do the same work by night.
EVERYBODY = [
    pytest.param(work.name, name, marks=[] if name.startswith("streamflow") or name == work.baseline else NIGHTLY)
    for work in WORKS.values()
    for name in work.names()
]


@cache
def ran(work: str, contender: str, size: int) -> Outcome:
    """Run a contender once for all tests that ask for it."""
    return spawn(work, contender, size, QUICK, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the input files of these tests to themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(data.FOLDER, str(tmp_path_factory.mktemp("bench")))
        yield


@pytest.mark.parametrize(("work_name", "name"), EVERYBODY)
def test_a_contender_gives_what_the_baseline_gives(work_name: str, name: str) -> None:
    work = WORKS[work_name]
    contender = work.contender(name)
    if contender.missing:
        pytest.skip(f"{', '.join(package.distribution for package in contender.missing)} is not installed")
    size = work.size_of(contender, "quick")

    outcome = ran(work.name, name, size)

    assert result_of(work, outcome) == result_of(work, ran(work.name, work.baseline, size))
    assert outcome.seconds > 0
    assert set(work.shows) - {"peak_mib"} <= set(outcome.metrics)


def test_the_baselines_of_the_ints_are_right() -> None:
    work = WORKS["ints_fused"]
    kept = [item for item in (triple(increment(number)) for number in range(work.sizes.quick)) if is_even(item)]

    assert result_of(work, ran(work.name, work.baseline, work.sizes.quick)) == (len(kept), sum(kept))


def test_the_baseline_of_json_lines_writes_what_it_should(tmp_path: Path) -> None:
    work = WORKS["jsonl_dicts"]
    records = map(orjson.loads, data.json_lines(work.sizes.quick).read_bytes().splitlines())
    expected = tmp_path / "expected.jsonl"
    expected.write_bytes(b"".join(orjson.dumps(to_order(record)) + b"\n" for record in records if is_active(record)))

    from bench.flows.json_lines import read_back

    assert result_of(work, ran(work.name, work.baseline, work.sizes.quick)) == read_back(expected)


def test_the_input_is_the_same_each_time_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data.json_lines(50_000).read_bytes()
    monkeypatch.setenv(data.FOLDER, str(tmp_path))

    assert data.json_lines(50_000).read_bytes() == first
