"""Files that follow one another: a new part by size, by time, or for each key."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from streamflow.files.threads import FileThread
from streamflow.model.arguments import seconds_of, whole_number
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import InlineWriter, Sink, Writer
from streamflow.operators.callables import require_plain
from streamflow.sinks.file_lines import FileLines
from streamflow.sinks.lines import HIGH_WATER
from streamflow.sinks.part_names import PartNames
from streamflow.sinks.policed import PolicedSink

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

    Parts that are whole stay when the run fails: a run that is repeated writes them again, under other numbers.
    """

    guarantee = "whole parts, which stay when a run fails"

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


class Part:
    """Be one part that is open."""

    def __init__(self, path: str, writer: InlineWriter[Any], begun: float) -> None:
        self.path = path
        self.writer = writer
        self.begun = begun
        self.used = 0
        self.items = 0
        #: Whether it ends before it takes another item.
        self.full = False
        #: What kept it from being whole, other than the disk, which is tried again.
        self.broken: Exception | None = None

    @property
    def bytes(self) -> int:
        """Return what is in the file, and what waits for it."""
        return int(self.writer.target.file.length) + self.writer.pending  # type: ignore[attr-defined]


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
        self._closing: list[InlineWriter[Any]] = []
        self._numbers: dict[str, int] = {}
        self._writes = 0
        # The parts share what one file would gather before it is written.
        self._share = max(HIGH_WATER // sink.open_parts, 1 << 14)
        self._lock = asyncio.Lock()
        self._begun = asyncio.Event()
        self._watch = asyncio.create_task(self._end_those_due()) if sink.every is not None else None

    async def write(self, batch: Sequence[Any]) -> None:
        """Write each item; after an error, `written` of them are in their parts."""
        self.written = 0
        self._writes += 1
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
                part.used = self._writes
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

    async def finish(self) -> None:
        """End every part."""
        async with self._lock:
            for text in list(self._parts):
                await self._end(text)

    async def abort(self) -> None:
        """Remove the parts that are not whole."""
        async with self._lock, AsyncExitStack() as each:
            while self._parts:
                _, part = self._parts.popitem()
                self._closing.append(part.writer)
                each.push_async_callback(part.writer.abort)

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
        writer: Any = await dataclasses.replace(self._sink.part, path=path).open(True)
        self._numbers.pop(text, None)
        self._numbers[text] = number
        if len(self._numbers) > REMEMBERED:
            del self._numbers[next(iter(self._numbers))]
        self._begun.set()
        part = self._parts[text] = Part(path, writer, asyncio.get_running_loop().time())
        return part

    def _free_path(self, text: str, now: float) -> tuple[str, int]:
        """Return the path of the next part, with its folder made, and its number. It blocks."""
        files = self._sink.part.files
        number = self._numbers.get(text, -1) + 1
        while files.kind(path := self._sink.names.name(number, text, now)) != "missing":
            number += 1
        files.make_directories(os.path.dirname(path))
        return path, number

    async def _end(self, text: str) -> None:
        part = self._parts[text]
        writer = part.writer
        if part.broken is not None:
            raise part.broken
        try:
            # One whose items were all refused would be an empty file.
            await (writer.finish() if part.items else writer.abort())
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
