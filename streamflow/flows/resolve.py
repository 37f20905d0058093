"""What a user may write for a source or a sink, and the object that it means."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterable, Iterable
from typing import Any, Literal

from streamflow.executors.cores import usable_cores
from streamflow.files.noticing import Follow
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Sink, Source, StatePlace
from streamflow.model.policies import DeadLetters

#: Where a function may run: a description, or the short form of one with a worker for each usable core.
Place = Executor | Literal["loop", "thread", "process", "joblib"] | None
#: Where state may lie.
Store = StatePlace | Literal["memory", "disk"] | None
PLACES = ("loop", "thread", "process", "joblib")


def as_source(source: object) -> Source[Any]:
    """Return the Source that `source` means: itself, a path, an iterable, an async iterable, or a factory of one.

    Raises FlowError for anything else.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, (str, os.PathLike)):
        from streamflow.sources.registry import resolve

        return resolve(source)
    if isinstance(source, AsyncIterable):
        from streamflow.sources.async_iterable import AsyncIterable as AsyncSource

        return AsyncSource(source)
    if callable(source) and not isinstance(source, Iterable):
        return _from_factory(source)
    if isinstance(source, Iterable):
        from streamflow.sources.iterable import Iterable as IterableSource

        return IterableSource(source)
    raise FlowError(
        f"flow({source!r}): cannot take items from {type(source).__name__}; give a path, an iterable, an async "
        f"iterable, a function that returns one, or a Source"
    )


def as_followed(source: object, follow: Follow) -> Source[Any]:
    """Return the Source that `source` means, followed as it grows; raise FlowError if that cannot be."""
    found = as_source(source)
    if hasattr(found, "follow"):
        return dataclasses.replace(found, follow=follow)  # type: ignore[type-var]  # what has such a field is one
    raise FlowError(
        f"{found.label}, follow={follow!r}: only a file of lines can be followed; leave follow out, anything else "
        f"is read as it comes"
    )


def _from_factory(factory: Any) -> Source[Any]:
    from streamflow.operators.callables import gives_async_items, is_async, name_of
    from streamflow.sources.async_iterable import AsyncIterable as AsyncSource
    from streamflow.sources.iterable import Iterable as IterableSource

    if gives_async_items(factory):
        return AsyncSource(factory)
    if is_async(factory):
        raise FlowError(
            f"flow({name_of(factory)}): a coroutine function gives one value; "
            f"write it with yield, or pass an async iterable"
        )
    return IterableSource(factory)


def as_sink(sink: object) -> Sink[Any]:
    """Return the Sink that `sink` means: itself, a path, a list to fill, a function to call, or None for nowhere.

    Raises FlowError for anything else.
    """
    if isinstance(sink, Sink):
        return sink
    if isinstance(sink, (str, os.PathLike)):
        from streamflow.sinks.registry import resolve

        return resolve(sink)
    if isinstance(sink, list):
        from streamflow.sinks.lists import ListSink

        return ListSink(sink)
    if sink is None:
        from streamflow.sinks.null import Null

        return Null()
    if callable(sink):
        from streamflow.sinks.callables import CallableSink

        return CallableSink(sink)
    raise FlowError(
        f"to({sink!r}): cannot give items to {type(sink).__name__}; give a path, a list, a function or a Sink"
    )


def dead_letter(sink: object) -> DeadLetters:
    """Set failed items aside in `sink` (a path, a function, a list or a Sink), one `DeadLetter` each.

    A sink that encodes gets them as plain values, what cannot be encoded as its `repr`.
    """
    return DeadLetters(as_sink(sink))


def as_state_place(store: object) -> StatePlace | None:
    """Return the StatePlace that `store` means, None for memory; raise FlowError for anything else."""
    if store is None or store == "memory":
        return None
    if isinstance(store, StatePlace):
        return store
    if store == "disk":
        from streamflow.state.disk_store import disk_store

        return disk_store()
    called = "; call it: sf.disk_store()" if callable(store) else ""
    raise FlowError(f"store={store!r}: expected 'memory', 'disk' or sf.disk_store(cache=...){called}")


def as_executor(on: object) -> Executor | None:
    """Return the Executor that `on` means, None for the event loop; raise FlowError for anything else."""
    if on is None or on == "loop":
        return None
    if isinstance(on, Executor):
        return on
    if on == "thread":
        from streamflow.executors.threads import threads

        return threads(usable_cores())
    if on == "process":
        from streamflow.executors.processes import processes

        return processes(usable_cores())
    if on == "joblib":
        from streamflow.executors.joblib import joblib

        return joblib(n_jobs=usable_cores())
    meant = [place for place in PLACES if isinstance(on, str) and on.lower().startswith(place)]
    hint = f" (did you mean {meant[0]!r}?)" if meant else ""
    if callable(on):
        name = getattr(on, "__name__", type(on).__name__)
        raise FlowError(f"on={name}: call it, as in on=sf.{name}(2)")
    raise FlowError(
        f"on={on!r}{hint}: expected {', '.join(map(repr, PLACES))}, or sf.threads(n), sf.processes(n), sf.joblib(...)"
    )
