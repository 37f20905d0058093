"""What is made of the items of one key, in one window: begun with the first, updated with each, merged, told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamflow.operators.callables import name_of, require_plain

Value = Callable[[Any], Any] | None


@dataclass(frozen=True, eq=False)
class Aggregation:
    """Describe how values become one result; `sf.agg` has those that everybody needs.

    What is known so far lies in a *slot*: plain data (numbers, strings, lists, dicts, tuples), which may be changed in
    place. The same is said twice, and tests hold the two equal: by functions (`start`, `update`), and as text for
    generated code (`begin`, `add`), where `v` is the value, `a[#]` the slot and `#` the number of the aggregation. An
    `update` that raises leaves the slot as it was.
    """

    #: How it was asked for, with every setting: `quantile(0.9)`. A checkpoint of another form does not fit.
    form: str
    #: What is taken of an item; None takes the item itself.
    value: Value
    #: An expression: the slot that the first value makes.
    begin: str
    #: Statements that take one more value into the slot.
    add: tuple[str, ...]
    #: The same as `begin`.
    start: Callable[[Any], Any]
    #: The same as `add`: takes slot and value, returns the slot.
    update: Callable[[Any, Any], Any]
    #: Make one slot of two, of which the first was begun earlier; both are used up. None: it cannot be done.
    merge: Callable[[Any, Any], Any] | None
    #: Tell what the slot says; it is not changed, and shares nothing with what is told.
    result: Callable[[Any], Any]
    #: Whether no update ever fails.
    certain: bool = False
    #: Copy a slot so that it can be put back, if another aggregation refuses the item. None where a slot may hold much:
    #: then it depends on the value alone whether an update fails, and `begin` fails with the same values.
    spare: Callable[[Any], Any] | None = None
    #: What the text refers to: `h#_0` and so on.
    names: Mapping[str, Any] = field(default_factory=dict)

    def over(self, items: Iterable[Any]) -> Any:
        """Return the result over `items`, of which there is at least one.

        >>> from streamflow.operators import aggregations as agg
        >>> agg.mean(len).over(["a", "bcd"])
        2.0
        """
        values = iter(items if self.value is None else map(self.value, items))
        slot = self.start(next(values))
        for value in values:
            slot = self.update(slot, value)
        return self.result(slot)


def form_of(name: str, value: Value, *settings: object) -> str:
    """Return the call as the user wrote it; refuse a `value` that cannot be called here."""
    if value is None:
        return f"{name}({', '.join(map(repr, settings))})"
    require_plain(value, f"{name}(value=...)")
    return f"{name}({', '.join([*map(repr, settings), name_of(value)])})"
