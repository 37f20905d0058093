"""What is to be done about a file that is followed, given what was seen of it and of its siblings. Pure.

The file that is open is read to its end before it is left, and it is left only when

* another file bears its name, or has borne it since, and there are lines in that one: a single writer that has begun
  the next file is done with the one before, however long ago that one was renamed;
* and `LINGER` has passed since that was seen, in which other writers of the same log move on too.

Then comes the oldest file that has not been read: first those that were rotated away between two looks, in the order of
their rotation, and at last the one that bears the name now.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from streamflow.model.positions import FileMark

#: Seconds for which a file is still read after lines were seen in the one that comes after it.
LINGER = 0.25
#: Bytes at the beginning of a file by which it is known again.
HEAD = 256

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """Be a file as it was seen under a name: `head` are its first bytes, up to `HEAD`."""

    path: str
    device: int
    inode: int
    size: int
    head: bytes

    @property
    def identity(self) -> Identity:
        """Return what no other file has for as long as this one is open."""
        return self.device, self.inode


@dataclass(frozen=True, slots=True)
class Here:
    """Be what one look found of the file that is open.

    `got` bytes could be read at the offset; `intact` is False if what stands before the offset is not what was read
    there: the file was emptied, and perhaps written to again.
    """

    got: int
    intact: bool


@dataclass(frozen=True, slots=True)
class Look:
    """Be what was seen at the time `now`: `there`, under the name, and `rotated`, beside it, oldest first.

    These two were looked at before `here` was read, so that what is found in them was written later than what `here`
    still had to give.
    """

    now: float
    here: Here | None
    there: Seen | None
    rotated: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """Be what is to be done.

    `take`: hand on what was read. `again`: read the same file from its beginning. `turn`: leave the file, if one is
    open, and open `to`. `wait`: look again after `within` seconds, None for when something has changed.
    """

    kind: Literal["take", "again", "turn", "wait"]
    to: Seen | None = None
    within: float | None = None


class TailState:
    """Remember which file is open, how far it was read, and which ones were read or are none of ours."""

    def __init__(self) -> None:
        self.current: Seen | None = None
        #: Where the next byte is read.
        self.offset = 0
        self._passed: dict[Identity, FileMark] = {}
        self._followed_since: dict[Identity, float] = {}

    def decide(self, look: Look) -> Step:
        """Return what to do; nothing changes before `opened` or `took` says that it was done."""
        if look.here is None:
            to = next(iter(self._unread(look)), look.there)
            return Step("wait") if to is None else Step("turn", to)
        if not look.here.intact:
            return Step("again")
        if look.here.got:
            return Step("take")
        return self._at_the_end(look)

    def _at_the_end(self, look: Look) -> Step:
        current = self.current
        assert current is not None
        followers = () if self._bears_the_name(look) else self._unread(look)
        if not followers:
            self._followed_since.clear()
            return Step("wait")
        for one in (current, *followers[:-1]):
            self._followed_since.setdefault(one.identity, look.now)
        left = self._followed_since[current.identity] + LINGER - look.now
        return Step("wait", within=left) if left > 0 else Step("turn", followers[0])

    def _bears_the_name(self, look: Look) -> bool:
        return look.there is not None and self.current is not None and look.there.identity == self.current.identity

    def _unread(self, look: Look) -> tuple[Seen, ...]:
        """Return the files that come after the one that is open, if there is anything in them."""
        open_one = self.current.identity if self.current is not None else None
        rotated = [one for one in look.rotated if one.identity != open_one and not self.knows(one)]
        # What bore the name, and was beside it a moment later, has its place among the rotated ones by now.
        gone = {one.identity for one in look.rotated}
        there = [look.there] if look.there is not None and look.there.identity not in gone else []
        return tuple(one for one in (*rotated, *there) if one.size)

    def knows(self, seen: Seen) -> bool:
        """Tell whether a file was read before, or was there before; its inode alone may be another file's by now."""
        mark = self._passed.get(seen.identity)
        # A file in which nothing was may have been replaced by one with lines, and has no line to be read twice.
        return mark is not None and (mark.length > 0 or not seen.size) and has_mark(seen, mark)

    def passes(self, files: Iterable[Seen]) -> None:
        """Take note of files that are not to be read."""
        for one in files:
            self._passed[one.identity] = mark_of(one)

    def opened(self, to: Seen, beside: Iterable[Seen]) -> None:
        """Take note that the file before, if there was one, was left for `to`, and of what there is `beside` it."""
        if self.current is not None:
            self.passes([self.current])
        kept = {one.identity for one in beside} | {self.current.identity if self.current else to.identity}
        self._passed = {one: mark for one, mark in self._passed.items() if one in kept and one != to.identity}
        self._followed_since.pop(self.current.identity if self.current else to.identity, None)
        self.current, self.offset = to, 0

    def took(self, data: bytes, count: int) -> None:
        """Take note that `count` bytes were handed on, which begin with `data`."""
        current = self.current
        assert current is not None
        if self.offset == len(current.head) < HEAD:
            head = (current.head + data[:count])[:HEAD]
            self.current = Seen(current.path, current.device, current.inode, current.size, head)
        self.offset += count

    def copies(self, beside: Iterable[Seen]) -> list[Seen]:
        """Return the files that begin as the one did that is open, and was emptied."""
        assert self.current is not None
        mark = mark_of(self.current)
        return [one for one in beside if one.identity != self.current.identity and has_mark(one, mark)]

    def emptied(self, copies: Iterable[Seen]) -> None:
        """Take note that the file was emptied, which begins anew; what is in `copies` was read."""
        current = self.current
        assert current is not None
        self.passes(copies)
        self.current = Seen(current.path, current.device, current.inode, 0, b"")
        self.offset = 0

    def replaced(self, copy: Seen) -> None:
        """Take note that a copy is read on in place of the file, which was emptied and will be read anew."""
        assert self.current is not None
        self._passed.pop(self.current.identity, None)
        self._followed_since.clear()
        self.current = Seen(copy.path, copy.device, copy.inode, copy.size, self.current.head)


