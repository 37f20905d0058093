"""The synchronous heart of a stage: batches go in, results and failures come out, a slice at a time.

Both drivers pump the same stepper: the stage loop between two awaits, and the plain `for` loop.
"""

from __future__ import annotations

import math
import operator as operators_of_python
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from time import perf_counter
from typing import Any

from streamflow.engine.failures import Failures
from streamflow.engine.fuse import Program
from streamflow.metrics.ledger import Ledger
from streamflow.model.batches import Batch, Origin
from streamflow.model.interfaces import Block, State
from streamflow.model.positions import Known, Place, Where, resolved

#: What may be an item's failure; a CancelledError is one where nothing is awaited.
FAILURES = (Exception, CancelledError)
#: Results that a step gathers before it returns, so that a large expansion is handed on in pieces.
MAX_OUT = 2048
#: Dead letters that a step gathers before it returns.
MAX_LETTERS = 64
#: Seconds of work between two looks at the clock.
SLICE = 0.00025


class Stepper:
    """Run one `Program` over what it is fed, until a deadline, and apply the error policies of its operators.

    After `feed(batch)`, call `step(deadline)` until `hungry`; each step leaves results in `out` and failed items in
    `letters`, which the driver takes before the next step. `exact` says that the batches are the source's own, so that
    their items can be located one by one.
    """

    def __init__(self, name: str, program: Program, ledger: Ledger, *, exact: bool = False) -> None:
        self.name = name
        self.program = program
        self.ledger = ledger
        self.out: list[Any] = []
        self.failures = Failures(name, ledger)
        self.letters = self.failures.letters
        self.hungry = True
        self.finished = program.finished
        self.origin: Origin | None = None
        #: What each operator has dropped, and at the end how many raw records were seen.
        self._counts = [0] * (len(program.operators) + 1)
        self._emit: Callable[[Any], object] = self.out.append
        self._items: Iterator[Any] = iter(())
        self._batch: Sequence[Any] | Block = ()
        self._total = self._done = self._base = 0
        self._cost = SLICE
        self.countdown = program.countdown
        self.firing = program.firing
        self._exact = exact

    # -- feeding --------------------------------------------------------------------------------------------------

    def feed(self, batch: Sequence[Any] | Block, origin: Origin | None) -> None:
        """Take the next batch; only when `hungry`."""
        self._base = self.ledger.received
        self._batch = batch
        self._done = 0
        self.origin = origin
        if isinstance(batch, Block):
            # How many records it holds is found out by iterating it: counting line ends first costs as much as a
            # cheap operator. Until then there is always one more.
            self._total = 1
            self._items = batch.raw()
        else:
            self._total = len(batch)
            self._items = iter(batch)
            self.ledger.received += self._total
        self.hungry = not self._total

    def take(self) -> Batch:
        """Return the results so far as a batch to be sent."""
        out = self.out
        self.out = []
        self._emit = self.out.append
        self.ledger.emitted += len(out)
        if self.firing is None:
            self.ledger.passed += sum(map(len, out)) if self.program.gathers else len(out)
        # Where exact positions travel with the items, the batch's own would only keep the source's batch alive.
        exact = self.program.gives == "pair" and self.program.exact
        return Batch(out, None if exact else self.origin)

    # -- stepping -------------------------------------------------------------------------------------------------

    def step(self, deadline: float) -> None:
        """Work until `deadline` (of `perf_counter`), a full `out`, or the end of what was fed."""
        if self.firing is not None and self.firing.waiting:
            self._give_due(deadline)
            return
        while True:
            size = self._slice()
            began = perf_counter()
            try:
                self._run(size)
            except Exception:
                self._give_due(math.inf)  # it was due before the item that failed
                raise
            now = perf_counter()
            self._note_cost((now - began) / size)
            if self.program.finished:
                self._finish_early()
                return
            if self._done >= self._total:
                self._end_of_batch()
                self.fire()
                return
            if self.firing is not None and self.firing.waiting:
                return  # what is due leaves first
            if now >= deadline or len(self.out) >= MAX_OUT or len(self.letters) >= MAX_LETTERS:
                return

    def _give_due(self, deadline: float) -> None:
        """Hand on results that are due, until `deadline`, a full `out`, or the last of them."""
        firing, program = self.firing, self.program
        if firing is None:
            return
        bare = program.gives == "item" and not program.parts_late
        while firing.waiting and (len(self.out) < MAX_OUT or deadline == math.inf):
            moment, results = firing.give()
            self.out += results if bare else [program.shaped(moment, result) for result in results]
            if perf_counter() >= deadline:
                break
        self.hungry = self._done >= self._total and not firing.waiting

    def fire(self) -> None:
        """Have what is due by now wait to be handed on: who is fed next may be long in coming."""
        firing = self.firing
        if firing is not None:
            if firing.clock.highest >= firing.due:
                firing.fire()
            if firing.waiting:
                self.hungry = False

    def advance(self, watermark: float) -> None:
        """Take note that nothing before `watermark` is still to come; only when `hungry`, and it may not be then."""
        clock = self.program.clock
        if watermark > clock.highest:
            clock.highest = watermark
            self.fire()

    def _run(self, size: int) -> None:
        """Run one slice, up to the first item that fails."""
        program, counts = self.program, self._counts
        seen = counts[-1]
        try:
            program.run(islice(self._items, size), self._emit, counts)
        except BaseException as error:
            if program.raw:
                self._note_raw(counts[-1] - seen, more=True)
            else:
                self._done = self._consumed()
            if not isinstance(error, FAILURES):
                self.ledger.failed += 1
                raise
            self._failed(error)
        else:
            if program.raw:
                self._note_raw(counts[-1] - seen, more=counts[-1] - seen == size)
            else:
                self._done += size
        if program.unproven:
            program.prove()

    def _note_raw(self, count: int, *, more: bool) -> None:
        self.ledger.received += count
        self._done += count
        self._total = self._done + more

    def _slice(self) -> int:
        size = max(1, min(int(SLICE / self._cost), MAX_OUT))
        # No function is called for an item that `take` would not let through.
        return size if self.countdown is None else max(1, min(size, self.countdown.left))

    def _note_cost(self, cost: float) -> None:
        # The largest recent cost: one slow item makes the slices short at once, cheap ones lengthen them gradually.
        self._cost = max(cost, self._cost * 0.7, 1e-8)

    def _consumed(self) -> int:
        if isinstance(self._batch, Block):
            return self._batch.consumed(self._items)
        return self._total - operators_of_python.length_hint(self._items)

    def _end_of_batch(self) -> None:
        batch = self._batch
        if isinstance(batch, Block):
            batch.note_length(self._done)
            if batch.broken is not None:
                # What could not even be framed comes after the records of its block, and counts as one more.
                self.ledger.received += 1
                self._blame(batch.broken, 0, batch.broken.record, self._done, batch.position(self._done))
        origin = self.origin
        self._let_go()
        if self.program.gives == "item" or not self.program.exact:
            self.origin = origin

    def _let_go(self) -> None:
        """Hold on to nothing that was fed: somebody may wait for the end of what was dropped."""
        self.hungry = True
        self._items = iter(())
        self._batch = ()
        self.origin = None

    def _finish_early(self) -> None:
        if not self.program.raw:
            self.ledger.abandoned += self._total - min(self._consumed(), self._total)
        self.finished = self.hungry = True

    # -- failures -------------------------------------------------------------------------------------------------

    def position(self) -> Known:
        """Return where the item under way came from, as exactly as this stage knows."""
        index = max(self._consumed() - 1, 0)
        if self.program.takes == "pair" and not isinstance(self._batch, Block) and self._batch:
            where = resolved(self._batch[index][1])
            return where if where is not None else self._position_of(index)
        return self._position_of(index)

    def place(self, count: int) -> Where:
        """Return where raw record number `count` (from 1) of the present slice came from, to be worked out later."""
        batch = self._batch
        return Place(batch.position, self._done + count - 1) if isinstance(batch, Block) else None

    def _position_of(self, index: int) -> Known:
        if isinstance(self._batch, Block):
            return self._batch.position(index)
        if self.origin is None:
            return None
        if self._exact:
            return self.origin.locate(self.origin.first + index)
        return self.origin.span()

    def _failed(self, error: BaseException) -> None:
        at, item, position = self.program.blame(error)
        index = self._done - 1
        if at == 0 and isinstance(self._batch, Block) and isinstance(item, bytes) and not item.strip():
            # A blank line is no record. Seen here, where a decoder has refused it, it costs the others nothing.
            self._counts[0] += 1
            return
        self._blame(error, at, item, index, position or self._position_of(index))

    def _blame(self, error: BaseException, at: int, item: Any, index: int, position: Where) -> None:
        if not self.program.operators:
            raise error
        self.failures.take(error, self.program.operators[at], item, self._base + index, position)

    # -- the end --------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Hand on what the operators held back (a partial batch), or have it wait: `hungry` tells which."""
        if self.firing is not None:
            self._let_go()
            self._done = self._total
            self.firing.end()
            self.hungry = not self.firing.waiting
            return
        for i, state in enumerate(self.program.states):
            if state is not None:
                for item in state.flush():
                    self._flush_through(item, i + 1)

    def _flush_through(self, item: Any, start: int) -> None:
        assert start == len(self.program.operators), "an operator that holds items back ends its stage"
        self.out.append((item, None) if self.program.gives == "pair" else item)

    def _left(self) -> int:
        """Return how many items were received and not processed yet; raw records are received as they are processed."""
        return 0 if self.hungry or self.program.raw else self._total - min(self._done, self._total)

    def settle_counts(self) -> None:
        """Bring the ledger up to date with what the program counted."""
        self.ledger.dropped = sum(self._counts[:-1])
        self.ledger.retained = self.program.retained
        self.ledger.in_flight = self._left()
        if not self.program.emits or self.firing is not None:
            # A sink's own `put` is called in the loop, where counting would cost each item: here it is worked out.
            ledger = self.ledger
            gone = ledger.dropped + ledger.failed + ledger.retained + ledger.in_flight + ledger.abandoned
            ledger.passed = ledger.received - gone
            if self.firing is None:
                ledger.emitted = ledger.passed
        self.ledger.drops = {
            operator.label: count
            for operator, count in zip(self.program.operators, self._counts, strict=False)
            if count
        }

    def close(self) -> None:
        """Give up what was fed and not processed."""
        self.ledger.abandoned += self._left()
        self._let_go()
        self.settle_counts()

    def states(self) -> tuple[State | None, ...]:
        """Return the states of the operators, by their place."""
        return self.program.states
