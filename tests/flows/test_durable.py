"""Runs with checkpoints on a disk: killed, failed, suspended, finished, and begun again."""

from __future__ import annotations

import asyncio
import errno
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.engine.guarantees import guarantees
from streamflow.engine.stages import join
from streamflow.model import events
from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.interfaces import CheckpointStore, Sink, Writer
from streamflow.testing import FaultySource, run, simulate


@dataclass(eq=False)
class Store(CheckpointStore):
    """Keep checkpoints in memory, as a disk would, and fail when told to."""

    saved: list[SavedCheckpoint] = field(default_factory=list)
    full: bool = False

    @property
    def label(self) -> str:
        return "store"

    def open(self, anew: bool = False) -> None:
        if anew:
            self.saved.clear()

    def latest(self) -> SavedCheckpoint | None:
        return self.saved[-1] if self.saved else None

    def save(self, checkpoint: SavedCheckpoint) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "no space left on device", "store")
        assert all(isinstance(piece, bytes) for pieces in checkpoint.parts.values() for piece in pieces)
        self.saved.append(checkpoint)

    def close(self) -> None:
        return None


@dataclass
class Disk:
    """Be what outlives a run: a file that is written, and one that is complete."""

    written: list[Any] = field(default_factory=list)
    published: list[Any] | None = None


@dataclass(frozen=True, eq=False)
class Kept(Sink[Any]):
    """Write to a `Disk`, exactly once."""

    disk: Disk

    @property
    def delivery(self) -> Any:
        return "exactly once"

    async def open(self, bounded: bool) -> KeptWriter:
        return KeptWriter(self.disk)


class KeptWriter(Writer[Any]):
    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.fresh = True

    async def resume(self, prepared: int) -> None:
        self.fresh = False
        assert len(self.disk.written) >= prepared
        del self.disk.written[prepared:]

    async def write(self, batch: Sequence[Any]) -> None:
        if self.fresh:
            self.disk.written.clear()
            self.fresh = False
        self.disk.written += batch

    async def prepare(self, epoch: int) -> int:
        return 0 if self.fresh else len(self.disk.written)

    async def abort(self) -> None:
        self.disk.written.clear()

    async def finish(self) -> None:
        self.disk.published = list(self.disk.written)


def add(total: int, n: int) -> int:
    return total + n


async def slowly(n: int) -> int:
    await asyncio.sleep(0.001 * (n * 7 % 5))
    return n


def numbers(count: int) -> sf.Flow[int]:
    return sf.flow(FaultySource(items=range(count), batch=7, can_seek=True, delay=0.001))


def keyed(count: int, *, slow: bool = False) -> sf.KeyedFlow[int, int]:
    """Return numbers by key, out of order by up to 5 seconds, some of which are late."""
    timed = numbers(count).event_time(lambda n: n - n * 7919 % 13, max_lateness=5)
    return (timed.map(slowly, concurrency=4) if slow else timed.buffer(3)).key_by(lambda n: n % 5)


def joined(**options: Any) -> sf.Flow[Any]:
    return keyed(200, slow=True).join(keyed(150), **options)


