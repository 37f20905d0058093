"""The synchronous heart of `flat_map`: like a stepper, but one item may become millions, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from inspect import isawaitable
from itertools import islice
from time import perf_counter
from typing import Any

from streamflow.engine.failures import Failures
from streamflow.engine.stepper import FAILURES, MAX_LETTERS, MAX_OUT
from streamflow.metrics.ledger import Ledger
from streamflow.model.batches import Batch, Origin
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Block, State
from streamflow.model.positions import Gathered, Stamp
from streamflow.operators.flat_map import FlatMap

#: Children pulled between two looks at the clock: an iterator's own cost is not known, so it stays small.
MAX_PULL = 256


class Expander:
    """Run one synchronous `flat_map` over what it is fed; pumped exactly like a `Stepper`."""

    finished = False
    firing = None

    def __init__(self, name: str, operator: FlatMap, ledger: Ledger, *, pairs: bool = False) -> None:
        self.name = name
        self.operator = operator
        self.ledger = ledger
        self.out: list[Any] = []
        self.failures = Failures(name, ledger)
        self.letters = self.failures.letters
        self.hungry = True
        self.origin: Origin | None = None
        self._pairs = pairs
        self._items: Sequence[Any] = ()
        self._next = self._base = 0
        self._children: Iterator[Any] | None = None
        self._emitted = 0
        self._pull = 1

    def feed(self, batch: Sequence[Any] | Block, origin: Origin | None) -> None:
        """Take the next batch; only when `hungry`."""
        assert not isinstance(batch, Block), "blocks are decoded in the stage that reads them"
        self._items = batch
        self._next = 0
        self._base = self.ledger.received
        self.ledger.received += len(batch)
        self.origin = origin
        self.hungry = not batch

    def take(self) -> Batch:
        """Return the children so far as a batch to be sent."""
        out, self.out = self.out, []
        self.ledger.emitted += len(out)
        origin = self.origin
        if self.hungry:
            self.origin = None
        return Batch(out, origin)

    def step(self, deadline: float) -> None:
        """Expand until `deadline` (of `perf_counter`), a full `out`, or the end of what was fed."""
        while True:
            try:
                more = self._open_next() if self._children is None else self._pull_children()
            except BaseException as error:
                if not isinstance(error, FAILURES):
                    self._children = None
                    self.ledger.failed += 1
                    raise
                self._failed(error)
                more = True
            if not more and self._next >= len(self._items):
                self.hungry = True
                self._items, self._next = (), 0  # somebody may wait for the end of what was dropped
                if not self.out:
                    self.origin = None
                return
            if perf_counter() >= deadline or len(self.out) >= MAX_OUT or len(self.letters) >= MAX_LETTERS:
                return

    def _open_next(self) -> bool:
        """Call the function for the next item; return False if there was none."""
        if self._next >= len(self._items):
            return False
        item = self._item()
        self._next += 1
        self._emitted = 0
        call = self.operator.call
        children = item if call is None else call(item)
        self._children = iterate(children, self.operator.label)
        if self._pairs:
            self._children = _located(self._children, self._items[self._next - 1][1])
        return True

    def _pull_children(self) -> bool:
        assert self._children is not None
        began = perf_counter()
        wanted = self._pull
        before = len(self.out)
        try:
            self.out.extend(islice(self._children, wanted))
        finally:
            got = len(self.out) - before
            self._emitted += got
        # As many as fit in a quarter of a millisecond, by the pace of this pull.
        pace = (perf_counter() - began) / max(got, 1)
        self._pull = max(1, min(MAX_PULL, int(0.00025 / max(pace, 1e-7))))
        if got < wanted:
            self._children = None
            self.ledger.passed += 1
        return self._children is not None

    def _item(self) -> Any:
        element = self._items[self._next]
        return element[0] if self._pairs else element

    def _failed(self, error: BaseException) -> None:
        self._children = None
        index = self._next - 1
        element = self._items[index]
        item, position = element if self._pairs else (element, self.origin.span() if self.origin else None)
        self.failures.take(error, self.operator, item, self._base + index, position, emitted=self._emitted)

    def flush(self) -> None:
        """Hand on what is held back: nothing."""

    def position(self) -> Any:
        """Return where the item under way came from."""
        if self._pairs and self._next:
            return self._items[self._next - 1][1]
        return self.origin.span() if self.origin else None

    def settle_counts(self) -> None:
        """Bring the ledger up to date."""
        self.ledger.in_flight = len(self._items) - self._next + (self._children is not None)

    def close(self) -> None:
        """Give up what was fed and not expanded."""
        self.settle_counts()
        self.ledger.abandoned += self.ledger.in_flight
        self.ledger.in_flight = 0
        self._items, self._next, self._children, self.origin = (), 0, None, None
        self.hungry = True

    def states(self) -> tuple[State | None, ...]:
        """Return nothing: between batches nothing is remembered."""
        return ()


def iterate(children: Any, label: str) -> Iterator[Any]:
    """Return an iterator over what a `flat_map` function gave; say what to do where there is none."""
    if hasattr(children, "__aiter__") or isawaitable(children):
        if hasattr(children, "close"):
            children.close()
        raise FlowError(
            f"{label}: the plain function gave something that must be awaited; make it `async def` (with yield or with "
            f"a list to return), so that it can be seen before the run"
        )
    try:
        return iter(children)
    except TypeError as error:
        raise TypeError(
            f"{label}: the function gave {type(children).__name__}, which cannot be iterated; give a list, or use map"
        ) from error


def _located(children: Iterator[Any], position: Any) -> Iterator[tuple[Any, Any]]:
    """Give each child its parent's position; those of a list made by `batch` get back each its own."""
    if isinstance(position, Stamp) and isinstance(position.position, Gathered):
        places = position.position
        return ((child, position._replace(position=places.nth(index))) for index, child in enumerate(children))
    if isinstance(position, Gathered):
        return ((child, position.nth(index)) for index, child in enumerate(children))
    return ((child, position) for child in children)
