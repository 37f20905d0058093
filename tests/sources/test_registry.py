import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

import streamflow.sinks
import streamflow.sources
from streamflow.model.errors import FlowError
from streamflow.sources import JsonLines, Stdin, TextLines, Ticks, resolve
from streamflow.sources.registry import SOURCES


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("a/events.jsonl", JsonLines("a/events.jsonl")),
        ("events.NDJSON", JsonLines("events.NDJSON")),
        ("a.txt", TextLines("a.txt")),
        ("access.log", TextLines("access.log")),
        ("-", Stdin()),
    ],
)
def test_a_text_names_a_source_by_its_suffix(text, source):
    assert resolve(text) == source


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("events.jsonk", [r"'\.jsonk'", r"did you mean '\.jsonl'", r"\.ndjson"]),
        ("events", ["no suffix", r"\.jsonl"]),
        ("kafka://host/topic", ["scheme 'kafka://'"]),
    ],
)
def test_an_unknown_text_is_told_what_is_known_and_near(text, words):
    for word in words:
        with pytest.raises(FlowError, match=word):
            resolve(text)


def test_plugins_add_suffixes_schemes_and_names(monkeypatch):
    group = "streamflow.sources"
    points = EntryPoints(
        EntryPoint(name, "streamflow.sources.text_lines:TextLines", group) for name in (".tab", "tcp", "mine")
    )
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    assert resolve("a.tab") == TextLines("a.tab")
    assert resolve("tcp://host:1") == TextLines("tcp://host:1")
    assert SOURCES.load("mine") is TextLines
    assert SOURCES.load("ticks") is Ticks
    with pytest.raises(FlowError, match=r"did you mean 'mine'"):
        SOURCES.load("mime")


def test_names_are_handed_on_lazily():
    code = "import sys, streamflow.sources as s, streamflow.sinks; s.Ticks; print('orjson' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
    for package in (streamflow.sources, streamflow.sinks):
        for name in package.__all__:
            assert getattr(package, name).__doc__
        assert set(package.__all__) <= set(dir(package))
        with pytest.raises(AttributeError, match="Nothing"):
            package.Nothing  # noqa: B018