SHAPES: dict[str, Callable[[], sf.Flow[Any]]] = {
    "fused": lambda: numbers(300).map(lambda n: n + 1).scan(add, 0).distinct().batch(7),
    "concurrent": lambda: numbers(300).map(slowly, concurrency=5).scan(add, 0),
    "unordered": lambda: numbers(300).map(slowly, concurrency=5, ordered=False),
    "threads": lambda: numbers(300).map(abs, on=sf.threads(2)).scan(add, 0),
    "zip": lambda: sf.zip(numbers(200).map(slowly, concurrency=3), numbers(200)).map(sum).scan(add, 0),
    "join in windows": lambda: joined(window=sf.sliding(20, 10), how="outer"),
    "join as of": lambda: (
        keyed(200, slow=True).join_asof(keyed(150), tolerance=9, name="as of").map(lambda pair: pair.right)
    ),
    "join by interval": lambda: joined(within=(-3, 4), how="outer"),
    "concat": lambda: sf.concat(numbers(100).map(slowly), numbers(100).map(slowly)).scan(add, 0),
    "merge": lambda: sf.merge(numbers(100), numbers(50).map(slowly, concurrency=3)),
    "within": lambda: numbers(150).batch(9, within=0.002).unbatch().scan(add, 0),
    "take": lambda: numbers(400).map(slowly, concurrency=3).take(90).buffer(2).scan(add, 0),
    "windows": lambda: (
        numbers(300)
        .event_time(lambda n: n - n * 7919 % 13, max_lateness=5)
        .key_by(lambda n: n % 5)
        .window(sf.tumbling(20), every=7)
        .aggregate(n=sf.agg.count(), total=sf.agg.sum())
    ),
    "windows apart": lambda: (
        numbers(300)
        .event_time(lambda n: n - n * 7919 % 13, max_lateness=5)
        .map(slowly, concurrency=4)
        .key_by(lambda n: n % 5)
        .window(sf.sliding(20, 10))
        .aggregate(n=sf.agg.count(), last=sf.agg.last())
    ),
    "keys on threads": lambda: numbers(300).key_by(lambda n: n % 7).scan(add, 0, on=sf.threads(2)),
    "keys on the disk": lambda: (
        numbers(300)
        .event_time(abs)
        .key_by(lambda n: n * n % 23)
        .map_with_state(lambda seen, n: (seen + 1, (n, seen)), 0, ttl=40, store=sf.disk_store(cache=2))
    ),
    "keys at the end": lambda: (
        numbers(300).key_by(lambda n: n * n % 23).aggregate(n=sf.agg.count(), store=sf.disk_store(cache=3))
    ),
    "expand": lambda: numbers(60).flat_map(lambda n: [n] * 3).batch(4),
}
#: Shapes whose output depends on arrival: exactly once, in any order.
ANY_ORDER = ("unordered", "merge", "join by interval")


def stopping_at(flow: sf.Flow[Any], count: int) -> sf.Flow[Any]:
    """Have the flow fail when so many items have passed."""
    passed = 0

    def fail(_: Any) -> None:
        nonlocal passed
        passed += 1
        if passed > count:
            raise RuntimeError("struck by lightning")

    return flow.tap(fail)


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=3), st.sampled_from(["fail", "cancel", "drain"]))
def test_whatever_ends_a_run_the_next_goes_on_as_if_unbroken(shape: str, ends: list[int], how: str) -> None:
    async def main() -> None:
        whole = await SHAPES[shape]().collect()
        store, disk = Store(), Disk()
        for end in ends:
            options: dict[str, Any] = {"checkpoint": store, "every": 0.02}
            if how == "fail":
                with suppress(RuntimeError):
                    await stopping_at(SHAPES[shape](), end).to(Kept(disk)).run(**options)
            else:
                async with SHAPES[shape]().tap(_nothing).to(Kept(disk)).start(**options) as handle:
                    await asyncio.sleep(end * 0.001)
                    await (handle.cancel() if how == "cancel" else handle.drain())
                assert handle.state in ("finished", "suspended", "cancelled", "drained")
            assert disk.published is None or store.saved[-1].stand == "done"
        await SHAPES[shape]().tap(_nothing).to(Kept(disk)).run(checkpoint=store, every=0.02)
        found = disk.published
        assert found is not None
        assert (sorted(found, key=repr) == sorted(whole, key=repr)) if shape in ANY_ORDER else found == whole

    run(main)


def _nothing(_: Any) -> None:
    return None


def test_a_drain_suspends_and_flushes_nothing() -> None:
    async def main() -> None:
        store, disk, inbox = Store(), Disk(), sf.inbox(10)
        async with sf.flow(inbox).batch(3, within=1000).to(Kept(disk)).start(checkpoint=store) as handle:
            for n in range(5):
                await inbox.send(n)
            await asyncio.sleep(0.5)
            report = await handle.drain()
        assert report.state == handle.state == "suspended"
        assert disk.written == [[0, 1, 2]]
        assert disk.published is None
        rest = sf.inbox(10)
        async with sf.flow(rest).batch(3, within=1000).to(Kept(disk)).start(checkpoint=store) as handle:
            await rest.send(5)
            await asyncio.sleep(0.5)
            report = await handle.drain(finish=True)
        assert report.state == "drained"
        assert disk.published == [[0, 1, 2], [3, 4, 5]]

    run(main)


