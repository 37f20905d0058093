"""`map`, `filter` and `tap`: one call of the user's function an item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.calls import InlineCall
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Executor, Operator
from streamflow.model.placement import Kind
from streamflow.model.policies import FAIL, ErrorPolicy, Retry
from streamflow.operators.callables import is_async, name_of, require_callable
from streamflow.operators.element import DROPPED, ElementOperator
from streamflow.operators.placed import placed_operator

Concurrency = int | Literal["auto"]
_LINES = {"map": "x = f(x)", "filter": "if not f(x): DROP", "tap": "f(x)"}


@dataclass(frozen=True, eq=False)
class Apply(ElementOperator):
    """Call a plain function on each item: `map` hands on its result, `filter` obeys it, `tap` ignores it."""

    kind: Kind
    call: Callable[..., Any]
    name: str | None = None
    errors: ErrorPolicy = FAIL
    with_position: bool = False
    #: Whether the function is a format's, and none of the user's.
    ours: bool = False

    @property
    def label(self) -> str:
        """Return `kind(function)`, or the user's name."""
        return self.name or f"{self.kind}({name_of(self.call)})"

    @property
    def function(self) -> Callable[..., Any]:
        """Return the user's function."""
        return self.call

    @property
    def drops(self) -> bool:
        """Tell whether this is a filter."""
        return self.kind == "filter"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form."""
        if self.kind == "map" and isinstance(self.call, InlineCall):
            return (self.call.line,)
        return (_LINES[self.kind],)

    def apply(self, item: Any, state: Any, call: Callable[..., Any]) -> Any:
        """Do the same, interpreted."""
        result = call(item)
        if self.kind == "map":
            return result
        return item if self.kind == "tap" or result else DROPPED


@dataclass(frozen=True, eq=False)
class ConcurrentApply(Operator):
    """Call a function with up to `concurrency` items under way at once; an async one is awaited.

    `timeout` is in seconds per attempt. `resource` opens a context manager once a run, whose value is the function's
    second argument.
    """

    kind: Kind
    call: Callable[..., Any]
    name: str | None = None
    errors: ErrorPolicy = FAIL
    with_position: bool = False
    concurrency: Concurrency = 1
    ordered: bool = True
    retry: Retry | None = None
    timeout: float | None = None
    resource: Callable[[], Any] | None = None

    @property
    def label(self) -> str:
        """Return `kind(function)`, or the user's name."""
        return self.name or f"{self.kind}({name_of(self.call)})"

    @property
    def keeps(self) -> str:
        """Return that it is items under way: where order does not matter, a barrier does not wait for them."""
        return "" if self.ordered else "items under way"

    @property
    def multiplies(self) -> bool:
        """Tell whether an item may vanish here."""
        return self.kind == "filter" or self.errors.drops

    @property
    def repeatable(self) -> bool:
        """Tell whether the order of the output is the input's, and nothing depends on time."""
        return (self.ordered or self.concurrency == 1) and not (self.errors.drops and self.timeout is not None)


def apply_operator(
    kind: Kind,
    call: Callable[..., Any],
    *,
    name: str | None,
    errors: ErrorPolicy,
    concurrency: Concurrency,
    ordered: bool,
    retry: Retry | None,
    timeout: float | None,
    resource: Callable[[], Any] | None,
    with_position: bool,
    on: Executor | None,
) -> Operator:
    """Choose the form that `call` and its options need; raise FlowError for what cannot work."""
    require_callable(call, kind)
    if concurrency != "auto":
        concurrency = whole_number(f"{kind}(concurrency=...), which may also be 'auto'", concurrency, 1)
    if timeout is not None:
        timeout = seconds_of(f"{kind}(timeout=...)", timeout)
    if retry is not None and not isinstance(retry, Retry):
        raise FlowError(f"{kind}(retry={retry!r}): expected sf.Retry(attempts=...)")
    if resource is not None:
        require_callable(resource, f"{kind}(resource=...)")
    if on is not None:
        if concurrency != 1:
            raise FlowError(
                f"{kind}({name_of(call)}, concurrency={concurrency}, on={on.label}): the number of workers decides how "
                f"many items are under way; leave out concurrency="
            )
        return placed_operator(
            kind,
            call,
            on,
            name,
            errors,
            with_position,
            ordered=ordered,
            retry=retry,
            timeout=timeout,
            resource=resource,
        )
    asynchronous = is_async(call)
    if not asynchronous and timeout is not None:
        raise FlowError(
            f"{kind}({name_of(call)}, timeout={timeout}): a plain function cannot be interrupted on the event loop; "
            f"make it `async def`, or give it another place: on='process'"
        )
    if not asynchronous and concurrency != 1:
        raise FlowError(
            f"{kind}({name_of(call)}, concurrency={concurrency}): a plain function on the event loop runs one item at "
            f"a time; make it `async def`, or give it another place: on='thread', on='process'"
        )
    if asynchronous or retry is not None or resource is not None:
        return ConcurrentApply(kind, call, name, errors, with_position, concurrency, ordered, retry, timeout, resource)
    return Apply(kind, call, name, errors, with_position)
