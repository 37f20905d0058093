"""Cases for a flow, in a file beside it: what goes in, and what must come out.

# events.test.toml - tests events.toml
[[test]]
name = "amounts are doubled"
input = [{ amount = 1 }, { amount = 2 }]
output = [{ amount = 2 }, { amount = 4 }]
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamflow.configuration.document import Document
from streamflow.configuration.places import Path
from streamflow.configuration.problem import nearest
from streamflow.flows.flow import flow
from streamflow.model.errors import FlowError

ENDING = ".test.toml"

#: What a case may hold, and how it is written.
KEYS = {
    "name": 'name = "what is shown here"',
    "input": "input = [{ amount = 1 }]",
    "output": "output = [{ amount = 2 }]",
    "failed": "failed = [{ amount = 0 }]",
    "ordered": "ordered = false",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Hold what goes into a flow, and what must come out.

    `input` and `output` are the items of the one source or sink, or of several by their labels. `failed` are the
    items that fail, whatever is done about them.
    """

    name: str
    input: dict[str | None, list[Any]]
    output: dict[str | None, list[Any]]
    failed: list[Any]
    ordered: bool = True


class CaseFile:
    """Hold the cases in the file at `path`, and `flow`, which they are for; ConfigurationError says what is wrong."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._document = Document(os.fspath(path))
        self._report = self._document.report
        self.flow = self._flow()
        self.cases = tuple(self._cases())
        self._document.check()

    def _flow(self) -> str:
        document = self._document
        for key in document.values:
            if key not in ("flow", "test"):
                near = nearest(key, ("flow", "test"))
                self._report("SF104", f"unknown key {key!r}", (key,), f"did you mean {near!r}?" if near else "")
        given = document.values.get("flow")
        if given is not None and not isinstance(given, str):
            self._report("SF105", "flow: expected a text", ("flow",), 'as in flow = "events.toml"')
        elif given is not None:
            return os.path.join(document.folder, given) if given.partition(":")[0].endswith((".toml", ".py")) else given
        beside = document.path.removesuffix(ENDING)
        found = next((beside + end for end in (".toml", ".py") if os.path.isfile(beside + end)), None)
        if found is None and given is None:
            self._report(
                "SF103",
                f"there is no flow to test: neither {beside}.toml nor {beside}.py is there",
                (),
                'name it: flow = "app.toml" (or a .py file, or module:name)',
            )
        return found or ""

    def _cases(self) -> Iterator[Case]:
        tables = self._document.values.get("test", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._report("SF105", "test: expected tables", ("test",), "begin each case with [[test]]")
            return
        if not tables and "test" not in self._document.values:
            self._report("SF103", "there are no cases", (), "begin each case with [[test]]")
        for number, table in enumerate(tables):
            yield self._case(table, number)

    def _case(self, table: dict[str, Any], number: int) -> Case:
        path: Path = ("test", number)
        for key in table:
            if key not in KEYS:
                near = nearest(key, KEYS)
                fix = f"did you mean {near!r}?" if near else f"known: {', '.join(KEYS)}"
                self._report("SF104", f"unknown key {key!r} of a test", (*path, key), fix)
        for key in ("input", "output"):
            if key not in table and not any(nearest(one, KEYS) == key for one in table):
                self._report("SF103", f"this test has no {key!r}", path, f"add {KEYS[key]}")
        for key, kind, what in (("name", str, "a text"), ("ordered", bool, "true or false")):
            if not isinstance(table.get(key, kind()), kind):
                self._report("SF105", f"{key}: expected {what}", (*path, key), f"as in {KEYS[key]}")
        return Case(
            name=str(table.get("name", f"test {number + 1}")),
            input=self._by_label(table, "input", path),
            output=self._by_label(table, "output", path),
            failed=self._items(table.get("failed", []), (*path, "failed"), "failed"),
            ordered=bool(table.get("ordered", True)),
        )

    def _by_label(self, table: dict[str, Any], key: str, path: Path) -> dict[str | None, list[Any]]:
        value = table.get(key, [])
        if isinstance(value, dict):
            return {label: self._items(items, (*path, key, label), key) for label, items in value.items()}
        return {None: self._items(value, (*path, key), key)}

    def _items(self, value: Any, path: Path, key: str) -> list[Any]:
        """Return a list as it is written, or the items of the file that a text names."""
        if isinstance(value, list):
            return value
        if not isinstance(value, str):
            self._report("SF105", f"{path[-1]}: expected a list of items, or the path of a file", path, KEYS[key])
            return []
        try:
            return list(flow(os.path.join(self._document.folder, value)))
        except (FlowError, OSError, ValueError) as error:
            self._report("SF106", f"{value}: {error}", path, "")
            return []
