"""A file that is followed: look at it, read what is new, and turn to the file that comes after it. It blocks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from streamflow.files.file_system import FileSystem, InputFile
from streamflow.files.tail_state import (
    HEAD,
    Here,
    Identity,
    Look,
    Seen,
    Step,
    TailState,
    has_mark,
    mark_of,
    rotation_order,
    turn_of,
)
from streamflow.model.errors import FlowError, RecordError
from streamflow.model.positions import FileMark

#: Bytes before the offset that must be what was read there.
BEFORE = 64
#: How often a folder is looked through until it is the same before and after: what is renamed meanwhile may be missed.
LISTINGS = 10
#: Seconds until a file is looked for again that was renamed while it was opened.
AGAIN = 0.01


@dataclass(frozen=True, slots=True)
class Notice:
    """Be something that whoever runs the flow may want to know: one word, and a sentence."""

    change: str
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """Be what came of a look: `count` new bytes of the file `mark`, or that the file before has `ended`.

    If neither, look again `within` seconds.
    """

    mark: FileMark | None
    count: int = 0
    ended: bool = False
    within: float | None = None
    notices: tuple[Notice, ...] = ()


class Tail:
    """Read a file as it grows, and those that come after it under its name."""

    def __init__(self, files: FileSystem, path: str) -> None:
        self._files = files
        self._path = path
        self._state = TailState()
        self._file: InputFile | None = None
        self._before = b""
        self._notices: list[Notice] = []
        self._was_missing = False
        #: How long the files were that have been left, and which ones cannot be opened: each is told once.
        self._left: dict[Identity, int] = {}
        self._unreadable: set[Identity] = set()

    def begin(self) -> FileMark | None:
        """Open the file, if it is there; what was rotated away before is not read."""
        folder = os.path.dirname(self._files.resolve(self._path))
        if self._files.kind(folder) != "directory":
            self._files.open_to_read(self._path)  # its error says what is missing, and what is near
        there = self._there()
        self._state.passes(one for one in self._beside() if there is None or one.identity != there.identity)
        self._notices.clear()  # whatever is beside it is none of ours
        if there is None:
            self._say_missing()
        else:
            self._open(there, ())
        return self._mark()

    def look(self, buffer: bytearray, now: float) -> Found:
        """Read what is new into `buffer`; where there is nothing, see whether another file is to be read."""
        here = self._read(buffer)
        look = Look(now, here, None)
        if here is None or not (here.intact and here.got):
            # First the others, then the open file once more: see `Look`.
            there = self._there()
            beside = () if self._is_open(there) else self._beside()
            look = Look(now, self._read(buffer), there, beside)
        return self._do(self._state.decide(look), look, buffer)

    def _do(self, step: Step, look: Look, buffer: bytearray) -> Found:
        if step.kind == "take" and look.here is not None:
            count = look.here.got
            self._state.took(bytes(buffer[: min(count, HEAD)]), count)
            self._before = (self._before + bytes(memoryview(buffer)[max(0, count - BEFORE) : count]))[-BEFORE:]
            return self._found(count=count)
        if step.kind == "again":
            copies = self._state.copies(self._beside())
            return self._go_on_in_a_copy(copies) or self._begin_again(copies)
        if step.kind == "turn" and step.to is not None:
            return self._turn(step.to, look, buffer)
        if look.there is None:
            self._say_missing()
        return self._found(within=step.within)

    def _go_on_in_a_copy(self, copies: list[Seen]) -> Found | None:
        """Read the rest of what was in the file before it was emptied where somebody has put it (copytruncate)."""
        offset = self._state.offset
        for copy in copies:
            file = self._opened(copy)
            if file is None:
                if copy.identity in self._unreadable:
                    continue
                return self._found(within=AGAIN)  # it was renamed a moment ago
            if copy.size > offset and _bytes_of(file, offset - len(self._before), len(self._before)) == self._before:
                self._say("truncated", f"{self._path} was emptied: what was in it is read to its end in {copy.path}")
                self.close()
                self._file = file
                self._state.replaced(copy)
                return self._found(within=0.0)
            file.close()
        return None

    def _begin_again(self, copies: list[Seen]) -> Found:
        self._say(
            "truncated",
            f"{self._path} was emptied after {self._state.offset:,} bytes: it is read from its beginning; lines that "
            f"came between the last look and that are gone",
        )
        self._state.emptied(copies)
        self._before = b""
        return self._found(ended=True)

    def _turn(self, to: Seen, look: Look, buffer: bytearray) -> Found:
        left = self._state.current
        if left is not None:
            self._left[left.identity] = self._state.offset
        if not self._open(to, look.rotated):
            return self._found(within=AGAIN)
        if left is None:
            return self.look(buffer, look.now)
        self._say("rotated", f"{self._path}: the file before was read to its end; now comes {to.path}")
        return self._found(ended=True)

    def resume(self, mark: FileMark, offset: int) -> bool:
        """Open the file that has this mark, wherever it is by now; tell whether `offset` is still in it.

        Raises RecordError if there is no such file.
        """
        there = self._there()
        beside = [one for one in self._beside() if there is None or one.identity != there.identity]
        candidates = [*([there] if there is not None else []), *reversed(beside)]
        found = next((one for one in candidates if _is(one, mark)), None)
        if found is None:
            # A copy, made before the file was emptied.
            copies = [one for one in candidates if mark.length == HEAD and has_mark(one, mark) and one.size >= offset]
            found = copies[0] if len(copies) == 1 else None
        if found is None:
            raise RecordError(
                f"cannot go on at byte {offset:,} of a file that was called {self._path}: it (inode {mark.inode}) is "
                f"neither there nor under another name beside it; uncompress or put it back, or begin anew"
            )
        older = beside if found is there else beside[: beside.index(found)]
        self._state = TailState()
        self._state.passes(older)
        if not self._open(found, older):
            raise RecordError(f"{found.path} was renamed or removed while it was opened: try again")
        return found.size >= offset

    def move(self, offset: int) -> None:
        """Go on at byte `offset` of the open file."""
        if self._file is None:
            raise RecordError(f"cannot go on at byte {offset:,} of {self._path}: there is no such file")
        self._before = self._bytes(max(0, offset - BEFORE), min(BEFORE, offset))
        self._state.offset = offset

    def close(self) -> None:
        """Close what is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- the open file --------------------------------------------------------------------------------------------

    def _read(self, buffer: bytearray) -> Here | None:
        """Read, and see afterwards that the file is still the same: emptied meanwhile, it gives bytes of another."""
        if self._file is None:
            return None
        self._file.seek(self._state.offset)
        got = self._file.read_into(buffer)
        status = self._file.status()
        return Here(got, intact=status.size >= self._state.offset + got and self._is_intact())

    def _is_intact(self) -> bool:
        current, before = self._state.current, self._before
        head = current.head if current is not None else b""
        beginning = self._bytes(0, len(head))
        return beginning == head and self._bytes(self._state.offset - len(before), len(before)) == before

    def _bytes(self, offset: int, size: int) -> bytes:
        assert self._file is not None
        return _bytes_of(self._file, offset, size)

    def _open(self, to: Seen, beside: Iterable[Seen]) -> bool:
        """Open `to` in place of what is open; tell whether it could be."""
        file = self._opened(to)
        if file is None:
            return False
        self.close()
        self._file = file
        self._state.opened(replace(to, size=file.status().size, head=_bytes_of(file, 0, HEAD)), beside)
        self._before, self._was_missing = b"", False
        return True

    def _opened(self, to: Seen) -> InputFile | None:
        """Return `to`, open, or None if it cannot be, or is no longer the one that was seen."""
        try:
            file = self._files.open_to_read(to.path)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            if self._file is None:
                raise
            self._say_unreadable(to.identity, f"{error}; trying again")
            return None
        if file.status()[:2] == to.identity:
            return file
        file.close()
        return None

    # -- the others -----------------------------------------------------------------------------------------------

    def _is_open(self, there: Seen | None) -> bool:
        current = self._state.current
        return there is not None and current is not None and there.identity == current.identity

    def _there(self) -> Seen | None:
        """Look at what bears the name now."""
        status = self._files.status(self._path)
        if status is None:
            return None
        if status.kind != "file":
            raise FlowError(f"{self._path}: only a file can be followed; this is a {status.kind}")
        current = self._state.current
        if current is not None and status[:2] == current.identity:
            return current
        return self._seen(self._path) or Seen(self._path, status.device, status.inode, status.size, b"")

    def _beside(self) -> tuple[Seen, ...]:
        """Return what bore the name before and bears another now, the oldest first."""
        folder, followed = os.path.split(self._files.resolve(self._path))
        listing = self._listing(folder, followed)
        for _ in range(LISTINGS):
            before = listing
            found = {one.identity: one for path in before if (one := self._seen(path)) is not None}
            listing = self._listing(folder, followed)
            if before == listing:
                break
        self._look_for_late_lines(found)
        return tuple(found.values())

    def _listing(self, folder: str, followed: str) -> dict[str, Identity]:
        found: list[tuple[tuple[int, tuple[int, ...], str], str, Identity]] = []
        for name in self._files.names(folder):
            turn, path = turn_of(name, followed), os.path.join(folder, name)
            status = self._files.status(path) if turn is not None else None
            if turn is not None and status is not None and status.kind == "file":
                found.append((rotation_order(turn, status.written), path, status[:2]))
        return {path: identity for _, path, identity in sorted(found)}

    def _seen(self, path: str) -> Seen | None:
        """Look at a file and its first bytes; None if it is gone by now, or cannot be opened."""
        try:
            file = self._files.open_to_read(path)
        except FileNotFoundError:
            return None
        except PermissionError as error:
            status = self._files.status(path)
            if status is not None:
                self._say_unreadable(status[:2], str(error))
            return None
        try:
            status = file.status()
            return Seen(path, status.device, status.inode, status.size, _bytes_of(file, 0, HEAD))
        finally:
            file.close()

    def _look_for_late_lines(self, beside: dict[Identity, Seen]) -> None:
        self._left = {identity: size for identity, size in self._left.items() if identity in beside}
        for identity, size in list(self._left.items()):
            one = beside[identity]
            if one.size > size and self._state.knows(one):
                self._left[identity] = one.size
                self._say(
                    "late", f"{one.size - size:,} bytes came to {one.path} after it had been left: they are not read"
                )

    # -- what is said ---------------------------------------------------------------------------------------------

    def _mark(self) -> FileMark | None:
        return None if self._state.current is None else mark_of(self._state.current)

    def _say(self, change: str, detail: str) -> None:
        self._notices.append(Notice(change, detail))

    def _say_unreadable(self, identity: Identity, detail: str) -> None:
        if identity not in self._unreadable:
            self._unreadable.add(identity)
            self._say("unreadable", detail)

    def _say_missing(self) -> None:
        if not self._was_missing:
            self._was_missing = True
            self._say("missing", f"there is no {self._path}: waiting for it")

    def _found(self, count: int = 0, *, ended: bool = False, within: float | None = None) -> Found:
        notices, self._notices = tuple(self._notices), []
        return Found(self._mark(), count, ended, within, notices)


def _is(seen: Seen, mark: FileMark) -> bool:
    # A device may have another number after a reboot: with a beginning to compare, the inode is enough.
    same = seen.inode == mark.inode and (seen.device == mark.device or mark.length > 0)
    return same and has_mark(seen, mark)


def _bytes_of(file: InputFile, offset: int, size: int) -> bytes:
    buffer = bytearray(size)
    file.seek(offset)
    return bytes(buffer[: file.read_into(buffer)]) if size else b""
