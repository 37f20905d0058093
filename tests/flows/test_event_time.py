"""Event time itself: what a time may be, what wild ones do, and where it ends."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from time import perf_counter, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.firing import reach
from streamflow.operators.grid import Grid
from streamflow.testing import run
from tests.flows.test_windows import ran

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)


def starts(times: list[Any], *, fuse: bool = True, size: float = 60, **options: Any) -> list[float]:
    """Return the begins of the windows in which items of these times are found."""
    keyed = sf.flow(times).event_time(lambda given: given, **options).key_by(lambda _: 0)
    return [one.start for one in ran(keyed.window(sf.tumbling(size)).aggregate(n=sf.agg.count()), fuse=fuse)]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(
    "given",
    [
        NOON,
        NOON.replace(tzinfo=None),
        NOON.astimezone(timezone(timedelta(hours=5))),
        NOON.timestamp(),
        int(NOON.timestamp()),
        Decimal(int(NOON.timestamp())),
        "2026-03-29T12:00:00Z",
        "2026-03-29 14:00+02:00",
        "2026-03-29T12:00",
    ],
    ids=repr,
)
def test_what_a_time_may_be(given: Any, fuse: bool) -> None:
    assert starts([given], fuse=fuse) == [NOON.timestamp()]


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        None,
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        True,
        "soon",
        "12",
        [],
        date(2026, 1, 1),
        1e300,
        NOON.timestamp() * 1e3,
    ],
    ids=repr,
)
@pytest.mark.parametrize("ahead", ["1d", None], ids=str)
def test_what_is_no_time_is_the_items_failure(wrong: Any, fuse: bool, ahead: Any) -> None:
    if ahead is None and wrong in (1e300, NOON.timestamp() * 1e3):
        return
    moment = NOON.timestamp()
    good = [moment, moment + 60]
    with pytest.raises((TypeError, ValueError), match=r"event_time\(lambda\): .* (is no time|ahead of the wall clock)"):
        starts([*good, wrong], fuse=fuse, max_ahead=ahead)
    assert starts([wrong, good[0], wrong, good[1]], fuse=fuse, max_ahead=ahead, on_error="skip") == good
    letters: list[Any] = []
    starts([*good, wrong], fuse=fuse, max_ahead=ahead, on_error=sf.dead_letter(letters))
    assert len(letters) == 1
    assert letters[0].position.index == 2
    assert "event_time" in letters[0].operator


def test_milliseconds_are_guessed() -> None:
    with pytest.raises(ValueError, match="are these milliseconds"):
        starts([time() * 1000])


@pytest.mark.parametrize("fuse", [True, False])
def test_one_wild_time_does_not_close_every_window(fuse: bool) -> None:
    base = 864_000.0
    times = [base, base + 5e6, base + 10, base + 20]  # the second is 58 days ahead of the first
    # It moves time on by a day at the most, so that windows of more than that go on.
    found = sf.flow(times).event_time(lambda given: given, max_ahead="1d").key_by(lambda _: 0)
    out = ran(found.window(sf.tumbling("2d")).collect(), fuse=fuse)
    assert [one.value for one in out] == [[base, base + 10, base + 20], [base + 5e6]]
    # And a real gap costs as many items as it has days.
    days = [base + 86400 * day for day in (0, 10, 10.1, 10.2, 10.3)]
    assert len(starts(days, fuse=fuse, size=3600)) == 5


def test_clocks_that_step_back_make_late_items() -> None:
    flow = sf.flow([100, 200, 90, 190]).event_time(lambda t: t, max_lateness=15).key_by(lambda _: 0)
    windows = flow.window(sf.tumbling(20)).collect()
    assert [one.value for one in windows] == [[100], [190], [200]]
    assert list(windows.late) == [90]


def test_days_in_rome_have_23_and_25_hours_twice_a_year() -> None:
    rome = ZoneInfo("Europe/Rome")
    hours: dict[date, float] = {}
    for day in (date(2026, 3, 28), date(2026, 3, 29), date(2026, 10, 24), date(2026, 10, 25)):
        midnight = datetime(day.year, day.month, day.day, tzinfo=rome)
        moments = [midnight.timestamp() + 1800 * n for n in range(100)]
        inside = [t for t in moments if datetime.fromtimestamp(t, rome).date() == day]
        keyed = sf.flow(moments).event_time(lambda t: t).key_by(lambda _: 0)
        first = next(iter(keyed.window(sf.tumbling("1d", timezone="Europe/Rome")).collect()))
        assert first.value == inside
        assert first.start == midnight.timestamp()
        hours[day] = (first.end - first.start) / 3600
    assert list(hours.values()) == [24, 23, 24, 25]


ZONES = ["Europe/Rome", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana", "Pacific/Apia", "UTC"]


def begins_of_a_day(day: date, zone: ZoneInfo, size: float) -> list[float]:
    """Return when windows of `size` begin on that day, and the next one's first, as one would by hand."""
    begin, end = (
        datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in (day, day + timedelta(days=1))
    )
    found = []
    while begin < end:
        found.append(begin)
        begin += size
    return [*found, end]


