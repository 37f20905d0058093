"""Places of keys and values: compared with what `tomllib` finds there."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.configuration.places import Path, Places

_CHARACTERS = st.characters(exclude_categories=["Cs", "Cc"])
_NAMES = st.text(_CHARACTERS, min_size=1, max_size=6)
_SCALARS = st.one_of(
    st.integers(-(2**60), 2**60).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text(_CHARACTERS | st.just("\n"), max_size=8).map(lambda text: _quoted(text)),
    st.text(_CHARACTERS.filter(lambda c: c != "'"), max_size=8).map(lambda text: f"'{text}'"),
    st.text(_CHARACTERS.filter(lambda c: c not in '\\"') | st.just("\n"), max_size=8).map(lambda t: f'"""{t}"""'),
    st.sampled_from(["1.5", "1979-05-27 07:32:00", "07:32:00", "inf", "0xff", "''''x'''", '"""a""b"""', '"""a"""""']),
)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


_BLANKS = st.sampled_from(["", " ", "  ", "\t"])
_LINES = st.sampled_from(["", " ", "\n", " # a ] comment = { \n", "\n\n  "])


def _array(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(st.lists(st.tuples(_LINES, values, _LINES), max_size=3), st.booleans()).map(
        lambda drawn: "[" + ",".join(map("".join, drawn[0])) + "," * (drawn[1] and bool(drawn[0])) + "\n]"
    )


def _table(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    entry = st.tuples(_NAMES, _BLANKS, values)
    return st.lists(entry, max_size=3, unique_by=lambda drawn: drawn[0]).map(
        lambda drawn: "{" + ", ".join(f"{_quoted(n)}{b}={b}{v}" for n, b, v in drawn) + " }"
    )


_VALUES = st.recursive(_SCALARS, lambda values: _array(values) | _table(values), max_leaves=8)


@st.composite
def documents(draw: st.DrawFn) -> str:
    lines = []
    for number in range(draw(st.integers(0, 3))):
        header = draw(st.sampled_from([f"[t{number}]", f"[t{number}.x.'y z']", "[[several]]", "[[several]]"]))
        lines.append(header if number else "")
        names = draw(st.lists(_NAMES, max_size=3, unique=True))
        lines += [f"{draw(_BLANKS)}{_quoted(name)}{draw(_BLANKS)}= {draw(_VALUES)} # {name}" for name in names]
        if draw(st.booleans()):
            lines.append(f"dotted{number} . 'a b'.{number} = {draw(_VALUES)}")
    return "\n".join(lines)


def leaves(value: Any, path: Path = ()) -> dict[Path, Any]:
    """Return every value that is neither table nor array, by its way."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inner is None:
        return {path: value}
    return {way: leaf for key, one in inner for way, leaf in leaves(one, (*path, key)).items()}


@given(documents())
def test_every_value_is_found_where_it_stands(text: str) -> None:
    places = Places.of(text)
    lines = text.split("\n")
    for path, value in leaves(tomllib.loads(text)).items():
        line, column, _ = places.values[path]
        rest = "\n".join([lines[line - 1][column - 1 :], *lines[line:]])
        key_line, key_column, key_end = places.key(path)
        assert key_line <= line
        assert key_column < key_end
        assert rest.startswith(_spellings(value)), (path, rest)


def _spellings(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return (str(value).lower(),)
    if isinstance(value, str):
        return ('"', "'")
    return tuple("0123456789-+in")


def test_what_has_no_place_is_where_the_nearest_thing_around_it_is() -> None:
    places = Places.of("a = 1\n[table.inner]\nkey = 2\n")
    assert places.key(("table", "inner", "missing")).line == 2
    assert places.key(("nothing",)) == (1, 1, 1)
    assert places.value(("table", "inner")).line == 2


@pytest.mark.parametrize("text", ["", "\n", "# only a remark", "a=1", "a = []\n", "a = {}\n", "[a]\n[[b]]\n[[b]]"])
def test_small_documents(text: str) -> None:
    Places.of(text)
