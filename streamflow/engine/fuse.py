"""Turn a run of element operators into one Python function over a batch, and into its interpreted twin.

The generated function has one loop, and neither calls nor tests of its own: an operator costs what its function
costs. What went wrong is found afterwards: the line in the traceback names the operator, and the frame's `x` is the
item that it was given.
"""

from __future__ import annotations

import inspect
import itertools
import linecache
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Literal

from streamflow.model.calls import InlineCall
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import State
from streamflow.model.positions import Stamp, plain
from streamflow.operators.batch import BatchBySize
from streamflow.operators.callables import name_of
from streamflow.operators.element import ASIDE, DROPPED, KEPT, LATE, RESULTS, ElementOperator
from streamflow.operators.event_time import Clock
from streamflow.operators.firing import Firing, Timed
from streamflow.operators.take import Countdown

#: How an item looks at the two ends: bare, or a pair with its position.
Shape = Literal["item", "pair"]
Emit = Callable[[Any], object] | None
#: What the words in an operator's lines mean.
_WORDS = {"DROP": ("d{} += 1", "continue"), "KEEP": ("continue",), "STOP": ("d{} += 1", "break")}
_serial = itertools.count(1)
#: Of the generated function, before the names it uses: items, emit, counts.
_PARAMETERS = 3


class Program:
    """Hold the operators of one stage, their state, and the function that runs them over items.

    `run(items, emit, counts)` processes an iterator until it ends or something raises, calls `emit` with each result
    (or nothing, where the last operator is a sink's `put`), and adds to `counts[i]` what operator i dropped; `raw`
    says that the items are undecoded records, whose number is not known before and is added to the last count; `stamps`
    that pairs which are given carry the event time that an operator here has set, and `exact` that they carry where the
    item came from.
    """

    def __init__(
        self,
        operators: Sequence[ElementOperator],
        position: Callable[[], Any],
        place: Callable[[int], Any],
        *,
        emits: bool,
        takes: Shape = "item",
        gives: Shape = "item",
        raw: bool = False,
        stamps: bool = False,
        exact: bool = True,
        fuse: bool = True,
        run_time: Callable[[], float] = monotonic,
    ) -> None:
        self.operators = tuple(operators)
        self.states: tuple[State | None, ...] = tuple(operator.start() for operator in operators)
        self.calls = [_proven_later(operator, position) for operator in operators]
        #: Operators whose functions have not all returned something yet: the first result of each is looked at.
        self.unproven = [i for i, call in enumerate(self.calls) if _is_unproven(call)]
        #: The clock that goes by the stamps of what comes in, for operators that no clock here precedes.
        self.clock = Clock()
        self._set_clocks(run_time)
        last = self.states[-1] if self.states else None
        #: The state that gives results when they are due, if items end in one.
        self.firing = last if isinstance(last, Firing) else None
        self.parts_late = bool(operators) and operators[-1].parts_late
        self.exact = exact
        self.stamps = stamps and clock_before(self.operators, len(operators)) is not None
        self.position, self.place = position, place
        self.emits, self.takes, self.gives, self.raw = emits, takes, gives, raw
        #: True if what is emitted are lists of received items.
        self.gathers = any(isinstance(operator, BatchBySize) for operator in operators)
        self.interpreted = _Interpreted(self)
        self.source = ""
        self._lines: tuple[int, ...] = ()
        self._values: dict[str, Any] = {}
        self.run: Callable[[Iterator[Any], Emit, list[int]], None] = self.interpreted
        if fuse:
            self.source, self._lines = generate(
                operators, emits=emits, takes=takes, gives=gives, raw=raw, stamps=self.stamps, exact=exact
            )
            self.run = self._compile()
        self._code = getattr(self.run, "__code__", None)

    def _set_clocks(self, run_time: Callable[[], float]) -> None:
        """Tell each operator that needs the time which clock it goes by."""
        for i, state in enumerate(self.states):
            if self.operators[i].runs_by_clock:
                state.run_time = run_time  # type: ignore[union-attr]  # that is what it says
            if isinstance(state, Timed):
                at = clock_before(self.operators, i)
                clock = self.clock if at is None else self.states[at]
                assert isinstance(clock, Clock)
                state.clock = clock

    @property
    def own_clock(self) -> Clock | None:
        """Return the last clock that an operator here sets."""
        at = clock_before(self.operators, len(self.operators))
        clock = None if at is None else self.states[at]
        return clock if isinstance(clock, Clock) else None

    def shaped(self, moment: float | None, result: Any) -> Any:
        """Return a result that was due at `moment` as it is handed on."""
        assert self.firing is not None
        element = (RESULTS, result) if self.parts_late else result
        return (element, self.firing.stamp(moment, result)) if self.gives == "pair" else element

    @property
    def retained(self) -> int:
        """Return how many items the operators hold back."""
        return sum(state.retained for state in self.states if state is not None)

    @property
    def finished(self) -> bool:
        """Tell whether an operator wants no more input."""
        return any(state is not None and state.finished for state in self.states)

    @property
    def countdown(self) -> Countdown | None:
        """Return the state of the first `take`, which says how many more items can pass at most."""
        return next((state for state in self.states if isinstance(state, Countdown)), None)

    def blame(self, error: BaseException) -> tuple[int, Any, Any]:
        """Return the operator that raised `error`, the item that it was given, and the position that came with it."""
        frame = self._frame(error.__traceback__)
        if frame is None:
            return self.interpreted.at
        names = frame.tb_frame.f_locals
        return self._lines[frame.tb_lineno - 1], names.get("x"), plain(names.get("p"))

    def _frame(self, here: TracebackType | None) -> TracebackType | None:
        while here is not None and (self._code is None or here.tb_frame.f_code is not self._code):
            here = here.tb_next
        return here

    def prove(self) -> None:
        """From the next run on, call those functions as they are whose first result was none that must be awaited."""
        for i in tuple(self.unproven):
            call = self.calls[i]
            if isinstance(call, list):
                call[:] = [one.call if _is_unproven(one) and one.proven else one for one in call]
                self._values |= {f"g{i}_{n}": one for n, one in enumerate(call)}
            elif call.proven:
                self.calls[i] = self._values[f"f{i}"] = call.call
            if not _is_unproven(self.calls[i]):
                self.unproven.remove(i)
        function: Any = self.run
        if function is not self.interpreted:
            # The values of local variables: see `generate`.
            function.__defaults__ = tuple(self._values[name] for name in self._uses)

    def _compile(self) -> Callable[[Iterator[Any], Emit, list[int]], None]:
        filename = f"<streamflow fused {next(_serial)}>"
        names = self._values
        names |= {"position": self.position, "place": self.place, "clock": self.clock, "Stamp": Stamp}
        for i, (call, state) in enumerate(zip(self.calls, self.states, strict=True)):
            names[f"f{i}"], names[f"s{i}"] = call, state
            if isinstance(call, list):
                names |= {f"g{i}_{n}": one for n, one in enumerate(call)}
                names |= {name.replace("@", str(i)): value for name, value in self.operators[i].names.items()}
            if isinstance(call, InlineCall):
                names[f"f{i}"] = call.function
                names |= {f"k{i}_{n}": argument for n, argument in enumerate(call.arguments)}
        exec(compile(self.source, filename, "exec"), names)
        # None as the time of change tells linecache that the text is not a file that could be stale.
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(True), filename)
        function: Callable[[Iterator[Any], Emit, list[int]], None] = names.pop("fused")
        self._uses = function.__code__.co_varnames[_PARAMETERS : function.__code__.co_argcount]
        # A traceback that is still held shows the source, also after the run; with the last of them it goes.
        weakref.finalize(function.__code__, linecache.cache.pop, filename, None)
        return function


