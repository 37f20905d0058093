"""What event time, keys and values may turn out to be: what must come of each is written down, for each policy."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import streamflow as sf
from streamflow.flows.flow import _OF_SEVERAL
from streamflow.testing import run

NOW = time.time()
DAY = 86_400.0
FAR = "further ahead of the wall clock than max_ahead=86400 s allows"
NO_TIME = "is no time: expected seconds since the epoch, a datetime or ISO 8601 text"
#: A time that is not there: the function raises KeyError.
MISSING = object()


def windows(times: list[Any], **policy: Any) -> tuple[list[tuple[float, int]], sf.RunReport]:
    """Count items in windows of ten seconds; return where each begins and how many are in it."""
    found: list[Any] = []
    items = [{} if given is MISSING else {"ts": given} for given in times]
    flow = sf.flow(items).event_time(lambda e: e["ts"], max_lateness=5, **policy)
    report = flow.key_by(len).window(sf.tumbling(10)).aggregate(n=sf.agg.count()).to(found).run_sync()
    return [(one.start, one.value["n"]) for one in found], report


def at(moment: float) -> float:
    return moment // 10 * 10


#: Times, the windows that must come of them, and what is said of each time that is none.
TIMES: dict[str, tuple[list[Any], list[tuple[float, int]], list[str]]] = {
    "one from the far future": ([100, 105, NOW + 400 * DAY, 110, 125], [(100, 2), (110, 1), (120, 1)], [FAR]),
    "many from the far future": (
        [100, 105, *(NOW + 400 * DAY + n for n in range(5)), 110, 125],
        [(100, 2), (110, 1), (120, 1)],
        [FAR] * 5,
    ),
    "the far future first": ([NOW + 400 * DAY, 100, 105, 110], [(100, 2), (110, 1)], [FAR]),
    "tomorrow's noon among today": (
        [NOW, NOW + 1.5 * DAY, NOW + 60],
        [(at(NOW), 1), (at(NOW + 60), 1)],
        [FAR],
    ),
    "today among 1970: a day is as far as it goes": (
        [100, NOW, 100 + DAY - 5, 101 + DAY],
        [(100, 1), (at(100 + DAY - 5), 1), (at(101 + DAY), 1), (at(NOW), 1)],
        [],
    ),
    "milliseconds": ([NOW * 1000], [], ["are these milliseconds? Divide them by 1,000"]),
    "microseconds": ([NOW * 1e6], [], ["are these microseconds? Divide them by 1,000,000"]),
    "nanoseconds": ([int(NOW * 1e9)], [], ["are these nanoseconds? Divide them by 1,000,000,000"]),
    "neither": ([NOW * 1e15], [], [FAR]),
    "missing": ([100, MISSING, 105], [(100, 2)], ["'ts'"]),
    "None": ([None, 100], [(100, 1)], [f"None (NoneType) {NO_TIME}"]),
    "text that is none": (["soon", "", "1700000000"], [], [NO_TIME] * 3),
    "ISO 8601": (["2024-01-01T00:00:05Z", "2024-01-01T01:00:06+01:00", "2024-01-01"], [(1704067200, 3)], []),
    "no number": ([math.nan, math.inf, -math.inf, np.float64("nan")], [], [NO_TIME] * 4),
    "bool": ([True, False, np.bool_(True)], [], [NO_TIME] * 3),
    "bytes, lists, dicts, objects": ([b"1", [1], {}, object(), 1j], [], [NO_TIME] * 5),
    "datetimes": (
        [datetime(2024, 1, 1), datetime(2024, 1, 1, 5, tzinfo=timezone(timedelta(hours=5)))],
        [(1704067200, 2)],
        [],
    ),
    "dates": ([date(2024, 1, 1)], [], [NO_TIME]),
    "the last and the first year": (
        [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)],
        [(-62135596800, 1)],
        [FAR],
    ),
    "Decimal": ([Decimal("100.5"), Decimal("NaN")], [(100, 1)], [NO_TIME]),
    "scalars of NumPy": ([np.float32(101), np.int64(102), np.array(103.0)], [(100, 3)], []),
    "dates of NumPy": ([np.datetime64("2024-01-01T00:00:00")], [], [""]),
    "integers beyond all floats": ([10**400, -(10**400), 100], [(100, 1)], [NO_TIME] * 2),
    "before all calendars": ([-1e308, 100, -1e15, 101], [(100, 2)], [NO_TIME] * 2),
    "before 1970": ([-100, -95, -80], [(-100, 2), (-80, 1)], []),
    "before year 1": ([-1e11, -1e11 + 30], [(-1e11, 1), (-1e11 + 30, 1)], []),
    "clocks that step back by hours": (
        [100_000, 100_000 - 7200, 100_001, 100_020],
        [(100_000, 2), (100_020, 1)],
        [],
    ),
}


@pytest.mark.parametrize("name", TIMES)
def test_times(name: str) -> None:
    times, wanted, said = TIMES[name]
    letters: list[sf.DeadLetter] = []
    found, report = windows(times, on_error=sf.dead_letter(letters))
    assert found == wanted
    assert len(letters) == report.failed == len(said)
    for letter, words in zip(letters, said, strict=True):
        assert words in letter.message
    assert windows(times, on_error="skip")[0] == wanted
    if said:
        with pytest.raises((ValueError, TypeError, KeyError)) as caught:
            windows(times)
        assert said[0] in str(caught.value)
        assert any("operator 'event_time(lambda)'" in note for note in caught.value.__notes__)
    else:
        assert windows(times)[0] == wanted


def test_without_a_bound_ahead_the_user_has_said_so() -> None:
    assert windows([100, NOW + 400 * DAY, 110], max_ahead=None)[0] == [(100, 1), (at(NOW + 400 * DAY), 1)]


@pytest.mark.parametrize("step", [-3600.0, -0.5, 3600.0])
def test_a_wall_clock_that_is_set_while_windows_go_by_it(step: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the wall clock in the middle: every item is in exactly one window, and the run comes to its end."""
    shift = 0.0
    monkeypatch.setattr("time.time", lambda: 1_000_000.0 + shift)

    async def items() -> Any:
        nonlocal shift
        for n in range(20):
            await asyncio.sleep(0.5)
            shift = step if n >= 10 else 0.0
            yield n

    found: list[Any] = []
    counted = sf.flow(items).processing_time().key_by(lambda n: 0).window(sf.tumbling(2)).aggregate(n=sf.agg.count())
    run(counted.to(found).run())
    assert sum(one.value["n"] for one in found) == 20
    ends = [one.end for one in found]
    assert ends == sorted(ends)
    assert len(set(ends)) == len(ends)


