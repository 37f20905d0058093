"""The contract of a sink, as tests."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from streamflow.model.interfaces import InlineWriter, Sink, Writer
from streamflow.testing.cancellation import CancelPoint
from streamflow.testing.conformance.resuming import ResumingSuite
from streamflow.testing.conformance.suite import (
    gives,
    require,
    require_description,
    require_equal,
    require_prefix,
    skip,
)

Write = Callable[[Writer[Any], list[Any]], Coroutine[Any, Any, None]]

_CUTS = 200  # cancellation points after which a writer has shown what it can do


class SinkSuite(ResumingSuite):
    """Hold a sink to the contract of `Sink` and `Writer`: override `make_sink` and `written`.

    ::

        class TestMySink(SinkSuite):
            def make_sink(self):
                self.path = fresh_path()
                return MySink(path=self.path)

            def written(self):
                return self.path.read_text().splitlines() if self.path.exists() else []
    """

    #: What is written; give items that the sink takes, in a form that `written` gives back.
    items: Sequence[Any] = tuple(range(20))
    #: The sizes in which it is written.
    sizes: Sequence[int] = (1, 2, 7, 1000)
    #: Whether an aborted run leaves nothing at all under the final name. Turn it off for at-least-once sinks,
    #: which cannot take back; what they then show must still be whole items, in order, from the first on.
    atomic: bool = True

    @abstractmethod
    def make_sink(self) -> Sink[Any]:
        """Describe the sink under test over a fresh, empty target."""

    @abstractmethod
    def written(self) -> list[Any]:
        """Return the items that others see in the target of the last `make_sink()`; [] if there is none."""

    def make_bad_item(self) -> Any:
        """Return an item, in the form in which the writer gets it, that the writer refuses with an error."""
        skip("make_bad_item() is not overridden")

    def test_it_is_described_by_a_frozen_dataclass(self) -> None:
        """Require what makes a description one."""
        require_description(self.make_sink())

    def test_it_writes_every_item_in_order_in_any_batches(self) -> None:
        """Compare, for every batch size."""
        for size in self.sizes:
            self._finished(partial(_write, size=size))
            require_equal(self.written(), list(self.items), f"items, written {size} at a time")

    def test_it_writes_on_after_a_flush(self) -> None:
        """Flush after every item."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            for item in items:
                await writer.write([item])
                await writer.flush()

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, with a flush after each")

    def test_nothing_written_is_an_empty_output(self) -> None:
        """Finish without an item."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await writer.flush()

        self._finished(write)
        require_equal(self.written(), [], "the output of a run without items")

    def test_an_empty_batch_changes_nothing(self) -> None:
        """Write empty batches too."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await writer.write([])
            await _write(writer, items, 3)
            await writer.write([])

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, between two empty batches")

    def test_it_does_not_keep_the_batch(self) -> None:
        """Clear a batch after the write that took it."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            batch = list(items)
            await writer.write(batch)
            batch.clear()

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, in a list that its owner cleared after the write")

    def test_nothing_bears_the_final_name_before_the_finish(self) -> None:
        """Look at the output before the finish, and after."""

        async def main() -> None:
            async with self._opened() as (writer, items):
                await _write(writer, items, 3)
                await writer.flush()
                self._require_unfinished("before the finish")
                await writer.finish()
            require_equal(self.written(), list(self.items), "items after the finish")

        self.run(main)

    def test_an_abort_leaves_nothing(self) -> None:
        """Abort with nothing, something and everything written."""
        for count in (0, 1, len(self.items)):
            self._aborted(partial(_write, size=3, most=count))
            self._require_unfinished(f"after an abort with {count} items written")

    def test_a_commit_keeps_what_was_prepared(self) -> None:
        """Commit after every item."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            for epoch, item in enumerate(items, 1):
                await writer.write([item])
                await writer.prepare(epoch)
                await writer.commit(epoch)

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, with a checkpoint after each")

    def test_items_may_come_between_prepare_and_commit(self) -> None:
        """Write while a commit is under way."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await writer.write(items[:5])
            await writer.prepare(1)
            await writer.write(items[5:])
            await writer.commit(1)

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, some written between prepare and commit")

    def test_a_commit_may_be_repeated(self) -> None:
        """Commit the same epoch twice."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await writer.write(items[:5])
            await writer.prepare(1)
            await writer.commit(1)
            await writer.commit(1)
            await writer.write(items[5:])

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, after a commit that came twice")

    def test_an_abort_undoes_what_was_not_committed(self) -> None:
        """Abort after one commit, one prepare, and more items."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await writer.write(items[:5])
            await writer.prepare(1)
            await writer.commit(1)
            await writer.write(items[5:10])
            await writer.prepare(2)
            await writer.write(items[10:])

        self._aborted(write)
        found = self.written()
        require_prefix(found, self.items, "an abort after a commit left other items")
        if self.atomic:
            require(len(found) in (0, 5), f"an abort after a commit of 5 items left {len(found)}")

    def test_a_cancelled_write_leaves_nothing(self) -> None:
        """Cancel at every suspension of `write`, early and late, and abort."""
        for late in (False, True):
            for step in range(1, _CUTS + 1):
                point = CancelPoint(step=step, late=late)
                self._aborted(partial(_write_cancelled, point))
                self._require_unfinished(f"after a write was cancelled at {point.where}")
                if not point.hit:
                    break

    def test_an_endless_run_shows_whole_items_only(self) -> None:
        """Look at the output of an endless run in its middle."""

        async def main() -> None:
            async with self._opened(bounded=False) as (writer, items):
                for size in range(1, 5):
                    await _write(writer, items[: 2 * size], size)
                    await writer.flush()
                    require_prefix(self.written(), _repeated(self.items, size), "items seen in the middle of a run")
                await writer.finish()
            require_equal(self.written(), _repeated(self.items, 4), "items of an endless run after its finish")

        self.run(main)

    def test_an_endless_run_that_is_cancelled_shows_whole_items_only(self) -> None:
        """Cancel an endless run at every suspension of `write`."""
        for step in range(1, _CUTS + 1):
            point = CancelPoint(step=step)
            self._aborted(partial(_write_cancelled, point), bounded=False)
            require_prefix(self.written(), self.items, f"the output after a write was cancelled at {point.where}")
            if not point.hit:
                break

    def test_an_item_it_refuses_leaves_those_before_it(self) -> None:
        """Write an item that is refused, and go on after it."""
        bad = self.make_bad_item()

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            await gives(writer.write([*items[:5], bad, *items[5:]]), Exception, "the bad item was taken")
            require_equal(writer.written, 5, "Writer.written after the sixth item of a batch failed")
            await writer.write(items[5:])

        self._finished(write)
        require_equal(self.written(), list(self.items), "items around one that was refused")

    def test_inline_says_what_open_gives(self) -> None:
        """Compare `inline` with the writer."""

        async def main() -> None:
            sink = self.make_sink()
            async with self._opened(sink) as (writer, _):
                is_inline = isinstance(writer, InlineWriter)
                require(sink.inline == is_inline, f"inline is {sink.inline}, open gave a {type(writer).__name__}")
                await writer.finish()

        self.run(main)

    def test_put_does_what_write_does(self) -> None:
        """Put item by item, and settle at the high-water mark."""

        async def write(writer: Writer[Any], items: list[Any]) -> None:
            if not isinstance(writer, InlineWriter):
                skip("its writer is no InlineWriter")
            put = writer.put
            for item in items:
                put(item)
                if writer.pending >= writer.high_water:
                    await writer.settle()
            if writer.pending:
                await writer.settle()

        self._finished(write)
        require_equal(self.written(), list(self.items), "items, put one by one")

    def test_one_description_serves_two_runs(self) -> None:
        """Run one description twice."""

        async def main() -> None:
            sink = self.make_sink()
            for _ in range(2):
                async with self._opened(sink) as (writer, items):
                    await _write(writer, items, 3)
                    await writer.finish()

        self.run(main)
        once, twice = list(self.items), list(self.items) * 2
        require(
            self.written() in (once, twice),
            f"a second run left neither one output nor two: {self.written()!r}",
        )

    # what the tests are made of

    def _finished(self, write: Write) -> None:
        async def main() -> None:
            async with self._opened() as (writer, items):
                await write(writer, items)
                await writer.finish()

        self.run(main)

    def _aborted(self, write: Write, bounded: bool = True) -> None:
        async def main() -> None:
            async with self._opened(bounded=bounded) as (writer, items):
                await write(writer, items)
                await writer.abort()

        self.run(main)

    @asynccontextmanager
    async def _opened(
        self, sink: Sink[Any] | None = None, bounded: bool = True
    ) -> AsyncIterator[tuple[Writer[Any], list[Any]]]:
        """Open a writer, with the items in the form in which the engine would hand them to it."""
        sink = self.make_sink() if sink is None else sink
        encode = sink.encode
        writer = await sink.open(bounded)
        try:
            yield writer, list(self.items) if encode is None else [encode(item) for item in self.items]
        except BaseException:
            await writer.abort()
            raise
        finally:
            await writer.close()

    def _require_unfinished(self, when: str) -> None:
        if self.atomic:
            require_equal(self.written(), [], f"the final name {when}")
        else:
            require_prefix(self.written(), self.items, f"the output {when}")


async def _write(writer: Writer[Any], items: list[Any], size: int, most: int | None = None) -> None:
    items = items[:most]
    for start in range(0, len(items), size):
        await writer.write(items[start : start + size])


async def _write_cancelled(point: CancelPoint, writer: Writer[Any], items: list[Any]) -> None:
    write = asyncio.create_task(point.over(_write(writer, items, 3)))
    await asyncio.wait([write])
    if not write.cancelled():
        write.result()


def _repeated(items: Sequence[Any], times: int) -> list[Any]:
    return [item for size in range(1, times + 1) for item in items[: 2 * size]]
