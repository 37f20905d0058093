"""The names of the parts of a rolling sink. Pure."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from string import Formatter

from streamflow.model.errors import FlowError

FIELDS = ("n", "key", "time")

#: What stands in the name of a folder or a file as it is; everything else is written as %XX.
_SAFE = re.compile(r"[^\w\-.@=+, ]")


class PartNames:
    """Make the names of parts of a pattern: `{n}` is the number of the part, `{key}` its key, `{time}` its beginning.

    Numbers and times take a format, as in `{n:05}` and `{time:%Y-%m-%dT%H}` (UTC).

    >>> PartNames("out/{key}/part-{n:03}.jsonl", keyed=True).name(7, "../a b", 0.0)
    'out/..%2Fa b/part-007.jsonl'
    """

    def __init__(self, pattern: str, *, keyed: bool) -> None:
        self._pattern = pattern
        fields = _fields(pattern)
        for field in fields:
            if field not in FIELDS:
                raise FlowError(
                    f"Rolling(parts={pattern!r}): {{{field}}} is none of {', '.join(f'{{{f}}}' for f in FIELDS)}"
                )
        if "n" not in fields:
            raise FlowError(
                f"Rolling(parts={pattern!r}): without {{n}}, as in part-{{n:05}}, a part would replace another"
            )
        if ("key" in fields) != keyed:
            need = "key=function says what {key} is" if "key" in fields else "put {key} where the key belongs"
            raise FlowError(f"Rolling({pattern!r}): {need}")
        try:
            sample = self.name(0, "key", 0.0)
        except (ValueError, TypeError) as error:
            raise FlowError(f"Rolling({pattern!r}): {error}") from None

        #: The folder below which all parts are, and how many levels of folders there are between it and them.
        self.folder = os.path.dirname(_beginning(pattern))
        self.depth = sample.count("/") - (self.folder.rstrip("/").count("/") + 1 if self.folder else 0)

    def name(self, number: int, key: str, time: float) -> str:
        """Return the name of part `number` of `key`, which begins at `time` (seconds since the epoch)."""
        return self._pattern.format(n=number, key=safe(key), time=datetime.fromtimestamp(time, UTC))


def safe(key: str) -> str:
    """Return `key` as it may stand between two slashes: it leads nowhere else, and no two keys look the same.

    >>> safe("a/b"), safe(".."), safe("")
    ('a%2Fb', '%2E.', '%')
    """
    found = _SAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode(errors="surrogatepass")), key)
    return f"%2E{found[1:]}" if found in (".", "..") else found or "%"


def _beginning(pattern: str) -> str:
    """Return what all names begin with."""
    beginning = ""
    for literal, field, _, _ in Formatter().parse(pattern):
        beginning += literal
        if field is not None:
            break
    return beginning


def _fields(pattern: str) -> list[str]:
    try:
        return [name for _, name, _, _ in Formatter().parse(pattern) if name is not None]
    except ValueError as error:
        raise FlowError(f"Rolling({pattern!r}): {error}; a brace itself is written {{{{ or }}}}") from None
