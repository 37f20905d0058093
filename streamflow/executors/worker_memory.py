"""What a worker process shares with its parent: items lie in the parent's arena, results go into its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from streamflow.executors.wire import INLINE, Content, Reference, in_one_piece
from streamflow.memory.arena import Arena, Block, Borrowed
from streamflow.memory.packing import THRESHOLD, Packed
from streamflow.memory.plain_arrays import arrays_over, is_plain
from streamflow.memory.segment import Segment


class WorkerMemory:
    """Look at the blocks of the parent's arena, `inbox`, and place results.

    `more_room` asks the parent for room in the worker's own arena: it returns the blocks that are free there, and
    whether what is wanted may go beyond the bound.
    """

    def __init__(self, inbox: int, outbox: int, size: int, more_room: Callable[[], tuple[list[int], bool]]) -> None:
        self._inbox = Borrowed(Segment(inbox))
        self._outbox = Arena(Segment(outbox), size)
        self._more_room = more_room
        #: Results that lie in shared memory already, and where, by their identity.
        self._early: dict[int, tuple[Any, Reference]] = {}
        #: Blocks of the parent's that nobody here refers to any more, by their length; and the length of each block.
        self._done_with: dict[int, list[int]] = {}
        self._lengths: dict[int, int] = {}

    # -- items ----------------------------------------------------------------------------------------------------

    def views(self, buffers: Iterable[Reference]) -> list[memoryview]:
        """Return the parent's blocks: who makes an array over one keeps it."""
        return [self._view(*reference) for reference in buffers]

    def read(self, payload: bytes | Reference) -> bytes:
        """Return a pickle that came with the message, or lies in a block."""
        return payload if isinstance(payload, bytes) else bytes(self._view(*payload))

    def _view(self, offset: int, length: int, readonly: bool, _: bool) -> memoryview:
        self._lengths[offset] = length
        return self._inbox.view(offset, length, readonly)

    def settle(self) -> None:
        """Take note of the blocks that nobody here refers to any more."""
        for offset in self._inbox.settle():
            self._done_with.setdefault(self._lengths.pop(offset), []).append(offset)

    def take_freed(self) -> list[int]:
        """Return the parent's blocks that are free, and forget what was placed and not sent."""
        self._take_back(reference for _, reference in self._early.values())
        self._early.clear()
        self.settle()
        freed = [offset for offsets in self._done_with.values() for offset in offsets]
        self._done_with.clear()
        return freed

    # -- results --------------------------------------------------------------------------------------------------

    def keep(self, value: Any) -> Any:
        """Move a large array into shared memory as soon as it is there: it is still in the processor's cache then."""
        # Best of all into the block of an item that is done with: the fewer blocks there are, the more of them stay in
        # the cache. Its length is the same where the shape does not change.
        if not is_plain(value, 0):
            return value
        if value.nbytes < THRESHOLD:
            return value.copy()  # a function may use one array again for each result
        self.settle()
        done_with = self._done_with.get(value.nbytes)
        if done_with:
            where = done_with.pop(), value.nbytes
            view, returned = self._inbox.segment.view(*where), True
        else:
            block = self._block(value.nbytes)
            if block is None:
                return value
            where, view, returned = block.reference, block.view, False
        (placed,) = arrays_over([(value.dtype.str, value.shape)], [view])
        placed[...] = value
        placed.flags.writeable = value.flags.writeable
        self._early[id(placed)] = placed, (*where, not value.flags.writeable, returned)
        return placed

    def _block(self, size: int) -> Block | None:
        try:
            return self._outbox.allocate(size)
        except OSError:
            return None

    def content(self, parts: Packed, values: list[Any]) -> Content:
        """Put the large parts into shared memory, and return what travels."""
        buffers: list[Reference] = []
        payload: Any = parts.payload
        try:
            for buffer in parts.buffers:
                buffers.append(self._placed(buffer.raw()))
            if isinstance(payload, bytes) and len(payload) > INLINE:
                payload = self._placed(memoryview(payload))
        except OSError:
            # The system has no room for shared memory: the results go through the pipe.
            payload = in_one_piece(values)
            self._take_back(buffers)
            buffers = []
        return payload, buffers, len(values)

    def _placed(self, data: memoryview) -> Reference:
        _, early = self._early.pop(id(data.obj), (None, None))
        if early is not None:
            return early
        block = self._outbox.allocate(data.nbytes) or self._waited_for(data.nbytes)
        block.view[:] = data
        return (*block.reference, data.readonly, False)

    def _waited_for(self, size: int) -> Block:
        """Wait until the parent has given back enough, or says that it never will."""
        while True:
            freed, beyond = self._more_room()
            self.free(freed)
            block = self._outbox.allocate(size, beyond=beyond)
            if block is not None:
                return block

    def _take_back(self, references: Iterable[Reference]) -> None:
        for offset, length, _, returned in references:
            if returned:
                self._done_with.setdefault(length, []).append(offset)
            else:
                self._outbox.give_back(offset)

    def free(self, offsets: Iterable[int]) -> None:
        """Free blocks of results that nobody refers to any more."""
        for offset in offsets:
            self._outbox.give_back(offset)

    def trim(self) -> None:
        """Give the pages back to the system that are free."""
        self._outbox.trim()
