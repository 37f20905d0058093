"""Texts of the user's, or of the data, as they may be shown on a terminal."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Return `text` without what a terminal would obey, but for the characters in `keep`.

    >>> printable("a\\x1b[31m\\n", keep="\\n").encode("ascii", "replace")
    b'a?[31m\\n'
    """
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)
