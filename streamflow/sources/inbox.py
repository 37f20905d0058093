"""A source to push into."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from streamflow.model.arguments import whole_number
from streamflow.model.batches import Located
from streamflow.model.errors import FlowError, InboxClosed, InboxFull, NoResult
from streamflow.model.interfaces import Reader, Sink, Source
from streamflow.model.positions import Position
from streamflow.sources.answers import Answers, Asked, Question

T = TypeVar("T")


class Inbox(Source[T]):
    """Be a source and the handle to push items into it: from any number of tasks of one event loop.

    It holds up to `capacity` items, and takes them before the run starts, too. One run at a time reads it;
    when that ends, whoever waits in `send` gets InboxClosed, and so does who sends later, until another run
    has started: nobody waits for a run that is gone. `send_nowait` never waits.

    Not a frozen description like other sources: it is the thing itself.
    """

    def __init__(self, capacity: int = 1000, *, name: str = "inbox") -> None:
        self.capacity = whole_number("inbox(capacity=...)", capacity, 1)
        self.name = name
        #: Tasks that wait in `send` now; a watchdog finds circles of waits with it.
        self.waiting_senders: set[asyncio.Task[Any]] = set()
        self._items: deque[T] = deque()
        self._senders: deque[asyncio.Future[None]] = deque()
        self._asked: set[asyncio.Future[Any]] = set()
        self._promised = 0  # places given to senders that have been woken and have not run yet
        self._closed: str | None = None
        self._over = False
        self._reader: InboxReader[T] | None = None

    @property
    def bounded(self) -> bool:
        """Tell that it does not end by itself: `close` ends it."""
        return False

    @property
    def label(self) -> str:
        """Return the name it was given."""
        return self.name

    @property
    def closed(self) -> bool:
        """Tell whether it takes no more items."""
        return self._closed is not None

    def __len__(self) -> int:
        return len(self._items)

    def __bool__(self) -> bool:
        return True  # an empty one is no missing one

    async def send(self, item: T) -> None:
        """Put an item in, waiting while the inbox is full; senders are served in turn.

        A cancelled `send` has not sent. Raises InboxClosed.
        """
        self._require_open()
        if self._senders or self._full():
            await self._turn()
        self._put(item)

    async def ask(self, item: T) -> Any:
        """Put an item in, as `send` does, and return what the flow gives to `answers` for it.

        Raises the user's own exception if the item fails, and NoResult if it is dropped or the run ends before.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.add(answer)
        try:
            await self.send(Question(item, answer))  # type: ignore[arg-type]  # unpacked when it is read
            return await answer
        finally:
            self._asked.discard(answer)
            answer.cancel()  # nobody waits for it any more, if the question was not even sent

    @property
    def answers(self) -> Sink[Any]:
        """Return the sink that gives each result to whoever has asked for it with `ask`."""
        return Answers(asked=self._asked)

    def send_nowait(self, item: T) -> None:
        """Put an item in; raise InboxFull if there is no place, or if others wait for one."""
        self._require_open()
        if self._senders or self._full():
            raise InboxFull(f"{self.name} is full with {self.capacity:,} items: await send(), or drop the item")
        self._put(item)

    def close(self) -> None:
        """Take no more items: the run ends after those that are there, waiting senders get InboxClosed."""
        self._over, self._closed = False, None  # closed for good, whatever a run has said before
        self._refuse(f"{self.name} was closed")

    async def open(self) -> Reader[T]:
        """Let one run read; raise FlowError while another one does."""
        if self._reader is not None:
            raise FlowError(f"{self.name} is read by another run now: make an inbox for each run")
        if self._over:
            self._over, self._closed = False, None
        self._reader = InboxReader(self)
        return self._reader

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<Inbox {self.name!r} {state}, {len(self):,} of {self.capacity:,}, {len(self._senders)} waiting>"

    def _full(self) -> bool:
        return len(self._items) + self._promised >= self.capacity

    def _require_open(self) -> None:
        if self._closed is not None:
            raise InboxClosed(self._closed)

    def _put(self, item: T) -> None:
        self._items.append(item)
        if self._reader is not None:
            self._reader.wake()

    async def _turn(self) -> None:
        """Wait for a place, which is then kept until this task runs."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._senders.append(turn)
        task = asyncio.current_task()
        if task is not None:
            self.waiting_senders.add(task)
        try:
            await turn
        except asyncio.CancelledError:
            self._leave(turn)
            raise
        finally:
            if task is not None:
                self.waiting_senders.discard(task)
        self._promised -= 1

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Give up a turn: as one that waits, or with a place that the next one gets."""
        if turn in self._senders:
            self._senders.remove(turn)
        elif not turn.cancelled() and turn.exception() is None:
            self._promised -= 1
            self._serve()
            if self._reader is not None:
                self._reader.wake()  # it may have waited for this item only

    def _serve(self) -> None:
        """Wake as many senders as there are places."""
        while self._senders and not self._full():
            turn = self._senders.popleft()
            if not turn.done():
                turn.set_result(None)
                self._promised += 1

    def _refuse(self, reason: str) -> None:
        if self._closed is None:
            self._closed = reason
        while self._senders:
            turn = self._senders.popleft()
            if not turn.done():
                turn.set_exception(InboxClosed(reason))
        if self._reader is not None:
            self._reader.wake()

    # From here on: for the reader.

    def take(self, limit: int) -> list[T]:
        """Take what is there, up to `limit`, and let as many senders go on."""
        items = self._items
        if len(items) <= limit:
            batch = list(items)
            items.clear()
        else:
            batch = [items.popleft() for _ in range(limit)]
        if self._senders:
            self._serve()
        return batch

    def located(self, batch: list[Any], first: int) -> list[Any]:
        """Return `batch` with its questions unpacked; their positions then know who waits for the answer."""
        if not any(type(item) is Question for item in batch):
            return batch
        positions = [
            Asked(self.name, first + index, item.answer)
            if type(item) is Question
            else Position(self.name, index=first + index)
            for index, item in enumerate(batch)
        ]
        return Located([item.item if type(item) is Question else item for item in batch], positions)

    @property
    def ended(self) -> bool:
        """Tell whether nothing is there and nothing more will come."""
        return self._closed is not None and not self._items and not self._promised

    def run_over(self) -> None:
        """Refuse items from now on, until the next run: nobody would read them."""
        if self._closed is None:
            self._over = True
            self._refuse(f"the run that read {self.name} is over: start another one, then send")

    def release(self) -> None:
        """Let go of the reader; questions that it has not read get NoResult, plain items stay for a next run."""
        self.run_over()
        self._reader = None
        unread: list[Any] = [item for item in self._items if type(item) is Question]
        if unread:
            self._items = deque(item for item in self._items if type(item) is not Question)
        for question in unread:
            if not question.answer.done():
                question.answer.set_exception(NoResult(f"{self.name}: the run ended before it read this question"))


class InboxReader(Reader[T]):
    """Read an inbox for one run."""

    def __init__(self, inbox: Inbox[T]) -> None:
        self._inbox = inbox
        self._index = 0
        self._arrival: asyncio.Future[None] | None = None

    async def read(self, limit: int) -> Sequence[T] | None:
        """Return all that is there, waiting for the first item."""
        inbox = self._inbox
        while not len(inbox):
            if inbox.ended:
                return None
            self._arrival = asyncio.get_running_loop().create_future()
            await self._arrival
        batch = inbox.located(inbox.take(limit), self._index)
        self._index += len(batch)
        return batch

    def wake(self) -> None:
        """Note that something has come, or that nothing more will."""
        arrival = self._arrival
        if arrival is not None and not arrival.done():
            arrival.set_result(None)

    def position(self) -> Position:
        """Return the ordinal of the next item in this run."""
        return Position(self._inbox.name, index=self._index)

    def drain(self) -> bool:
        """Refuse more items; those that are there are still to be read."""
        self._inbox.run_over()
        return not self._inbox.ended

    async def close(self) -> None:
        """Let another run read."""
        self._inbox.release()
