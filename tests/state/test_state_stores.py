"""Every store of state under the suite that third parties run over theirs."""

from __future__ import annotations

import os
import tracemalloc
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.model.interfaces import StateStore
from streamflow.operators.keyed_store import KeyedStore
from streamflow.state import scratch
from streamflow.state.disk_store import DiskStore, disk_store
from streamflow.state.encoding import decode
from streamflow.state.key_form import key_form
from streamflow.testing import StateStoreSuite
from streamflow.testing.conformance.state_stores import bring_in, load, save, shed
from tests.sizes import examples


class TestMemory(StateStoreSuite):
    def make_store(self, *, timed: bool) -> StateStore:
        return KeyedStore(timed)


class TestDisk(StateStoreSuite):
    cache = 3

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.directories = (tmp_path,)

    def make_store(self, *, timed: bool) -> StateStore:
        return DiskStore(self.cache, str(self.directories[0]), timed=timed)


class TestDiskOfOneKey(TestDisk):
    cache = 1


class TestDiskWithRoom(TestDisk):
    cache = 8


# -- keys -------------------------------------------------------------------------------------------------------------

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.fractions()
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | st.complex_numbers(allow_nan=False)
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
    | st.uuids()
)
SOME = st.sampled_from([0, 1, 1.0, True, "1", b"1", Fraction(1), Decimal("1.0"), 1 + 0j, -0.0, (), "", b"", 0.5])
NESTED = st.recursive(PLAIN | SOME, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=2))


@settings(max_examples=examples(100, nightly=2000))
@given(NESTED, NESTED)
def test_keys_have_the_same_form_if_and_only_if_they_are_equal(one: Any, other: Any) -> None:
    assert (key_form(one) == key_form(other)) == (one == other)
    assert key_form((one, one)) == key_form((decode_again(one), one))


def decode_again(key: Any) -> Any:
    import pickle

    return pickle.loads(pickle.dumps(key))


@pytest.mark.parametrize("key", [object(), len, ("a", object()), complex], ids=["object", "function", "tuple", "class"])
def test_a_key_that_cannot_be_written_down_is_named(key: Any) -> None:
    store = DiskStore(1, None, timed=False)
    store.open()
    try:
        store.put(key, 1)
        store.put("other", 1)
        with pytest.raises(
            sf.NotSerialisable, match=r"key .*: it is, or holds, a .*; on the disk, keys are told apart"
        ):
            shed(store)
    finally:
        store.close()


def test_a_state_that_cannot_be_written_down_is_named_with_its_key() -> None:
    store = DiskStore(1, None, timed=False)
    store.open()
    try:
        store.put("ann", {"seen": [1, len]})
        store.put("other", 1)
        with pytest.raises(sf.NotSerialisable, match="the state of key 'ann': key 'seen', entry 1: a function"):
            shed(store)
    finally:
        store.close()


# -- the disk ---------------------------------------------------------------------------------------------------------


def fill(store: StateStore, keys: range) -> None:
    for at in range(keys.start, keys.stop, 500):
        some = range(at, min(at + 500, keys.stop))
        bring_in(store, some)
        for key in some:
            store.put(key, {"n": store.get(key, {"n": 0})["n"] + 1, "text": "x" * 500})
        shed(store)


def test_memory_is_bounded_by_the_cache_whatever_the_number_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "ROWS_A_PIECE", 50)
    store, other = (DiskStore(200, None, timed=False) for _ in range(2))
    store.open()
    other.open()
    tracemalloc.start()
    try:
        fill(store, range(5000))
        fill(store, range(5000))
        assert store.in_memory <= 200
        save(store)
        for piece in store.pieces():
            other.load(piece)
        assert len(other) == len(store) == 5000
        assert [value["n"] for _, value in other.items()] == [2] * 5000
        assert store.disk_bytes > 5000 * 500
        assert tracemalloc.get_traced_memory()[1] < 1.5e6  # all of it would be 4 MB
    finally:
        tracemalloc.stop()
        store.close()
        other.close()


def test_only_groups_that_were_touched_are_written_down_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def encoding(value: Any) -> bytes:
        made.append(value)
        return encode(value)

    encode = scratch.encode
    monkeypatch.setattr(scratch, "encode", encoding)
    store, other = (DiskStore(10, None, timed=False) for _ in range(2))
    store.open()
    other.open()
    try:
        fill(store, range(3000))
        save(store)
        first = list(store.pieces())
        assert len(made) == len(first)
        made.clear()
        assert list(store.pieces()) == first
        assert not made
        fill(store, range(3))
        save(store)
        second = list(store.pieces())
        assert 1 <= len(made) <= 3
        assert len(set(first) & set(second)) == len(first) - len(made)
        made.clear()
        load(other, second)
        assert list(other.pieces()) == second  # as they were: a later checkpoint writes nothing anew
        assert not made
        assert decode(second[0])
    finally:
        store.close()
        other.close()


@pytest.mark.skipif(os.name != "posix", reason="a file that is open keeps its name there")
def test_the_scratch_file_has_no_name(tmp_path: Path) -> None:
    store = disk_store(cache=2, path=tmp_path).make(timed=False)
    store.open()
    fill(store, range(100))
    assert list(tmp_path.iterdir()) == []
    assert len(list(islice(store.items(), 5))) <= 5
    store.close()


def test_what_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sf.FlowError, match="whole number from 1 on"):
        disk_store(cache=0)
    with pytest.raises(sf.FlowError, match="expected the path of a folder"):
        disk_store(path=3)  # type: ignore[arg-type]
    with pytest.raises(NotADirectoryError, match="there is no such folder"):
        DiskStore(1, str(tmp_path / "none"), timed=False).open()
