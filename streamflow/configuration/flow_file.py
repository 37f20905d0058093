"""A flow in a file: `source`, `stages` and `sink`, or the name of a flow that Python code describes.

Every mistake is reported, not the first alone. Without imports, a function is stood for by one that takes anything:
what cannot work whatever the functions are is found all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from streamflow.configuration.checkpoints import read_checkpoints
from streamflow.configuration.document import Document
from streamflow.configuration.environment import Environment
from streamflow.configuration.named_flow import with_an_end
from streamflow.configuration.normalised import OPERATORS, normalised
from streamflow.configuration.places import Path
from streamflow.configuration.problem import nearest
from streamflow.configuration.references import load
from streamflow.configuration.signature import mismatch
from streamflow.configuration.stand_ins import anything, anything_async, stood_for, unchanged
from streamflow.configuration.values import WRONG, Converter, options_of, required_of
from streamflow.engine.guarantees import Guarantee, guarantees
from streamflow.engine.plan import Plan
from streamflow.engine.planner import shared_files
from streamflow.files.registry import Registry
from streamflow.flows.flow import Flow, flow
from streamflow.flows.runnable import Runnable
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Sink, Source
from streamflow.operators.callables import name_of
from streamflow.sinks.registry import SINKS
from streamflow.sources.registry import SOURCES

#: What a file may hold.
KEYS = ("source", "stages", "sink", "flow", "checkpoint")

#: What a stage cannot be: why, and what to write.
IN_PYTHON = {
    **dict.fromkeys(
        ("branch", "route", "merge", "zip", "concat"),
        ("makes a graph, and stages follow one another", 'describe it in Python, and name that: flow = "module:name"'),
    ),
    **dict.fromkeys(
        ("event_time", "processing_time", "key_by", "window", "aggregate", "map_with_state", "join", "process"),
        ("is written in Python, as are keys and windows", 'a function from flow to flow: { via = "module:name" }'),
    ),
}


class FlowFile:
    """Describe the flow in the file at `path`; ConfigurationError says all that is wrong with it.

    `imports=False` imports nothing of the user's. `allowed` names variables of the environment that may be used.
    `source` and `sink` take the place of those in the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        imports: bool = True,
        allowed: Collection[str] = (),
        source: Source[Any] | None = None,
        sink: Sink[Any] | None = None,
    ) -> None:
        self._document = Document(os.fspath(path), Environment(os.environ, allowed))
        self._imports = imports
        self._given = source, sink
        self._dead_letters: list[tuple[Sink[Any], Path]] = []
        document = self._document
        self._report = document.report
        self._converter = Converter(document.report, document.folder, self._refer, self._sink)
        self._tables = document.values
        #: Where its checkpoints are kept, if it says so.
        self.checkpoints = read_checkpoints(self._tables.get("checkpoint"), self._converter, self._report)
        found = self._flow()
        if found is not None and self.checkpoints is not None:
            self.checkpoints.check(found.plan, self._report)
        document.check()
        assert isinstance(found, Runnable) or not imports
        self._runnable = found

    @property
    def runnable(self) -> Runnable:
        """Return the flow, with its ends; it can be run only if its functions were imported."""
        assert isinstance(self._runnable, Runnable), "nothing was imported"
        return self._runnable

    @property
    def plan(self) -> Plan | None:
        """Return the plan, if the flow is known."""
        return self._runnable.plan if self._runnable is not None else None

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """Return what is promised of each source and sink, if there are checkpoints and the flow is known."""
        return guarantees(self.plan) if self.checkpoints is not None and self.plan is not None else ()

    def normalised(self) -> dict[str, Any]:
        """Return the values of the file with every default written out, and no variable put in."""
        return normalised(self._document.written)

    def _flow(self) -> Runnable | None:
        tables = self._tables
        for key in tables:
            if key not in KEYS:
                self._converter.unknown(key, KEYS, (key,), f"key {key!r}")
        if "flow" in tables:
            return self._named(tables["flow"])
        source = self._given[0] or self._end("source", SOURCES)
        stages = self._stages()
        sink = self._given[1] or self._end("sink", SINKS)
        shared = self._share_files(source, sink)
        if WRONG in (source, sink) or stages is None or shared:
            return None
        return self._put_together(source, stages, sink)

    def _put_together(self, source: Any, stages: list[Callable[[Flow[Any]], Any]], sink: Any) -> Runnable | None:
        described: Any = flow(source)
        for stage in stages:
            described = stage(described)
            if described is WRONG:
                return None
        runnable: Runnable = described.to(sink)
        try:
            runnable.plan  # noqa: B018 - what does not go together is told now
        except FlowError as error:
            self._report("SF110", str(error), ("sink",), "")
            return None
        return runnable

    def _share_files(self, source: Any, sink: Any) -> bool:
        """Report each sink, of dead letters too, whose file another part uses; tell whether there is one."""
        letters = [
            (one, path)
            for n, (one, path) in enumerate(self._dead_letters)
            if all(one != other for other, _ in self._dead_letters[:n])  # those that are alike are one
        ]
        ends: list[tuple[Sink[Any], Path]] = [*([(sink, ("sink",))] if sink is not WRONG else []), *letters]
        places = {id(one): path for one, path in ends}
        shared = list(shared_files([] if source is WRONG else [source], [one for one, _ in ends]))
        for one, reason in shared:
            self._report("SF110", reason, self._document.written_at(places[id(one)], "path"), "")
        return bool(shared)

    def _named(self, reference: Any) -> Runnable | None:
        for other in ("source", "stages"):
            if other in self._tables:
                self._report(
                    "SF110", f"{other!r} and 'flow' exclude each other: the flow has its own", (other,), "", key=True
                )
        found = self._converter.convert(reference, Callable[..., Any], ("flow",))
        sink = self._given[1] or (self._end("sink", SINKS) if "sink" in self._tables else None)
        if found is WRONG or sink is WRONG or not self._imports:
            return None
        try:
            return with_an_end(found, str(reference), sink)
        except FlowError as error:
            self._report("SF110", str(error), ("flow",), "")
            return None

    # -- ends -----------------------------------------------------------------------------------------------------

    def _sink(self, value: Any, path: Path) -> Any:
        sink = self._part(value, path, "sink", SINKS)
        if sink is not WRONG and path[-1] == "dead_letter":
            self._dead_letters.append((sink, path))
        return sink

    def _end(self, what: str, registry: Registry) -> Any:
        if what not in self._tables:
            example = 'source = "in.jsonl"' if what == "source" else 'sink = "out.jsonl" (or "-")'
            near = nearest(what, self._tables)
            self._report("SF103", f"there is no {what}", (near,) if near else (), f"write {example}", key=True)
            return WRONG
        return self._part(self._tables[what], (what,), what, registry)

    def _part(self, value: Any, path: Path, what: str, registry: Registry) -> Any:
        if isinstance(value, str):
            return self._resolved(value, path, registry)
        if not isinstance(value, dict):
            self._report(
                "SF105",
                f"{what}: expected a path or a table",
                path,
                'as in { type = "jsonl", path = "events.jsonl" }',
            )
            return WRONG
        table = dict(value)
        name = table.pop("type", None)
        if name is None and isinstance(table.get("path"), str):
            try:
                name = registry.name_of(table["path"])
            except FlowError as error:
                self._report("SF107", str(error), (*path, "path"), _near_of(error) or _AS_TABLE)
                return WRONG
        known = registry.names()
        if name in known:
            kind = self._loaded(registry, name, path)
            return WRONG if kind is WRONG else self._converter.build(kind, table, path, f"{what} {name!r}")
        near = nearest(str(name), known)
        fix = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        if name is None:
            self._report("SF103", f"{what}: its type is missing", path, fix)
        else:
            self._report("SF107", f"there is no {what} of type {name!r}", (*path, "type"), fix)
        if near:  # its options are looked at too: all mistakes at once
            self._converter.build(self._loaded(registry, near, path), table, path, f"{what} {near!r}")
        return WRONG

    def _loaded(self, registry: Registry, name: str, path: Path) -> Any:
        try:
            return registry.load(name)
        except (FlowError, ImportError) as error:
            self._report("SF107", str(error), (*path, "type"), "")
            return WRONG

    def _resolved(self, text: str, path: Path, registry: Registry) -> Any:
        try:
            registry.name_of(text)
        except FlowError as error:
            self._report("SF107", str(error), path, _near_of(error) or _AS_TABLE)
            return WRONG
        try:
            return registry.resolve(self._converter.path(text))
        except FlowError as error:
            self._report("SF107", str(error), path, _near_of(error))
            return WRONG

    # -- stages ---------------------------------------------------------------------------------------------------

    def _stages(self) -> list[Callable[[Flow[Any]], Any]] | None:
        """Return what each stage adds to a flow, or None if one is wrong."""
        listed = self._tables.get("stages", [])
        if not isinstance(listed, list):
            self._report("SF105", "stages: expected a list of tables", ("stages",), 'as in [{ map = "steps:f" }]')
            return None
        found = [self._stage(stage, ("stages", number)) for number, stage in enumerate(listed)]
        return None if any(stage is None for stage in found) else [stage for stage in found if stage is not None]

    def _stage(self, table: Any, path: Path) -> Callable[[Flow[Any]], Any] | None:
        if not isinstance(table, dict):
            self._report("SF105", "a stage is a table", path, 'as in { map = "steps:f" }')
            return None
        words = [key for key in table if key in OPERATORS]
        if len(words) > 1 and "timeout" in words:
            words.remove("timeout")  # it is an option of others too
        if len(words) != 1:
            self._no_operator(table, words, path)
            return None
        word = words[0]
        method = getattr(Flow, word)
        known = options_of(method)
        first = next(iter(known))
        given = dict(table)
        value, hint = given.pop(word), known.pop(first) if first != "name" else None
        what = f"operator {word!r}"
        arguments, whole = self._converter.options(known, given, path, what)
        required = [name for name in required_of(method) if name in known]
        complete = self._converter.complete(required, arguments, given, path, what)
        begins = self._first(word, hint, value, (*path, word))
        if begins is WRONG or not complete or (whole and not self._callable_so(word, begins, arguments, (*path, word))):
            return None

        def stage(described: Flow[Any]) -> Any:
            return self._applied(described, word, begins, arguments, path, whole)

        return stage if stage(flow(())) is not WRONG and whole else None

    def _callable_so(self, word: str, begins: Any, arguments: Mapping[str, Any], path: Path) -> bool:
        """Tell whether the function takes what the operator calls it with; report it if not."""
        if not begins or not callable(begins[0]) or stood_for(begins):
            return True
        wrong = mismatch(word, begins[0], arguments)
        if wrong:
            self._report("SF106", f"{word}({name_of(begins[0])}): {wrong}", path, "")
        return not wrong

    def _first(self, word: str, hint: Any, value: Any, path: Path) -> Any:
        """Return the arguments of an operator that are not named: none for `distinct = true`."""
        if value is True and word in ("distinct", "unbatch"):
            return ()
        if hint is None:
            self._report("SF105", f"{word} takes no value", path, "write true")
            return WRONG
        found = self._converter.convert(value, hint, path)
        return WRONG if found is WRONG else (found,)

    def _no_operator(self, table: Mapping[str, Any], words: list[str], path: Path) -> None:
        if words:
            self._report(
                "SF110",
                f"a stage is one operator, this has {' and '.join(map(repr, words))}",
                (*path, words[1]),
                "write each as a stage of its own",
                key=True,
            )
            return
        for key in table:
            near = "" if key in IN_PYTHON else nearest(key, OPERATORS)
            if near:
                self._report(
                    "SF107", f"there is no operator {key!r}", (*path, key), f"did you mean {near!r}?", key=True
                )
                return
            if key in IN_PYTHON:
                why, fix = IN_PYTHON[key]
                self._report("SF107", f"{key!r} {why}", (*path, key), fix, key=True)
                return
        self._report("SF103", "this stage has no operator", path, f"known: {', '.join(OPERATORS)}")

    def _applied(
        self, described: Flow[Any], word: str, begins: Any, arguments: dict[str, Any], path: Path, whole: bool
    ) -> Any:
        """Return the flow with one operator more, or WRONG."""
        refused: FlowError | None = None
        for alike in (anything, anything_async) if stood_for(begins) else (None,):
            try:
                first = begins if alike is None else (alike,)
                return getattr(described, word)(*first, **arguments)
            except FlowError as error:
                refused = refused or error
        assert refused is not None
        self._converter.refused(refused, path, {**arguments, word: None}, whole)
        return WRONG

    # -- references -----------------------------------------------------------------------------------------------

    def _refer(self, reference: str, path: Path, wanted: Any) -> Any:
        if not self._imports and ":" in reference:
            if path[-1] == "via":
                return unchanged
            return Exception if wanted is type else None if wanted is Any else anything
        try:
            found = load(reference, self._document.folder)
        except FlowError as error:
            self._report("SF108", str(error), path, _near_of(error))
            return WRONG
        if wanted is Callable and path != ("flow",) and not callable(found):
            what = f"{path[-1]}: {reference!r} is {type(found).__name__}, which cannot be called"
            self._report("SF106", what, path, "name a function")
            return WRONG
        return found


_AS_TABLE = 'say what it is: { type = "jsonl", path = ... }'


def _near_of(error: FlowError) -> str:
    """Return the suggestion in the message of an error, to be shown at its place."""
    message = str(error)
    start = message.find("did you mean ")
    return message[start : message.index("?", start) + 1] if start >= 0 else ""
