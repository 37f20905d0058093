"""Work of a known length, for measuring places: so much arithmetic, or so much hashing, as takes a millisecond here.

How much that is, is found out once and kept beside the input files, so that all contenders do the same.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from bench import data

_FILE = "load-1.json"
_MASK = (1 << 32) - 1
_SHORTEST_OF = 7


@dataclass(frozen=True, slots=True)
class Load:
    """Say how many turns of each kind fill a millisecond of one core that nobody else uses."""

    turns: int
    rounds: int


def turning(turns: int, item: int) -> int:
    """Compute in pure Python, holding the GIL: what only another process can do beside us."""
    value = item
    for turn in range(turns):
        value = (value * 31 + turn) & _MASK
    return value


def hashing(rounds: int, item: int) -> int:
    """Compute in C without the GIL: what threads can do side by side. No input is as short as its output."""
    digest = hashlib.pbkdf2_hmac("sha256", item.to_bytes(8, "big"), b"streamflow", rounds)
    return int.from_bytes(digest[:4], "big")


def calibrated(_size: int = 0) -> Load:
    """Find out anew; the driver does so before the first contender of a work starts."""
    load = Load(turns=_per_ms(partial(turning, 10_000), 10_000), rounds=_per_ms(partial(hashing, 1_000), 1_000))
    path = data.folder() / _FILE
    path.write_text(json.dumps(asdict(load)))
    return load


def known() -> Load:
    """Give what was found out, or find out now."""
    try:
        return Load(**json.loads((data.folder() / _FILE).read_text()))
    except FileNotFoundError:
        return calibrated()


def _per_ms(work: Callable[[int], int], amount: int) -> int:
    """Take the shortest of several times: what disturbs only makes it longer."""
    shortest = float("inf")
    for item in range(_SHORTEST_OF):
        began = time.perf_counter()
        work(item)
        shortest = min(shortest, time.perf_counter() - began)
    return max(1, round(amount / shortest / 1000))