def test_what_was_received_is_read_before_a_run_is_suspended() -> None:
    async def main() -> None:
        store, disk, inbox = Store(), Disk(), sf.inbox(100)
        async with sf.flow(inbox).map(slowly, concurrency=2).to(Kept(disk)).start(checkpoint=store) as handle:
            for n in range(60):
                inbox.send_nowait(n)
            await handle.drain()
        assert disk.written == [*range(60)]

    run(main)


@pytest.mark.parametrize("shape", ["zip", "join"])
def test_a_run_is_suspended_though_one_input_waits_for_another(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "AHEAD", 100)

    async def main() -> None:
        store, disk = Store(), Disk()
        quick = sf.flow(FaultySource(items=range(2000), batch=100, can_seek=True)).buffer(100)
        slow = sf.flow(FaultySource(items=range(20), batch=1, delay=0.1, can_seek=True))
        one, other = (flow.event_time(float).key_by(lambda _: 0) for flow in (quick, slow))
        flow: sf.Flow[Any] = sf.zip(quick, slow) if shape == "zip" else one.join(other, within=(0, 0))
        async with flow.to(Kept(disk)).start(checkpoint=store, every=1e6) as handle:
            await asyncio.sleep(0.42)
            report = await handle.drain(timeout=10)
        assert report.state == "suspended"
        assert len(disk.written) == 4
        await flow.to(Kept(disk)).run(checkpoint=store)
        assert disk.published is not None
        assert len(disk.published) == 20

    run(main)


def test_a_finished_run_is_not_run_again() -> None:
    async def main() -> None:
        store, disk, told = Store(), Disk(), list[events.Event]()
        await numbers(20).to(Kept(disk)).run(checkpoint=store)
        disk.written.append("somebody's")
        report = await numbers(20).to(Kept(disk)).run(checkpoint=store, on_event=told.append)
        assert report.state == "finished"
        assert report.statistics.checkpoints is not None
        assert report.statistics.checkpoints.already_done
        assert "nothing to do" in str(report)
        assert events.RunGoesOn(epoch=store.saved[-1].epoch, items=20, stand="done") in told
        assert disk.written[-1] == "somebody's"
        await numbers(20).to(Kept(disk)).run(checkpoint=store, resume="never")
        assert disk.published == [*range(20)]
        assert store.saved[0].epoch == 1

    run(main)


def test_a_run_that_had_only_to_name_its_output_reads_nothing_again() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()
        await numbers(20).to(Kept(disk)).run(checkpoint=store)
        store.saved.pop()  # as if it had been killed before that
        assert store.saved[-1].stand == "finishing"
        disk.published = None
        report = await numbers(20).to(Kept(disk)).run(checkpoint=store)
        assert report.items_in == 0
        assert disk.published == [*range(20)]
        assert store.saved[-1].stand == "done"
        assert store.saved[-1].items == 20

    run(main)


def test_resume_says_what_must_be_there() -> None:
    async def main() -> None:
        flow = numbers(9).to(Kept(Disk()))
        with pytest.raises(sf.FlowError, match="there is no checkpoint to go on from"):
            await flow.run(checkpoint=Store(), resume="require")
        with pytest.raises(sf.FlowError, match="say where the checkpoints are"):
            await flow.run(resume="require")
        with pytest.raises(sf.FlowError, match="expected 'never', 'auto', 'require'"):
            await flow.run(checkpoint=Store(), resume="yes")
        with pytest.raises(sf.FlowError, match=r"at least 0\.01 seconds"):
            await flow.run(checkpoint=Store(), every=0.001)
        with pytest.raises(sf.FlowError, match="expected the path of a file"):
            await flow.run(checkpoint=7)

    run(main)


