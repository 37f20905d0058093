"""The sink callables that every contender of a work shares, each with the checksum it makes.

Closures, because a user's own sink is a plain function; the same one is called, item by item, on both sides.
"""

from collections.abc import Callable

Sink = Callable[[int], None]
Seen = Callable[[], tuple[int, int]]

_PRIME = 1_000_003
_MASK = (1 << 61) - 1


def counting_sink() -> tuple[Sink, Seen]:
    """Make a sink that counts and adds up, and a function that tells (count, sum)."""
    count = total = 0

    def sink(item: int) -> None:
        nonlocal count, total
        count += 1
        total += item

    return sink, lambda: (count, total)


def ordered_sink() -> tuple[Sink, Seen]:
    """Make a sink whose checksum depends on the order of the items."""
    count = digest = 0

    def sink(item: int) -> None:
        nonlocal count, digest
        count += 1
        digest = (digest * _PRIME + item) & _MASK

    return sink, lambda: (count, digest)
