"""The contract of an executor and its pool, as tests over whole flows and over the pool alone."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import tempfile
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from streamflow.model.errors import FlowError, NotTransferable, TooManyFailures
from streamflow.model.interfaces import Executor, Pool
from streamflow.model.placement import Chain, Outcome, Step
from streamflow.model.policies import Retry
from streamflow.testing.cancellation import CancelPoint
from streamflow.testing.conformance import works
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
from streamflow.testing.faults import FaultySource
from streamflow.testing.leaks import check_leaks

T = TypeVar("T")
_CUTS = 40  # places to be cancelled at after which a run has shown what it can do


class ExecutorSuite(Suite):
    """Hold an executor to the contract of `Executor` and `Pool`, and its flows to the engine's promises.

    ::

        class TestMyExecutor(ExecutorSuite):
            def make_executor(self):
                return my_executor(2)

    It runs in real time: workers are not on a loop's clock.
    """

    #: Whether items and results are pickled on their way.
    crosses_processes: bool = False
    #: How many flows are drawn for the test of order and completeness.
    mixtures: int = 8
    #: Whether its workers begin and end so fast that a run can be cancelled at dozens of places.
    quick: bool = True
    #: Seconds after which a test counts as hung.
    patience: float = 60.0

    @abstractmethod
    def make_executor(self) -> Executor | str:
        """Describe the executor under test; each call gives an equal one. "loop" stands for none."""

    def loop_factories(self) -> Sequence[Callable[[], asyncio.AbstractEventLoop]]:
        """Return what makes the loops on which it is to work: asyncio's, and uvloop where it is installed."""
        try:
            import uvloop
        except ImportError:
            return (asyncio.new_event_loop,)
        return asyncio.new_event_loop, uvloop.new_event_loop

    def run(
        self,
        main: Callable[[], Coroutine[Any, Any, T]],
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> T:
        """Run one test body on a loop in real time, with a deadline, and look for leaks after it."""

        async def checked() -> T:
            with check_leaks(*self.directories):
                return await within(main(), self.patience, "it hangs")

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(checked())

    # -- the description ------------------------------------------------------------------------------------------

    def test_it_is_described_by_a_frozen_dataclass(self) -> None:
        """Require what makes a description one, and that equal ones share a pool."""
        executor = self._executor()
        require_description(executor)
        require(executor.workers >= 1, f"{executor.workers} workers")
        require(bool(executor.label), "no label")
        require_equal(self._executor(), executor, "a second description")
        require_equal(hash(self._executor()), hash(executor), "the hash of a second description")

    # -- order, and every item once -------------------------------------------------------------------------------

    def test_every_item_arrives_once_and_in_order_in_any_mixture(self) -> None:
        """Compare with plain Python for flows that are drawn."""
        for seed in range(self.mixtures):
            draw = random.Random(seed)
            steps = [draw.choice(("map", "filter", "tap", "loop")) for _ in range(draw.randint(1, 5))]
            count, batch = draw.choice((0, 1, 2, 17, 300)), draw.choice((1, 3, 100, None))
            self.check_mixture(steps, count, batch, ordered=draw.random() < 0.7)

    def check_mixture(self, steps: Sequence[str], count: int, batch: int | None, *, ordered: bool) -> None:
        """Require that `count` items come through `steps` ("map", "filter", "tap"; "loop" for elsewhere).

        For whoever draws flows in another way, by hypothesis say.
        """
        flow = self._flow(FaultySource(range(count), batch=batch))
        expected = list(range(count))
        for step in steps:
            if step == "map":
                flow = flow.map(works.tripled, on=self.make_executor(), **_order(self.make_executor(), ordered))
                expected = [works.tripled(n) for n in expected]
            elif step == "filter":
                flow = flow.filter(lambda n: n % 4, on=self.make_executor(), **_order(self.make_executor(), ordered))
                expected = [n for n in expected if n % 4]
            elif step == "tap":
                flow = flow.tap(lambda n: None, on=self.make_executor(), **_order(self.make_executor(), ordered))
            else:
                flow = flow.map(lambda n: n + 1)
                expected = [n + 1 for n in expected]
        found = self.run(lambda: self._collect(flow))
        what = f"{count} items, {batch} at a time, through {', '.join(steps)}, ordered={ordered}"
        if ordered:
            require_equal(found, expected, what)
        else:
            require_equal(Counter(found), Counter(expected), what)

    def test_none_is_a_value(self) -> None:
        """Send None, and have it returned."""
        items = [None, 1, None, None, 2]
        flow = self._flow(items).map(lambda n: n, on=self.make_executor()).map(lambda n: n, on=self.make_executor())
        require_equal(self.run(lambda: self._collect(flow)), items, "None among the items")

    def test_functions_of_every_kind_work(self) -> None:
        """Give a lambda, a closure, a method, a partial, a builtin, and what reads a global."""
        word = "word"
        kinds: list[Callable[[Any], Any]] = [
            lambda n: (n, word),
            works.tripled,
            works.refusing(),
            str,
            "{}".format,
            Counter,
        ]
        for function in kinds:
            items: list[Any] = ["a", "b"] if function is Counter else [1, 2, 3]
            flow = self._flow(items).map(function, on=self.make_executor())
            require_equal(self.run(partial(self._collect, flow)), list(map(function, items)), str(function))

    def test_positions_are_those_that_the_loop_gives(self) -> None:
        """Compare `with_position=True` here with the loop's."""

        def placed(on: Any) -> Any:
            source = FaultySource(range(30), batch=4)
            return self._flow(source).filter(lambda n: n % 2).map(works.with_place, with_position=True, on=on)

        found = self.run(lambda: self._collect(placed(self.make_executor())))
        require_equal(found, self.run(lambda: self._collect(placed("loop"))), "items with their positions")

    def test_an_awaitable_result_is_refused(self) -> None:
        """Give a plain function that returns a coroutine: a mistake of the description."""
        flow = self._flow(range(3)).map(works.awaitable, on=self.make_executor(), on_error="skip")
        if self.make_executor() == "loop":
            skip("the loop has suites of its own for that")
        self.run(lambda: gives(flow.to(None).run(), FlowError, "a function whose result nobody awaits passed"))

    # -- failures -------------------------------------------------------------------------------------------------

    def test_an_error_fails_the_run_as_the_users_own(self) -> None:
        """Fail at the first, a middle and the last item."""
        for place in (0, 13, 29):
            out: list[int] = []
            source = FaultySource(range(30), batch=4)
            flow = self._flow(source).map(works.refusing(place), on=self.make_executor()).to(out)
            error = self.run(partial(self._fails, flow, works.Refused))
            require_equal(out, list(range(place)), f"what left before item {place} failed")
            require_equal(getattr(error, "number", None), place, "the error's own attribute")
            notes = " ".join(getattr(error, "__notes__", ()))
            for said in ("map(same", f"item {place} ", "source position"):
                require(said in notes, f"the notes do not say {said!r}: {notes}")

    def test_an_error_between_others_is_the_first_in_order(self) -> None:
        """Fail at several items; the first of them is the run's."""
        out: list[int] = []
        flow = self._flow(FaultySource(range(200))).map(works.refusing(40, 41, 90, 199), on=self.make_executor())
        error = self.run(lambda: self._fails(flow.to(out), works.Refused))
        require_equal((out, getattr(error, "number", None)), (list(range(40)), 40), "what left, and the error")

    def test_failed_items_are_skipped(self) -> None:
        """Skip some, the first and the last among them."""
        bad = (0, 3, 4, 29)
        flow = self._flow(FaultySource(range(30), batch=7)).map(
            works.refusing(*bad), on=self.make_executor(), on_error="skip"
        )
        expected = [n for n in range(30) if n not in bad]
        require_equal(self.run(lambda: self._collect(flow)), expected, "what is left")

    def test_failed_items_are_set_aside(self) -> None:
        """Look at the letters."""
        from streamflow.flows.resolve import dead_letter

        letters: list[Any] = []
        flow = self._flow(FaultySource(range(30), batch=7)).map(
            works.refusing(5, 20), on=self.make_executor(), on_error=dead_letter(letters)
        )
        require_equal(self.run(lambda: self._collect(flow)), [n for n in range(30) if n not in (5, 20)], "what is left")
        seen = sorted((one.item, one.index, one.attempts, one.position is not None) for one in letters)
        require_equal(seen, [(5, 5, 1, True), (20, 20, 1, True)], "item, index, attempts, position")
        require(all("Refused" in one.exception and "no " in one.message for one in letters), f"{letters}")

    def test_too_many_failures_end_the_run(self) -> None:
        """Allow two, and fail three times."""
        flow = self._flow(range(30)).map(
            works.refusing(1, 2, 3), on=self.make_executor(), on_error="skip", max_failures=2
        )
        self.run(lambda: self._fails(flow.to(None), TooManyFailures))

    def test_a_failed_item_is_tried_again(self) -> None:
        """Fail some once, and one always."""
        from streamflow.flows.resolve import dead_letter

        with tempfile.TemporaryDirectory() as folder:
            letters: list[Any] = []
            flow = (
                self._flow(FaultySource(range(30), batch=7))
                .map(works.refusing_once(folder, 2, 17), on=self.make_executor(), retry=Retry(attempts=2, base=0.001))
                .map(
                    works.refusing(9),
                    on=self.make_executor(),
                    retry=Retry(attempts=3, base=0.001),
                    on_error=dead_letter(letters),
                )
            )
            out: list[int] = []
            report = self.run(lambda: self._finishes(flow.to(out)))
            require_equal(out, [n for n in range(30) if n != 9], "what came through")
            retried = sum(stage.retried for stage in report.statistics.stages)
            require_equal(retried, 4, "items tried again")
            require_equal([(one.item, one.attempts) for one in letters], [(9, 3)], "the letters")
            for number in (2, 17):
                require_equal(Path(folder, f"try-{number}").stat().st_size, 2, f"calls for item {number}")

    # -- what cannot cross ----------------------------------------------------------------------------------------

    def test_what_cannot_be_pickled_fails_its_item_alone(self) -> None:
        """Have items, results and errors that cannot cross, where they must."""
        if not self.crosses_processes:
            skip("nothing is pickled")
        from streamflow.flows.resolve import dead_letter

        def result(n: int) -> Any:
            return works.Uncrossable() if n == 5 else n

        def error(n: int) -> int:
            if n == 5:
                raise works.UncrossableError("five")
            return n

        items = [n if n != 5 else works.Uncrossable() for n in range(12)]
        cases: list[tuple[Sequence[Any], Callable[[Any], Any]]] = [
            (items, works.refusing()),
            (range(12), result),
            (range(12), error),
        ]
        for given, function in cases:
            letters: list[Any] = []
            flow = self._flow(given).map(function, on=self.make_executor(), on_error=dead_letter(letters))
            found = self.run(partial(self._collect, flow))
            require_equal(found, [n for n in range(12) if n != 5], f"with one that cannot cross ({function})")
            require_equal([one.index for one in letters], [5], "the index of what was set aside")
            require(NotTransferable.__name__ in letters[0].exception, f"it is a {letters[0].exception}")

    def test_what_cannot_be_pickled_passes_where_it_need_not(self) -> None:
        """Have such items where they do not cross."""
        if self.crosses_processes:
            skip("everything is pickled")
        item = works.Uncrossable()
        flow = self._flow([item]).map(lambda one: one, on=self.make_executor())
        require(self.run(lambda: self._collect(flow))[0] is item, "another item came out")

    def test_a_function_that_cannot_be_pickled_is_refused(self) -> None:
        """Give one that refers to what cannot cross."""
        if not self.crosses_processes:
            skip("nothing is pickled")
        held = works.Uncrossable()
        flow = self._flow(range(3)).map(lambda n: (n, held), on=self.make_executor(), on_error="skip")
        error = self.run(lambda: gives(flow.to(None).run(), FlowError, "it ran"))
        require("resource=" in str(error), f"it does not say what to do: {error}")

    # -- resources ------------------------------------------------------------------------------------------------

    def test_a_resource_opens_once_a_worker_and_closes_once(self) -> None:
        """Count by files, after a run that ends well, one that fails at its last item, and one that is cancelled."""
        for end in ("well", "failed", "cancelled"):
            with tempfile.TemporaryDirectory() as folder:
                names = self.run(partial(self._use_resource, folder, end))
                opened = {path.name.partition("-")[2] for path in Path(folder).glob("opened-*")}
                closed = {path.name.partition("-")[2] for path in Path(folder).glob("closed-*")}
                require(0 < len(opened) <= self._workers, f"{end}: opened {len(opened)} times")
                require(names <= opened, f"{end}: {names} were used, {opened} opened")
                require_equal(closed, opened, f"{end}: closed, and opened")
                for path in Path(folder).iterdir():
                    require_equal(path.stat().st_size, 1, f"{end}: times for {path.name}")

    async def _use_resource(self, folder: str, end: str) -> set[str]:
        out = _Watched()

        def used(number: int, name: str) -> tuple[int, str]:
            if end == "failed" and number == 39:
                raise works.Refused(number)
            return number, name

        source = FaultySource(range(40), batch=1, endless=end == "cancelled")
        on = self.make_executor()
        flow = self._flow(source).map(used, resource=works.counted_resource(folder), on=on).to(out)
        if end == "well":
            await self._finishes(flow)
        elif end == "failed":
            await self._fails(flow, works.Refused)
        else:
            async with flow.start() as handle:
                await out.has(40)
                await handle.cancel()
            self._check_books(handle.report)
        require_equal([number for number, _ in out.items], list(range(39 if end == "failed" else 40)), "the items")
        return {name for _, name in out.items}

    def test_a_resource_that_cannot_be_opened_ends_the_run(self) -> None:
        """Raise while opening: no item is to blame, so that no policy covers it."""
        on = self.make_executor()
        if on == "loop":
            skip("the loop opens it before the first item")

        def broken() -> Any:
            raise works.Refused(77)

        flow = self._flow(range(10)).map(works.with_resource, resource=broken, on=on, on_error="skip")
        self.run(lambda: self._fails(flow.to(None), works.Refused))

    # -- ends -----------------------------------------------------------------------------------------------------

    def test_leaving_early_leaves_nothing_behind(self) -> None:
        """Leave a `for` after some items, and take some."""

        async def leave() -> list[int]:
            found: list[int] = []
            endless = self._flow(itertools.count).map(works.tripled, on=self.make_executor())
            async with endless.stream() as items:
                async for item in items:
                    found.append(item)
                    if len(found) == 25:
                        break
            return found

        require_equal(self.run(leave), [3 * n for n in range(25)], "what came before the break")
        taken = self._flow(itertools.count).map(works.tripled, on=self.make_executor()).take(25)
        require_equal(self.run(lambda: self._collect(taken)), [3 * n for n in range(25)], "what was taken")

    def test_drained_it_loses_nothing(self) -> None:
        """Drain an endless flow: what comes out is how the whole begins, and the books balance."""

        async def main() -> None:
            out = _Watched()
            flow = self._flow(itertools.count).map(works.tripled, on=self.make_executor()).to(out)
            async with flow.start() as handle:
                await out.has(21)
                report = await handle.drain()
            self._check_books(report)
            require_equal(out.items, [3 * n for n in range(len(out.items))], "what was drained")
            received = max(stage.received for stage in report.statistics.stages if stage.kind == "source")
            require_equal(len(out.items), received, "items in, items out")

        self.run(main)

    def test_a_drain_waits_for_what_is_under_way(self) -> None:
        """Drain while the workers wait at a gate."""
        if self.make_executor() == "loop":
            skip("a plain function holds the loop")

        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                async with self._gated(folder, count=6) as (out, handle, open_gate):
                    draining = asyncio.create_task(handle.drain())
                    await asyncio.sleep(0)
                    require(not draining.done(), "it was drained before its items were done")
                    open_gate()
                    self._check_books(await draining)
                require_prefix(out, list(range(6)), "what was drained")
                require(bool(out), "what was under way is lost")

        self.run(main)

    def test_cancelled_at_work_it_leaves_nothing_behind(self) -> None:
        """Cancel while the workers wait at a gate, which is opened only then if they cannot be broken off."""
        if self.make_executor() == "loop":
            skip("a plain function holds the loop")

        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                async with self._gated(folder, count=100) as (_, handle, open_gate):
                    cancelling = asyncio.create_task(handle.cancel())
                    if not self.crosses_processes:
                        await asyncio.sleep(0)
                        open_gate()
                    await cancelling
                    self._check_books(handle.report)

        self.run(main)

    @asynccontextmanager
    async def _gated(self, folder: str, count: int) -> AsyncIterator[tuple[list[int], Any, Callable[[], object]]]:
        """Run a flow whose functions have begun and wait; the third gives them the way free."""
        begun, gate = str(Path(folder, "begun")), str(Path(folder, "gate"))

        def waits(number: int) -> int:
            works.tell_and_wait(begun, gate)
            return number

        out: list[int] = []
        flow = self._flow(FaultySource(range(count), batch=1)).map(waits, on=self.make_executor()).to(out)
        with _fifo(begun) as first, _fifo(gate) as free:
            async with flow.start() as handle:
                await _readable(first)
                yield out, handle, partial(os.write, free, b"." * 1000)

    def test_cancelled_at_any_await_it_leaves_nothing_behind(self) -> None:
        """Cancel who waits for a run at each of its suspensions, and the run after some turns of the loop."""
        for late in (False, True):
            for step in range(1, _CUTS + 1):
                point = CancelPoint(step=step, late=late)
                out: list[int] = []
                self.run(partial(self._cancelled, point, out))
                require_prefix(out, [3 * n for n in range(20)], f"cancelled at {point.where}")
                if not point.hit:
                    break
        for turns in range(0, 60, 3) if self.quick else (0, 2, 10, 100):
            out = []
            self.run(partial(self._stopped, turns, out))
            require_prefix(out, [3 * n for n in range(20)], f"cancelled after {turns} turns")

    async def _cancelled(self, point: CancelPoint, out: list[int]) -> None:
        flow = self._flow(FaultySource(range(20), batch=3)).map(works.tripled, on=self.make_executor()).to(out)
        task = asyncio.create_task(point.over(flow.run()))
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    async def _stopped(self, turns: int, out: list[int]) -> None:
        flow = self._flow(FaultySource(range(20), batch=3)).map(works.tripled, on=self.make_executor()).to(out)
        handle = flow.start()
        for _ in range(turns):
            await asyncio.sleep(0)
        await handle.cancel()
        self._check_books(handle.report)

    # -- together with others -------------------------------------------------------------------------------------

    def test_barriers_pass_in_order(self) -> None:
        """Take checkpoints under way, and go on from the last: nothing is lost or done twice in the sum behind it."""

        whole = list(itertools.accumulate(3 * n for n in range(300)))

        def summed(count: int, *, endless: bool = False) -> Any:
            source = FaultySource(range(count), batch=5, can_seek=True, endless=endless)
            return self._flow(source).map(works.tripled, on=self.make_executor()).scan(lambda a, b: a + b, 0)

        async def main() -> None:
            out = _Watched()
            checkpoints = []
            async with summed(200, endless=True).to(out).start() as handle:
                for count in (0, 1, 30, 100):
                    await out.has(count)
                    checkpoints.append((count, await handle.checkpoint()))
                await handle.cancel()
            for count, checkpoint in checkpoints if self.quick else checkpoints[1::2]:
                rest: list[int] = []
                self._check_books(await summed(300).to(rest).run(resume=checkpoint))
                require_equal(rest, whole[300 - len(rest) :], "what came after the checkpoint")
                require(100 <= len(rest) <= 300 - count, f"{len(rest)} items came after the checkpoint at {count}")

        self.run(main)

    def test_two_stages_on_one_pool_both_get_on(self) -> None:
        """Run two endless flows together, and wait until each has moved."""
        from streamflow.flows.runnable import together

        async def main() -> None:
            outs = _Watched(), _Watched()
            flows = [self._flow(itertools.count).map(works.tripled, on=self.make_executor()).to(out) for out in outs]
            async with together(*flows).start() as handle:
                await asyncio.gather(*(out.has(200) for out in outs))
                await handle.cancel()
            self._check_books(handle.report)
            for out in outs:
                require_equal(out.items, [3 * n for n in range(len(out.items))], "one of the two")

        self.run(main)

    def test_one_flow_runs_several_times_at_once_on_every_loop(self) -> None:
        """Run one flow three times, two of them together."""
        flow = self._flow(FaultySource(range(50), batch=7)).map(works.tripled, on=self.make_executor())

        async def main() -> list[list[int]]:
            return [*await asyncio.gather(self._collect(flow), self._collect(flow)), await self._collect(flow)]

        for loop_factory in self.loop_factories():
            require_equal(self.run(main, loop_factory), [[3 * n for n in range(50)]] * 3, f"on {loop_factory}")

    # -- the pool alone -------------------------------------------------------------------------------------------

    def test_the_pool_answers_each_share_once(self) -> None:
        """Submit shares of several chains, some empty-handed."""

        async def main() -> None:
            async with self._opened() as pool:
                keys = [pool.load(_chain("map", works.tripled)), pool.load(_chain("filter", works.refusing(4)))]
                answers = _Watched()
                for ordinal in range(30):
                    await pool.room()
                    pool.decline()
                    await pool.room()
                    pool.submit(
                        keys[ordinal % 2],
                        [ordinal, 4],
                        None,
                        partial(_note, answers, ordinal),
                    )
                await answers.has(30)
            for ordinal, found in sorted(answers.items):
                if ordinal % 2 == 0:
                    require_equal(found, ([3 * ordinal, 12], []), f"share {ordinal} of the map")
                else:  # item 4 is refused
                    require_equal(found, ([ordinal], [1]), f"share {ordinal} of the filter")

        self.run(main)

    def test_room_is_given_first_come_first_served(self) -> None:
        """Let several wait for room while nothing answers."""

        async def main() -> None:
            async with self._opened() as pool:
                key = pool.load(_chain("map", works.tripled))
                order: list[int] = []

                async def enter(number: int) -> None:
                    await pool.room()
                    order.append(number)
                    pool.submit(key, [number], None, lambda outcome: None)

                await asyncio.gather(*(enter(number) for number in range(40)))
                require_equal(order, list(range(40)), "the order in which they came in")

        self.run(main)

    def test_a_pool_closes_with_shares_under_way_and_says_nothing_after(self) -> None:
        """Close at once, with shares in it, and unused."""

        async def main() -> None:
            said: list[Outcome] = []
            async with self._opened() as pool:
                key = pool.load(_chain("map", works.tripled))
                await pool.room()
                pool.submit(key, list(range(100)), None, said.append)
            count = len(said)
            await asyncio.sleep(0)
            require_equal(len(said), count, "answers after the close")
            async with self._opened():
                pass

        self.run(main)

    # -- what the tests are made of -------------------------------------------------------------------------------

    def _executor(self) -> Executor:
        executor = self.make_executor()
        if not isinstance(executor, Executor):
            skip("the loop is no executor")
        return executor

    @property
    def _workers(self) -> int:
        executor = self.make_executor()
        return executor.workers if isinstance(executor, Executor) else 1

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Pool]:
        pool = await self._executor().open()
        try:
            yield pool
        finally:
            await pool.close()

    @staticmethod
    def _flow(source: Any) -> Any:
        from streamflow.flows.flow import flow  # late: who wants a suite for sources needs no engine

        return flow(source)

    async def _collect(self, flow: Any) -> list[Any]:
        out: list[Any] = []
        await self._finishes(flow.to(out))
        return out

    async def _finishes(self, flow: Any) -> Any:
        report = await flow.run()
        self._check_books(report)
        return report

    async def _fails(self, flow: Any, kind: type[Exception]) -> BaseException:
        handle = flow.start()
        error = await gives(handle.wait(), kind, f"it ended without {kind.__name__}")
        self._check_books(handle.report)
        return error

    @staticmethod
    def _check_books(report: Any) -> None:
        for counted in (*report.statistics.stages, *report.statistics.edges):
            require(counted.conserved, f"items came or went unseen: {counted}")
            require(getattr(counted, "in_flight", 0) == 0 or report.state != "finished", f"still in flight: {counted}")


def _order(executor: Executor | str, ordered: bool) -> dict[str, bool]:
    return {"ordered": ordered} if isinstance(executor, Executor) else {}


def _chain(kind: Any, function: Callable[..., Any]) -> Chain:
    return Chain((Step(kind, function, "tested", goes_on=True),))


def _note(answers: _Watched, ordinal: int, outcome: Outcome) -> None:
    answers((ordinal, (outcome.values, [failure.index for failure in outcome.failures])))


class _Watched:
    """Be a sink that one can wait for."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = asyncio.Event()

    def __call__(self, item: Any) -> None:
        self.items.append(item)
        self._changed.set()

    async def has(self, count: int) -> None:
        """Wait until so many items are there."""
        while len(self.items) < count:
            self._changed.clear()
            await self._changed.wait()


@contextmanager
def _fifo(path: str) -> Iterator[int]:
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _settle, there)
    try:
        await there
    finally:
        loop.remove_reader(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
