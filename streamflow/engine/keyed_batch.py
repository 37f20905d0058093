"""The items of one batch by their keys: which go to a worker next, and what has come of them. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from streamflow.engine.folding import Failed, Folded, Given
from streamflow.operators.keyed_steps import Entry


class Missing:
    """Be the result of an item that nothing has come of yet."""


class KeyWork:
    """Be the items of one key in a batch; those before `done` are through, and `entry` is what is known then."""

    __slots__ = ("alone_until", "attempts", "done", "entry", "indexes", "key", "since")

    def __init__(self, key: Any) -> None:
        self.key = key
        self.indexes: list[int] = []
        self.entry: Entry = None
        self.done = 0
        #: Up to which item each goes alone: a worker was lost with several, and one of them is to blame.
        self.alone_until = 0
        #: How often the next item has failed.
        self.attempts = 0
        #: The index in the batch of the item with which the key took its place, if it has in this batch.
        self.since: int | None = None

    @property
    def left(self) -> int:
        """Return how many items are to be done."""
        return len(self.indexes) - self.done


class KeyShare:
    """Be what goes to a worker together: some keys, and how many of the items of each."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: list[tuple[KeyWork, int]] = []

    @property
    def count(self) -> int:
        """Return the number of items."""
        return sum(count for _, count in self.parts)


class KeyedBatch:
    """Divide one batch into shares, a key in one at a time, and put together what comes back.

    `moments` holds the time of each item, or one for all. With `tries_again`, an item that fails is handed back by
    `answered`, to be given by `again` or `failed`; its key waits for that.
    """

    def __init__(self, items: Sequence[Any], moments: list[float] | float, *, tries_again: bool = False) -> None:
        self.items = items
        self.moments = moments
        self.works: dict[Any, KeyWork] = {}
        self.results: list[Any] = [Missing] * len(items)
        self._tries_again = tries_again
        self._ready: deque[KeyWork] = deque()
        self._under_way = 0
        #: Nothing from this item on need be done: one that has failed ends the run.
        self._end = len(items)
        self.left = 0

    # -- before it begins -----------------------------------------------------------------------------------------

    def add(self, index: int, key: Any) -> None:
        """Take the item at `index` in; TypeError if the key is none."""
        work = self.works.get(key)
        if work is None:
            work = self.works[key] = KeyWork(key)
        work.indexes.append(index)

    def fail(self, index: int, error: BaseException) -> None:
        """Take note that an item has failed before anything was made of it."""
        self.results[index] = Failed(error, "")

    def end_before(self, index: int) -> None:
        """Do nothing from this item on, but for what is under way."""
        self._end = min(self._end, index)

    def begin(self) -> None:
        """Hand out the keys with the most items first, so that none of them is left alone at the end."""
        self._ready.extend(sorted(self.works.values(), key=lambda work: -work.left))
        self.left = sum(work.left for work in self._ready)

    # -- while it lasts -------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Tell whether something could be handed out."""
        while self._ready and self._is_over(self._ready[0]):
            self._drop(self._ready.popleft())
        return bool(self._ready)

    @property
    def over(self) -> bool:
        """Tell whether all has been done that is to be done."""
        return not self._under_way and not self.ready

    def _is_over(self, work: KeyWork) -> bool:
        return not work.left or work.indexes[work.done] >= self._end

    def _drop(self, work: KeyWork) -> None:
        self.left -= work.left

    def next_share(self, size: int) -> KeyShare:
        """Return up to `size` items, when some are ready: whole keys, or a stretch of one that has more."""
        share, room = KeyShare(), size
        while room > 0 and self.ready:
            work = self._ready[0]
            alone = work.done < work.alone_until
            if alone and share.parts:
                break
            count = 1 if alone else min(work.left, room)
            self._ready.popleft()
            share.parts.append((work, count))
            room = 0 if alone else room - count
        self._under_way += len(share.parts)
        return share

    def given(self, share: KeyShare) -> list[Given]:
        """Return what a worker is given."""
        items, moments = self.items, self.moments
        found: list[Given] = []
        for work, count in share.parts:
            at = work.indexes[work.done : work.done + count]
            times = [moments[index] for index in at] if isinstance(moments, list) else moments
            found.append((work.entry, [items[index] for index in at], times))
        return found

    def answered(self, share: KeyShare, folded: Sequence[Folded]) -> list[tuple[KeyWork, Failed]]:
        """Take what came of a share; return the items that have failed and may be tried again, each by its key."""
        trying: list[tuple[KeyWork, Failed]] = []
        for (work, _), (entry, since, results) in zip(share.parts, folded, strict=True):
            if since is not None:
                work.since = work.indexes[work.done + since]
            work.entry = entry
            failed = results[-1] if results and isinstance(results[-1], Failed) and self._tries_again else None
            if failed is not None:
                results = results[:-1]
            for index, result in zip(work.indexes[work.done :], results, strict=False):
                self.results[index] = result
            self._advance(work, len(results))
            if failed is None:
                self._return(work)
            else:
                trying.append((work, failed))
        return trying

    def _advance(self, work: KeyWork, count: int) -> None:
        if count:
            work.done += count
            work.attempts = 0
            self.left -= count

    def _return(self, work: KeyWork) -> None:
        self._under_way -= 1
        if work.left:
            self._ready.appendleft(work)

    def again(self, share: KeyShare, *, alone: bool) -> None:
        """Have a share done again: nothing came back; `alone` item by item, because one of them is to blame."""
        for work, count in share.parts:
            if alone:
                work.alone_until = work.done + count
            self._return(work)

    def try_again(self, work: KeyWork) -> None:
        """Give the item that has failed once more."""
        self._return(work)

    def failed(self, work: KeyWork, error: Failed) -> None:
        """Go on after the item that has failed."""
        self.results[work.indexes[work.done]] = error
        self._advance(work, 1)
        self._return(work)

    # -- at the end -----------------------------------------------------------------------------------------------

    def in_order(self) -> list[KeyWork]:
        """Return the keys in the order in which they took their places; those that kept theirs come first."""
        return sorted(self.works.values(), key=lambda work: -1 if work.since is None else work.since)
