"""One piece of memory that processes share: a file without a name.

It lives as long as somebody has it open or mapped. So nothing is left behind whatever kills whom, and nobody need
sweep or track anything: a process gets it by inheriting its descriptor, not by a name.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
from typing import Final

#: How many names are tried where one is needed for a moment.
ATTEMPTS: Final = 100


class Segment:
    """Map the shared memory behind the descriptor `fd`, which it owns from now on.

    `grow` and `discard` are the owner's, who made it by `create`; the others see what was added when they look there.
    """

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        #: The descriptor to hand to a child process; -1 once closed.
        self.fd = fd
        self._sparse = False
        self._mmap: mmap.mmap | None = None
        self._whole = memoryview(bytearray())
        self._mapped = 0

    @classmethod
    def create(cls, size: int) -> Segment:
        """Make a segment of `size` bytes; raise OSError (ENOSPC) where the system has no room for it."""
        fd, sparse = _anonymous()
        segment = cls(fd)
        segment._sparse = sparse
        try:
            segment.grow(size)
        except BaseException:
            segment.close()
            raise
        return segment

    @property
    def size(self) -> int:
        """Return the size in bytes, as the owner made it."""
        return os.fstat(self.fd).st_size

    @property
    def resident(self) -> int:
        """Return how many bytes of it the system holds pages for."""
        return os.fstat(self.fd).st_blocks * 512

    def view(self, offset: int, length: int) -> memoryview:
        """Return `length` bytes from `offset` on, to read and to write; they stay valid when the segment is closed."""
        end = offset + length
        if end > self._mapped:
            self._map()
        if offset < 0 or length < 0 or end > self._mapped:
            raise ValueError(f"bytes {offset} to {end} are not in a segment of {self._mapped}")
        return self._whole[offset:end]

    def grow(self, size: int) -> None:
        """Make it `size` bytes long; raise OSError where the system has no room or cannot (macOS: once only)."""
        if size < self.size:
            raise ValueError(f"a segment of {self.size} bytes cannot become one of {size}: others may look there")
        if not self._sparse:
            self._reserve(size)
        # A memfd stays sparse. It lies on the kernel's own mount, which the size of /dev/shm does not bound, so that
        # no page can be refused later (what bounds it is the memory of the process or its group); to reserve would
        # cost all of its memory at once, and warm nothing: each process maps the pages for itself anyway.
        os.ftruncate(self.fd, size)

    def discard(self, offset: int, length: int) -> None:
        """Give the whole pages between `offset` and `offset + length` back to the system; they read as zeros then."""
        # What was reserved must stay, or writing there again could be a SIGBUS.
        if not self._sparse or not hasattr(mmap, "MADV_REMOVE"):
            return
        start = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (offset + length) // mmap.PAGESIZE * mmap.PAGESIZE
        if end <= start:
            return
        if end > self._mapped:
            self._map()
        if self._mmap is not None:
            # OSError: a system that has the name only. Nothing is lost but the saving.
            with contextlib.suppress(OSError):
                self._mmap.madvise(mmap.MADV_REMOVE, start, end - start)

    def close(self) -> None:
        """Close the descriptor; the memory goes with the last view of it, in any process."""
        self._mmap = None
        self._whole = memoryview(bytearray())
        self._mapped = 0
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def _reserve(self, size: int) -> None:
        # A file on a mount that is full or tiny (/dev/shm in containers) may grow and yet have no pages: the first
        # write there would be a SIGBUS, the end of the process. This is an error in its place.
        reserve = getattr(os, "posix_fallocate", None)
        if reserve is not None and size:
            reserve(self.fd, 0, size)

    def _map(self) -> None:
        if self.fd < 0:
            raise ValueError("the segment is closed")
        size = self.size
        if size <= self._mapped:
            return
        # The former mapping is dropped, not closed: it lives on while a view of it does.
        self._mmap = _mapping(self.fd, size)
        self._whole = memoryview(self._mmap)
        self._mapped = size


def _mapping(fd: int, size: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)  # before, each mapping holds a copy of the descriptor
    return mmap.mmap(fd, size)


def _anonymous() -> tuple[int, bool]:
    """Return a new descriptor of shared memory, and whether it takes pages as they are written."""
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("streamflow", os.MFD_CLOEXEC), True
        except OSError as error:
            if error.errno != errno.ENOSYS:
                raise
    return _unlinked(), False


def _unlinked() -> int:
    import _posixshmem  # type: ignore[import-not-found]  # what multiprocessing has it from; typed nowhere
    import secrets  # late: with its hashes it would cost each worker's start 4 ms

    for _ in range(ATTEMPTS):
        # Short: macOS takes 31 characters.
        name = f"/sf-{secrets.token_hex(8)}"
        with contextlib.suppress(FileExistsError):
            fd: int = _posixshmem.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
            _posixshmem.shm_unlink(name)
            return fd
    raise FileExistsError(errno.EEXIST, "no name for a segment of shared memory is free")