def test_a_flow_that_was_changed_is_refused_with_the_difference() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()
        with pytest.raises(RuntimeError):
            await stopping_at(numbers(90).scan(add, 0), 40).to(Kept(disk)).run(checkpoint=store, every=0.02)

        async def refused(flow: sf.Flow[Any], match: str) -> None:
            with pytest.raises(sf.CheckpointMismatch, match=match):
                await flow.to(Kept(disk)).run(checkpoint=store)

        def plus(total: int, n: int) -> int:
            return total + n

        await refused(numbers(90), r"'scan\(add\)' is no longer there")
        await refused(numbers(90).scan(plus, 0), r"renamed to 'scan\(plus\)'\?")
        await refused(numbers(90).distinct(name="scan(add)"), "was the value of a scan, and is the keys seen")
        await refused(numbers(90).scan(add, 0).take(5), r"'take\(5\)' is new")
        # What remembers nothing may change.
        await numbers(90).map(int).scan(plus, 0, name="scan(add)").to(Kept(disk)).run(checkpoint=store)
        assert disk.published == await numbers(90).scan(add, 0).collect()

    run(main)


def test_a_full_disk_costs_checkpoints_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        store, disk, told = Store(), Disk(), list[events.Event]()
        options: dict[str, Any] = {"checkpoint": store, "every": 0.01, "on_event": told.append}
        async with numbers(700).to(Kept(disk)).start(**options) as handle:
            await asyncio.sleep(0.025)
            before = store.saved[-1].epoch
            store.full = True
            await asyncio.sleep(0.03)
            assert store.saved[-1].epoch == before
            assert handle.state == "running"
            store.full = False
        failed = [event for event in told if isinstance(event, events.CheckpointFailed)]
        assert len(failed) >= 2
        assert failed[0].epoch == before
        assert disk.published == [*range(700)]
        found = handle.statistics().checkpoints
        assert found is not None
        assert found.failed == len(failed)
        assert "could not be" in str(handle.report)

    run(main)
    said = [record.message for record in caplog.records if record.name == "streamflow.checkpoints"]
    assert len(said) == 2
    assert "no checkpoint could be taken" in said[0]
    assert "taken again" in said[1]


def test_a_disk_that_is_full_at_the_end_fails_the_run_and_the_next_completes_it() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()

        def fill(n: int) -> None:
            store.full = n > 50

        with pytest.raises(OSError, match="no space"):
            await numbers(90).tap(fill).to(Kept(disk)).run(checkpoint=store)
        assert disk.published is None
        store.full = False
        await numbers(90).to(Kept(disk)).run(checkpoint=store)
        assert disk.published == [*range(90)]

    run(main)


def test_no_checkpoint_completes_after_a_failure() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()

        def fail(n: int) -> int:
            if n == 50:
                raise RuntimeError("struck by lightning")
            return n

        with pytest.raises(RuntimeError):
            await numbers(90).map(fail).map(slowly, concurrency=50).to(Kept(disk)).run(checkpoint=store, every=0.01)
        assert all(checkpoint.items <= 50 for checkpoint in store.saved)
        assert store.saved[-1].stand == "running"

    run(main)


def test_the_promise_is_that_of_the_weakest_pair() -> None:
    async def main() -> None:
        out: list[int] = []
        one, other = numbers(9).to(Kept(Disk())), sf.flow(sf.inbox(1)).to(out.append)
        assert "with checkpoint=: exactly once" in one.explain()
        text = sf.together(one, numbers(5).to(out.append), other).explain()
        assert "with checkpoint=: best effort" in text
        assert "at least once (the sink cannot take back what it was given)" in text
        because = "the source cannot be read again, nor the sink take back anything"
        assert f"inbox → append #2: best effort ({because})" in text
        report = await sf.together(one, numbers(5).to(out.append)).run(checkpoint=Store())
        assert "at least once" in str(report)
        assert "\n    faulty → Kept: exactly once\n" in str(report)
        assert "→ append: at least once (the sink cannot take back what it was given)" in str(report)

    run(main)


