"""Lines of standard input."""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Literal

from streamflow.codecs.json_lines import JsonLinesCodec
from streamflow.codecs.text import TextCodec
from streamflow.files.local import LocalInput
from streamflow.files.threads import FileThread
from streamflow.model.errors import FlowError
from streamflow.sources.file_lines import GRACE, FileBlocks
from streamflow.sources.lines import Blocks, LineReader, LineSource

#: Bytes that are read at once; a pipe holds no more.
BLOCK = 1 << 16


@dataclass(frozen=True)
class Stdin(LineSource[Any]):
    """Read lines of standard input as they come: JSON (to `type`, if given) or text.

    The descriptor is read directly: what Python's own `sys.stdin` has buffered is not seen, and it is left
    open.
    """

    format: Literal["jsonl", "text"] = "jsonl"
    _: KW_ONLY
    type: Any = None
    encoding: str = "utf-8"
    descriptor: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("jsonl", "text"):
            raise FlowError(f"Stdin(format={self.format!r}): expected 'jsonl' or 'text'")
        self.decode  # noqa: B018 - a type or an encoding that cannot be is told now

    @property
    def label(self) -> str:
        """Return its usual name."""
        return "stdin"

    @property
    def decode(self) -> Callable[[bytes], Any]:
        """Return the decoder of the format."""
        return JsonLinesCodec(self.type).decoder if self.format == "jsonl" else TextCodec(self.encoding).decode

    async def open(self) -> LineReader:
        """Open for one run: a pipe or a terminal is watched by the loop, a file is read on a thread."""
        regular = stat.S_ISREG(os.fstat(self.descriptor).st_mode)
        if not regular and _watchable(self.descriptor):
            return self.reader(PipeBlocks(self.descriptor))
        file = LocalInput(os.dup(self.descriptor))
        return self.reader(FileBlocks(file, FileThread(self.label, grace=GRACE), seekable=False))


class PipeBlocks(Blocks):
    """Read what is in a pipe, a socket or a terminal when the loop says that there is something.

    Not on a thread: that would be stuck in a read that nothing can interrupt when the run ends first.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN)

    async def next(self) -> tuple[bytes, int]:
        """Wait until there is something, and return it."""
        while True:
            if not self._poll.poll(0):
                await self._readable()
            try:
                block = os.read(self._descriptor, BLOCK)
            except BlockingIOError:
                continue  # somebody else reads here too, and was faster
            return block, len(block)

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        _watch(loop, self._descriptor, partial(_settle, readable))
        try:
            await readable
        finally:
            loop.remove_reader(self._descriptor)


def _settle(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)


def _watch(loop: asyncio.AbstractEventLoop, descriptor: int, callback: Callable[[], object]) -> None:
    blocking = os.get_blocking(descriptor)
    loop.add_reader(descriptor, callback)
    # uvloop makes it non-blocking for good, and with a terminal everybody's output too.
    os.set_blocking(descriptor, blocking)


def _watchable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):
        return False
    loop = asyncio.get_running_loop()
    try:
        _watch(loop, descriptor, lambda: None)
    except (OSError, NotImplementedError, ValueError):
        return False  # /dev/null, for one
    loop.remove_reader(descriptor)
    return True