class Raising:
    """Be a key that raises when it is hashed, or compared."""

    def __init__(self, method: str) -> None:
        self.method = method

    def __hash__(self) -> int:
        if self.method == "hash":
            raise RuntimeError("no hash today")
        return 1

    def __eq__(self, other: object) -> bool:
        if self.method == "eq":
            raise RuntimeError("no comparing today")
        return self is other


LONG = "x" * 10_000_000
WIDE = tuple(range(200_000))
#: Keys, those that must come out with how many items each, and what is said of those that are none.
KEYS: dict[str, tuple[list[Any], list[tuple[Any, int]], list[str]]] = {
    "lists": ([[1], 2], [(2, 1)], ["unhashable type: 'list'"]),
    "dicts": ([{}, 2], [(2, 1)], ["unhashable type: 'dict'"]),
    "a list in a tuple": ([(1, [2]), 2], [(2, 1)], ["unhashable type: 'list'"]),
    "None": ([None, 2, None], [(None, 2), (2, 1)], []),
    "NaN": ([math.nan, float("nan"), 2], [("nan", 2), (2, 1)], []),
    "equal, of other types": ([1, 1.0, True, Decimal(1)], [(1, 4)], []),
    "ten megabytes of text": ([LONG, 2, "x" * 10_000_000], [(LONG, 2), (2, 1)], []),
    "a tuple of 200,000": ([WIDE, tuple(range(200_000))], [(WIDE, 2)], []),
    "an integer of 5,000 digits": ([10**5000, 10**5000], [(10**5000, 2)], []),
    "no hash": ([Raising("hash"), 2], [(2, 1)], ["no hash today"]),
    "no comparing": ([Raising("eq"), 2], [(2, 1)], ["no comparing today"]),
}
#: How keys are used; each gives keys and how many items each had.
USES: dict[str, Callable[[sf.KeyedFlow[Any, Any]], sf.Flow[Any]]] = {
    "aggregate": lambda keyed: keyed.aggregate(n=sf.agg.count()),
    "tumbling": lambda keyed: keyed.window(sf.tumbling(10)).aggregate(n=sf.agg.count()),
    "session": lambda keyed: keyed.window(sf.session(10)).aggregate(n=sf.agg.count()),
    "global": lambda keyed: keyed.window(sf.global_window(count=9)).aggregate(n=sf.agg.count()),
}


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", KEYS)
def test_keys(name: str, use: str, fuse: bool) -> None:
    keys, wanted, said = KEYS[name]

    def come_of(on_error: Any) -> list[tuple[Any, int]]:
        found: list[Any] = []
        keyed = sf.flow(keys).event_time(lambda _: 5).key_by(lambda key: key, on_error=on_error)
        USES[use](keyed).to(found).run_sync(fuse=fuse)
        return [("nan" if one.key != one.key else one.key, one.value["n"]) for one in found]

    letters: list[sf.DeadLetter] = []
    assert come_of(sf.dead_letter(letters)) == wanted
    assert [letter.message for letter in letters] == said
    assert come_of("skip") == wanted
    if said:
        with pytest.raises((TypeError, RuntimeError), match=said[0]) as caught:
            come_of("fail")
        assert any("key_by(lambda)" in note and "item 0" in note for note in caught.value.__notes__)


