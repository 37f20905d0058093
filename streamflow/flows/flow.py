"""The fluent description of a flow. Nothing here runs anything: each method returns a new description."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, overload

from streamflow.files.noticing import Follow
from streamflow.flows.resolve import (
    Place,
    Store,
    as_executor,
    as_followed,
    as_sink,
    as_source,
    as_state_place,
)
from streamflow.flows.runnable import Runnable
from streamflow.model.arguments import duration_of, memory_of, seconds_of, whole_number
from streamflow.model.errors import FlowError
from streamflow.model.graph import Graph, Part
from streamflow.model.interfaces import Operator, Sink
from streamflow.model.joined import Joined, JoinedInWindow
from streamflow.model.policies import ErrorPolicy, OnError, Overflow, Retry
from streamflow.model.processing import KeyedItem, Timer
from streamflow.model.windows import Keyed, WindowResult
from streamflow.operators.aggregation import Aggregation
from streamflow.operators.batch import BatchBySize, BatchWithin
from streamflow.operators.callables import name_of, require_callable, require_plain
from streamflow.operators.distinct import Distinct
from streamflow.operators.edge import Buffer
from streamflow.operators.element import LATE, RESULTS
from streamflow.operators.event_time import EventTime
from streamflow.operators.fan import Output, Route
from streamflow.operators.flat_map import FlatMap
from streamflow.operators.joining.lookup import JoinTable
from streamflow.operators.joining.operator import AsOf, InWindows, Join, Within, as_of_form, join_form
from streamflow.operators.joining.state import How, require_how
from streamflow.operators.joining.table import Table
from streamflow.operators.key_state import KeyState
from streamflow.operators.keyed import KeyedFold, KeyedScan, MapWithState
from streamflow.operators.keyed_apart import KeyedInner, keyed_operator
from streamflow.operators.map import Concurrency, apply_operator
from streamflow.operators.process import process_operator
from streamflow.operators.processing_time import ProcessingTime
from streamflow.operators.recipe import Recipe, aggregated, collected, reduced
from streamflow.operators.scan import Scan
from streamflow.operators.skip import DropWhile, Skip
from streamflow.operators.take import Take, TakeWhile
from streamflow.operators.timing import Debounce, Throttle, Timeout
from streamflow.operators.window import Late, Window, window_operator, with_recipe
from streamflow.operators.window_specs import Duration, WindowSpec

if TYPE_CHECKING:
    import os

T = TypeVar("T")
U = TypeVar("U")
K = TypeVar("K", bound=Hashable)
#: What is a function, since it takes several flows.
_OF_SEVERAL = ("merge", "zip", "concat", "together")


class Flow(Generic[T]):
    """Describe where items come from and what happens to them; immutable, so that it can be shared and run many times.

    >>> import streamflow as sf
    >>> list(sf.flow(range(6)).filter(lambda n: n % 2 == 0).map(lambda n: n * n))
    [0, 4, 16]
    """

    __slots__ = ("_part",)

    if not TYPE_CHECKING:  # a type checker knows what there is

        def __getattr__(self, name):
            raise _elsewhere(self, name)

    def __init__(self, part: Part) -> None:
        self._part = part

    def _then(self, operator: Operator) -> Flow[Any]:
        return Flow(Part(operator, (self._part,)))

    # -- elements -------------------------------------------------------------------------------------------------

    @overload
    def map(
        self,
        function: Callable[..., Awaitable[U]],
        *,
        concurrency: Concurrency = ...,
        ordered: bool = ...,
        retry: Retry | None = ...,
        timeout: float | None = ...,
        resource: Callable[[], Any] | None = ...,
        on: Place = ...,
        on_error: OnError = ...,
        max_failures: int | None = ...,
        with_position: bool = ...,
        name: str | None = ...,
    ) -> Flow[U]: ...

    @overload
    def map(
        self,
        function: Callable[..., U],
        *,
        concurrency: Concurrency = ...,
        ordered: bool = ...,
        retry: Retry | None = ...,
        timeout: float | None = ...,
        resource: Callable[[], Any] | None = ...,
        on: Place = ...,
        on_error: OnError = ...,
        max_failures: int | None = ...,
        with_position: bool = ...,
        name: str | None = ...,
    ) -> Flow[U]: ...

    def map(
        self,
        function: Callable[..., Any],
        *,
        concurrency: Concurrency = 1,
        ordered: bool = True,
        retry: Retry | None = None,
        timeout: float | None = None,
        resource: Callable[[], Any] | None = None,
        on: Place = None,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        with_position: bool = False,
        name: str | None = None,
    ) -> Flow[Any]:
        """Replace each item by `function(item)`; an async function is awaited, `concurrency` items at once.

        `on` says where a plain function runs: `"loop"`, `"thread"`, `"process"`, `"joblib"` (with a worker for each
        core), or `sf.threads(n)`, `sf.processes(n)`, `sf.joblib(...)`. `timeout` is in seconds per attempt. `resource`
        opens a context manager once a run, elsewhere once a worker; its value is the second argument. With
        `with_position` the item's position is the last argument. Results keep the order of the input unless
        `ordered=False`.

        >>> import streamflow as sf
        >>> list(sf.flow(list("abc")).map(str.upper))
        ['A', 'B', 'C']
        """
        return self._apply(
            "map",
            function,
            concurrency,
            ordered,
            retry,
            timeout,
            resource,
            on,
            on_error,
            max_failures,
            with_position,
            name,
        )

    def filter(
        self,
        predicate: Callable[..., Any],
        *,
        concurrency: Concurrency = 1,
        ordered: bool = True,
        retry: Retry | None = None,
        timeout: float | None = None,
        resource: Callable[[], Any] | None = None,
        on: Place = None,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        with_position: bool = False,
        name: str | None = None,
    ) -> Flow[T]:
        """Keep the items for which `predicate(item)` is true; it may be async. Options as for `map`.

        >>> import streamflow as sf
        >>> list(sf.flow([3, None, 0]).filter(lambda item: item is not None))
        [3, 0]
        """
        return self._apply(
            "filter",
            predicate,
            concurrency,
            ordered,
            retry,
            timeout,
            resource,
            on,
            on_error,
            max_failures,
            with_position,
            name,
        )

    def tap(
        self,
        function: Callable[..., Any],
        *,
        concurrency: Concurrency = 1,
        ordered: bool = True,
        retry: Retry | None = None,
        timeout: float | None = None,
        resource: Callable[[], Any] | None = None,
        on: Place = None,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        with_position: bool = False,
        name: str | None = None,
    ) -> Flow[T]:
        """Call `function(item)` and hand the item on unchanged. Options as for `map`.

        >>> import streamflow as sf
        >>> seen = []
        >>> list(sf.flow([1, 2]).tap(seen.append)), seen
        ([1, 2], [1, 2])
        """
        return self._apply(
            "tap",
            function,
            concurrency,
            ordered,
            retry,
            timeout,
            resource,
            on,
            on_error,
            max_failures,
            with_position,
            name,
        )

    def _apply(
        self,
        kind: Any,
        function: Any,
        concurrency: Any,
        ordered: bool,
        retry: Any,
        timeout: Any,
        resource: Any,
        on: Any,
        on_error: Any,
        max_failures: Any,
        with_position: bool,
        name: Any,
    ) -> Flow[Any]:
        operator = apply_operator(
            kind,
            function,
            name=name,
            errors=ErrorPolicy(on_error, max_failures),
            concurrency=concurrency,
            ordered=ordered,
            retry=retry,
            timeout=timeout,
            resource=resource,
            with_position=with_position,
            on=as_executor(on),
        )
        return self._then(operator)

    @overload
    def flat_map(
        self,
        function: Callable[[T], AsyncIterable[U]],
        *,
        on_error: OnError = ...,
        max_failures: int | None = ...,
        name: str | None = ...,
    ) -> Flow[U]: ...

    @overload
    def flat_map(
        self,
        function: Callable[[T], Awaitable[Iterable[U]]],
        *,
        on_error: OnError = ...,
        max_failures: int | None = ...,
        name: str | None = ...,
    ) -> Flow[U]: ...

    @overload
    def flat_map(
        self,
        function: Callable[[T], Iterable[U]],
        *,
        on_error: OnError = ...,
        max_failures: int | None = ...,
        name: str | None = ...,
    ) -> Flow[U]: ...

    def flat_map(
        self,
        function: Callable[[T], Any],
        *,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[Any]:
        """Hand on each item of the iterable `function(item)`, which may be an async generator.

        >>> import streamflow as sf
        >>> list(sf.flow(["to be", "or not"]).flat_map(str.split))
        ['to', 'be', 'or', 'not']
        """
        require_callable(function, "flat_map")
        return self._then(FlatMap(function, name, ErrorPolicy(on_error, max_failures)))

    def scan(
        self,
        function: Callable[[U, T], U],
        initial: U,
        *,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[U]:
        """Hand on each intermediate result of folding the items with `function(value, item)`.

        >>> import operator, streamflow as sf
        >>> list(sf.flow([1, 2, 3]).scan(operator.add, 0))
        [1, 3, 6]
        """
        require_plain(function, "scan")
        return self._then(Scan(function, initial, name, ErrorPolicy(on_error, max_failures)))

    def take(self, count: int, *, name: str | None = None) -> Flow[T]:
        """Hand on the first `count` items, and close the input as soon as the last of them is through.

        >>> import itertools, streamflow as sf
        >>> list(sf.flow(itertools.count()).take(3))
        [0, 1, 2]
        """
        return self._then(Take(whole_number("take", count, 0), name))

    def skip(self, count: int, *, name: str | None = None) -> Flow[T]:
        """Leave out the first `count` items.

        >>> import streamflow as sf
        >>> list(sf.flow(list("abcd")).skip(2))
        ['c', 'd']
        """
        return self._then(Skip(whole_number("skip", count, 0), name))

    def take_while(
        self,
        predicate: Callable[[T], Any],
        *,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[T]:
        """Hand items on up to the first for which `predicate(item)` is false, then close the input.

        >>> import streamflow as sf
        >>> list(sf.flow([1, 2, 9, 1]).take_while(lambda n: n < 5))
        [1, 2]
        """
        require_plain(predicate, "take_while")
        return self._then(TakeWhile(predicate, name, ErrorPolicy(on_error, max_failures)))

    def drop_while(
        self,
        predicate: Callable[[T], Any],
        *,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[T]:
        """Leave out items up to the first for which `predicate(item)` is false; it and all after it pass.

        >>> import streamflow as sf
        >>> list(sf.flow([1, 2, 9, 1]).drop_while(lambda n: n < 5))
        [9, 1]
        """
        require_plain(predicate, "drop_while")
        return self._then(DropWhile(predicate, name, ErrorPolicy(on_error, max_failures)))

    def distinct(
        self,
        key: Callable[[T], Hashable] | None = None,
        *,
        limit: int | None = None,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[T]:
        """Leave out items whose `key(item)` (or which themselves) came before.

        All keys are remembered, or with `limit` the last `limit` new ones.

        >>> import streamflow as sf
        >>> list(sf.flow(list("abracadabra")).distinct())
        ['a', 'b', 'r', 'c', 'd']
        """
        if key is not None:
            require_plain(key, "distinct")
        if limit is not None:
            whole_number("distinct(limit=...)", limit, 1)
        return self._then(Distinct(key, limit, name, ErrorPolicy(on_error, max_failures)))

    # -- grouping -------------------------------------------------------------------------------------------------

    def batch(self, size: int, *, within: float | None = None, name: str | None = None) -> Flow[list[T]]:
        """Gather `size` items into a list, or fewer `within` seconds after the first of them, or at the end.

        >>> import streamflow as sf
        >>> list(sf.flow(range(5)).batch(2))
        [[0, 1], [2, 3], [4]]
        """
        whole_number("batch", size, 1)
        if within is None:
            return self._then(BatchBySize(size, name))
        return self._then(BatchWithin(size, seconds_of("batch(within=...)", within), name))

    def unbatch(self: Flow[list[U]], *, name: str | None = None) -> Flow[U]:
        """Hand on each item of each list: the reverse of `batch`, and `flat_map` without a function.

        >>> import streamflow as sf
        >>> list(sf.flow([[1, 2], [3]]).unbatch())
        [1, 2, 3]
        """
        return self._then(FlatMap(None, name))

    # -- time -----------------------------------------------------------------------------------------------------

    def throttle(self, count: int, *, per: float = 1.0, name: str | None = None) -> Flow[T]:
        """Let at most `count` items pass in any `per` seconds; nothing is dropped, the input waits."""
        return self._then(Throttle(whole_number("throttle", count, 1), seconds_of("throttle(per=...)", per), name))

    def debounce(self, quiet: float, *, name: str | None = None) -> Flow[T]:
        """Hand on an item once `quiet` seconds have passed without another; those it displaces are dropped."""
        return self._then(Debounce(seconds_of("debounce", quiet), name))

    def timeout(self, seconds: float, *, name: str | None = None) -> Flow[T]:
        """Fail with `ItemTimeout` when no item arrives for `seconds`."""
        return self._then(Timeout(seconds_of("timeout", seconds), name))

    def event_time(
        self,
        function: Callable[[T], Any],
        *,
        max_lateness: Duration = 0,
        idle_after: Duration | None = None,
        max_ahead: Duration | None = "1d",
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> Flow[T]:
        """Say when each item happened: `function(item)` gives seconds since the epoch, a datetime or ISO 8601 text.

        A datetime without a time zone is in UTC. Items may come up to `max_lateness` later than the newest so far; what
        comes later still is late. After `idle_after` without an item this flow does not hold up others that it is
        merged with. A time further ahead of the wall clock than `max_ahead` fails (None: whatever it is is taken), and
        one that is so far ahead of all before it moves time on by no more than that. Durations are seconds, a timedelta
        or text as "5s".
        """
        require_plain(function, "event_time")
        operator = EventTime(
            function,
            duration_of("event_time(max_lateness=...)", max_lateness, zero=True),
            None if idle_after is None else duration_of("event_time(idle_after=...)", idle_after),
            None if max_ahead is None else duration_of("event_time(max_ahead=...)", max_ahead),
            name,
            ErrorPolicy(on_error, max_failures),
        )
        return self._then(operator)

    def processing_time(self, *, name: str | None = None) -> Flow[T]:
        """Take for an item's time when it passes here: the time of the wall, which stands still while a run is paused.

        Windows over it close also when nothing comes.
        """
        return self._then(ProcessingTime(name))

    # -- keys -----------------------------------------------------------------------------------------------------

    def key_by(
        self,
        function: Callable[[T], K],
        *,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> KeyedFlow[K, T]:
        """Treat items apart by `function(item)`, a hashable key: go on with `.window(...)` and the like.

        Keys are told apart as in a dict; None is a key like any other, and NaN is one. `on_error` holds for what comes
        after, too.
        """
        require_plain(function, "key_by")
        return KeyedFlow(self._part, function, name, ErrorPolicy(on_error, max_failures))

    # -- edges ----------------------------------------------------------------------------------------------------

    def buffer(
        self,
        items: int | None = None,
        bytes: int | str | None = None,
        *,
        overflow: Overflow = "block",
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> Flow[T]:
        """Put an edge here, bounded by `items` and `bytes` (as "64MB"), and say what happens when it is full.

        `block` lets the input wait; `drop_oldest` and `drop_newest` make room; `latest` keeps one item, the newest;
        `fail` ends the run with `BufferOverflow`. `spill` goes on to the disk, in the folder `path` (or that for
        temporary files), where it takes `bytes` at most, and blocks then; `items` bound what is in memory.
        """
        if items is not None:
            whole_number("buffer(items=...)", items, 1)
        if bytes is not None:
            bytes = memory_of("buffer(bytes=...)", bytes, 0) if isinstance(bytes, str) else bytes
            whole_number("buffer(bytes=...)", bytes, 1)
        return self._then(Buffer(items, bytes, overflow, path, name))

    # -- graph ----------------------------------------------------------------------------------------------------

    def branch(self, predicate: Callable[[T], Any], *, name: str | None = None) -> tuple[Flow[T], Flow[T]]:
        """Return two flows: the items for which `predicate(item)` is true, and the others.

        Items of one that is not used are counted as dropped.
        """
        require_plain(predicate, "branch")
        routed = Part(
            Route(_Truth(predicate), (True, False), None, name or f"branch({name_of(predicate)})"), (self._part,)
        )
        return Flow(Part(Output(True), (routed,))), Flow(Part(Output(False), (routed,)))

    def route(
        self,
        key: Callable[[T], K],
        *outputs: K,
        default: K | None = None,
        on_error: OnError = "fail",
        max_failures: int | None = None,
        name: str | None = None,
    ) -> dict[K, Flow[T]]:
        """Return a flow for each of `outputs`: the items for which `key(item)` is that name.

        What belongs to none goes to `default`, or fails with LookupError if there is none.
        """
        require_plain(key, "route")
        if default is not None and default not in outputs:
            outputs = (*outputs, default)
        if not outputs:
            raise FlowError("route: name at least one output")
        for which in outputs:
            if not isinstance(which, Hashable):
                raise FlowError(f"route({which!r}): outputs are told apart by hash, which {type(which).__name__} lacks")
        routed = Part(Route(key, outputs, default, name, ErrorPolicy(on_error, max_failures)), (self._part,))
        return {which: Flow(Part(Output(which), (routed,))) for which in outputs}

    def via(self, function: Callable[[Flow[T]], Flow[U]]) -> Flow[U]:
        """Return `function(self)`: a piece of flow that has a name of its own.

        >>> import streamflow as sf
        >>> def squares(flow): return flow.map(lambda n: n * n)
        >>> list(sf.flow([1, 2]).via(squares))
        [1, 4]
        """
        require_callable(function, "via")
        result = function(self)
        if not isinstance(result, Flow):
            raise FlowError(f"via({name_of(function)}): the function must return a Flow, got {type(result).__name__}")
        return result

    # -- ends -----------------------------------------------------------------------------------------------------

    def to(self, sink: Sink[T] | Callable[[T], Any] | list[T] | str | os.PathLike[str] | None) -> Runnable:
        """End the flow in a sink: a path, a function (called with each item), a list, a Sink, or None for nowhere."""
        return Runnable(Graph((Part(as_sink(sink), (self._part,)),)))

    async def collect(self, **options: Any) -> list[T]:
        """Run the flow and return all its items. Options as for `Runnable.run`."""
        _require_no_checkpoint("collect", options)
        items: list[T] = []
        await self.to(items).run(**options)
        return items

    async def count(self, **options: Any) -> int:
        """Run the flow and return how many items came out of it."""
        _require_no_checkpoint("count", options)
        return await self.reduce(_add_one, 0, **options)

    async def first(self, **options: Any) -> T:
        """Run the flow up to its first item, and return that; LookupError if there is none."""
        _require_no_checkpoint("first", options)
        found = await self.take(1).collect(**options)
        if not found:
            raise LookupError("first(): the flow gave no item")
        return found[0]

    async def reduce(self, function: Callable[[U, T], U], initial: U, **options: Any) -> U:
        """Run the flow and fold its items with `function(value, item)`, starting from `initial`."""
        require_plain(function, "reduce")
        _require_no_checkpoint("reduce", options)
        value = initial

        def fold(item: T) -> None:
            nonlocal value
            value = function(value, item)

        fold.__name__ = f"reduce({name_of(function)})"
        await self.to(fold).run(**options)
        return value

    def stream(self, **options: Any) -> AbstractAsyncContextManager[AsyncIterator[T]]:
        """Return a context manager that runs the flow and gives its items; leaving the block ends the run at once."""
        from streamflow.flows.handover import stream

        return stream(self.to, options)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Run the flow and give its items. After `break`, the run ends when the iterator is finalised; see `stream`."""
        async with self.stream() as items:
            async for item in items:
                yield item

    def __iter__(self) -> Iterator[T]:
        """Run the flow and give its items, without a loop where that is possible, else from one on a thread."""
        from streamflow.flows.blocking import iterate

        return iterate(self.to)

    def run(self, **_: Any) -> NoReturn:
        """Raise FlowError: this flow has no end yet."""
        raise FlowError(
            "run(): this flow has no end, so its items would go nowhere; write flow.to(sink).run(), or await "
            "flow.collect(), .count() or .first()"
        )

    run_sync = start = run

    # -- looking --------------------------------------------------------------------------------------------------

    def explain(self) -> str:
        """Return the plan as a readable tree, as if the flow ended here."""
        return self.to(None).explain()

    def to_mermaid(self) -> str:
        """Return the plan as a Mermaid flowchart."""
        return self.to(None).to_mermaid()

    def _repr_html_(self) -> str:
        return self.to(None)._repr_html_()

    def __repr__(self) -> str:
        labels = [part.what.label for part in Graph((self._part,)).parts()]
        return f"<Flow {' → '.join(labels if len(labels) < 8 else [*labels[:3], '…', *labels[-3:]])}>"


