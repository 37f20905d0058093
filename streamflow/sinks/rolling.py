"""Files that follow one another: a new part by size, by time, or for each key."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from streamflow.files.threads import FileThread
from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.checkpoint import Delivery
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import Sink, Writer
from streamflow.operators.callables import require_plain
from streamflow.sinks.file_lines import FileLines
from streamflow.sinks.lines import HIGH_WATER, LinesWriter
from streamflow.sinks.part import Part
from streamflow.sinks.part_names import PartNames
from streamflow.sinks.part_remains import remove_remains
from streamflow.sinks.policed import PolicedSink
from streamflow.sinks.ready_parts import ReadyParts

#: Keys whose last number is remembered; of others the next free one is looked for in their folder.
REMEMBERED = 100_000


@dataclass(frozen=True)
class Rolling(PolicedSink[Any]):
    """Write items to parts, each a file of its own that appears when it is whole.

    `parts` is a path such as `out/{key}/part-{n:05}.jsonl`, or a sink of such a path. A part ends when it has
    `items`, or `bytes` (as written; it may be exceeded by what waits to be written), or `every` seconds after it was
    begun; and at the end of the run. `key` is a function of the item; each key has parts of its own. Numbers go on
    after parts that are there already; folders are made. At most `open_parts` are open at once: the one that was used
    longest ago ends before another key begins.

    Parts that are whole stay when the run fails: a run that is repeated writes them again, under other numbers. With
    checkpoints they appear at the next one, and each item is in one part, whatever happened. Parts are then the same as
    those of an unbroken run where `items` or the key ends them, or `bytes` those of lines that are not compressed.
    """

    guarantee = "whole parts, which stay when a run fails; exactly once with checkpoints"

    parts: str | os.PathLike[str] | Sink[Any]
    _: KW_ONLY
    key: Callable[[Any], Any] | None = None
    items: int | None = None
    bytes: int | None = None
    every: float | None = None
    open_parts: int = 64
    part: FileLines[Any] = field(init=False, repr=False, compare=False)
    names: PartNames = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("items", "bytes", "open_parts"):
            if getattr(self, name) is not None:
                whole_number(f"Rolling({name}=...)", getattr(self, name), 1)
        if self.every is not None:
            seconds_of("Rolling(every=...)", self.every)
        if self.key is not None:
            require_plain(self.key, "Rolling(key=...)")
        elif self.items is self.bytes is self.every is None:
            raise FlowError("Rolling(...): say when a part ends: items=, bytes=, every=, or key= for a part each")
        object.__setattr__(self, "part", _template(self.parts))
        object.__setattr__(self, "names", PartNames(self.label, keyed=self.key is not None))

    @property
    def label(self) -> str:
        """Return the pattern."""
        return self.part.label

    @property
    def delivery(self) -> Delivery:
        """Tell that parts are cut to what was committed, or appear at a commit."""
        return "exactly once"

    async def open(self, bounded: bool) -> RollingWriter:
        """Open nothing yet: a part begins with its first item."""
        return RollingWriter(self)


def _template(parts: Any) -> FileLines[Any]:
    if not isinstance(parts, Sink):
        from streamflow.sinks.registry import resolve

        parts = resolve(parts)
    if not isinstance(parts, FileLines):
        raise FlowError(f"Rolling({parts.label}): parts are files of records (JSON Lines, CSV, text)")
    if parts.errors.drops or parts.retry is not None:
        raise FlowError("Rolling(...): say on_error= and retry= of Rolling itself, not of its parts")
    return parts


class RollingWriter(Writer[Any]):
    """Lead each item to the part of its key, and end parts that are full or due.

    An item is in its part when `write` has taken it; what goes wrong with a part is told before it takes the next.
    """

    def __init__(self, sink: Rolling) -> None:
        self._sink = sink
        self._encode = sink.part.encode
        self._thread = FileThread(sink.label)
        self._parts: dict[str, Part] = {}
        #: Those whose parts have ended, well or not, and that are to be closed.
        self._closing: list[LinesWriter] = []
        self._numbers: dict[str, int] = {}
        self._count = 0
        #: What temporary names have in them, with a number after it; how many were made.
        self._mark = secrets.token_hex(4)
        self._made = 0
        self._whole = ReadyParts(sink.part.files)
        #: Folders whose names are on the disk.
        self._synced: set[str] = set()
        #: Whether whole parts wait for a commit.
        self._commits = False
        # The parts share what one file would gather before it is written.
        self._share = max(HIGH_WATER // sink.open_parts, 1 << 14)
        self._lock = asyncio.Lock()
        self._begun = asyncio.Event()
        self._watch = asyncio.create_task(self._end_those_due()) if sink.every is not None else None

    async def write(self, batch: Sequence[Any]) -> None:
        """Write each item; after an error, `written` of them are in their parts."""
        self.written = 0
        key, encode, parts, sink = self._sink.key, self._encode, self._parts, self._sink
        async with self._lock:
            for item in batch:
                text = "" if key is None else str(key(item))
                record = item if encode is None else encode(item)
                part = parts.get(text)
                if part is None or part.full or part.writer.pending >= self._share:
                    part = await self._ready(text)
                part.writer.put(record)
                part.items += 1
                self._count += 1
                part.used = self._count
                self.written += 1
                if part.items == sink.items or (sink.bytes is not None and part.bytes >= sink.bytes):
                    part.full = True
                    with suppress(Exception):  # which is told before the next item for it, or at the end
                        await self._end(text)

    async def flush(self) -> None:
        """Hand what was gathered to the operating system."""
        async with self._lock:
            for part in self._parts.values():
                await part.writer.flush()

    async def prepare(self, epoch: int) -> dict[str, Any]:
        """Bring every part to the disk; from now on, those that are whole wait for a commit."""
        async with self._lock:
            self._commits = True
            for text, part in list(self._parts.items()):
                if part.full:
                    await self._end(text)
            now = asyncio.get_running_loop().time()
            numbers = dict(self._numbers)
            preparing = []
            for text, part in self._parts.items():
                if part.items:
                    preparing.append(part.prepare(epoch, text, now))
                else:
                    numbers[text] -= 1  # it is begun anew
            # Each has a thread of its own, and all wait for the same disk.
            parts = await asyncio.gather(*preparing, return_exceptions=True)
            for one in parts:
                if isinstance(one, BaseException):
                    raise one
            here = {"epoch": epoch, "mark": self._mark, "made": self._made, "count": self._count, "numbers": numbers}
            return here | {"parts": parts, "ready": self._whole.prepare(epoch)}

    async def commit(self, epoch: int) -> None:
        """Give their names to the parts that were whole at `prepare(epoch)`."""
        async with self._lock:
            await self._thread.run(self._whole.commit, epoch)

    async def resume(self, prepared: dict[str, Any]) -> None:
        """Go on with the parts that were open; remove those that were begun later."""
        async with self._lock:
            self._commits = True
            self._mark, self._made, self._count = prepared["mark"], prepared["made"], prepared["count"]
            self._numbers = dict(prepared["numbers"])
            known = {one["temporary"] for one in (*prepared["parts"], *prepared["ready"])}
            await self._thread.run(self._whole.resume, prepared["ready"], prepared["epoch"])
            await self._thread.run(remove_remains, self._sink.part.files, self._sink.names, self._mark, known)
            now = asyncio.get_running_loop().time()
            for one in prepared["parts"]:
                part = Part(one["path"], await self._open(one["path"]), now - one["age"] / 1000)
                part.items, part.used = one["items"], one["used"]
                self._parts[one["key"]] = part
                await part.writer.resume(one["file"])
            self._begun.set()

    async def finish(self) -> None:
        """End every part."""
        async with self._lock:
            for text in list(self._parts):
                await self._end(text)
            await self._thread.run(self._whole.commit)

    async def suspend(self) -> None:
        """Leave what was prepared as it is; what came later goes now, or when the next run begins."""
        async with self._lock, AsyncExitStack() as each:
            while self._parts:
                _, part = self._parts.popitem()
                self._closing.append(part.writer)
                each.push_async_callback(part.writer.suspend)

    async def abort(self) -> None:
        """Remove the parts that are not whole."""
        async with self._lock, AsyncExitStack() as each:
            while self._parts:
                _, part = self._parts.popitem()
                self._closing.append(part.writer)
                each.push_async_callback(part.writer.abort)
            await self._thread.run(self._whole.discard)

    async def close(self) -> None:
        """Let go of everything."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        for writer in self._closing:
            await writer.close()
        await self._thread.close()

    async def _ready(self, text: str) -> Part:
        """Return the part for a key, with room in it."""
        part = self._parts.get(text)
        if part is not None and part.full:
            await self._end(text)
            part = None
        if part is not None:
            await part.writer.flush()
            return part
        if len(self._parts) >= self._sink.open_parts:
            await self._end(min(self._parts, key=lambda other: self._parts[other].used))
        return await self._begin(text)

    async def _begin(self, text: str) -> Part:
        now = time.time()
        path, number = await self._thread.run(self._free_path, text, now)
        writer = await self._open(path)
        self._numbers.pop(text, None)
        self._numbers[text] = number
        if len(self._numbers) > REMEMBERED:
            del self._numbers[next(iter(self._numbers))]
        self._begun.set()
        part = self._parts[text] = Part(path, writer, asyncio.get_running_loop().time())
        return part

    async def _open(self, path: str) -> LinesWriter:
        self._made += 1
        writer: Any = await dataclasses.replace(self._sink.part, path=path).open(True, f"{self._mark}-{self._made:x}")
        return writer  # type: ignore[no-any-return]  # what every file of lines opens

    def _free_path(self, text: str, now: float) -> tuple[str, int]:
        """Return the path of the next part, with its folder made, and its number. It blocks."""
        files = self._sink.part.files
        number = self._numbers.get(text, -1) + 1
        while (path := self._sink.names.name(number, text, now)) in self._whole or files.kind(path) != "missing":
            number += 1
        self._make_folder(os.path.dirname(path))
        return path, number

    def _make_folder(self, folder: str) -> None:
        """Make a folder and bring its name to the disk, and of one that is there: who made it may have died before."""
        files = self._sink.part.files
        files.make_directories(folder)
        for _ in range(self._sink.names.depth + 1):
            folder = os.path.dirname(folder)
            if folder not in self._synced:
                with suppress(PermissionError):  # then it was not made by us
                    files.sync_directory(folder)
                self._synced.add(folder)

    async def _end(self, text: str) -> None:
        part = self._parts[text]
        writer = part.writer
        if part.broken is not None:
            raise part.broken
        try:
            # One whose items were all refused would be an empty file.
            await (writer.abort() if not part.items else self._make_ready(part) if self._commits else writer.finish())
        except OSError:
            raise
        except Exception as error:
            part.broken = error
            raise
        if not part.items and text in self._numbers:
            self._numbers[text] -= 1
        del self._parts[text]
        self._closing.append(writer)  # which goes on in `close`, should it be cancelled here
        await writer.close()
        self._closing.remove(writer)

    async def _make_ready(self, part: Part) -> None:
        target = part.writer.target
        await part.writer.complete()
        if target.temporary is not None:  # unless an earlier run had finished
            self._whole.add(part.path, target.temporary, target.file.length)

    async def _end_those_due(self) -> None:
        """End each part when its time has come, whether items come or not."""
        every = self._sink.every
        assert every is not None
        loop = asyncio.get_running_loop()
        while True:
            self._begun.clear()
            waiting = [part.begun for part in self._parts.values() if not part.full]
            if not waiting:
                await self._begun.wait()
                continue
            await asyncio.sleep(min(waiting) + every - loop.time())
            async with self._lock:
                for text, part in list(self._parts.items()):
                    if loop.time() - part.begun >= every:
                        part.full = True
                        with suppress(Exception):  # which is told before the next item for it, or at the end
                            await self._end(text)
