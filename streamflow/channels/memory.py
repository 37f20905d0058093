"""A bounded edge in memory: one sending stage, one receiving stage, batches and markers between them.

The queue itself is the meter: everything `statistics()` says is read off it. There is one wake-up a batch, never one
an item, and none at all while the other side is not waiting.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from time import perf_counter

from streamflow.channels.sizes import size_of_items
from streamflow.model.batches import Batch
from streamflow.model.errors import BufferOverflow
from streamflow.model.markers import Marker, Watermark
from streamflow.model.policies import Overflow
from streamflow.model.statistics import EdgeStatistics

DEFAULT_ITEMS = 8192
DEFAULT_BYTES = 16 << 20


class Channel:
    """Join two stages by a queue bounded by items and by bytes.

    Markers keep their place among the batches but count against neither bound and are never dropped. One item that is
    larger than the byte bound passes alone.
    """

    def __init__(
        self,
        name: str,
        *,
        items: int = DEFAULT_ITEMS,
        bytes: int = DEFAULT_BYTES,
        overflow: Overflow = "block",
        between: tuple[str, str] = ("", ""),
    ) -> None:
        self.name = name
        self._between = between
        self.max_items = items
        self.max_bytes = bytes
        self.overflow = overflow
        self.closed = False
        self.on_close: Callable[[], None] | None = None
        self.on_arrival: Callable[[Channel], None] | None = None
        self._queue: deque[tuple[Batch, int] | Marker] = deque()
        self._items = 0
        self._bytes = 0
        self._sender: asyncio.Future[None] | None = None
        self._receiver: asyncio.Future[None] | None = None
        self.sent = self.received = self.overflowed = self.abandoned = 0
        self.high_water = 0
        self._blocked = 0.0
        self._blocked_since: float | None = None

    @property
    def overtaken(self) -> bool:
        """Tell whether a barrier overtakes what lies in this edge, which a checkpoint holds then."""
        return False

    # -- the sending side ---------------------------------------------------------------------------------------

    async def send(self, batch: Batch) -> None:
        """Put `batch` in the queue, waiting for room if the policy is to block."""
        if self.closed:
            self.sent += len(batch.items)
            self.abandoned += len(batch.items)
        elif self.overflow == "block":
            if not self._put_if_room(batch):
                await self._send_waiting(batch)
        else:
            self._send_overflowing(batch)

    async def room(self) -> None:
        """Wait until there is room for one more item."""
        while not self.closed and self._items and (self._items >= self.max_items or self._bytes >= self.max_bytes):
            await self._wait_for_room()

    def force(self, batch: Batch) -> None:
        """Put `batch` in the queue whatever the bounds say: for what must not be lost while its stage is cancelled."""
        self._put(batch, size_of_items(batch.items))

    def mark(self, marker: Marker) -> None:
        """Put a marker in the queue, now."""
        if isinstance(marker, Watermark) and self._queue and isinstance(self._queue[-1], Watermark):
            self._queue[-1] = marker  # it says more, and where every item is filtered out they would pile up
        elif not self.closed:
            self._queue.append(marker)
            self._arrived()

    def _put_if_room(self, batch: Batch) -> bool:
        items = batch.items
        if self._items and self._items + len(items) > self.max_items:
            return False
        size = size_of_items(items)
        if self._items and self._bytes + size > self.max_bytes:
            return False
        if len(items) > 1 and (len(items) > self.max_items or size > self.max_bytes):
            return False
        self._put(batch, size)
        return True

    def _put(self, batch: Batch, size: int) -> None:
        self._queue.append((batch, size))
        self._items += len(batch.items)
        self._bytes += size
        self.sent += len(batch.items)
        if self._items > self.high_water:
            self.high_water = self._items
        self._arrived()

    def _arrived(self) -> None:
        if self.on_arrival is not None:
            self.on_arrival(self)
        elif self._receiver is not None:
            _wake(self._receiver)

    async def _send_waiting(self, batch: Batch) -> None:
        waiting = deque([batch])
        try:
            while waiting and not self.closed:
                if self._put_if_room(waiting[0]):
                    waiting.popleft()
                    continue
                piece = waiting[0]
                cut = self._cut(piece)
                if cut:
                    waiting[0] = Batch(piece.items[cut:], piece.origin)
                    waiting.appendleft(Batch(piece.items[:cut], piece.origin))
                else:
                    await self._wait_for_room()
        finally:
            # Closed or cancelled: what did not get in was sent all the same, and is accounted for.
            left = sum(len(piece.items) for piece in waiting)
            self.sent += left
            self.abandoned += left

    def _cut(self, batch: Batch) -> int:
        """Return after how many items to cut a batch that found no room, 0 for waiting with it whole.

        Waiting is only safe while something is queued: nobody wakes the sender of an empty queue. One that is empty
        and still refuses holds a batch too large in bytes, which halves until its pieces (at last single items) pass.
        """
        count = len(batch.items)
        if count > self.max_items:
            return self.max_items
        return count // 2 if not self._items else 0

    async def _wait_for_room(self) -> None:
        self._sender = asyncio.get_running_loop().create_future()
        self._blocked_since = started = perf_counter()
        try:
            await self._sender
        finally:
            self._sender = None
            self._blocked_since = None
            self._blocked += perf_counter() - started

    def _send_overflowing(self, batch: Batch) -> None:
        items = batch.items
        if self.overflow == "latest":
            self._drop_oldest(self._items)
            self._overflow(len(items) - 1)
            self._put(Batch(items[-1:], batch.origin), size_of_items(items[-1:]))
            return
        each = max(1, size_of_items(items) // len(items))
        fit = max(1, min(self.max_items, self.max_bytes // each))
        room = max(0, min(self.max_items - self._items, (self.max_bytes - self._bytes) // each))
        if not self._items:
            room = fit
        if self.overflow == "fail" and len(items) > room:
            raise BufferOverflow(
                f"edge {self.name!r} is full ({self._items:,} items of {self.max_items:,}, {self._bytes:,} bytes of "
                f"{self.max_bytes:,}) and its overflow policy is 'fail': raise its bounds, or choose another policy"
            )
        if self.overflow == "drop_newest":
            kept = items[:room]
        else:
            kept = items[-fit:]
            self._drop_oldest_to_fit(len(kept), each)
        self._overflow(len(items) - len(kept))
        if kept:
            self._put(Batch(kept, batch.origin), each * len(kept))

    def _overflow(self, count: int) -> None:
        """Count items that were sent and did not even enter the queue."""
        self.sent += count
        self.overflowed += count

    def _drop_oldest_to_fit(self, count: int, each: int) -> None:
        self._drop_oldest(max(0, self._items + count - self.max_items))
        while self._items and self._bytes + count * each > self.max_bytes:
            self._drop_oldest(1)

    def _drop_oldest(self, count: int) -> None:
        kept: list[tuple[Batch, int] | Marker] = []
        while count > 0 and self._queue:
            head = self._queue.popleft()
            if isinstance(head, Marker):
                kept.append(head)
                continue
            batch, size = head
            cut = min(count, len(batch.items))
            freed = size * cut // len(batch.items)
            if cut < len(batch.items):
                kept.append((Batch(batch.items[cut:], batch.origin), size - freed))
            self._items -= cut
            self._bytes -= freed
            self.overflowed += cut
            count -= cut
        self._queue.extendleft(reversed(kept))

    # -- the receiving side -------------------------------------------------------------------------------------

    def take_nowait(self) -> Batch | Marker | None:
        """Return what is at the head of the queue, or None if it is empty."""
        if not self._queue:
            return None
        head = self._queue.popleft()
        if isinstance(head, Marker):
            return head
        batch, size = head
        self._items -= len(batch.items)
        self._bytes -= size
        self.received += len(batch.items)
        # Half empty, not merely not full: a sender that is woken has room for a batch, not for one item.
        if self._sender is not None and self._items * 2 <= self.max_items:
            _wake(self._sender)
        return batch

    async def receive(self) -> Batch | Marker:
        """Return what is at the head of the queue, waiting while it is empty."""
        while True:
            head = self.take_nowait()
            if head is not None:
                return head
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None

    async def receive_until(self, deadline: float) -> Batch | Marker | None:
        """Return what is at the head of the queue, or None at `deadline` of the loop's clock, or when nudged."""
        head = self.take_nowait()
        if head is not None:
            return head
        loop = asyncio.get_running_loop()
        self._receiver = future = loop.create_future()
        timer = loop.call_at(deadline, _wake, future) if deadline < math.inf else None
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._receiver = None
        return self.take_nowait()

    def nudge(self) -> None:
        """Wake whoever receives until a deadline, which may have changed."""
        if self._receiver is not None:
            _wake(self._receiver)

    def close(self) -> None:
        """Take no more: what is queued or still sent is abandoned, and whoever sends is told."""
        if self.closed:
            return
        self.closed = True
        self.abandoned += self._items
        self._queue.clear()
        self._items = self._bytes = 0
        if self._sender is not None:
            _wake(self._sender)
        if self.on_close is not None:
            self.on_close()

    # -- the meter ----------------------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Return the number of items in the queue."""
        return self._items

    @property
    def waiting(self) -> bool:
        """Tell whether something, if only a marker, is there to be received."""
        return bool(self._queue)

    @property
    def sending(self) -> bool:
        """Tell whether the sender waits for room."""
        return self._sender is not None and not self._sender.done()

    @property
    def receiving(self) -> bool:
        """Tell whether the receiver waits for something to arrive."""
        return self._receiver is not None and not self._receiver.done()

    def marker_first(self) -> bool:
        """Tell whether a marker stands at the head of the queue."""
        return bool(self._queue) and isinstance(self._queue[0], Marker)

    def statistics(self) -> EdgeStatistics:
        """Return what this edge has seen."""
        waiting = perf_counter() - self._blocked_since if self._blocked_since is not None else 0.0
        return EdgeStatistics(
            name=self.name,
            producer=self._between[0],
            consumer=self._between[1],
            sent=self.sent,
            received=self.received,
            overflowed=self.overflowed,
            abandoned=self.abandoned,
            queued=self._items,
            queued_bytes=self._bytes,
            max_items=self.max_items,
            max_bytes=self.max_bytes,
            high_water=self.high_water,
            blocked=self._blocked + waiting,
        )

    def __repr__(self) -> str:
        return f"<Channel {self.name!r}: {self._items:,}/{self.max_items:,} items, {self._bytes:,} bytes>"


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
