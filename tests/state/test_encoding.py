"""What is encoded comes back as it was; what could not is refused at once, by the key where it stands."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import http
import ipaddress
import math
import pathlib
import threading
import types
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import CheckpointMismatch, NotSerialisable
from streamflow.model.positions import FileMark, Position
from streamflow.state.encoding import decode, encode


class Colour(enum.Enum):
    RED = "r"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Plain:
    x: int
    y: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: Any


class Pair(NamedTuple):
    a: int
    b: str


class Record(msgspec.Struct, kw_only=True, frozen=True):
    a: int
    b: str = "x"


class Tally(dict[str, int]):
    pass


class Weird(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Weird) and other.code == self.code

    def __hash__(self) -> int:
        return self.code


class WithInit:
    """Count how often `__init__` is called: opening never does."""

    made = 0

    def __init__(self, n: int) -> None:
        type(self).made += 1
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WithInit) and other.n == self.n

    __hash__ = None  # type: ignore[assignment]


class Measured:
    """Be made with named arguments."""

    def __new__(cls, *, unit: str) -> Measured:
        self = super().__new__(cls)
        self.unit = unit
        return self

    unit: str

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, str]]:
        return (), {"unit": self.unit}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measured) and other.unit == self.unit

    __hash__ = None  # type: ignore[assignment]


ROME = ZoneInfo("Europe/Rome")
VALUES = [
    *(None, True, 2**200, -1, 1.5, "é\ud800", b"x", (1,), [1], {1: 2}, {1}, frozenset([1]), bytearray(b"x")),
    *(dt.datetime(2020, 1, 1, tzinfo=ROME), dt.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=ROME), ROME),
    *(dt.datetime.now(dt.UTC), dt.timezone(dt.timedelta(hours=2), "x"), dt.date(1, 1, 1), dt.time(1), dt.timedelta(-1)),
    *(Decimal("1.10"), Fraction(1, 3), uuid.UUID(int=7), 1j, range(3, 9, 2), slice(1, 2), ...),
    *(deque([1], 3), Counter("aab"), defaultdict(list, {1: [2]}), OrderedDict(b=1, a=2), types.SimpleNamespace(a=1)),
    *(Colour.RED, Rights.READ | Rights.WRITE, http.HTTPStatus.OK, Plain(1, [2]), Slotted(1), Pair(1, "b")),
    *(Record(a=1), Tally(a=1), Weird(3), Measured(unit="m"), WithInit(4), [Plain(1), Plain(2)]),
    *(pathlib.Path("/a/b"), pathlib.PureWindowsPath("c:\\a"), ipaddress.ip_address("::1")),
    *(np.float64(1.5), np.int8(3), np.str_("ab"), np.bytes_(b"a\0"), np.str_(""), np.datetime64("2020-01-01", "D")),
    *(np.dtype("f8"), np.dtype([("a", "i4"), ("b", "f8")]), int),
    Position("in.jsonl", line=3, offset=17, file=FileMark(1, 2, 3, "d")),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r}"[:40])
def test_what_users_keep_comes_back_as_it_was(value: Any) -> None:
    again = decode(encode({"key": value}))["key"]
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value) or type(value).__repr__ is object.__repr__


def test_a_floating_nan_and_the_zone_itself_come_back() -> None:
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode(ROME)) is ROME
    assert decode(encode(deque([1], 3))).maxlen == 3
    assert decode(encode(dt.datetime(2020, 10, 25, 2, 30, fold=1))).fold == 1


ARRAYS = [
    np.arange(6).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.array([1, "a", None, [2]], object),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", ">f8")]),
    np.zeros((0, 3)),
    np.array(5),
    np.array(["a", "bc"]),
    np.array(["2020"], "M8[D]"),
    np.arange(10)[::2],
    np.array([True]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}-{array.shape}")
@pytest.mark.parametrize("writeable", [True, False])
def test_arrays_come_back_with_type_shape_and_whether_they_may_be_written(array: Any, writeable: bool) -> None:
    array = array.copy(order="K")
    array.flags.writeable = writeable
    again = decode(encode(array))
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    assert (again == array).all()
    assert again.flags.writeable == (writeable or array.dtype == object)


def test_an_init_is_never_called() -> None:
    data = encode(WithInit(4))
    before = WithInit.made
    assert decode(data).n == 4
    assert WithInit.made == before


def test_the_generator_of_random_numbers_goes_on_where_it_was() -> None:
    generator = Random(1)
    generator.random()
    again = decode(encode(generator))
    assert [again.random() for _ in range(3)] == [generator.random() for _ in range(3)]


def test_one_object_twice_is_one_object_again_and_a_circle_a_circle() -> None:
    shared: list[Any] = [1]
    one, other = decode(encode([shared, shared]))
    assert one is other
    shared.append(shared)
    again = decode(encode(shared))
    assert again[1] is again


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5)  # lone surrogates too: names of files need not be UTF-8
    | st.binary(max_size=5)
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.uuids()
    | st.builds(Slotted, st.integers())
    | st.sampled_from(Colour)
    | st.builds(Pair, st.integers(), st.text(max_size=3))
)
keys = st.one_of(st.text(max_size=4), st.integers(), st.tuples(st.integers(), st.text(max_size=2)), st.dates())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.lists(inner, max_size=4).map(deque),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
        st.dictionaries(keys, inner, max_size=4).map(lambda found: defaultdict(list, found)),
        st.frozensets(keys, max_size=4),
        st.builds(Plain, st.integers(), st.lists(inner, max_size=3)),
        st.builds(Slotted, inner),
    ),
    max_leaves=12,
)


@given(values)
def test_whatever_is_put_together_comes_back_and_gives_the_same_bytes(value: Any) -> None:
    data = encode(value)
    again = decode(data)
    assert again == value
    assert type(again) is type(value)
    assert encode(value) == data


# What cannot be written.


def local_class() -> Any:
    class Local:
        pass

    return Local()


def generator() -> Any:
    yield 1


async def coroutine() -> None:
    return None


class Renamed:
    pass


Renamed.__qualname__ = "Otherwise"


class Singleton:
    def __reduce__(self) -> str:
        return "SINGLE"


class Unwilling:
    def __getstate__(self) -> Any:
        raise OSError("not now")


class Runner:
    """Ask for a function to be called when it is opened."""

    def __reduce__(self) -> Any:
        return print, ("boo",)


class Threaded(threading.Thread):
    pass


REFUSED: list[tuple[Any, str]] = [
    (generator(), "a generator ("),
    (lambda: 1, "a lambda cannot be written down"),
    (len, "a function (<built-in function len>)"),
    (generator, "a function (<function gen"),
    (local_class(), "is defined in a function: define it at the top of its module"),
    (threading.Lock(), "a lock ("),
    (Plain, "a class (<class"),
    (defaultdict(lambda: 1), "a lambda"),
    (defaultdict(Plain), "a class"),
    (types, "a module ("),
    (Renamed(), "there is no"),
    (Singleton(), "is written as the name SINGLE"),
    (Unwilling(), "OSError: not now"),
    (Runner(), "is made by a function (<built-in function print>), which no checkpoint may call"),
    (Threaded(), "is derived from threading.Thread"),
    (memoryview(b""), "a memoryview ("),
    (np.ma.array([1]), "a MaskedArray ("),
    (np.array([(1,)], dtype=[("a", object)]), "has Python objects among its fields"),
    (np.array(["a"], dtype=np.dtypes.StringDType()), "has Python objects among its fields"),  # type: ignore[call-overload]
]


@pytest.mark.parametrize(("value", "said"), REFUSED, ids=[said[:30] for _, said in REFUSED])
def test_what_cannot_be_written_is_told_with_its_key(value: Any, said: str) -> None:
    with pytest.raises(NotSerialisable) as raised:
        encode({"bob": 1, "ann": [0, value]})
    assert str(raised.value).startswith("key 'ann', entry 1: ")
    assert said in str(raised.value)


def test_files_and_coroutines_too(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "x").open("w") as file, pytest.raises(NotSerialisable, match="key 'f': a TextIOWrapper"):
        encode({"f": file})
    running = coroutine()
    with pytest.raises(NotSerialisable, match="a coroutine"):
        encode(running)
    running.close()
    with pytest.raises(NotSerialisable, match=r"attribute 'y', entry 0: an? .*Future"):
        loop = asyncio.new_event_loop()
        try:
            encode(Plain(1, [loop.create_future()]))
        finally:
            loop.close()


def test_the_one_of_many_is_found() -> None:
    with pytest.raises(NotSerialisable, match=r"^key 1777: a lambda"):
        encode({key: key for key in range(3000)} | {1777: lambda: 1})


def test_a_key_and_what_is_too_deep_are_told_as_well() -> None:
    with pytest.raises(NotSerialisable, match=r"^a key: a function"):
        encode({len: 1})
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotSerialisable, match="nested too deeply"):
        encode({"ann": deep})


def test_a_class_that_is_gone_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    module = types.ModuleType("a_users_module")
    exec("class Basket: pass", vars(module))
    monkeypatch.setitem(sys.modules, "a_users_module", module)
    data = encode(module.Basket())
    assert isinstance(decode(data), module.Basket)
    del module.Basket
    with pytest.raises(CheckpointMismatch, match=r"there is no a_users_module.Basket any more"):
        decode(data)
    monkeypatch.delitem(sys.modules, "a_users_module")
    with pytest.raises(CheckpointMismatch, match="import a_users_module where the flow is described"):
        decode(data)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "@dataclass(frozen=True, slots=True)\nclass C:\n x: int\n y: int",
            "@dataclass(frozen=True, slots=True)\nclass C:\n y: int\n x: int",
        ),
        ("class C(Struct):\n x: int\n y: int", "class C(Struct):\n y: int\n x: int"),
    ],
)
def test_fields_that_changed_their_places_are_never_mixed_up(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    module = types.ModuleType("a_users_module")
    monkeypatch.setitem(sys.modules, "a_users_module", module)
    imports = "from dataclasses import dataclass\nfrom msgspec import Struct\n"
    exec(imports + before, vars(module))
    value = module.C(1, 2)
    data = encode(value)
    assert decode(data) == value
    exec(imports + after, vars(module))
    with pytest.raises(
        CheckpointMismatch, match=r"the fields of a_users_module.C were \('x', 'y'\), and are \('y', 'x'\)"
    ):
        decode(data)
    with pytest.raises(NotSerialisable, match="is another class by now"):
        encode(value)


def test_types_that_are_handed_out_cannot_be_changed() -> None:
    from streamflow.state.names import TYPES

    immutable = 1 << 8
    assert [kind for kind in TYPES if not kind.__flags__ & immutable] == []
