"""Tables say what was to be reached, what was measured, and who did not take part."""

from dataclasses import replace

from bench.report import Entry, Machine, Report, Setting, Status
from bench.table import document, grouped, number, wanted
from bench.works import Contender, Figure, Outcome, Sizes, Work

MACHINE = Machine(cpu="a processor", cores=2, memory_gib=24, system="Linux", libc="glibc", python="CPython 3.11")
SIZES = Sizes(quick=10, default=10, full=10)


def run(seconds: float, **metrics: float) -> Outcome:
    return Outcome(seconds=seconds, count=1, checksum=1, metrics=metrics)


def contender(name: str) -> Contender:
    return Contender(name, name.title(), lambda size: run(1.0))


WORK = Work(
    name="made",
    title="made up",
    unit="items",
    sizes=SIZES,
    baseline="base",
    contenders=(contender("base"), contender("ours"), contender("peer")),
    figures=(
        Figure("ours", over="base", at_most=0.9),
        Figure("peer", over="ours", at_least=2.7),
        Figure("ours", metric="p99_us", at_most=200),
    ),
)


def report(status: Status = "measured", reason: str = "", setting: Setting | None = None) -> Report:
    runs = {"base": 2.0, "ours": 1.0, "peer": 4.0}
    entries = {name: Entry(name.title(), 10, runs=[run(seconds, p99_us=250.0)] * 2) for name, seconds in runs.items()}
    if status != "measured":
        entries["peer"] = Entry("Peer", 10, status, reason)
    return Report("made", setting or Setting(rounds=2), "2026-11-20", MACHINE, {"peer": "1.2"}, entries)


def test_each_figure_stands_beside_what_was_measured() -> None:
    text = document([WORK], grouped([report()]))

    assert "| made up | ≤ 0.9 × Base | 0.50 × ✓ |" in text
    assert "|  | ≥ 2.7 × faster than Peer | 4 × ✓ |" in text
    assert "|  | p99 ≤ 200 µs | 250 µs ✗ |" in text


def test_where_several_are_held_to_figures_each_figure_says_whose_it_is() -> None:
    figures = (
        Figure("base", over="ours", at_least=0.8),
        Figure("base", over="peer", at_least=4),
        Figure("ours", metric="mb_per_s", at_least=3),
    )

    assert [wanted(replace(WORK, figures=figures), figure) for figure in figures] == [
        "≥ 0.8 × the speed of Base (Ours)",
        "≥ 4 × faster than Base (Peer)",
        "≥ 3 MB/s (Ours)",
    ]


def test_a_missing_peer_is_called_not_installed_in_both_tables() -> None:
    text = document([WORK], grouped([report("not installed", "peer-package")]))

    assert "| ≥ 2.7 × faster than Peer | Peer not installed |" in text
    assert "Peer: not installed" in text


def test_a_failure_shows_its_reason() -> None:
    assert "Peer: failed (ValueError: no)" in document([WORK], grouped([report("failed", "ValueError: no")]))


def test_the_quickest_comes_first_and_the_baseline_is_bold() -> None:
    rows = document([WORK], grouped([report()])).splitlines()

    assert "| made up | Ours 0.50, 100,000,000 ns · **Base** 1.00, 200,000,000 ns · Peer 2.00, 400,000,000 ns |" in rows


def test_each_setting_is_a_column_and_what_it_lacks_is_said() -> None:
    raised = Setting(rounds=2, allocator="raised")
    other = Work("other", "another", "items", SIZES, "base", WORK.contenders, WORK.figures[:1])
    reports = [report(), report(setting=raised), report()]
    reports[2].work = "other"

    text = document([WORK, other], grouped(reports))

    assert "| work | to reach | default allocator | raised allocator |" in text
    assert "| another | ≤ 0.9 × Base | 0.50 × ✓ | not measured |" in text


def test_works_that_have_one_setting_each_share_a_column() -> None:
    raised = Setting(rounds=2, allocator="raised")
    other = Work("other", "another", "items", SIZES, "base", WORK.contenders, WORK.figures[:1])
    reports = [report(), report(setting=raised)]
    reports[1].work = "other"

    text = document([WORK, other], grouped(reports))

    assert "| work | to reach | measured |" in text
    assert "| another (raised allocator) | ≤ 0.9 × Base | 0.50 × ✓ |" in text
    assert "not measured" not in text


def test_the_caption_names_machine_rounds_and_versions() -> None:
    text = document([WORK], grouped([report()]))

    assert "Measured 2026-11-20 on 2 cores (a processor), 24 GiB" in text
    assert "medians of 2 rounds. peer 1.2." in text


def test_numbers_carry_the_digits_that_mean_something() -> None:
    assert [number(value) for value in (0.0, 0.877, 3.0, 44.26, 1234.5)] == ["0", "0.88", "3", "44.3", "1,234"]
