"""What comes out equals what went in: through an arena and a second mapping of it, and through another process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow.memory.arena import Arena, Borrowed
from streamflow.memory.packing import Packed, pack, unpack
from streamflow.memory.segment import Segment

numpy = pytest.importorskip("numpy")
extra = pytest.importorskip("hypothesis.extra.numpy")

cloudpickle = pytest.importorskip("cloudpickle")

LARGE = 100_000


class Crossing:
    """Be a writer and a reader of one arena, in one process."""

    def __init__(self) -> None:
        segment = Segment.create(1 << 20)
        self.arena = Arena(segment, 1 << 20)
        self.borrowed = Borrowed(Segment(os.dup(segment.fd)))

    def send(self, obj: Any, threshold: int = 64) -> Any:
        packed = pack(obj, threshold)
        return unpack(packed.payload, map(self.borrow, self.place(packed)))

    def place(self, packed: Packed) -> list[tuple[int, int]]:
        references = []
        for buffer in packed.buffers:
            raw = buffer.raw()
            block = self.arena.allocate(raw.nbytes, beyond=True)
            assert block is not None
            block.view[:] = raw
            references.append(block.reference)
        return references

    def borrow(self, reference: tuple[int, int]) -> memoryview:
        return self.borrowed.view(*reference)

    def end(self) -> None:
        for offset in self.borrowed.settle():
            self.arena.give_back(offset)
        assert self.arena.used == 0
        self.arena.segment.close()
        self.borrowed.segment.close()


def assert_same(came: Any, sent: Any) -> None:
    assert type(came) is type(sent)
    assert came.dtype == sent.dtype
    assert came.dtype.byteorder == sent.dtype.byteorder
    assert came.shape == sent.shape
    assert came.flags.writeable == sent.flags.writeable
    # Bit for bit, NaN and -0.0 included.
    assert came.tolist() == sent.tolist() if sent.dtype.hasobject else came.tobytes() == sent.tobytes()


PLAIN = st.one_of(
    extra.boolean_dtypes(),
    extra.integer_dtypes(endianness="?"),
    extra.floating_dtypes(endianness="?"),
    extra.complex_number_dtypes(endianness="?"),
    extra.datetime64_dtypes(endianness="?"),
    extra.timedelta64_dtypes(endianness="?"),
    extra.unicode_string_dtypes(endianness="?"),
    extra.byte_string_dtypes(),
)
DTYPES = st.one_of(PLAIN, extra.array_dtypes(PLAIN), extra.nested_dtypes(PLAIN))
SHAPES = extra.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)


@st.composite
def arrays(draw: st.DrawFn) -> Any:
    array = draw(extra.arrays(draw(DTYPES), draw(SHAPES)))
    if draw(st.booleans()):
        array = array.T
    if array.ndim and draw(st.booleans()):
        array = array[draw(extra.basic_indices(array.shape, allow_newaxis=True))]
        array = numpy.asarray(array)  # a scalar, where everything was indexed
    if draw(st.booleans()):
        array = array.view()
        array.flags.writeable = False
    return array


@settings(max_examples=300)
@given(arrays(), st.sampled_from([0, 64, 1 << 30]))
def test_any_array_comes_out_as_it_went_in(array: Any, threshold: int) -> None:
    crossing = Crossing()
    came = crossing.send([array, {"again": array}], threshold)
    assert_same(came[0], array)
    assert came[1]["again"] is came[0]
    del came
    crossing.end()


def object_array() -> Any:
    array = numpy.array([None, "a", [1, 2], 3.5] * 100, dtype=object)
    array[7] = array[2]
    return array


SPECIAL = {
    "object": object_array(),
    "object, strided": object_array()[::3],
    "zero-length": numpy.zeros((0, 5)),
    "0-d": numpy.array(7.5),
    "big-endian": numpy.arange(500, dtype=">i4"),
    "strided": numpy.arange(9000).reshape(90, 100)[::3, ::-2],
    "transposed": numpy.arange(9000).reshape(9, 10, 100).transpose(1, 0, 2),
    "broadcast": numpy.broadcast_to(numpy.arange(100), (30, 100)),
    "structured": numpy.zeros(100, dtype=[("a", "<i4"), ("b", ">f8", (2,)), ("c", "S3")]),
    "structured times": numpy.zeros(100, dtype=[("a", "M8[s]"), ("b", "u1")]),
    "field": numpy.arange(300.0).view([("x", "f8"), ("y", "f8"), ("z", "f8")])["y"],
    "datetime64": numpy.arange("2020-01-01", "2022-01-01", dtype="M8[D]"),
    "NaT": numpy.array(["NaT", "2020-01-01T00:00:00.123456789"] * 50, dtype="M8[ns]"),
    "void": numpy.zeros(100, "V7"),
    "no bytes per item": numpy.zeros(100, "V0"),
}


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("array", SPECIAL.values(), ids=SPECIAL.keys())
def test_an_odd_array_comes_out_as_it_went_in(array: Any, readonly: bool) -> None:
    if readonly:
        array = array.view()
        array.flags.writeable = False
    crossing = Crossing()
    came = crossing.send(array)
    assert_same(came, array)
    del came
    crossing.end()


@pytest.mark.parametrize("readonly", [False, True])
def test_a_masked_array_keeps_its_mask_and_fill(readonly: bool) -> None:
    array = numpy.ma.masked_greater(numpy.arange(1000.0), 500)
    array.fill_value = -1
    array.flags.writeable = not readonly
    came = Crossing().send({"a": array})["a"]
    assert type(came) is type(array)
    assert came.filled().tolist() == array.filled().tolist()
    assert came.mask.tolist() == array.mask.tolist()
    assert came.flags.writeable == array.flags.writeable


def test_an_array_that_holds_itself_comes_out_so() -> None:
    array = numpy.empty(2, dtype=object)
    array[0] = array
    array.flags.writeable = False
    came = Crossing().send(array)
    assert came[0] is came
    assert not came.flags.writeable


@pytest.mark.parametrize("name", ["strided", "datetime64", "NaT", "transposed", "structured", "field"])
def test_every_array_of_plain_data_leaves_its_bytes_out(name: str) -> None:
    packed = pack(SPECIAL[name], 0)
    assert [buffer.raw().nbytes for buffer in packed.buffers] == [SPECIAL[name].nbytes]
    assert len(packed.payload) < 500


def test_an_array_lies_right_over_the_memory_it_came_through() -> None:
    crossing = Crossing()
    sent = numpy.zeros(1000)
    came = crossing.send(sent)
    came[5] = 1.5
    assert numpy.frombuffer(crossing.arena.segment.view(0, 8000))[5] == 1.5
    assert sent[5] == 0
    assert crossing.borrowed.settle() == []


def test_bytes_in_a_list_leave_it_and_come_back_as_bytes() -> None:
    large, changeable = os.urandom(LARGE), bytearray(os.urandom(LARGE))
    sent = [large, b"small", changeable, bytearray(b"s"), large, None, {"deep": large}]
    packed = pack(sent[:6])
    assert [buffer.raw().nbytes for buffer in packed.buffers] == [LARGE, LARGE]
    assert len(packed.payload) < 500
    crossing = Crossing()
    came = crossing.send(sent)
    assert came == sent
    assert [type(one) for one in came] == [type(one) for one in sent]
    assert came[0] is came[4]
    assert sent[0] is large  # the list is the user's and stays as it is
    crossing.end()  # copied out: nothing is held
    for one in (large, changeable):
        packed = pack(one)
        assert len(packed.buffers) == 1
        assert unpack(packed.payload, packed.buffers) == one


def test_bytes_below_the_threshold_and_subclasses_stay_in() -> None:
    class Named(bytes):
        pass

    assert pack([b"x" * 99, bytearray(99)], 100).buffers == []
    assert len(pack([b"x" * 100, bytearray(100)], 100).buffers) == 2
    packed = pack([Named(200)], 100, pickler=cloudpickle.Pickler)
    assert packed.buffers == []


def test_arrow_data_leaves_its_buffers_out() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"a": range(LARGE), "b": ["word"] * LARGE, "c": [1.5, None] * (LARGE // 2)})
    batch = table.to_batches()[0]
    buffer = pyarrow.py_buffer(b"x" * LARGE)
    sent = [table, batch, buffer]
    packed = pack(sent)
    assert len(packed.payload) < 30_000  # two validity bitmaps, each below the threshold
    crossing = Crossing()
    came = crossing.send(sent)
    assert [one.equals(other) for one, other in zip(came, sent, strict=True)] == [True] * 3
    column = came[0].column("a")
    del came
    assert crossing.borrowed.held >= LARGE * 8
    assert column.to_pylist() == list(range(LARGE))
    del column
    crossing.end()


def test_cloudpickle_may_do_the_pickling() -> None:
    frozen = numpy.arange(LARGE)[::2]
    frozen.flags.writeable = False
    packed = pack([lambda: 3, frozen], pickler=cloudpickle.Pickler)
    assert len(packed.buffers) == 1
    function, array = unpack(packed.payload, packed.buffers)
    assert function() == 3
    assert_same(array, frozen)


def test_what_cannot_be_pickled_raises() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pack([lambda: 3])


CHILD = """
import sys, pickle
from streamflow.memory.arena import Arena, Borrowed
from streamflow.memory.packing import pack, unpack
from streamflow.memory.segment import Segment
there, back = (Segment(int(fd)) for fd in sys.argv[1:])
borrowed, arena = Borrowed(there), Arena(back, back.size)
payload, references = pickle.load(sys.stdin.buffer)
array, word = unpack(payload, [borrowed.view(*reference) for reference in references])
packed = pack([array * 2, array[::2], word])
out = []
for buffer in packed.buffers:
    block = arena.allocate(buffer.raw().nbytes)
    block.view[:] = buffer.raw()
    out.append(block.reference)
payload, before = packed.payload, borrowed.settle()
del array, packed, buffer
pickle.dump((payload, before, borrowed.settle(), out), sys.stdout.buffer)
"""


def test_another_process_reads_writes_and_gives_back() -> None:
    crossing = Crossing()
    results = Segment.create(8 << 20)
    array = numpy.arange(LARGE, dtype="f8")
    array.flags.writeable = False
    packed = pack([array, b"w" * LARGE])
    references = crossing.place(packed)
    fds = (crossing.arena.segment.fd, results.fd)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, fds)],
        input=pickle.dumps((packed.payload, references)),
        stdout=subprocess.PIPE,
        pass_fds=fds,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        check=True,
    )
    payload, copied, ended, out = pickle.loads(done.stdout)
    assert (copied, ended) == ([references[1][0]], [references[0][0]])
    borrowed = Borrowed(results)
    doubled, halved, word = unpack(payload, [borrowed.view(*reference) for reference in out])
    assert doubled.tolist() == (array * 2).tolist()
    assert doubled.flags.writeable
    assert_same(halved, array[::2])
    assert word == b"w" * LARGE
    for offset in copied + ended:
        crossing.arena.give_back(offset)
    assert crossing.arena.used == 0
    results.close()
