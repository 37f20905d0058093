"""Texts of the user's, or of the data, as they may be shown on a terminal or written as UTF-8."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Return `text` without what a terminal would obey, but for the characters in `keep`.

    >>> printable("a\\x1b[31m\\n", keep="\\n").encode("ascii", "replace")
    b'a?[31m\\n'
    """
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def encodable(text: str) -> str:
    """Return `text` with what has no UTF-8 spelled out: Python's sign for a byte in a file name that is none.

    >>> encodable("o\\udcff.jsonl")
    'o\\\\udcff.jsonl'
    """
    return text.encode("utf-8", "backslashreplace").decode()
