import dataclasses
from typing import TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.model.errors import FlowError


class Point(msgspec.Struct):
    x: int
    tag: object = None


@dataclasses.dataclass
class Pair:
    x: int


class Shape(TypedDict):
    x: int


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_a_value_survives_the_way_there_and_back(value):
    codec = JsonLinesCodec()
    line = codec.encode(value)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert codec.decode(line) == value


@pytest.mark.parametrize(
    ("type_", "expected"), [(Point, Point(1)), (Pair, Pair(1)), (Shape, {"x": 1}), (dict[str, int], {"x": 1})]
)
def test_a_line_becomes_the_type_asked_for(type_, expected):
    codec = JsonLinesCodec(type_)
    assert codec.decode(b'{"x": 1}\r\n') == expected
    assert codec.decode(codec.encode(expected)) == expected


@pytest.mark.parametrize("codec", [JsonLinesCodec(), JsonLinesCodec(Point)])
@pytest.mark.parametrize("line", [b"", b"{", b'{"x": }', b'"\xff"', b"nonsense\n"])
def test_a_bad_line_is_a_value_error(codec, line):
    with pytest.raises(ValueError, match=r".+"):
        codec.decode(line)


def test_a_validation_error_keeps_the_words_of_msgspec():
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$\.x`") as caught:
        JsonLinesCodec(Point).decode(b'{"x": "1"}')
    assert isinstance(caught.value, ValueError)


def test_structs_are_written_without_naming_their_type():
    codec = JsonLinesCodec()
    assert codec.encode(Point(1)) == b'{"x":1,"tag":null}\n'
    assert codec.encode({"p": [Point(1), Pair(2)]}) == b'{"p":[{"x":1,"tag":null},{"x":2}]}\n'


def test_numpy_values_are_written():
    numpy = pytest.importorskip("numpy")
    for codec in (JsonLinesCodec(), JsonLinesCodec(Point)):
        assert codec.encode(Point(1, numpy.arange(3))) == b'{"x":1,"tag":[0,1,2]}\n'
        assert codec.encode(numpy.float32(1.5)) == b"1.5\n"


def test_what_json_has_no_form_for_is_a_type_error_that_names_the_fix():
    with pytest.raises(TypeError) as caught:
        JsonLinesCodec().encode({"a": object()})
    assert "no form for object" in str(caught.value.__cause__)
    with pytest.raises(TypeError, match="no form for object"):
        JsonLinesCodec(Point).encode(object())


def test_a_type_that_cannot_be_decoded_to_is_told_when_the_codec_is_made():
    with pytest.raises(FlowError, match="cannot be decoded"):
        JsonLinesCodec(lambda: None)


def test_the_functions_to_bind_are_c_functions_where_that_matters():
    assert type(JsonLinesCodec().decoder).__name__ == "builtin_function_or_method"
    assert type(JsonLinesCodec(Point).decoder).__name__ == "builtin_function_or_method"
