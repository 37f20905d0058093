"""One coroutine of a processor: what waits for it, how far its time has come, and what it has in its hands."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, NamedTuple, Protocol

from streamflow.engine.turn import Turn
from streamflow.model.batches import Origin
from streamflow.model.errors import FlowError
from streamflow.model.markers import Barrier, EndOfStream, Marker, Watermark
from streamflow.model.positions import Known, Stamp, Where, plain, resolved
from streamflow.model.processing import KeyedItem, Timer
from streamflow.operators.key_state import KeyState
from streamflow.operators.timers import KeyedTimers


class Dealt(NamedTuple):
    """Be an item that waits; `where` it came from, as far as that travels with it, its batch's origin, its ordinal."""

    key: Any
    item: Any
    where: Where
    origin: Origin | None
    ordinal: int


class Mark:
    """Be something that every lane must pass: a marker, or an error, behind what came before it."""

    __slots__ = ("missing", "what")

    def __init__(self, what: Marker | BaseException, missing: int) -> None:
        self.what, self.missing = what, missing


class Owner(Protocol):
    """Be the stage of some lanes."""

    turn: Turn

    def now(self) -> float:
        """Return how long the run has been at work."""

    def wake_at(self, moment: float) -> float:
        """Return when, by the loop's clock, it will be that late."""

    def took(self) -> None:
        """Take note that an item has left a queue."""

    def let_go(self) -> None:
        """Take note that the coroutine is done with an item."""

    def passed(self, mark: Mark) -> None:
        """Take note that a lane has passed a mark."""

    def rests(self) -> None:
        """Take note that a lane has nothing to do."""

    def works(self) -> None:
        """Take note that it has."""

    def give_from(self, lane: Lane, item: Any) -> bool:
        """Take an item to be handed on; tell whether there is no room for another."""

    async def room(self) -> None:
        """Wait until there is."""


class Inbox:
    """Give the events of one lane, in their order; it is safe to give up waiting for one (`asyncio.timeout`)."""

    __slots__ = ("_lane",)

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def __aiter__(self) -> Inbox:
        return self

    def __anext__(self) -> Awaitable[KeyedItem | Timer]:
        return self._lane.next()