def mark_of(seen: Seen) -> FileMark:
    """Return by what a file is known again."""
    return FileMark(seen.device, seen.inode, len(seen.head), _digest(seen.head))


def has_mark(seen: Seen, mark: FileMark) -> bool:
    """Tell whether `seen` begins with what the file with this mark began with."""
    return len(seen.head) >= mark.length and _digest(seen.head[: mark.length]) == mark.digest


def _digest(head: bytes) -> str:
    return blake2b(head, digest_size=8).hexdigest()


def turn_of(name: str, followed: str) -> str | None:
    """Return what a rotation has added to the name `followed` to make it `name`; None if none did.

    >>> [turn_of(name, "app.log") for name in ("app.log.1", "app.log-20261121", "app-2026-11-21.log", "app.1.log")]
    ['.1', '-20261121', '-2026-11-21', '.1']
    >>> [turn_of(name, "app.log") for name in ("app.log", "app.log.1.gz", "app-errors.log", "app.log.swp")]
    [None, None, None, None]
    """
    stem, dot, suffix = followed.rpartition(".")
    for before, after in ((followed, ""), *([(stem, dot + suffix)] if stem else [])):
        added = name[len(before) : len(name) - len(after)]
        if name == before + added + after and re.fullmatch(r"[-._@]\d[-+._:TZ\d]*", added):
            return added
    return None


def rotation_order(turn: str, written: int) -> tuple[int, tuple[int, ...], str]:
    """Return what sorts rotated files, the oldest first: the highest number, the earliest date.

    Dates that do not begin with a year cannot be told apart so: for these it is the time of the last line.

    >>> sorted([".1", ".10", ".2"], key=lambda turn: rotation_order(turn, 0))
    ['.10', '.2', '.1']
    >>> sorted(["-20261121-10", "-20261121-9", "-20251230"], key=lambda turn: rotation_order(turn, 0))
    ['-20251230', '-20261121-9', '-20261121-10']
    """
    numbers = tuple(map(int, re.findall(r"\d+", turn)))
    if turn[1:].isdecimal() and len(turn) < 6:
        return 0, (-numbers[0],), turn
    return 1, (numbers if re.match(r"\D*\d{4}", turn) else (written,)), turn
