"""Text made safe for HTML and SVG, which are written so that they are well-formed XML, too."""

from __future__ import annotations

import re
from html import escape

#: What no document may hold: control characters, halves of characters, and what is none.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def text(value: object) -> str:
    """Return `value` for between tags or within the quotes of an attribute."""
    return escape(_NOT_TEXT.sub("\ufffd", str(value)), quote=True)


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """Return an element around `content`, which is markup; the values of attributes are made safe.

    An underscore in the name of an attribute stands for a hyphen, and one at its end for nothing.

    >>> element("text", "5 &lt; 6", class_="tick", font_size=12)
    '<text class="tick" font-size="12">5 &lt; 6</text>'
    """
    written = "".join(f' {name.rstrip("_").replace("_", "-")}="{_plain(it)}"' for name, it in attributes.items())
    return f"<{tag}{written}>{content}</{tag}>" if content else f"<{tag}{written}/>"


def _plain(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else text(value)


def shortened(value: str, length: int) -> str:
    """Return `value` in at most `length` characters, its middle left out.

    >>> shortened("access.log → parse → out.jsonl", 16)
    'access.… t.jsonl'
    """
    if len(value) <= length:
        return value
    head = length // 2
    return f"{value[:head]}…{value[len(value) - (length - head - 1) :]}"