def test_a_key_that_is_not_there_is_the_items_failure() -> None:
    flow = sf.flow([{"user": "ann"}, {}]).key_by(lambda e: e["user"], on_error="skip").aggregate(n=sf.agg.count())
    assert list(flow) == [sf.Keyed("ann", {"n": 1})]


#: Values, what their aggregation must be, and which of them it does not take.
VALUES: list[tuple[str, list[Any], Any, list[Any]]] = [
    ("sum", [1, "a", 2], 3, ["a"]),
    ("sum", [1, None, 2], 3, [None]),
    ("sum", [1, [2], 3], 4, [[2]]),
    ("sum", [10**400, 1.5, 2], 10**400 + 2, [1.5]),
    ("sum", [1, Decimal("1.5"), 2.5], Decimal("2.5"), [2.5]),
    ("min", [1, "a", 2], 1, ["a"]),
    ("max", [1, None, 2], 2, [None]),
    ("mean", [1, "a", 2], 1.5, ["a"]),
    ("distinct", [1, [2], 3, 3], 2, [[2]]),
    ("collect", [1, "a", None], [1, "a", None], []),
    ("first", [None, 1], None, []),
    ("last", [1, None], None, []),
]


@pytest.mark.parametrize("windowed", [True, False])
@pytest.mark.parametrize(("what", "values", "wanted", "failed"), VALUES)
def test_values_that_do_not_go_together(
    what: str, values: list[Any], wanted: Any, failed: list[Any], windowed: bool
) -> None:
    found: list[Any] = []
    letters: list[sf.DeadLetter] = []
    keyed: Any = sf.flow(values).event_time(lambda _: 5).key_by(lambda _: "k", on_error=sf.dead_letter(letters))
    keyed = keyed.window(sf.tumbling(10)) if windowed else keyed
    keyed.aggregate(n=sf.agg.count(), v=getattr(sf.agg, what)()).to(found).run_sync()
    assert [one.value for one in found] == [{"n": len(values) - len(failed), "v": wanted}]
    assert [letter.item for letter in letters] == failed


async def later(item: Any) -> Any:
    return item


def timed() -> sf.Flow[Any]:
    return sf.flow([1, 2]).event_time(lambda n: n)


def windowed(*arguments: Any, **options: Any) -> Any:
    return timed().key_by(str).window(*arguments, **options)


