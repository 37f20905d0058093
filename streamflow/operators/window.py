"""`key_by(...).window(...)`: fold the items of each key, window by window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from streamflow.model.arguments import duration_of
from streamflow.model.errors import FlowError
from streamflow.model.policies import FAIL, ErrorPolicy
from streamflow.operators.callables import name_of
from streamflow.operators.element import ASIDE, DROPPED, KEPT
from streamflow.operators.firing import Firing
from streamflow.operators.folding import Folding
from streamflow.operators.global_windows import GlobalWindows
from streamflow.operators.grid_windows import GridWindows
from streamflow.operators.recipe import Recipe
from streamflow.operators.sessions import Sessions
from streamflow.operators.window_specs import Duration, GlobalWindow, Session, Sliding, Tumbling, WindowSpec

#: What becomes of items whose window has closed: they are dropped (or go to `.late`), or the window is told again.
Late = Literal["drop", "update"]


@dataclass(frozen=True, eq=False)
class Window(Folding):
    """Fold each item into the cell of its key in its window (or windows), and give results as windows close.

    `every` are the seconds of event time between early results; `keep` those for which a window that has closed takes
    late items on, None where it takes none. Late items are dropped, or leave by the second output if `parts_late`.
    """

    key: Callable[[Any], Any]
    spec: WindowSpec
    recipe: Recipe
    every: float | None = None
    keep: float | None = None
    name: str | None = None
    errors: ErrorPolicy = FAIL
    parts_late: bool = False

    @property
    def label(self) -> str:
        """Return `window(…)`, or the user's name."""
        return self.name or f"key_by({name_of(self.key)}).window({self.spec.label})"

    @property
    def timed(self) -> bool:
        """Tell whether windows go by event time: all do, but those that only count."""
        return not isinstance(self.spec, GlobalWindow) or self.spec.every is not None

    @property
    def timed_results(self) -> bool:
        """Tell whether results have a time: the last one in their window."""
        return not isinstance(self.spec, GlobalWindow)

    @property
    def drops(self) -> bool:
        """Tell whether late items vanish."""
        return not self.parts_late and not isinstance(self.spec, GlobalWindow)

    @property
    def keeps(self) -> str:
        """Return everything that gives the cells their meaning."""
        extra = f", every={self.every}" if self.every is not None else ""
        extra += f", keep={self.keep}" if self.keep is not None else ""
        return f"window({self.spec.label}{extra}) of {self.recipe.form} by {name_of(self.key)}"

    def parting_late(self) -> Window:
        """Return it with an output for late items."""
        return replace(self, parts_late=True)

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the generated form: what tumbling windows do for an item is spelled out, others call the state."""
        late = "ASIDE" if self.parts_late else "DROP"
        recipe = self.recipe
        head = ("if c.highest >= s.due: s.fire()",) if self.timed else ()
        key = ("y = g.0(x)", *recipe.value_lines(1))
        values = f"({', '.join([*recipe.values, ''])})"
        if isinstance(self.spec, GlobalWindow):
            return (*head, *key, f"s.put(y, {values})", "KEEP")
        if isinstance(self.spec, Session):
            return (*head, *key, f"if not s.put(t, y, {values}): {late}", "KEEP")
        if isinstance(self.spec, Sliding):
            return (*head, *key, f"if not s.slide(t, y, {values}): {late}", "KEEP")
        noted = self.every is not None or self.keep is not None
        return (
            *head,
            f"if not s.lo <= t < s.hi and not s.turn(t): {late}",
            *key,
            "a = s.cells.get(y)",
            "if a is None:",
            f"    if y == y: s.cells[y] = {recipe.begin_text}",
            f"    else: s.fold(y, {values})",
            "else:",
            *(f"    {line}" for line in recipe.update_lines),
            *["s.note(y)"] * noted,
            "KEEP",
        )

    def apply(self, item: Any, state: Any, call: Any) -> Any:
        """Do the same, interpreted."""
        clock = state.clock
        if clock.highest >= state.due:
            state.fire()
        late = ASIDE if self.parts_late else DROPPED
        if isinstance(self.spec, Tumbling):
            if not state.turn(clock.now):
                return late
            key, values = call[0](item), self.recipe.read(item, call[1:])
            state.fold(key, values)
            if self.every is not None or self.keep is not None:
                state.note(key)
            return KEPT
        key, values = call[0](item), self.recipe.read(item, call[1:])
        if isinstance(self.spec, GlobalWindow):
            state.put(key, values)
            return KEPT
        taken = state.slide if isinstance(self.spec, Sliding) else state.put
        return KEPT if taken(clock.now, key, values) else late

    def start(self) -> Firing:
        """Begin with no window."""
        if isinstance(self.spec, Session):
            return Sessions(self.spec.gap, self.recipe, self.every)
        if isinstance(self.spec, GlobalWindow):
            return GlobalWindows(self.spec, self.recipe)
        return GridWindows(self.spec.grid, self.recipe, self.every, self.keep)


def window_operator(
    key: Callable[[Any], Any],
    spec: WindowSpec,
    every: Duration | None,
    late: Late,
    keep: Duration | None,
    name: str | None,
    errors: ErrorPolicy,
) -> Window:
    """Return the operator that these words describe, without its recipe; FlowError for what cannot work."""
    if not isinstance(spec, (Tumbling, Sliding, Session, GlobalWindow)):
        raise FlowError(f"window({spec!r}): expected sf.tumbling(...), sf.sliding, sf.session or sf.global_window")
    if late not in ("drop", "update"):
        raise FlowError(f"window(late={late!r}): expected 'drop' or 'update'; for an output of their own, use .late")
    if (keep is not None) != (late == "update"):
        raise FlowError("window(late='update', keep=...): one needs the other: keep='10m' says for how long")
    if isinstance(spec, GlobalWindow) and (every is not None or keep is not None):
        raise FlowError("window(sf.global_window(...)): nothing is late there, and every= is for global_window itself")
    if isinstance(spec, Session) and keep is not None:
        raise FlowError(
            "window(sf.session(...), late='update'): a late item could join sessions that have closed; use .late"
        )
    return Window(
        key,
        spec,
        Recipe((), None),
        None if every is None else duration_of("window(every=...)", every),
        None if keep is None else duration_of("window(keep=...)", keep),
        name,
        errors,
    )


def with_recipe(operator: Window, recipe: Recipe) -> Window:
    """Return `operator` with what it is to make of the items; FlowError if that cannot be done."""
    if isinstance(operator.spec, Session) and not recipe.mergeable:
        raise FlowError(f"{operator.label}: sessions grow together, and {recipe.form} cannot be merged: give it merge=")
    return replace(operator, recipe=recipe)
