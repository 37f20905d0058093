"""The two places where joblib's workers are: what a share is for them, and what it is when it comes back."""

from __future__ import annotations

import contextvars
import hashlib
import threading
from contextlib import suppress
from typing import Any, Protocol

from streamflow.executors.crossing import pickled_chain
from streamflow.executors.joblib_parallel import JoinedThreads, OwnLoky, delayed
from streamflow.executors.joblib_worker import crossing, numbered, outcome_of, perform
from streamflow.executors.performing import CURSOR, Performer
from streamflow.model.placement import Chain, Outcome

#: Seconds that threads wait for each other, so that each of them leaves its own resources.
GRACE = 5.0


class Placed(Protocol):
    """Be a share, as its place sees it."""

    number: int
    chain: int
    items: Any
    positions: Any


class Place(Protocol):
    """Be one of the two."""

    backend: Any
    chains: list[Chain]

    def load(self, chain: Chain) -> int:
        """Take a chain; return its number."""

    def call(self, share: Placed) -> Any:
        """Return the call that does `share`, as `Parallel` takes it; raise what pickling raises."""

    def read(self, share: Placed, answer: Any) -> Outcome:
        """Return what has come of it."""

    def leave(self, parallel: Any, workers: int) -> None:
        """Leave the resources, if the end of the workers does not do that."""

    def break_off(self) -> None:
        """Give up what is under way, as far as that is possible; from another thread than the rounds'."""


class InProcesses:
    """Be worker processes of loky."""

    def __init__(self) -> None:
        self.backend = OwnLoky()
        self.chains: list[Chain] = []
        self._sent: list[tuple[bytes, bytes]] = []

    def load(self, chain: Chain) -> int:
        """Pickle it; it travels with each share, and a worker unpickles it once."""
        pickled = pickled_chain(chain)
        self.chains.append(chain)
        # Two stages of one function have a performer, and resources, each.
        digest = hashlib.blake2b(b"%d " % len(self._sent) + pickled, digest_size=16).digest()
        self._sent.append((digest, pickled))
        return len(self.chains) - 1

    def call(self, share: Placed) -> Any:
        """Pickle the items."""
        payload = crossing([list(share.items), share.positions])
        return delayed(numbered, share.number, perform, *self._sent[share.chain], payload, len(share.items))

    def read(self, share: Placed, answer: Any) -> Outcome:
        """Unpickle the results."""
        return outcome_of(answer, len(share.items), self.chains[share.chain].label)

    def leave(self, parallel: Any, workers: int) -> None:
        """Do nothing: a worker leaves its resources when it ends."""

    def break_off(self) -> None:
        """Kill the workers."""
        self.backend.break_off()


class InThreads:
    """Be threads of this process."""

    def __init__(self) -> None:
        self.backend = JoinedThreads(nesting_level=0)
        self.chains: list[Chain] = []
        self._context = contextvars.copy_context()
        self._performers: dict[tuple[int, int], Performer] = {}
        self._over = False

    def load(self, chain: Chain) -> int:
        """Keep it."""
        self.chains.append(chain)
        return len(self.chains) - 1

    def call(self, share: Placed) -> Any:
        """Have the share done as it is."""
        return delayed(numbered, share.number, self._perform, share)

    def read(self, share: Placed, answer: Any) -> Outcome:
        """Return it as it is."""
        outcome: Outcome = answer
        return outcome

    def leave(self, parallel: Any, workers: int) -> None:
        """Let each thread leave its own, as far as all of them can be had at the same time."""
        if not any(performer.opened for performer in self._performers.values()):
            return
        together = threading.Barrier(workers)
        for _ in parallel(delayed(self._leave_own, together) for _ in range(workers)):
            pass
        self._leave(list(self._performers))

    def break_off(self) -> None:
        """Begin nothing more; a call that is under way goes on to its end."""
        self._over = True

    # On the workers' threads.

    def _perform(self, share: Placed) -> Outcome:
        if self._over:
            return Outcome(kept=(), undone=range(len(share.items)))
        key = threading.get_ident(), share.chain
        performer = self._performers.get(key)
        if performer is None:
            performer = self._performers[key] = Performer(self.chains[share.chain])
        context = self._context.copy()
        return context.run(performer.perform, share.items, share.positions, [0] * CURSOR)

    def _leave_own(self, together: threading.Barrier) -> None:
        with suppress(threading.BrokenBarrierError):
            together.wait(GRACE)
        self._leave([key for key in list(self._performers) if key[0] == threading.get_ident()])

    def _leave(self, keys: list[tuple[int, int]]) -> None:
        for key in keys:
            self._performers.pop(key).close()
