"""The driver starts contenders alike, keeps what fails and what is missing in view, and refuses wrong results."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import harness
from bench.__main__ import main
from bench.harness import Driver, Failed, WrongResult, check_agreement, chosen, last_line, pinned, spawn
from bench.report import Entry, Report, Setting, read
from bench.works import Contender, Outcome, Package, Sizes, Work

ONCE = Setting(scale="quick", rounds=1)
SIZES = Sizes(quick=10, default=100, full=100)
NOWHERE = Package("no-such-distribution", "no_such_module")


def outcome(seconds: float = 1.0, count: int = 5, checksum: int = 9) -> Outcome:
    return Outcome(seconds=seconds, count=count, checksum=checksum)


def made_work(*contenders: Contender, counted: bool = True) -> Work:
    return Work("made", "made up", "items", SIZES, contenders[0].name, contenders, (), counted=counted)


def contender(name: str, *needs: Package) -> Contender:
    return Contender(name, name, lambda size: outcome(), needs)


def test_everybody_gets_one_allocator_and_one_hash_seed() -> None:
    callers = {"PATH": "p", "MALLOC_TOP_PAD_": "1", "MALLOC_ARENA_MAX": "1", "PYTHONMALLOC": "debug"}

    assert pinned(callers, "default") == {"PATH": "p", "PYTHONHASHSEED": "0"}
    assert pinned(callers, "raised") == {"PATH": "p", "PYTHONHASHSEED": "0", **harness.RAISED}


def test_contenders_take_turns_in_an_order_that_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(harness, "spawn", lambda work, name, *rest: started.append(name) or outcome())

    report = Driver(Setting(scale="quick", rounds=3)).measure(made_work(*map(contender, "abc")))

    assert started == [*"abc", *"bca", *"cab"]
    assert [len(entry.runs) for entry in report.entries.values()] == [3, 3, 3]


def test_a_work_may_pin_the_allocator_and_says_so_in_its_report(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = []
    monkeypatch.setattr(
        harness, "spawn", lambda work, name, size, setting, *rest: settings.append(setting) or outcome()
    )

    report = Driver(ONCE).measure(replace(made_work(contender("ours")), allocator="raised"))

    assert (settings[0].allocator, settings[0].rounds) == ("raised", 1)
    assert report.file_name == "made.raised.json"


def test_a_missing_peer_is_said_and_kept_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr(harness, "spawn", lambda *rest: outcome())

    report = Driver(ONCE, report=said.append).measure(made_work(contender("ours"), contender("theirs", NOWHERE)))

    assert report.entries["theirs"].status == "not installed"
    assert "made: theirs left out, no-such-distribution is not installed" in said


def test_a_failure_is_kept_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def spawned(work: str, name: str, *rest: object) -> Outcome:
        if name == "broken":
            raise Failed("ValueError: no")
        return outcome()

    monkeypatch.setattr(harness, "spawn", spawned)

    report = Driver(Setting(scale="quick", rounds=2)).measure(made_work(contender("sound"), contender("broken")))

    assert (report.entries["broken"].status, report.entries["broken"].reason) == ("failed", "ValueError: no")
    assert len(report.entries["sound"].runs) == 2


def test_results_that_disagree_are_refused() -> None:
    entries = {name: Entry(name, 10, runs=[outcome(checksum=at)]) for at, name in enumerate("ab")}

    with pytest.raises(WrongResult, match=r"b gave \(count, checksum\) \(5, 1\), a \(5, 0\)"):
        check_agreement(made_work(contender("a"), contender("b")), entries)


def test_results_of_other_sizes_and_uncounted_counts_may_differ() -> None:
    work = made_work(contender("a"), contender("b"), counted=False)

    check_agreement(work, {"a": Entry("a", 10, runs=[outcome()]), "b": Entry("b", 20, runs=[outcome(checksum=1)])})
    check_agreement(work, {name: Entry(name, 10, runs=[outcome(count=ord(name))]) for name in "ab"})


def test_the_baseline_always_runs() -> None:
    assert chosen(made_work(*map(contender, "abc")), ["c"]) == ["a", "c"]


def test_a_worker_that_fails_or_hangs_is_reported_without_paths() -> None:
    with pytest.raises(Failed, match="no contender 'nobody'"):
        spawn("ints_fused", "nobody", 1, ONCE, timeout=60)
    with pytest.raises(Failed, match=r"no result within 0\.001 s"):
        spawn("ints_fused", "generators", 1, ONCE, timeout=0.001)
    assert last_line(f"Traceback\n  here\nOSError: {harness.ROOT}/x is gone\n\n") == "OSError: ./x is gone"


def test_a_report_is_written_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "spawn", lambda work, name, *rest: outcome(seconds=1.0 + (name == "slow")))
    work = made_work(contender("quick"), contender("slow"))
    report = Driver(Setting(scale="quick", rounds=2, allocator="raised")).measure(work)

    path = report.write(tmp_path, work)

    assert path.name == "made.raised.json"
    assert read(path) == report
    assert isinstance(read(path), Report)
    assert '"ratio": 2.0' in path.read_text()
    assert str(Path.home()) not in path.read_text()


def test_the_command_measures_prints_and_writes_where_it_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--quick", "--only", "ints_f*", "--contenders", "builtins", "--results", str(tmp_path)]

    assert main(asked) == 0
    measured = capsys.readouterr().out
    assert main(["--table", "--results", str(tmp_path)]) == 0

    assert capsys.readouterr().out == measured
    assert "built-in map and filter" in measured
    assert [path.name for path in tmp_path.iterdir()] == ["ints_fused.json"]


def test_a_work_or_results_that_are_not_there_are_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "nothing"]) == 2
    assert main(["--table", "--results", str(tmp_path)]) == 2
    assert "no work is called nothing" in capsys.readouterr().err
