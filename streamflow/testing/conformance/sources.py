"""The contract of a source, as tests."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from streamflow.model.errors import RecordError
from streamflow.model.interfaces import Block, PullReader, Reader, Source
from streamflow.model.positions import Position
from streamflow.model.statistics import Progress
from streamflow.testing.cancellation import CancelPoint
from streamflow.testing.conformance.suite import (
    Suite,
    gives,
    require,
    require_description,
    require_equal,
    require_prefix,
    skip,
    within,
)

_CUTS = 200  # cancellation points after which a reader has shown what it can do


class SourceSuite(Suite):
    """Hold a source to the contract of `Source` and `Reader`: override `make_source` and `expected`.

    Give it a handful of items (ten or more) without bad records. Then::

        class TestMySource(SourceSuite):
            def make_source(self):
                return MySource(path=self.path)

            def expected(self):
                return ["first", "second", …]
    """

    #: The limits given to `read`.
    limits: Sequence[int] = (1, 2, 3, 7, 1000)
    #: Whether one description can be opened more than once, as an exhausted iterator cannot.
    reopens: bool = True
    #: Seconds after which a `read` counts as one that waits for ever.
    patience: float = 60.0

    @abstractmethod
    def make_source(self) -> Source[Any]:
        """Describe the source under test; each call gives one that starts anew."""

    @abstractmethod
    def expected(self) -> list[Any]:
        """Return what `make_source()` gives, in order; of an endless source, how it begins.

        An endless source that is replayable must give twice as many.
        """

    def make_waiting_source(self) -> tuple[Source[Any], list[Any]]:
        """Describe a source that has some items now and gives no more for a long time; return those too."""
        skip("make_waiting_source() is not overridden")

    def test_it_is_described_by_a_frozen_dataclass(self) -> None:
        """Require what makes a description one."""
        require_description(self.make_source())

    def test_it_reads_every_item_in_order_under_any_limit(self) -> None:
        """Compare, for every limit."""
        for limit in self.limits:
            found = self.run(partial(self._read_anew, limit))
            require_equal(found, self.expected(), f"read(limit={limit}) gave other items")

    def test_a_batch_has_from_one_to_limit_items(self) -> None:
        """Measure the batches under every limit."""
        for limit in self.limits:
            for size in self.run(partial(self._sizes, limit)):
                require(1 <= size <= limit, f"read(limit={limit}) gave a batch of {size}: None alone says the end")

    def test_it_ends_with_none_and_stays_ended(self) -> None:
        """Read on after the end."""

        async def main() -> None:
            async with self._opened() as (source, reader):
                if not source.bounded:
                    skip("the source is endless")
                await self._read(source, reader)
                for again in range(3):
                    found = await self._once(reader, 10)
                    require(found is None, f"read gave {found!r} after it had given None {again + 1} times")

        self.run(main)

    def test_it_hands_on_what_is_there(self) -> None:
        """Ask a waiting source for more than it has."""
        source, ready = self.make_waiting_source()

        async def main() -> None:
            reader = await source.open()
            try:
                found: list[Any] = []
                while len(found) < len(ready):
                    what = f"read waited to fill its batch: {found!r} came, {ready!r} was there"
                    batch = await within(reader.read(len(ready) + 1000), self.patience, what)
                    require(batch is not None, f"it ended after {found!r}")
                    found += unpack(source, batch)
                require_equal(found, ready, "the items that were there")
            finally:
                await reader.close()

        self.run(main)

    def test_asking_for_the_position_changes_nothing(self) -> None:
        """Ask for the position twice between any two reads."""

        async def main() -> list[Any]:
            async with self._opened() as (source, reader):
                found: list[Any] = []
                while len(found) < len(self.expected()) and (batch := await self._once(reader, 2)) is not None:
                    found += unpack(source, batch)
                    first, second = reader.position(), reader.position()
                    require(isinstance(first, Position), f"position() gave {first!r}")
                    require_equal(second, first, "position() asked twice")
                return found if source.bounded else found[: len(self.expected())]

        require_equal(self.run(main), self.expected(), "items, with position() asked between the reads")

    def test_how_far_it_is_never_goes_back_nor_beyond_the_end(self) -> None:
        """Ask for the progress twice before each read and after the last."""

        async def main() -> list[Any]:
            async with self._opened() as (source, reader):
                found: list[Any] = []
                before = Progress(done=0)
                while True:
                    first, told = reader.progress(), reader.progress()
                    require(first is None or isinstance(first, Progress), f"progress() gave {first!r}")
                    if first is not None and told is not None:
                        require(before.done <= first.done <= told.done, f"it went back: {before}, {first}, {told}")
                        require(told.total is None or told.done <= told.total, f"it is beyond its end: {told}")
                        before = told
                    if len(found) >= len(self.expected()) or (batch := await self._once(reader, 2)) is None:
                        return found if source.bounded else found[: len(self.expected())]
                    found += unpack(source, batch)

        require_equal(self.run(main), self.expected(), "items, with progress() asked between the reads")

    def test_it_goes_on_from_any_position(self) -> None:
        """Seek to every place between reads, and within blocks."""
        source = self.make_source()
        if not source.replayable:
            skip("the source is not replayable")
        for count, position in self.run(self._positions):
            found = self.run(partial(self._read_from, position))
            rest = self.expected()[count:]
            require_equal(found if source.bounded else found[: len(rest)], rest, f"items after seek({position})")

    def test_what_cannot_be_replayed_says_so(self) -> None:
        """Seek where that is impossible."""

        async def main() -> None:
            async with self._opened() as (source, reader):
                if source.replayable:
                    skip("the source is replayable")
                await gives(reader.seek(reader.position()), RecordError, "seek must raise RecordError")

        self.run(main)

    def test_a_cancelled_read_loses_nothing(self) -> None:
        """Cancel at every suspension of `read`, early and late, and read on."""
        for late in (False, True):
            for step in range(1, _CUTS + 1):
                point = CancelPoint(step=step, late=late)
                found = self.run(partial(self._read_cancelled, point))
                require_equal(found, self.expected(), f"items after a read was cancelled at {point.where}")
                if not point.hit:
                    break

    def test_closing_early_leaves_nothing_behind(self) -> None:
        """Close after no read, one and two."""

        async def main() -> None:
            for reads in range(3):
                async with self._opened() as (_, reader):
                    for _ in range(reads):
                        await self._once(reader, 1)

        self.run(main)

    def test_a_drained_reader_gives_what_it_had_received_and_ends(self) -> None:
        """Drain after some reads."""
        for reads in range(4):
            found = self.run(partial(self._read_drained, reads))
            require_prefix(found, self.expected(), f"items of a reader that was drained after {reads} reads")

    def test_two_runs_do_not_disturb_each_other(self) -> None:
        """Read one description by two readers in turn, and by a third."""
        if not self.reopens:
            skip("the source can be opened once only")

        async def main() -> tuple[list[Any], list[Any], list[Any]]:
            source = self.make_source()
            async with self._opened(source) as (_, one), self._opened(source) as (_, other):
                first, second = await self._alternate(source, one, other)
            async with self._opened(source) as (_, later):
                return first, second, await self._read(source, later)

        first, second, third = self.run(main)
        require_equal(first, self.expected(), "items of the first of two runs at the same time")
        require_equal(second, self.expected(), "items of the second of two runs at the same time")
        require_equal(third, self.expected(), "items of a run after two others")

    def test_pull_does_what_read_does(self) -> None:
        """Read without a loop, if the reader can."""

        async def main() -> list[Any]:
            source = self.make_source()
            reader = await source.open()
            if not isinstance(reader, PullReader):
                await reader.close()
                skip("its reader is no PullReader")
            found: list[Any] = []
            while len(found) < len(self.expected()) and (batch := reader.pull(3)) is not None:
                found += batch
            reader.release()
            return found

        require_equal(self.run(main), self.expected(), "items from pull")

    # what the tests are made of

    @asynccontextmanager
    async def _opened(self, source: Source[Any] | None = None) -> AsyncIterator[tuple[Source[Any], Reader[Any]]]:
        source = self.make_source() if source is None else source
        reader = await source.open()
        try:
            yield source, reader
        finally:
            await reader.close()

    async def _once(self, reader: Reader[Any], limit: int) -> Sequence[Any] | Block | None:
        batch = await within(reader.read(limit), self.patience, f"read({limit}) never came back")
        empty = batch is not None and len(batch) == 0 and getattr(batch, "broken", None) is None
        require(
            not empty,
            f"read({limit}) gave an empty batch: None says the end, and waiting is read's own affair",
        )
        return batch

    async def _read(self, source: Source[Any], reader: Reader[Any], limit: int = 3) -> list[Any]:
        found: list[Any] = []
        while source.bounded or len(found) < len(self.expected()):
            batch = await self._once(reader, limit)
            if batch is None:
                break
            found += unpack(source, batch)
        return found if source.bounded else found[: len(self.expected())]

    async def _read_anew(self, limit: int) -> list[Any]:
        async with self._opened() as (source, reader):
            return await self._read(source, reader, limit)

    async def _read_from(self, position: Position) -> list[Any]:
        async with self._opened() as (source, reader):
            await reader.seek(position)
            return await self._read(source, reader)

    async def _sizes(self, limit: int) -> list[int]:
        sizes: list[int] = []
        async with self._opened() as (_, reader):
            while sum(sizes) < len(self.expected()) and (batch := await self._once(reader, limit)) is not None:
                if isinstance(batch, Block):
                    skip("its reader gives blocks, which may take the limit as a hint")
                sizes.append(len(batch))
        return sizes

    async def _positions(self) -> list[tuple[int, Position]]:
        """Return the places between reads, and between the records of a block, with the items before each."""
        found: list[tuple[int, Position]] = []
        async with self._opened() as (_, reader):
            count = 0
            found.append((count, reader.position()))
            while count < len(self.expected()) and (batch := await self._once(reader, 2)) is not None:
                if isinstance(batch, Block):
                    found += [(count + index, batch.position(index)) for index in range(len(batch) + 1)]
                count += len(batch)
                found.append((count, reader.position()))
        return [(count, position) for count, position in found if count <= len(self.expected())]

    async def _read_cancelled(self, point: CancelPoint) -> list[Any]:
        found: list[Any] = []
        async with self._opened() as (source, reader):
            while source.bounded or len(found) < len(self.expected()):
                # A task for each read: the next one must not meet what is left of a cancellation.
                read = asyncio.create_task(point.over(self._once(reader, 3)))
                await asyncio.wait([read])
                if read.cancelled():
                    continue
                batch = read.result()
                if batch is None:
                    break
                found += unpack(source, batch)
        return found[: len(self.expected())] if not source.bounded else found

    async def _read_drained(self, reads: int) -> list[Any]:
        found: list[Any] = []
        async with self._opened() as (source, reader):
            for _ in range(reads):
                found += unpack(source, await self._once(reader, 1))
            if not reader.drain():
                return found
            while (batch := await self._once(reader, 3)) is not None:
                found += unpack(source, batch)
                require(len(found) <= len(self.expected()) + 10_000, "a drained reader goes on for ever")
        return found[: len(self.expected())]

    async def _alternate(
        self, source: Source[Any], one: Reader[Any], other: Reader[Any]
    ) -> tuple[list[Any], list[Any]]:
        found: tuple[list[Any], list[Any]] = ([], [])
        for items, reader, limit in ((found[0], one, 1), (found[1], other, 2)) * len(self.expected()):
            if len(items) < len(self.expected()) and (batch := await self._once(reader, limit)) is not None:
                items += unpack(source, batch)
        most = len(self.expected())
        return (found[0], found[1]) if source.bounded else (found[0][:most], found[1][:most])


def unpack(source: Source[Any], batch: Sequence[Any] | Block | None) -> list[Any]:
    """Return the items of a batch, decoded as the engine would; check what a block says about itself."""
    if batch is None:
        return []
    if not isinstance(batch, Block):
        return list(batch)
    raw = batch.raw()
    records = list(raw)
    require_equal(len(records), len(batch), "the records of a block and its length")
    require_equal(batch.consumed(raw), len(batch), "consumed() of an exhausted raw()")
    require_equal(list(batch.raw()), records, "a second raw() of the same block")
    decode = source.decode
    return records if decode is None else [decode(record) for record in records]