def clock_before(operators: Sequence[ElementOperator], i: int) -> int | None:
    """Return which operator sets the event time that operator `i` finds, if one of them does."""
    return next((at for at in reversed(range(i)) if operators[at].sets_time), None)


def generate(
    operators: Sequence[ElementOperator],
    *,
    emits: bool,
    takes: Shape,
    gives: Shape,
    raw: bool = False,
    stamps: bool = False,
    exact: bool = True,
) -> tuple[str, tuple[int, ...]]:
    """Return the source of the fused function, and for each of its lines the operator that it belongs to (or -1)."""
    body: list[tuple[str, int]] = []
    droppers = [i for i, operator in enumerate(operators) if operator.drops]
    position = "p" if takes == "pair" else "None" if not exact else "place(n)" if raw else "position()"
    if stamps:
        at = clock_before(operators, len(operators))
        position = f"Stamp(t, s{at}.highest - s{at}.lateness, {position})"
    emit = f"emit(({{}}, {position}))" if gives == "pair" else "emit({})"
    if _wants_stamps(operators):
        body += [("t = p[0]", -1), ("if p[1] > clock.highest: clock.highest = p[1]", -1)]
    for i, operator in enumerate(operators):
        at = clock_before(operators, i)
        clock = "clock" if at is None else f"s{at}"
        words = {**_WORDS, "ASIDE": (emit.format(f"({LATE!r}, x)"), "continue")}
        body.extend((line, i) for text in operator.lines for line in _rename(text, i, clock, words))
    if emits and not (operators and operators[-1].folds):
        body.append((emit.format("x"), -1))
    # As defaults they are local variables of the function, which are the quickest to read.
    uses = "".join(f", {name}={name}" for name in _names_in(line for line, _ in body))
    head = [f"def fused(items, emit, counts{uses}):"]
    head += [f"    d{i} = 0" for i in droppers]
    loop = "for x, p in items:" if takes == "pair" else "for x in items:"
    tail: list[str] = []
    indent = "    "
    if raw:
        head.append("    n = 0")
        body.insert(0, ("n += 1", -1))
    if droppers or raw:
        head.append("    try:")
        indent = "        "
        tail = ["    finally:", *(f"        counts[{i}] += d{i}" for i in droppers), *["        counts[-1] += n"] * raw]
    lines = [(line, -1) for line in [*head, indent + loop]]
    lines += [(indent + "    " + line, owner) for line, owner in body or [("pass", -1)]]
    lines += [(line, -1) for line in tail]
    return "\n".join(line for line, _ in lines) + "\n", tuple(owner for _, owner in lines)