class KeyedFlow(Generic[K, T]):
    """Describe a flow whose items are treated apart by their keys."""

    __slots__ = ("_errors", "_key", "_name", "_part")

    if not TYPE_CHECKING:  # as above

        def __getattr__(self, name):
            raise _unfinished(self, name, "key_by(...)", ".scan, .reduce, .aggregate, .map_with_state or .window")

    def __init__(self, part: Part, key: Callable[[T], K], name: str | None, errors: ErrorPolicy) -> None:
        self._part, self._key, self._name, self._errors = part, key, name, errors

    def window(
        self,
        window: WindowSpec,
        *,
        every: Duration | None = None,
        late: Late = "drop",
        keep: Duration | None = None,
        name: str | None = None,
    ) -> WindowedFlow[K, T]:
        """Divide the items of each key by event time, by `sf.tumbling(...)`, `sliding`, `session` or `global_window`.

        Each `every` of event time there are early results (`EarlyResult`) of open windows that have changed. Late items
        are dropped and counted, or go to `.late` of what `aggregate` returns. With `late="update"` a window that has
        closed takes them on for `keep` more, and each gives an `UpdatedResult`.
        """
        return WindowedFlow(
            self._part, window_operator(self._key, window, every, late, keep, name or self._name, self._errors)
        )

    def scan(
        self,
        function: Callable[[U, T], U],
        initial: U,
        *,
        on: Place = None,
        store: Store = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Flow[Keyed]:
        """Hand on for each item its key with `function(value, item)`, where `value` is what that gave last for the key.

        What `on`, `store`, `retry` and `timeout` mean is told at `map_with_state`.

        >>> import streamflow as sf
        >>> words = sf.flow(["a", "bb", "a"])
        >>> [tuple(one) for one in words.key_by(str).scan(lambda n, word: n + 1, 0)]
        [('a', 1), ('bb', 1), ('a', 2)]
        """
        require_plain(function, "scan")
        inner = KeyedScan(self._key, function, initial, name or self._name, self._errors)
        return self._keyed(inner, on, store, retry, timeout)

    def reduce(
        self,
        function: Callable[[T, T], T],
        *,
        on: Place = None,
        store: Store = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Flow[Keyed]:
        """Fold the items of each key by `function(value, item)`, and hand on each key with its value at the end.

        What `on`, `store`, `retry` and `timeout` mean is told at `map_with_state`.
        """
        inner = KeyedFold(self._key, reduced(function), name or self._name, self._errors)
        return self._keyed(inner, on, store, retry, timeout)

    def aggregate(
        self, *unnamed: NoReturn, on: Place = None, store: Store = None, **aggregations: Aggregation
    ) -> Flow[Keyed]:
        """Hand on each key at the end, as it came first, with a dict of these names.

        What `on` and `store` mean is told at `map_with_state`; no aggregation can have these names.

        >>> import streamflow as sf
        >>> [tuple(one) for one in sf.flow(["a", "bb", "c"]).key_by(len).aggregate(n=sf.agg.count())]
        [(1, {'n': 2}), (2, {'n': 1})]
        """
        recipe = aggregated(aggregations, unnamed)
        return self._keyed(KeyedFold(self._key, recipe, self._name, self._errors), on, store)

    def map_with_state(
        self,
        function: Callable[[Any, T], tuple[Any, U]],
        initial: Any = None,
        *,
        ttl: Duration | None = None,
        on: Place = None,
        store: Store = None,
        retry: Retry | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Flow[U]:
        """Replace each item by the second value of `function(state, item)`; the first is the key's state from now on.

        A key begins with `initial`. It is forgotten when its state is None, or when no item of it has come for `ttl`:
        of event time, or if the flow has none by the clock of the run.

        State is in memory, or with `store="disk"` or `sf.disk_store(cache=...)` on the disk, but for the keys at hand.
        With `on` the function runs elsewhere, for several keys at the same time: a worker is given the state of a key
        and its items in their order, and gives the new state back. An item whose attempt raises, takes longer than
        `timeout` seconds or loses its worker is tried again if `retry` says so; else the state is as it was before it.
        """
        require_plain(function, "map_with_state")
        seconds = None if ttl is None else duration_of("map_with_state(ttl=...)", ttl)
        inner = MapWithState(self._key, function, initial, seconds, name or self._name, self._errors)
        return self._keyed(inner, on, store, retry, timeout)

    def _keyed(
        self, inner: KeyedInner, on: Place, store: Store, retry: Retry | None = None, timeout: float | None = None
    ) -> Flow[Any]:
        if timeout is not None:
            seconds_of(f"{inner.label}, timeout=...", timeout)
        place = as_state_place(store)
        return self._then(keyed_operator(inner, as_executor(on), place, retry=retry, timeout=timeout))

    def process(
        self,
        function: Callable[
            [AsyncIterator[KeyedItem | Timer], Callable[[U], Awaitable[None]], KeyState], Awaitable[object]
        ],
        *,
        concurrency: int = 1,
        name: str | None = None,
    ) -> Flow[U]:
        """Have the coroutine `function(inbox, out, state)` take the items, for what the other forms cannot say.

        `async for event in inbox` gives a `KeyedItem` or a `Timer`, `await out(item)` hands an item on, and `state` is
        that of the event's key: `get`, `set`, `clear`, `set_timer`, `cancel_timer`, `key`, `now`. Timers go by event
        time if the flow has one. Of `concurrency` coroutines each has keys of its own.

        >>> import streamflow as sf
        >>> async def changes(inbox, out, state):
        ...     async for item in inbox:
        ...         if state.get() != item.value:
        ...             await out(item.value)
        ...         state.set(item.value)
        >>> list(sf.flow(["a", "a", "A", "b"]).key_by(str.lower).process(changes))
        ['a', 'A', 'b']
        """
        return self._then(process_operator(self._key, function, concurrency, name or self._name, self._errors))

    def _then(self, operator: Operator) -> Flow[Any]:
        return Flow(Part(operator, (self._part,)))

    @overload
    def join(
        self, right: KeyedFlow[K, U], *, window: WindowSpec, how: How = ..., name: str | None = ...
    ) -> JoinResults[JoinedInWindow]: ...

    @overload
    def join(
        self, right: KeyedFlow[K, U], *, within: tuple[Duration, Duration], how: How = ..., name: str | None = ...
    ) -> JoinResults[Joined]: ...

    def join(
        self,
        right: KeyedFlow[K, U],
        *,
        window: WindowSpec | None = None,
        within: tuple[Duration, Duration] | None = None,
        how: How = "inner",
        name: str | None = None,
    ) -> JoinResults[Any]:
        """Pair the items of this flow with those of `right` that have the same key and belong together by event time.

        With `window` (`sf.tumbling(...)`, `sf.sliding`) each with each in the same window, when it closes. With
        `within=("-5s", "10s")` those of which the right one is from 5 seconds earlier to 10 seconds later, as soon as
        both are there. `how="left"` also gives what has no partner on the left, `"outer"` that of both sides; None
        stands for the missing one. Both flows must have event times. Late items are dropped and counted, or go to
        `.late`.
        """
        return self._join(right, join_form(window, within, how), how, name)

    def join_asof(
        self,
        right: KeyedFlow[K, U],
        *,
        tolerance: Duration | None = None,
        how: Literal["inner", "left"] = "left",
        name: str | None = None,
    ) -> JoinResults[Joined]:
        """Pair each item of this flow with the latest one of `right` that has the same key and is not later.

        With `tolerance` it may be so much older at most. An item that finds none is given None, or left out with
        `how="inner"`.
        """
        return self._join(right, as_of_form(tolerance, how), how, name)

    def _join(
        self, right: KeyedFlow[K, U], form: InWindows | Within | AsOf, how: How, name: str | None
    ) -> JoinResults[Any]:
        if not isinstance(right, KeyedFlow):
            fix = ": key it, as in .key_by(...)" if isinstance(right, Flow) else ""
            raise FlowError(f"join({type(right).__name__}): expected a keyed flow{fix}")
        if right._errors != self._errors:
            raise FlowError("join(...): give both key_by(...) the same on_error= and max_failures=")
        operator = Join((self._key, right._key), form, how, name or self._name, self._errors)
        return JoinResults(Part(operator, (self._part, right._part)))

    def join_table(
        self, table: Table, *, how: Literal["inner", "left"] = "left", name: str | None = None
    ) -> Flow[Joined]:
        """Pair each item with what `table` has for its key: `sf.table(load, every="10m")`.

        An item whose key is not there is given None, or left out with `how="inner"`.
        """
        require_how(how, ("inner", "left"), "join_table")
        if not isinstance(table, Table):
            raise FlowError(
                f"join_table({type(table).__name__}): expected sf.table(load), where load() gives a mapping"
            )
        return Flow(Part(JoinTable(self._key, table, how, name or self._name, self._errors), (self._part,)))

    def __repr__(self) -> str:
        return f"<KeyedFlow of {Flow(self._part)!r} by {name_of(self._key)}>"


class WindowedFlow(Generic[K, T]):
    """Describe a keyed flow that is divided into windows: say what is to be made of each."""

    __slots__ = ("_operator", "_part")

    if not TYPE_CHECKING:  # as above

        def __getattr__(self, name):
            raise _unfinished(self, name, "window(...)", ".aggregate, .reduce or .collect()")

    def __init__(self, part: Part, operator: Window) -> None:
        self._part, self._operator = part, operator

    def aggregate(self, *unnamed: NoReturn, **aggregations: Aggregation) -> WindowResults[T]:
        """Return a flow of a `WindowResult` for each key and window, whose `value` is a dict of these names."""
        return self._results(aggregated(aggregations, unnamed))

    def reduce(self, function: Callable[[T, T], T]) -> WindowResults[T]:
        """Fold the items of each key and window by `function(value, item)`, which begins with the first of them."""
        return self._results(reduced(function))

    def collect(self) -> WindowResults[T]:
        """Gather the items of each key and window in a list."""
        return self._results(collected())

    def _results(self, recipe: Recipe) -> WindowResults[T]:
        return WindowResults(Part(with_recipe(self._operator, recipe), (self._part,)))


class WindowResults(Flow[WindowResult], Generic[T]):
    """Be the flow of what windows give; `late` is the flow of the items that came after their windows had closed."""

    __slots__ = ("_windows",)

    def __init__(self, windows: Part) -> None:
        super().__init__(Part(Output(RESULTS), (windows,)))
        self._windows = windows

    @property
    def late(self) -> Flow[T]:
        """Return the flow of late items: without it they are dropped and counted."""
        return Flow(Part(Output(LATE), (self._windows,)))


class JoinResults(Flow[U]):
    """Be the flow of what a join gives; `late` is the flow of the items that came too late for it."""

    __slots__ = ("_join_part",)

    def __init__(self, join: Part) -> None:
        super().__init__(Part(Output(RESULTS), (join,)))
        self._join_part = join

    @property
    def late(self) -> Flow[Joined]:
        """Return the flow of late items, each on its side of a `Joined`: without it they are dropped and counted."""
        return Flow(Part(Output(LATE), (self._join_part,)))


class _Truth:
    """Make True or False of what a predicate returns."""

    def __init__(self, predicate: Callable[[Any], Any]) -> None:
        self._predicate = predicate
        self.__name__ = name_of(predicate)

    def __call__(self, item: Any) -> Any:
        result = self._predicate(item)
        return result if isawaitable(result) else bool(result)


def flow(source: object, *, follow: Follow = False) -> Flow[Any]:
    """Begin a flow at `source`: a path, an iterable, an async iterable, a function that returns one, or a Source.

    With `follow`, a file of lines is read on as it grows, for ever: see `streamflow.sources.JsonLines`.
    """
    if isinstance(source, Flow):
        raise FlowError("flow(flow): this is a Flow already; go on with its methods")
    return Flow(Part(as_followed(source, follow) if follow else as_source(source)))


def _add_one(count: int, _: object) -> int:
    return count + 1


def _require_no_checkpoint(what: str, options: dict[str, Any]) -> None:
    """Refuse what would return the rest only when it is run again, and nothing once it has finished."""
    if options.get("checkpoint") is not None:
        raise FlowError(
            f"{what}(checkpoint=...): what it returns is in memory and in no checkpoint, so that a run which goes on "
            f"would return a part of it; write to a sink, as in flow.to('out.jsonl').run(checkpoint=...)"
        )


def _unfinished(flow: object, name: str, after: str, ways: str) -> AttributeError:
    """Return the error that says what a flow lacks before it can do what every flow can."""
    said = f"{type(flow).__name__!r} object has no attribute {name!r}"
    if not name.startswith("_") and hasattr(Flow, name):
        said += f": after {after} say first what is made of the items of a key: {ways}"
    return AttributeError(said, name=name, obj=flow)


def _elsewhere(flow: object, name: str) -> AttributeError:
    """Return the error that says where to find what a flow has not, if it is there for keyed ones or for several."""
    said = f"{type(flow).__name__!r} object has no attribute {name!r}"
    if name in _OF_SEVERAL:
        said += f": it takes several flows, as in sf.{name}(a, b)"
    elif not name.startswith("_") and hasattr(KeyedFlow, name):
        said += f": say first which items belong together, as in .key_by(...).{name}(...)"
    return AttributeError(said, name=name, obj=flow)
