"""Which files of a source were read before the one under way: a later run must find the same before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import combinations
from math import comb

from streamflow.model.errors import RecordError
from streamflow.model.positions import FilesBefore, Position

#: Sums of digests are this many bits long.
_BITS = 128
#: How many choices of files are tried to name the ones that have come.
_MOST_TRIED = 10_000


def followed_by(before: FilesBefore, path: str) -> FilesBefore:
    """Return the same with one file more."""
    return FilesBefore(before.count + 1, (before.digest + _digest(path)) % (1 << _BITS))


def files_before(paths: Iterable[str]) -> FilesBefore:
    """Return what tells these files from others."""
    found = FilesBefore()
    for path in paths:
        found = followed_by(found, path)
    return found


def require_same_before(position: Position, paths: Sequence[str]) -> None:
    """Raise RecordError unless `paths` are what was read before `position`: what has come there would never be read."""
    then = position.before
    now = files_before(paths)
    if then is None or then == now:
        return
    came = _came(paths, now, then)
    if came:
        what = f"{', '.join(came)} came since and would never be read"
    elif now.count > then.count:
        what = "some of them came since and would never be read"
    elif now.count < then.count:
        what = "some were removed or renamed since"
    else:
        what = "some were replaced by others or renamed since"
    raise RecordError(
        f"cannot go on at {position}: {_files(then.count)} of this source came before it, and {_files(now.count)} do "
        f"now: {what}; give new files names that sort behind, put back what was there, or run with resume='never'"
    )


def _came(paths: Sequence[str], now: FilesBefore, then: FilesBefore) -> tuple[str, ...]:
    """Return the files without which all would be as it was; none if there are no such, or too many choices."""
    more = now.count - then.count
    if more < 1 or comb(len(paths), more) > _MOST_TRIED:
        return ()
    digests = {path: _digest(path) for path in paths}
    surplus = (now.digest - then.digest) % (1 << _BITS)
    return next(
        (some for some in combinations(paths, more) if sum(map(digests.__getitem__, some)) % (1 << _BITS) == surplus),
        (),
    )


def _digest(path: str) -> int:
    return int.from_bytes(blake2b(path.encode(errors="surrogateescape"), digest_size=_BITS // 8).digest())


def _files(count: int) -> str:
    return "no file" if count == 0 else "1 file" if count == 1 else f"{count:,} files"
