import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.codecs.text import TextCodec
from streamflow.model.errors import FlowError


@given(st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"])))
def test_a_line_survives_the_way_there_and_back(text):
    codec = TextCodec()
    assert codec.decode(codec.encode(text)) == text
    assert codec.decode(text.encode() + b"\r\n") == text
    assert codec.decode(text.encode()) == text


def test_only_the_line_end_is_taken_off():
    assert TextCodec().decode(b"a \r\r\n") == "a \r"
    assert TextCodec().decode(b"\n") == ""


def test_another_encoding():
    codec = TextCodec("latin-1")
    assert codec.decode(b"\xe9\n") == "é"
    assert codec.encode("é") == b"\xe9\n"


def test_bad_bytes_and_characters_are_value_errors():
    with pytest.raises(ValueError, match="utf-8"):
        TextCodec().decode(b"\xff\n")
    with pytest.raises(ValueError, match="ascii"):
        TextCodec("ascii").encode("é")


@pytest.mark.parametrize("item", [1, None, b"bytes", ["a"]])
def test_what_is_no_text_is_a_type_error_that_names_the_fix(item):
    with pytest.raises(TypeError, match=r"\.map\(str\)"):
        TextCodec().encode(item)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "cp037", "no-such-encoding"])
def test_an_encoding_without_lines_is_refused(encoding):
    with pytest.raises(FlowError, match="encoding="):
        TextCodec(encoding)