@pytest.mark.parametrize(
    ("zone", "day", "size", "count", "last"),
    [
        ("Europe/Rome", date(2026, 10, 25), "1h", 25, 3600),
        ("Europe/Rome", date(2026, 10, 25), "2h", 13, 3600),
        ("Europe/Rome", date(2026, 3, 29), "1h", 23, 3600),
        ("Europe/Rome", date(2026, 3, 29), "2h", 12, 3600),
        ("Europe/Rome", date(2026, 7, 1), "2h", 12, 7200),
        ("Australia/Lord_Howe", date(2026, 4, 5), "1h", 25, 1800),
        ("Australia/Lord_Howe", date(2026, 10, 4), "1h", 24, 1800),
        ("Australia/Lord_Howe", date(2026, 10, 4), "30m", 47, 1800),
    ],
)
def test_a_day_has_as_many_windows_as_hours(zone: str, day: date, size: str, count: int, last: float) -> None:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()
    end = begins_of_a_day(day, ZoneInfo(zone), 60)[-1]
    moments = [midnight + 600 * n for n in range(-6, 170)]
    keyed = sf.flow(moments).event_time(lambda t: t).key_by(lambda _: 0)
    found = [one for one in keyed.window(sf.tumbling(size, timezone=zone)).collect() if midnight <= one.start < end]
    assert len(found) == count
    assert found[-1].end == end
    assert found[-1].end - found[-1].start == last
    assert len({one.end - one.start for one in found[:-1]}) == 1
    assert all(one.value == [t for t in moments if one.start <= t < one.end] for one in found)


@given(
    st.sampled_from(ZONES),
    st.sampled_from([60.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 43200.0, 86400.0]),
    st.integers(0, 2**31),
)
def test_windows_within_days_begin_where_they_do_by_hand(zone: str, size: float, at: int) -> None:
    place = ZoneInfo(zone)
    grid = Grid(size, size, 0.0, place)
    day = datetime.fromtimestamp(at, place).date()
    begins = begins_of_a_day(day, place, size)
    lo = max(begin for begin in begins if begin <= at)
    assert grid.bounds(grid.index(at)) == (lo, begins[begins.index(lo) + 1])
    assert grid.covering(at) == [grid.index(at)]


def test_windows_within_days_hold_at_each_change_of_the_clock() -> None:
    for zone in ZONES:
        place = ZoneInfo(zone)
        for days in range(365 * 22):
            noon = datetime(2005, 1, 1, 12, tzinfo=place) + timedelta(days=days)
            if noon.utcoffset() == (noon - timedelta(days=1)).utcoffset():
                continue
            for hour in range(-36, 36):
                at = noon.timestamp() + hour * 3600 + 1234
                begins = begins_of_a_day(datetime.fromtimestamp(at, place).date(), place, 7200)
                lo = max(begin for begin in begins if begin <= at)
                grid = Grid(7200, 7200, 0.0, place)
                assert grid.bounds(grid.index(at)) == (lo, begins[begins.index(lo) + 1])


