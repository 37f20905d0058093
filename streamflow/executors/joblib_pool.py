"""The live pool over joblib: shares go to its rounds, and come back to the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from streamflow.executors.crossing import refused
from streamflow.executors.joblib_places import InProcesses, InThreads
from streamflow.executors.joblib_rounds import Called, Rounds
from streamflow.executors.joblib_worker import crossing
from streamflow.executors.tickets import Tickets
from streamflow.model.interfaces import Pool
from streamflow.model.placement import Chain, Outcome
from streamflow.model.statistics import PlaceStatistics

#: Shares that are in a pool for each worker: joblib hands out two, and takes the next one as one of them ends.
DEPTH = 3


class Settings(Protocol):
    """Be what is said of the workers: the executor."""

    @property
    def backend(self) -> str:
        """Return the name of joblib's backend."""

    @property
    def workers(self) -> int:
        """Return the number of workers."""

    @property
    def label(self) -> str:
        """Return it as a user would write it."""


class JoblibPool(Pool):
    """Know what is under way, and who waits for it."""

    def __init__(self, executor: Settings) -> None:
        self.loop = asyncio.get_running_loop()
        self._executor = executor
        self._place = InProcesses() if executor.backend == "loky" and executor.workers > 1 else InThreads()
        self._rounds = Rounds(executor.label, executor.workers, self._place, self)
        self._tickets = Tickets(DEPTH * executor.workers)
        self._under_way: set[Called] = set()
        self._serial = 0
        self._closed = False
        self._error: BaseException | None = None
        self._died = 0

    def load(self, chain: Chain) -> int:
        """Keep the chain, as it crosses."""
        return self._place.load(chain)

    async def room(self) -> None:
        """Wait for one of three places a worker."""
        await self._tickets.wait()

    def decline(self) -> None:
        """Give the place back."""
        self._tickets.give_back()

    def submit(
        self, chain: int, items: Sequence[Any], positions: Sequence[Any] | None, answer: Callable[[Outcome], None]
    ) -> None:
        """Put the share where the next round finds it."""
        self._serial += 1
        share = Called(self._serial, chain, items, positions, answer)
        self._under_way.add(share)
        if self._error is not None:
            self.loop.call_soon(self.answered, share, _undone(share, self._error))
            return
        try:
            share.call = self._place.call(share)
        except Exception as error:
            label = self._place.chains[chain].steps[0].label
            self.loop.call_soon(self.answered, share, refused(items, label, crossing, error))
        else:
            self._rounds.put(share)

    def statistics(self) -> PlaceStatistics:
        """Return how often a worker has died."""
        return PlaceStatistics(name=self._executor.label, workers=self._executor.workers, died=self._died)

    async def close(self) -> None:
        """Let idle workers leave their resources; break off what is under way, as far as that is possible."""
        self._closed = True
        await self._rounds.close(at_work=bool(self._under_way))

    def answered(self, share: Called, outcome: Outcome) -> None:
        """Take what came of a share."""
        if self._closed:
            return
        self._under_way.discard(share)
        self._tickets.give_back()
        share.answer(outcome)

    def worker_died(self) -> None:
        """Count it."""
        self._died += 1

    def gave_up(self, error: BaseException) -> None:
        """Fail what is under way, and all that comes."""
        self._error = error
        for share in tuple(self._under_way):
            self.answered(share, _undone(share, error))


def _undone(share: Called, error: BaseException) -> Outcome:
    return Outcome(kept=(), undone=range(len(share.items)), fatal=error)
