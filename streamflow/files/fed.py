"""Bytes that come on the loop, and are read by a library that waits for them on a thread."""

from __future__ import annotations

import asyncio
import io
import threading
from collections import deque
from contextlib import suppress


class FedFile(io.RawIOBase):
    """Be a file object whose `read` waits until it has been fed enough, or everything.

    `wanted` is set when a thread waits for more. `end` lets it go on with what there is.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._come = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._length = 0
        self._ended = False
        self.wanted = asyncio.Event()
        #: The bytes that have been read.
        self.taken = 0
        #: Nothing here can fail; who feeds it is told.
        self.failed: OSError | None = None

    # On the loop.

    def feed(self, data: bytes) -> None:
        """Put `data` behind what has come; nothing at all is the end."""
        with self._come:
            self._pieces.append(data)
            self._length += len(data)
            self._ended |= not data
            self._come.notify()

    def end(self) -> None:
        """Say that nothing more will come."""
        self.feed(b"")

    # On the thread.

    def read(self, size: int = -1, /) -> bytes:
        """Return `size` bytes, or fewer at the end."""
        with self._come:
            while not self._ended and (size < 0 or self._length < size):
                with suppress(RuntimeError):  # the loop was closed over a thread that was given up
                    self._loop.call_soon_threadsafe(self.wanted.set)
                self._come.wait()
            return self._take(self._length if size < 0 else min(size, self._length))

    def _take(self, size: int) -> bytes:
        found, left = [], size
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                piece = piece[:left]
            left -= len(piece)
            found.append(piece)
        self._length -= size
        self.taken += size
        return b"".join(found)

    def tell(self) -> int:
        """Return the bytes that have been read."""
        return self.taken

    def readable(self) -> bool:
        """Tell that it is there to be read."""
        return True
