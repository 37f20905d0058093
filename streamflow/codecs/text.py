"""Lines of text."""

from __future__ import annotations

from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Codec


class TextCodec(Codec[str]):
    """Turn lines into `str` without their line end (LF or CRLF), and back with an LF.

    Bytes that are not of `encoding` raise UnicodeDecodeError, which is a ValueError.

    >>> TextCodec().decode(b"one\\r\\n"), TextCodec().encode("two")
    ('one', b'two\\n')
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self.encoding = _line_encoding(encoding)

    def decode(self, record: bytes) -> str:
        """Return the text of one line."""
        return record.removesuffix(b"\n").removesuffix(b"\r").decode(self.encoding)

    def encode(self, item: str) -> bytes:
        """Return `item` and a line end; raise TypeError unless it is a str, ValueError if it is more than one line."""
        try:
            if "\n" in item:
                raise ValueError(f"{item!r} is more than one line: add .flat_map(str.splitlines) before it")
            return (item + "\n").encode(self.encoding)
        except TypeError:
            raise TypeError(_not_text(item)) from None

    def __repr__(self) -> str:
        return f"TextCodec({self.encoding!r})"


def _line_encoding(encoding: str) -> str:
    try:
        line_end = "\n".encode(encoding)
    except LookupError:
        raise FlowError(f"encoding={encoding!r}: Python knows no such encoding") from None
    if line_end != b"\n":
        raise FlowError(f"encoding={encoding!r}: lines are cut at the byte 0A, which ends no line there; convert first")
    return encoding


def _not_text(item: object) -> str:
    return (
        f"a sink of text lines takes str, not {type(item).__qualname__}: "
        f"add .map(str) before it, or write JSON Lines instead"
    )