@given(
    st.sampled_from([*ZONES, None]),
    st.sampled_from([60.0, 900.0, 3600.0, 21600.0, 86400.0, 7 * 86400.0]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([0.0, 900.0, 36000.0]),
    st.integers(0, 2**31),
)
def test_windows_on_a_wall_clock_leave_no_gap_and_hold_their_items(
    zone: Any, every: float, times: int, offset: float, at: int
) -> None:
    if zone is not None and every < 86400:
        times = 1  # sliding ones are refused
    grid = Grid(every * times, every, offset, None if zone is None else ZoneInfo(zone))
    n = grid.index(at)
    assert grid.begin(n) <= at < grid.begin(n + 1)
    assert grid.bounds(n)[1] == grid.begin(n + times)
    covering = grid.covering(at)
    assert covering == [m for m in range(n - 2 * times - 60, n + 60) if grid.bounds(m)[0] <= at < grid.bounds(m)[1]]


def test_sliding_windows_of_a_place_are_of_whole_days() -> None:
    assert sf.sliding("7d", "1d", timezone="Europe/Rome").grid.every == 86400
    for size, every in (("2h", "1h"), ("1d", "1h")):
        with pytest.raises(sf.FlowError, match="whole days"):
            sf.sliding(size, every, timezone="Europe/Rome")


@given(st.floats(0.001, 1e5), st.floats(0, 2e9), st.floats(0, 1))
def test_windows_of_any_length_hold_their_items(size: float, at: float, offset: float) -> None:
    grid = Grid(size, size, offset * size)
    n = grid.index(at)
    lo, hi = grid.bounds(n)
    assert lo <= at < hi
    assert grid.bounds(n + 1)[0] == hi


@given(st.floats(-1e12, 1e12), st.floats(0, 1e6))
def test_due_is_where_the_watermark_reaches_the_end(end: float, lateness: float) -> None:
    highest = reach(end, lateness)
    assert highest - lateness >= end
    assert math.nextafter(highest, -math.inf) - lateness < end


def test_users_still_see_plain_positions_where_time_travels() -> None:
    seen: list[Any] = []
    timed = (
        sf.flow([1, 2])
        .event_time(lambda t: t)
        .buffer(1)
        .map(lambda t, where: seen.append(where) or t, with_position=True)
    )
    found = ran(timed.tap(lambda _: seen.append(sf.position())).key_by(abs).window(sf.tumbling(1)).collect())
    assert len(found) == 2
    assert all(isinstance(one, sf.Position) for one in seen)
    assert [one.index for one in seen] == [0, 0, 1, 1]


@pytest.mark.parametrize("wrong", ["map", "concurrent", "key"])
@pytest.mark.parametrize("letters", [True, False])
def test_what_fails_behind_an_edge_is_told_with_its_place(wrong: str, letters: bool) -> None:
    def fail(t: int) -> int:
        return 1 // (t - 3)

    async def fail_later(t: int) -> int:
        return fail(t)

    aside: list[Any] = []
    on_error: Any = sf.dead_letter(aside) if letters else "fail"
    flow = sf.flow([1, 2, 3, 4]).event_time(lambda t: t).buffer(1)
    if wrong != "key":
        flow = flow.map(fail if wrong == "map" else fail_later, on_error=on_error)
    keyed = flow.key_by(fail if wrong == "key" else abs, on_error=on_error)
    windows = keyed.window(sf.tumbling(2)).collect()
    if letters:
        ran(windows)
        assert [one.position.index for one in aside] == [2]
    else:
        with pytest.raises(ZeroDivisionError) as caught:
            ran(windows)
        assert "source position: between list, item" in caught.value.__notes__[0]


def test_results_of_windows_have_a_time_of_their_own() -> None:
    minutes = sf.flow([0, 30, 70, 3590, 3700]).event_time(lambda t: t).key_by(lambda _: "all")
    counted = minutes.window(sf.tumbling("1m")).aggregate(n=sf.agg.count())
    hours = counted.key_by(lambda one: one.key).window(sf.tumbling("1h"))
    total = hours.aggregate(n=sf.agg.sum(lambda one: one.value["n"]))
    assert [(one.start, one.value["n"]) for one in total] == [(0, 4), (3600, 1)]
    assert list(hours.collect().late) == []


@pytest.mark.parametrize("edge", [True, False])
def test_an_input_that_is_idle_does_not_hold_up_the_other(edge: bool) -> None:
    async def main() -> None:
        busy: sf.Inbox[int] = sf.inbox(10)
        quiet: sf.Inbox[int] = sf.inbox(10)
        out: list[Any] = []
        flows = [sf.flow(one).buffer(2) if edge else sf.flow(one) for one in (busy, quiet)]
        both = sf.merge(*(one.event_time(lambda t: t, idle_after="5s") for one in flows))
        async with both.key_by(lambda _: 0).window(sf.tumbling(10)).collect().to(out).start() as handle:
            await quiet.send(1)
            await busy.send(2)
            await busy.send(25)
            await asyncio.sleep(1)
            assert out == []  # the quiet one may still give something for the first window
            await handle.pause()
            await asyncio.sleep(60)
            await handle.resume()
            await asyncio.sleep(3)
            assert out == []  # a pause is no silence
            await asyncio.sleep(2)
            await busy.send(26)
            await asyncio.sleep(1)
            assert [one.value for one in out] == [[1, 2]]
            await quiet.send(27)
            await busy.send(45)
            await asyncio.sleep(1)
            assert len(out) == 1
            await asyncio.sleep(5)  # and it falls silent again
            await busy.send(46)
            await asyncio.sleep(1)
            assert len(out) == 2
            await handle.drain()
        assert [one.value for one in out] == [[1, 2], [25, 26, 27], [45, 46]]

    run(main)


@pytest.mark.parametrize("edge", [True, False])
def test_windows_over_processing_time_close_though_nothing_comes(edge: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        inbox: sf.Inbox[str] = sf.inbox(10)
        out: list[tuple[float, Any]] = []
        timed = sf.flow(inbox).processing_time()
        keyed = (timed.buffer(3) if edge else timed).key_by(str)
        flow = keyed.window(sf.tumbling(10)).collect().to(lambda one: out.append((loop.time(), one)))
        async with flow.start() as handle:
            began = loop.time()
            await inbox.send("a")
            await asyncio.sleep(11)
            [(moment, first)] = out
            assert first.value == ["a"]
            assert began < moment <= began + 10.2
            await inbox.send("a")
            await handle.pause()
            await asyncio.sleep(50)
            assert len(out) == 1
            await handle.resume()
            await asyncio.sleep(11)
            assert len(out) == 2
            assert out[1][0] > began + 50
            await handle.drain()
        assert not flow.plan.repeatable

    run(main)


def test_windows_close_though_every_later_item_is_filtered_out() -> None:
    async def main() -> None:
        for between in (
            lambda flow: flow,
            lambda flow: flow.buffer(3),
            lambda flow: flow.map(asyncio.sleep, concurrency=2),
        ):
            inbox: sf.Inbox[float] = sf.inbox(10)
            out: list[Any] = []
            flow = sf.flow(inbox).event_time(lambda t: t).filter(lambda t: t < 5)
            async with between(flow).key_by(lambda _: 0).window(sf.tumbling(10)).collect().to(out).start() as handle:
                await inbox.send(0.1)
                await inbox.send(11)
                await asyncio.sleep(1)
                assert len(out) == 1
                await handle.drain()

    run(main)


@pytest.mark.parametrize("edge", [True, False])
def test_a_failure_fires_nothing_that_is_open(edge: bool) -> None:
    out: list[Any] = []
    timed = sf.flow([1, 2, 13, 14]).map(lambda n: n if n < 14 else 1 // 0).event_time(lambda t: t)
    keyed = (timed.buffer() if edge else timed).key_by(lambda _: 0)
    with pytest.raises(ZeroDivisionError):
        keyed.window(sf.tumbling(10)).collect().to(out).run_sync()
    assert [one.value for one in out] == [[1, 2]]


def test_a_window_of_many_keys_leaves_in_pieces() -> None:
    keys = 5000
    held: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def look() -> None:
            while True:
                began = perf_counter()
                await asyncio.sleep(0)
                held.append(perf_counter() - began)

        looking = loop.create_task(look())
        out: list[Any] = []
        flow = sf.flow(range(keys)).event_time(lambda n: 0).key_by(lambda n: n).window(sf.tumbling(10))
        sizes = [sf.agg.quantile(0.5) for _ in range(5)]
        await flow.aggregate(**{f"q{n}": one for n, one in enumerate(sizes)}).to(out).run()
        looking.cancel()
        assert len(out) == keys

    asyncio.run(main())
    # All of it takes a tenth of a second; no turn takes much of that (a machine that is busy may, now and then).
    assert sorted(held)[-3] < 0.03
    assert len(held) > 20