def _wants_stamps(operators: Sequence[ElementOperator]) -> bool:
    """Tell whether an operator needs the time that came with the item."""
    return any(operator.timed and clock_before(operators, i) is None for i, operator in enumerate(operators))


def _rename(text: str, i: int, clock: str, words: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Give the names of an operator their numbers and spell out the words, one statement a line."""
    line = re.sub(r"\bs\.", f"s{i}.", re.sub(r"\bf\(", f"f{i}(", text)).replace("@", str(i))
    line = re.sub(r"\bc\.", f"{clock}.", line)
    line = re.sub(r"\b([gk])\.(\d+)", rf"\g<1>{i}_\2", line)
    indent = line[: len(line) - len(line.lstrip())]
    for word, statements in words.items():
        if line.endswith(": " + word):
            return [line.removesuffix(" " + word), *(f"{indent}    {one.format(i)}" for one in statements)]
        if line.strip() == word:
            return [indent + one.format(i) for one in statements]
    return [line]


_NAMES = re.compile(r"\b(?:f\d+|s\d+|[gk]\d+_\d+|h\d+_\d+_\d+|clock|Stamp|position|place)\b")


def _names_in(lines: Iterable[str]) -> list[str]:
    return sorted({name for line in lines for name in _NAMES.findall(line)})


class _Interpreted:
    """Do what the generated function does, one call of `apply` at a time, and remember where it stands."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.at: tuple[int, Any, Any] = (-1, None, None)

    def __call__(self, items: Iterator[Any], emit: Emit, counts: list[int]) -> None:
        program = self.program
        steps = list(zip(program.operators, program.states, program.calls, strict=True))
        wants_stamps = _wants_stamps(program.operators)
        for n, item in enumerate(items, 1):
            counts[-1] += program.raw
            x, p = item if program.takes == "pair" else (item, None)
            if wants_stamps:
                assert isinstance(p, Stamp)
                program.clock.now = p.time
                program.clock.highest = max(program.clock.highest, p.watermark)
            for i, (operator, state, call) in enumerate(steps):
                self.at = (i, x, plain(p))
                result = operator.apply(x, state, call)
                if result is DROPPED or result is KEPT or result is ASIDE:
                    counts[i] += result is DROPPED
                    if result is ASIDE and emit is not None:
                        emit(self._handed((LATE, x), p, n))
                    if state is not None and state.finished:
                        return
                    break
                x = result
            else:
                self.at = (-1, x, plain(p))
                if emit is not None and program.emits:
                    emit(self._handed(x, p, n))

    def _handed(self, item: Any, position: Any, count: int) -> Any:
        program = self.program
        if program.gives != "pair":
            return item
        if program.takes != "pair" and program.exact:
            position = program.place(count) if program.raw else program.position()
        clock = program.own_clock
        if program.stamps and clock is not None:
            position = Stamp(clock.now, clock.watermark, position)
        return (item, position)


def _bound(operator: ElementOperator, position: Callable[[], Any]) -> Any:
    call = operator.function
    if call is not None and getattr(operator, "with_position", False):
        function = call
        return lambda item: function(item, position())
    return call


class _Unproven:
    """Call a plain function until it has returned once: one that returns an awaitable fails, naming the fix."""

    def __init__(self, call: Callable[..., Any], operator: ElementOperator) -> None:
        self.call = call
        self.proven = False
        self._operator = operator

    def __call__(self, *arguments: Any) -> Any:
        result = self.call(*arguments)
        if not self.proven and (inspect.isawaitable(result) or inspect.isasyncgen(result)):
            if inspect.iscoroutine(result):
                result.close()
            raise FlowError(
                f"{self._operator.label}: the plain function {name_of(self._operator.function or self.call)} returned "
                f"{'an awaitable' if inspect.isawaitable(result) else 'an async generator'}, which nobody would await. "
                f"Make it `async def` (a lambda cannot be), or give the async function itself"
            )
        self.proven = True
        return result


def _is_unproven(call: Any) -> bool:
    return any(map(_is_unproven, call)) if isinstance(call, list) else isinstance(call, _Unproven)


def _proven_later(operator: ElementOperator, position: Callable[[], Any]) -> Any:
    if operator.functions:
        return [_Unproven(call, operator) for call in operator.functions]
    call = _bound(operator, position)
    return call if call is None or isinstance(call, InlineCall) else _Unproven(call, operator)