class Lane:
    """Give a coroutine one event after the other: due timers first, then what waits.

    A barrier stands when it is passed, until `go_on`: the coroutine has asked for more then, and does nothing.
    """

    def __init__(self, owner: Owner, label: str, *, by_event_time: bool) -> None:
        self.timers = KeyedTimers()
        self.queue: deque[Dealt | Mark] = deque()
        self.inbox = Inbox(self)
        self.state = KeyState(self.timers, self._now, label, by_event_time=by_event_time)
        self.watermark = -math.inf
        #: What is sent from now on is no earlier, but for what answers a late item.
        self.floor = -math.inf
        #: Time and place of the latest event.
        self.time: float | None = None
        self.where: Where = None
        self.origin: Origin | None = None
        #: The latest event, until it is let go.
        self.event: KeyedItem | Timer | None = None
        self.ordinal = 0
        #: Whether nothing comes any more: the input has ended well; or it has failed.
        self.over = self.broken = False
        #: Whether a barrier stands.
        self.fenced = False
        #: Whether the coroutine is at an end.
        self.gone = False
        self._owner = owner
        self._label = label
        self._by_event_time = by_event_time
        self._asked = False
        self._woken: asyncio.Future[None] | None = None

    def _now(self) -> float:
        return self.watermark if self._by_event_time else self._owner.now()

    # -- what the coroutine does ----------------------------------------------------------------------------------

    async def next(self) -> KeyedItem | Timer:
        """Return the next event, waiting for it; by asking, the coroutine is done with the one before."""
        if self._asked:
            raise FlowError(f"{self._label}: the inbox was asked for an event while it was being asked for one already")
        self._asked = True
        turn = self._owner.turn
        try:
            self.let_go()
            while True:
                if turn.spent():
                    await turn.next()
                event = self._take()
                if event is not None:
                    return event
                if self.broken:
                    raise asyncio.CancelledError
                if self.over:
                    raise StopAsyncIteration
                await self._rest()
        except asyncio.CancelledError:
            await self._until_go_on()
            raise
        finally:
            self._asked = False

    async def send(self, item: Any) -> None:
        """Hand an item on, waiting if what comes behind is slow."""
        if self.gone:
            raise FlowError(f"{self._label}: the function has returned, and something that it left behind still sends")
        if self.broken:
            raise asyncio.CancelledError
        turn = self._owner.turn
        served = True
        while self.fenced or turn.spent():  # what a task of the user's own sends belongs behind the barrier
            await turn.wait(served)
            served = False
        if self._owner.give_from(self, item):
            await self._owner.room()

    def let_go(self) -> None:
        """Hold on to the latest event no longer: somebody may wait for the end of what was dropped."""
        if isinstance(self.event, KeyedItem):
            self._owner.let_go()
        self.event = self.where = self.origin = None

    # -- what comes next ------------------------------------------------------------------------------------------

    def _take(self) -> KeyedItem | Timer | None:
        """Return what the coroutine is to be given now; marks that stand before it are passed."""
        while not (self.fenced or self.over or self.broken):
            timer = self.timers.due(self._now()) if self.timers.earliest < math.inf else None
            if timer is not None:
                self.floor = max(self.floor, timer.time)
                return self._give(timer)
            if not self.queue:
                return None
            head = self.queue[0]
            if self._time_goes_on(head):
                continue
            self.queue.popleft()
            if isinstance(head, Dealt):
                time = float(head.where.time) if isinstance(head.where, Stamp) and self._by_event_time else None
                self._owner.took()
                self.where, self.origin, self.ordinal = head.where, head.origin, head.ordinal
                return self._give(KeyedItem(head.key, head.item, time))
            self._pass(head)
        return None

    def _time_goes_on(self, head: Dealt | Mark) -> bool:
        """Take note of how far time has come with `head`; tell whether that is news, which may make timers due."""
        if not self._by_event_time:
            return False
        time = -math.inf
        if isinstance(head, Dealt):
            time = head.where.watermark if isinstance(head.where, Stamp) else time
        elif isinstance(head.what, Watermark):
            time = head.what.time
        elif isinstance(head.what, EndOfStream) and not head.what.failed:
            time = math.inf
        if time > self.watermark:
            self.watermark = time
            return True
        if self.watermark < math.inf:
            self.floor = self.watermark
        return False

    def _give(self, event: KeyedItem | Timer) -> KeyedItem | Timer:
        self.event, self.time = event, event.time
        self.state.turn_to(event.key)
        return event

    def _pass(self, mark: Mark) -> None:
        if isinstance(mark.what, EndOfStream):
            self.over, self.broken = not mark.what.failed, mark.what.failed
        self.fenced = isinstance(mark.what, (Barrier, BaseException))
        self._owner.passed(mark)

    # -- waiting --------------------------------------------------------------------------------------------------

    async def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        alarm = None
        if not self._by_event_time and not self.fenced and self.timers.earliest < math.inf:
            when = self._owner.wake_at(self.timers.earliest)
            alarm = loop.call_at(when, self.wake) if when < math.inf else None
        self._owner.rests()
        try:
            await self._woken
        finally:
            if alarm is not None:
                alarm.cancel()
            self._woken = None
            self._owner.works()

    async def _until_go_on(self) -> None:
        """Keep the coroutine, which has given up waiting, from changing what a barrier writes down."""
        while self.fenced:
            self._woken = asyncio.get_running_loop().create_future()
            try:
                await self._woken
            except asyncio.CancelledError:
                continue
            finally:
                self._woken = None

    def wake(self) -> None:
        """Have the coroutine look again, if it waits."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def go_on(self) -> None:
        """Let the coroutine go on behind a barrier."""
        self.fenced = False
        self.wake()

    def end(self) -> None:
        """Have nothing come any more."""
        self.over = True
        self.queue.clear()
        self.go_on()

    def break_off(self) -> None:
        """Have whatever the coroutine asks for be cancelled."""
        self.broken = True
        self.queue.clear()
        self.go_on()

    # -- telling --------------------------------------------------------------------------------------------------

    def position(self) -> Known:
        """Return where the latest event came from, as exactly as that is known."""
        return resolved(self.where) or (None if self.origin is None else self.origin.span())

    def event_in_words(self) -> str:
        """Return what the latest event is."""
        what = f"the timer of {self.event.time!r}" if isinstance(self.event, Timer) else "an item"
        key = self.state.key
        try:
            shown = repr(key)
        except Exception:
            shown = f"(a {type(key).__name__} whose repr raises)"
        return f"{what} of key {shown[:200]}" + "…" * (len(shown) > 200)

    def stamp(self, floor: float) -> Stamp:
        """Return what travels with an item that is sent now, where event time does; nothing before `floor` follows."""
        if self.time is None:
            raise FlowError(
                f"{self._label}: what is sent bears the time of the latest event, and there was none yet; "
                f"send inside `async for event in inbox`"
            )
        return Stamp(self.time, floor, plain(self.where))
