"""A flow with given items in the place of its sources, and nothing written anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.flows.flow import Flow
from streamflow.flows.rewiring import parts_of, rewired, with_letters
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.model.failures import DeadLetter
from streamflow.model.interfaces import Sink, Source
from streamflow.sinks.lists import ListSink
from streamflow.sources.iterable import Iterable as IterableSource
from streamflow.testing.virtual_clock import run


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Hold what came out of a flow: the items of each sink by its label, and those that failed."""

    outputs: Mapping[str, list[Any]]
    failed: Sequence[DeadLetter]

    @property
    def output(self) -> list[Any]:
        """Return the items of the one sink; FlowError if there are several."""
        if len(self.outputs) > 1:
            raise FlowError(f"there are several sinks ({', '.join(self.outputs)}): ask for outputs[label]")
        return next(iter(self.outputs.values()))


def trial(flow: Flow[Any] | Runnable, items: Iterable[Any] | Mapping[str | None, Iterable[Any]]) -> Trial:
    """Run `flow` on `items` and return what comes out; no source is opened, no sink and no dead letter written.

    A flow with several sources takes a mapping from the label of each to its items. Plain values become the `type` of
    a source that has one. It runs on a virtual clock: what
    it would wait for costs no time. An item that fails the run raises its error, as it would in earnest.

    >>> import streamflow as sf
    >>> trial(sf.flow("in.jsonl").map(str.upper), ["a", "b"]).output
    ['A', 'B']
    """
    described = flow.to([]) if isinstance(flow, Flow) else flow
    sinks = _labels(described, Sink)
    given = _by_source(items, _labels(described, Source))
    outputs: dict[str, list[Any]] = {label: [] for label in sinks}
    failed: list[Any] = []
    letters: ListSink[Any] = ListSink(failed)

    def change(what: Any) -> Any:
        if isinstance(what, Source):
            return IterableSource(_typed(given[what.label], getattr(what, "type", None)))
        if isinstance(what, Sink):
            return ListSink(outputs[what.label])
        return with_letters(what, letters)

    run(rewired(described, change).run())
    return Trial(outputs=outputs, failed=failed)


def _labels(flow: Runnable, kind: type[Source[Any]] | type[Sink[Any]]) -> list[str]:
    """Return the labels of the sources, or the sinks, of a flow, none of them twice."""
    labels = [part.what.label for part in parts_of(flow) if isinstance(part.what, kind)]
    for label, count in Counter(labels).items():
        if count > 1:
            raise FlowError(f"{count} {kind.__name__.lower()}s of this flow are called {label!r}; they must differ")
    return labels


def _typed(items: list[Any], kind: Any) -> list[Any]:
    if kind is None:
        return items
    codec = JsonLinesCodec(kind)
    return [codec.decode(codec.encode(item)) for item in items]


def _by_source(items: Any, labels: Sequence[str]) -> dict[str, list[Any]]:
    given: dict[Any, Any] = dict(items) if isinstance(items, Mapping) else {None: items}
    if None in given and len(labels) == 1:
        given = {labels[0]: given[None]}
    for label in labels:
        if label not in given:
            raise FlowError(f"no items for the source {label!r}; give a mapping from {', '.join(map(repr, labels))}")
    for label in given:
        if label not in labels:
            raise FlowError(f"there is no source {label!r}; there is {', '.join(map(repr, labels))}")
    return {label: list(given[label]) for label in labels}
