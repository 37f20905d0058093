"""How many items cross to a worker at once, and how what comes back in pieces is put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

#: Seconds of work in a share: enough that crossing costs little, so little that nobody waits for it.
SHARE_SECONDS = 0.02
#: Seconds for which sending a share, or taking it in again, may hold the event loop.
CROSSING_SECONDS = 0.001
#: Bytes of items in a share.
SHARE_BYTES = 1 << 20
MAX_SHARE = 4096
#: Items that may wait for a stage which runs elsewhere, before it knows what an item costs there.
ROOM_TO_BEGIN = 64


def share_size(there: int, workers: int, cost: float, crossing: float, item_bytes: float) -> int:
    """Return how many of the items that are `there` the next share is to have, at least one.

    `cost` is what an item takes in seconds, 0 while nobody knows: then one item finds it out; `crossing` for how many
    seconds an item holds the loop on its way. Towards the end of what
    is there shares shrink, so that uneven items leave no worker without work for long (guided self-scheduling,
    Polychronopoulos and Kuck 1987, with half of its shares).
    """
    if not cost:
        return 1
    fair = -(-there // (2 * workers))
    by_time = min(SHARE_SECONDS / cost, CROSSING_SECONDS / max(crossing, 1e-9))
    return max(1, min(fair, int(by_time), int(SHARE_BYTES / max(item_bytes, 1.0)), MAX_SHARE))


class Broken:
    """Be what leaves in place of a share whose item has failed for good: what came before it, then the error."""

    __slots__ = ("error", "outputs")

    def __init__(self, outputs: list[Any], error: BaseException) -> None:
        self.outputs = outputs
        self.error = error


class Assembly:
    """Gather what came of the items of one share, until none is missing.

    An item is known by its place in the share. Nothing after an item that has failed for good is waited for.
    """

    __slots__ = ("attempts", "error", "first", "items", "missing", "ordinal", "positions", "results")

    def __init__(self, ordinal: int, first: int, items: list[Any], positions: list[Any] | None) -> None:
        self.ordinal = ordinal
        #: The ordinal of its first item at the stage's input.
        self.first = first
        self.items = items
        self.positions = positions
        self.missing = set(range(len(items)))
        self.attempts: dict[int, int] = {}
        self.results: dict[int, Any] = {}
        self.error: BaseException | None = None

    def settle(self, indexes: Iterable[int]) -> None:
        """Wait no more for these: they have given their results, or none."""
        self.missing.difference_update(indexes)

    def attempt(self, index: int) -> int:
        """Return the number of the attempt that has just ended for item `index`, from 1."""
        count = self.attempts[index] = self.attempts.get(index, 0) + 1
        return count

    def fail(self, index: int, error: BaseException) -> None:
        """End the share before item `index`, whose error is the run's unless an item before it fails as well."""
        if index not in self.missing:
            return  # it comes after one that has failed
        self.error = error
        self.missing = {other for other in self.missing if other < index}
        self.results = {other: value for other, value in self.results.items() if other < index}

    def still_missing(self, indexes: Sequence[int]) -> list[int]:
        """Return those of `indexes` that are to be done again."""
        return [index for index in indexes if index in self.missing]

    def whole(self) -> list[Any] | Broken | None:
        """Return what leaves, or None while something is missing."""
        if self.missing:
            return None
        outputs = [self.results[index] for index in sorted(self.results)]
        return outputs if self.error is None else Broken(outputs, self.error)