def test_a_finished_run_whose_output_is_gone_says_so(tmp_path: Path) -> None:
    output, database = tmp_path / "out.jsonl", tmp_path / "out.db"

    def flow() -> sf.Runnable:
        return sf.together(
            sf.flow(range(9)).to(output), sf.flow([{"n": 1}]).to(sf.sinks.SqliteTable(database, "t")), _print_nothing()
        )

    options: dict[str, Any] = {"checkpoint": tmp_path / "run.ckpt"}
    flow().run_sync(**options)
    report = flow().run_sync(**options)
    assert report.statistics.checkpoints is not None
    assert report.statistics.checkpoints.already_done
    for gone in (output, database):
        gone.unlink()
        with pytest.raises(sf.FlowError, match=rf"an earlier run had finished, but \S*{gone.name} is gone.*'never'"):
            flow().run_sync(**options)
        flow().run_sync(**options, resume="never")
        assert gone.exists()
        assert flow().run_sync(**options).items_in == 0


def _print_nothing() -> sf.Runnable:
    return sf.flow([1]).to(_nothing)


@pytest.mark.parametrize(("key", "emptied"), [(None, False), (None, True), ("n", False)])
def test_rows_of_an_earlier_run_stay_where_one_begins_anew_and_this_is_told(
    key: str | None, emptied: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "out.db"

    def flow() -> sf.Runnable:
        return sf.flow([{"n": 1}, {"n": 2}]).to(sf.sinks.SqliteTable(path, "t", key=key))

    options: dict[str, Any] = {"resume": "never"}
    flow().run_sync(checkpoint=tmp_path / "run.ckpt", **options)
    flow().run_sync(checkpoint=tmp_path / "run.ckpt")
    if key is None and not emptied:  # another flow's rows are its own
        sf.flow([{"n": 9}]).to(sf.sinks.SqliteTable(path, "t")).run_sync(checkpoint=tmp_path / "other.ckpt")
    assert not caplog.records
    with closing(sqlite3.connect(path)) as database:
        if emptied:
            database.execute("DELETE FROM t")
            database.commit()
        flow().run_sync(checkpoint=tmp_path / "run.ckpt", **options)
        rows = sorted(n for (n,) in database.execute("SELECT n FROM t"))
    if key is None and not emptied:
        assert rows == [1, 1, 2, 2, 9]
        assert "table 't' has rows of an earlier run with these checkpoints" in caplog.text
        assert "delete them first, or use key=" in caplog.text
    else:
        assert rows == [1, 2]
        assert not caplog.records


@pytest.mark.parametrize(("at", "length"), [(0, 50), (100, 3000), (5000, 4000)])
def test_a_damaged_file_of_checkpoints_is_begun_anew(at: int, length: int, tmp_path: Path) -> None:
    path, flow = tmp_path / "run.ckpt", sf.flow(range(9)).to(tmp_path / "out.jsonl")
    flow.run_sync(checkpoint=path)
    content = path.read_bytes()
    path.write_bytes(content[:at] + b"\xff" * length + content[at + length :])
    with pytest.raises(sf.CheckpointDamaged, match='resume="never"'):
        flow.run_sync(checkpoint=path)
    assert flow.run_sync(checkpoint=path, resume="never").items_in == 9
    assert flow.run_sync(checkpoint=path).items_in == 0


def test_a_list_is_refused_since_the_next_process_has_another() -> None:
    flow = numbers(9).to([])
    assert "with checkpoint=: refused, because of ListSink: what is in a list is in no checkpoint" in flow.explain()
    with pytest.raises(
        sf.FlowError, match=r"in no checkpoint, and gone with its process: write to a file or a table, or give"
    ):
        flow.run_sync(checkpoint=Store())


def test_pairs_of_one_label_are_told_apart() -> None:
    flow = sf.merge(sf.flow(range(3)), sf.flow(range(4))).to(print)
    found = [(one.source, one.sink) for one in guarantees(flow.plan)]
    assert found == [("range", "print"), ("range #2", "print")]
    assert "range #2 → print: " in flow.explain()


def test_a_run_that_is_paused_and_whose_process_ends_is_gone_on_with_by_the_next() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()
        flow = numbers(200).map(slowly, concurrency=5).batch(7).to(Kept(disk))
        async with flow.start(checkpoint=store) as handle:
            await asyncio.sleep(0.02)
            await handle.pause()
            await asyncio.sleep(10)  # nothing moves, and checkpoints are taken all the same
            given = handle.statistics().items_in
            assert given < 200
            report = await handle.drain()
        assert report.state == "suspended"
        assert store.saved[-1].items == report.items_in < 200
        told: list[events.Event] = []
        report = await flow.run(checkpoint=store, on_event=told.append)
        assert [event.items for event in told if isinstance(event, events.RunGoesOn)] == [store.saved[-3].items]
        assert disk.published == await numbers(200).batch(7).collect()

    run(main)


def test_a_run_that_came_to_its_end_before_it_could_be_suspended_has_finished() -> None:
    """Whichever comes first, the run says what it has done: its output is there if it has finished, and only then."""

    async def main() -> str:
        store, disk, held = Store(), Disk(), asyncio.Event()

        async def last(n: int) -> int:
            await held.wait()
            return n

        async with sf.flow([1]).map(last).to(Kept(disk)).start(checkpoint=store) as handle:
            await asyncio.sleep(0.01)  # the source has ended
            draining = asyncio.create_task(handle.drain())
            await asyncio.sleep(random.random() * 0.01)
            held.set()
            report = await draining
        assert (report.state, disk.published is None) in [("finished", False), ("suspended", True)]
        assert (store.saved[-1].stand == "done") == (report.state == "finished")
        return report.state

    assert {simulate(main, seed).result for seed in range(60)} == {"finished", "suspended"}


@pytest.mark.parametrize("error", [RuntimeError("broken"), sf.FlowError("taken away"), OSError(errno.EIO, "gone")])
def test_a_store_that_breaks_when_a_run_is_suspended_fails_it(error: Exception) -> None:
    @dataclass(eq=False)
    class Breaking(Store):
        breaks: bool = False

        def save(self, checkpoint: SavedCheckpoint) -> None:
            if self.breaks:
                raise error
            super().save(checkpoint)

    async def main() -> None:
        store, disk = Breaking(), Disk()
        handle = numbers(300).to(Kept(disk)).start(checkpoint=store, every=1000)
        await asyncio.sleep(0.02)
        store.breaks = True
        with pytest.raises(type(error), match=r"broken|taken away|gone"):
            await handle.drain()
        assert handle.state == "failed"
        store.breaks = False
        await numbers(300).to(Kept(disk)).run(checkpoint=store)
        assert disk.published == list(range(300))

    run(main)


def test_a_drain_while_the_parts_are_being_opened_begins_nothing() -> None:
    async def main() -> None:
        store, disk = Store(), Disk()
        handle = numbers(5).to(Kept(disk)).start(checkpoint=store)
        report = await handle.drain()
        assert (report.state, disk.published) == ("drained", None)
        await numbers(5).to(Kept(disk)).run(checkpoint=store)
        assert disk.published == [0, 1, 2, 3, 4]

    run(main)


def test_the_file_of_checkpoints_is_none_that_the_flow_uses(tmp_path: Path) -> None:
    source, sink = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("1\n")
    for path in (source, sink):
        with pytest.raises(sf.FlowError, match="this very file"):
            sf.flow(source).to(sink).run_sync(checkpoint=path)
    assert source.read_text() == "1\n"


@pytest.mark.parametrize("every", [0.02, timedelta(milliseconds=20), "20ms"])
def test_checkpoints_are_so_far_apart_as_any_duration_says(every: object) -> None:
    async def main() -> None:
        store = Store()
        async with numbers(200).to(Kept(Disk())).start(checkpoint=store, every=every) as handle:
            await asyncio.sleep(0.021)
            (first, second) = store.saved
            assert (first.items, second.epoch) == (0, 2)
            age = handle.statistics().checkpoints
            assert age is not None
            assert age.age is not None
            await handle.drain()

    run(main)
