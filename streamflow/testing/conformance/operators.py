"""The contract of an operator, as tests over whole flows."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from streamflow.testing.cancellation import At, Outcome, cancel_everywhere
from streamflow.testing.conformance.suite import Suite, require, require_equal, require_prefix, skip
from streamflow.testing.faults import FaultySink, FaultySource, InjectedError

_ATS: tuple[At, ...] = ("await", "wakeup", "turn")


class OperatorSuite(Suite):
    """Hold a function from flow to flow to the engine's promises: override `apply` and `reference`.

    ::

        class TestPairs(OperatorSuite):
            def apply(self, flow):
                return flow.batch(2)

            def reference(self, items):
                return [items[at : at + 2] for at in range(0, len(items), 2)]
    """

    #: What goes in.
    items: Sequence[Any] = tuple(range(20))
    #: How much of it.
    lengths: Sequence[int] = (0, 1, 2, 3, 20)
    #: The batches in which it goes in.
    sizes: Sequence[int] = (1, 2, 3, 7, 1000)
    #: Whether the order of what comes out is promised.
    ordered: bool = True
    #: Whether what comes out depends on time, so that slow parts change it and plain `for` would really wait.
    timed: bool = False
    #: How many items go into the runs that are cancelled everywhere; there are hundreds of them.
    few: int = 4

    @abstractmethod
    def apply(self, flow: Any) -> Any:
        """Return `flow` with the operator under test behind it."""

    @abstractmethod
    def reference(self, items: list[Any]) -> list[Any]:
        """Return what should come out when `items` go in: plain code over lists."""

    def begin(self, source: Any) -> Any:
        """Begin a flow over `source`; override it to hold another engine to the same promises."""
        from streamflow.flows.flow import flow  # late: who wants a suite for sources needs no engine

        return flow(source)

    def test_it_gives_what_the_reference_gives_in_any_batches(self) -> None:
        """Compare with the reference, for every length and batch size."""
        for length in self.lengths:
            for size in self.sizes:
                items = list(self.items[:length])
                found = self.run(self._flow(FaultySource(items, batch=size)).collect)
                self._require_same(found, items, f"{length} items, {size} at a time")

    def test_async_for_gives_the_same(self) -> None:
        """Compare what `async for` gives."""

        async def main() -> list[Any]:
            return [item async for item in self._flow(FaultySource(self.items))]

        self._require_same(self.run(main), self.items, "by async for")

    def test_plain_for_gives_the_same(self) -> None:
        """Compare what `for` gives, by the synchronous driver where there is one."""
        if self.timed:
            skip("plain for runs in real time")
        for length in self.lengths:
            items = list(self.items[:length])
            self._require_same(list(self._flow(items)), items, f"{length} items by plain for")

    def test_fused_and_interpreted_give_the_same(self) -> None:
        """Compare generated code with its interpreted twin."""
        for fuse in (True, False):
            sink = FaultySink[Any]()
            self.run(partial(self._flow(FaultySource(self.items, batch=3)).to(sink).run, fuse=fuse))
            self._require_same(sink.log.visible, self.items, f"fuse={fuse}")

    def test_every_item_is_accounted_for(self) -> None:
        """Require that what each stage and edge counted adds up."""
        report = self.run(self._flow(FaultySource(self.items, batch=3)).to(FaultySink()).run)
        statistics = getattr(report, "statistics", None)
        if statistics is None:
            skip("the run gives no statistics")
        for counted in (*statistics.stages, *statistics.edges):
            require(counted.conserved, f"items came or went unseen: {counted}")

    def test_slow_parts_change_nothing(self) -> None:
        """Compare under a slow source, a slow sink, and both."""
        if self.timed:
            skip("its output depends on time")
        for slow_source, slow_sink in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            source, sink = (
                FaultySource(self.items, batch=3, delay=slow_source),
                FaultySink[Any](delay=slow_sink),
            )
            self.run(self._flow(source).to(sink).run)
            what = f"source {slow_source} s, sink {slow_sink} s a batch"
            self._require_same(sink.log.visible, self.items, what)
            _check(source, sink)

    def test_a_flow_can_be_run_again_and_at_the_same_time(self) -> None:
        """Run one flow three times, two of them together."""
        flow = self._flow(FaultySource(self.items, batch=3))

        async def main() -> list[list[Any]]:
            return [await flow.collect(), *await asyncio.gather(flow.collect(), flow.collect())]

        for number, found in enumerate(self.run(main), 1):
            self._require_same(found, self.items, f"run number {number} of the same flow")

    def test_an_error_above_reaches_the_caller(self) -> None:
        """Fail the source at every item."""
        for place in range(len(self.items) + 1):
            # The None behind the items is never handed out: it is the place for an error after the last.
            source = FaultySource([*self.items, None], batch=3, fail_at=place)
            self._fails(source, FaultySink(), f"the source failed at item {place}")

    def test_an_error_below_reaches_the_caller(self) -> None:
        """Fail the sink at every item."""
        for place in range(len(self.reference(list(self.items)))):
            self._fails(FaultySource(self.items, batch=3), FaultySink(fail_at=place), f"the sink failed at {place}")

    def test_a_lost_connection_reaches_the_caller(self) -> None:
        """Lose the connection of the source."""
        source = FaultySource(self.items, batch=3, disconnect_at=len(self.items) // 2)
        self._fails(source, FaultySink(), "the source lost its connection", ConnectionError)

    def test_cancelled_anywhere_it_leaves_nothing_behind(self) -> None:
        """Cancel a run at every suspension, early and late, and at every turn of the loop."""
        for at in _ATS:
            self._cancel_everywhere(partial(FaultySource, self.items[: self.few], batch=2), at)

    def test_cancelled_while_its_source_hangs_it_leaves_nothing_behind(self) -> None:
        """Cancel a run whose source hangs."""
        source = FaultySource(self.items, batch=3, hang_at=len(self.items) // 2)
        sink = FaultySink[Any]()

        async def main() -> None:
            try:
                async with asyncio.timeout(1):
                    await self._flow(source).to(sink).run()
            except TimeoutError:
                return
            raise AssertionError("the run ended although its source hung")

        self.run(main)
        self._require_beginning(sink, "the source hung")
        require_equal(sink.log.finished, 0, "the source hung: finish() calls")
        _check(source, sink)

    # what the tests are made of

    def _flow(self, source: Any) -> Any:
        return self.apply(self.begin(source))

    def _fails(
        self,
        source: FaultySource[Any],
        sink: FaultySink[Any],
        what: str,
        kind: type[Exception] = InjectedError,
    ) -> None:
        async def main() -> None:
            try:
                await self._flow(source).to(sink).run()
            except kind:
                return
            raise AssertionError(f"{what}, but the run ended well")

        self.run(main)
        self._require_beginning(sink, what)
        require_equal(sink.log.finished, 0, f"{what}: finish() calls")
        _check(source, sink)

    def _cancel_everywhere(self, make: partial[FaultySource[Any]], at: At) -> None:
        parts: list[tuple[FaultySource[Any], FaultySink[Any]]] = []

        async def main() -> None:
            source, sink = make(), FaultySink[Any]()
            parts.append((source, sink))
            await self._flow(source).to(sink).run()

        for outcome in cancel_everywhere(main, at=at, directories=tuple(self.directories)):
            self._require_settled(outcome, *parts[-1])

    def _require_settled(self, outcome: Outcome[Any], source: FaultySource[Any], sink: FaultySink[Any]) -> None:
        what = f"cancelled at step {outcome.step}, {outcome.where}"
        if outcome.error is not None and not outcome.cancelled:
            raise AssertionError(what) from outcome.error
        if outcome.error is None or sink.log.finished:  # cancelled as late as in close(), it is complete
            self._require_same(sink.log.visible, source.items, what)
        self._require_beginning(sink, what, source.items)
        _check(source, sink)

    def _require_same(self, found: Sequence[Any], items: Sequence[Any], what: str) -> None:
        expected = self.reference(list(items))
        if self.ordered:
            require_equal(list(found), expected, what)
        else:
            require_equal(_counted(found), _counted(expected), what)

    def _require_beginning(self, sink: FaultySink[Any], what: str, items: Sequence[Any] | None = None) -> None:
        """Require that what came out is how the whole begins, or some of it where order is not kept."""
        whole = self.reference(list(self.items if items is None else items))
        if self.ordered:
            require_prefix(sink.log.items, whole, what)
        else:
            require(
                not _counted(sink.log.items) - _counted(whole),
                f"{what}: found {sink.log.items!r} of {whole!r}",
            )


def _check(source: FaultySource[Any], sink: FaultySink[Any]) -> None:
    source.log.check()
    sink.log.check()


def _counted(items: Sequence[Any]) -> Counter[str]:
    return Counter(map(repr, items))  # items need not be hashable