NONSENSE: list[Any] = [0, -1, math.nan, math.inf, 10**400, True, None, "", "5 parsecs", "-5s", "0s", b"5s", [1]]
#: What cannot work, and what must be said of it.
MISTAKES: list[tuple[Callable[[], Any], str]] = [
    *((lambda size=size: sf.tumbling(size), r"tumbling: .*(above 0|write it as in '5s')") for size in NONSENSE),
    *((lambda gap=gap: sf.session(gap), r"session: .*(above 0|write it as in '5s')") for gap in NONSENSE),
    (lambda: sf.tumbling(1e-300), "less than event times can tell apart: give '1us'"),
    (lambda: sf.tumbling("1d", timezone="Europe/Rom"), "'Europe/Rom' is no time zone; name it as in 'Europe/Rome'"),
    (lambda: sf.tumbling("1d", timezone="../../etc/passwd"), "is no time zone"),
    (lambda: sf.tumbling("5m", timezone=5), "5 is no time zone"),  # type: ignore[arg-type]
    (lambda: sf.tumbling("7h", timezone="Europe/Rome"), "divide a day evenly"),
    (lambda: sf.sliding(10, 20), "leave gaps"),
    (lambda: sf.sliding("1d", "1s"), "every item would be in 86,400 windows, .* give a longer every="),
    (lambda: sf.global_window(count=0), "count=...*: 0 is not a whole number from 1 on"),
    (lambda: windowed(5), r"window\(5\): expected sf.tumbling"),
    (lambda: windowed("1m"), "expected sf.tumbling"),
    (lambda: windowed(sf.tumbling(5), late="later"), "late='later'.*expected 'drop' or 'update'"),
    (lambda: windowed(sf.tumbling(5), late="update"), "one needs the other"),
    (lambda: windowed(sf.tumbling(5), every=0), "every=...*: 0 is not"),
    (lambda: windowed(sf.tumbling(5)).aggregate(), "name at least one"),
    (lambda: windowed(sf.tumbling(5)).aggregate(n=sf.agg.count), r"call it: sf.agg.count\(\)"),
    (lambda: windowed(sf.tumbling(5)).aggregate(n=sf.agg.sum(later)), "takes a plain function here; await in a .map"),
    (lambda: timed().key_by(later).scan(max, 0), "takes a plain function here; await in a .map"),
    (lambda: timed().key_by("user"), "expected a callable, got str"),  # type: ignore[arg-type]
    (lambda: list(sf.flow([1]).key_by(str).window(sf.tumbling(5)).collect()), "put .event_time"),
    (lambda: timed().key_by(str).map_with_state(later, ttl=0), "takes a plain function|0 is not a number"),
    (lambda: timed().event_time(float, max_lateness=-1), "-1 is not a number of seconds from 0 on"),
    (lambda: timed().event_time(float, max_ahead="soon"), "'soon' is no stretch of time"),
    (lambda: sf.agg.top_k(0), "a whole number of at least 1"),
    (lambda: sf.agg.quantile(math.nan), "expected a number from 0 to 1"),
]


@pytest.mark.parametrize(("wrong", "said"), MISTAKES)
def test_what_cannot_work_is_refused_with_its_fix(wrong: Callable[[], Any], said: str) -> None:
    with pytest.raises(sf.FlowError, match=said):
        wrong()


def unfinished() -> Iterator[tuple[Any, str]]:
    yield timed().key_by(str), "after key_by.* say first .*.aggregate"
    yield windowed(sf.tumbling(5)), "after window.* say first .*.aggregate"


@pytest.mark.parametrize(("flow", "said"), list(unfinished()))
def test_a_flow_that_lacks_a_word_says_which(flow: Any, said: str) -> None:
    for name in ("to", "map", "collect_all", "_repr_html_"):
        with pytest.raises(AttributeError, match=said if name in ("to", "map") else f"no attribute '{name}'"):
            getattr(flow, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("window", r"as in \.key_by\(\.\.\.\)\.window"),
        ("aggregate", r"as in \.key_by\(\.\.\.\)\.aggregate"),
        ("map_with_state", r"as in \.key_by\(\.\.\.\)\.map_with_state"),
        ("merge", r"as in sf\.merge\(a, b\)"),
        ("zip", r"as in sf\.zip\(a, b\)"),
        ("nonsense", "no attribute 'nonsense'$"),
        ("_key", "no attribute '_key'$"),
    ],
)
def test_a_word_that_is_elsewhere_is_shown_there(name: str, said: str) -> None:
    for flow in (timed(), windowed(sf.tumbling(5)).collect()):
        with pytest.raises(AttributeError, match=said):
            getattr(flow, name)


def test_what_is_said_to_be_functions_are_some() -> None:
    assert all(callable(getattr(sf, name)) and not hasattr(sf.Flow, name) for name in _OF_SEVERAL)


def test_an_aggregation_needs_a_name() -> None:
    for keyed in (timed().key_by(str), windowed(sf.tumbling(5))):
        with pytest.raises(sf.FlowError, match=r"give each a name.*aggregate\(n=sf\.agg\.count\(\)\)"):
            keyed.aggregate(sf.agg.count())


@pytest.mark.parametrize("every", [3, 7, 9.99])
def test_windows_that_slide_by_what_does_not_divide_them_hold_their_items(every: float) -> None:
    counted = timed().key_by(lambda _: 0).window(sf.sliding(10, every)).aggregate(n=sf.agg.count())
    for one in counted:
        assert one.value["n"] == sum(one.start <= n < one.end for n in (1, 2))
