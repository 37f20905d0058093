"""The bounded edge against an obvious model: a plain list of what was sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamflow.channels.memory import Channel
from streamflow.channels.sizes import size_of_items
from streamflow.model.batches import Batch
from streamflow.model.errors import BufferOverflow
from streamflow.model.markers import Barrier, Marker, Watermark
from streamflow.testing import run

Step = tuple[str, int]
STEPS = st.lists(st.tuples(st.sampled_from(["send", "take", "mark"]), st.integers(1, 9)), max_size=60)


def drain(channel: Channel) -> list[Any]:
    out: list[Any] = []
    while (head := channel.take_nowait()) is not None:
        out += [head] if isinstance(head, Marker) else head.items
    return out


@given(STEPS, st.integers(1, 7))
def test_a_blocking_edge_keeps_everything_in_order_and_its_bound(steps: list[Step], capacity: int) -> None:
    async def main() -> None:
        channel = Channel("edge", items=capacity)
        sent: list[Any] = []
        got: list[Any] = []

        async def sender() -> None:
            number = 0
            for what, count in steps:
                if what == "send":
                    items = list(range(number, number + count))
                    number += count
                    sent.extend(items)
                    await channel.send(Batch(items))
                elif what == "mark":
                    sent.append(Barrier(number))
                    channel.mark(Barrier(number))
            sent.append(Barrier(-1))
            channel.mark(Barrier(-1))

        async with asyncio.TaskGroup() as group:
            group.create_task(sender())
            while not got or got[-1] != Barrier(-1):
                head = await channel.receive()
                assert channel.statistics().queued <= capacity
                got += [head] if isinstance(head, Marker) else head.items
        assert got == sent
        assert channel.statistics().conserved
        assert channel.high_water <= capacity

    run(main)


@given(STEPS, st.integers(1, 7), st.sampled_from(["drop_oldest", "drop_newest", "latest"]))
def test_a_dropping_edge_keeps_what_the_model_keeps(steps: list[Step], capacity: int, overflow: Any) -> None:
    async def main() -> None:
        channel = Channel("edge", items=capacity, overflow=overflow)
        model: list[Any] = []
        number = 0
        for what, count in steps:
            if what == "send":
                items = list(range(number, number + count))
                number += count
                await channel.send(Batch(items))
                model = kept(model, items, capacity, overflow)
            elif what == "mark":
                channel.mark(Barrier(number))
                model.append(Barrier(number))
            else:
                head = channel.take_nowait()
                taken = 0 if head is None else 1 if isinstance(head, Marker) else len(head.items)
                expected, model = model[:taken], model[taken:]
                assert expected == ([] if head is None else [head] if isinstance(head, Marker) else head.items)
        assert drain(channel) == model
        assert channel.statistics().conserved

    run(main)


def kept(model: list[Any], items: list[Any], capacity: int, overflow: str) -> list[Any]:
    """Return what is queued after `items` were sent; markers are never dropped."""
    data = [one for one in model if not isinstance(one, Marker)]
    if overflow == "drop_newest":
        return model + items[: capacity - len(data)]
    room = 1 if overflow == "latest" else capacity
    keep = set((data + items)[-room:])
    return [one for one in model + items if isinstance(one, Marker) or one in keep]


def test_an_edge_that_is_to_fail_does() -> None:
    async def main() -> None:
        channel = Channel("edge", items=2, overflow="fail")
        await channel.send(Batch([1, 2]))
        with pytest.raises(BufferOverflow, match="'edge' is full"):
            await channel.send(Batch([3]))

    run(main)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(100, 4000))
def test_the_bound_in_bytes_holds_whatever_the_sizes(sizes: list[int], most: int) -> None:
    async def main() -> None:
        channel = Channel("edge", bytes=most)
        items = [bytes(size) for size in sizes]
        got: list[bytes] = []

        async def sender() -> None:
            await channel.send(Batch(items))
            channel.mark(Barrier(0))

        async with asyncio.TaskGroup() as group:
            group.create_task(sender())
            while not isinstance(head := await channel.receive(), Marker):
                assert len(head.items) == 1 or sum(map(len, head.items)) <= most
                got += head.items
                assert channel.statistics().queued_bytes <= max(most, max(sizes) + 50)
        assert got == items

    run(main)


def test_a_cancelled_send_is_accounted_for() -> None:
    async def main() -> None:
        channel = Channel("edge", items=1)
        await channel.send(Batch([1]))
        sending = asyncio.ensure_future(channel.send(Batch([2, 3])))
        await asyncio.sleep(0)
        assert channel.sending
        sending.cancel()
        await asyncio.wait([sending])
        assert not channel.sending
        assert drain(channel) == [1]
        statistics = channel.statistics()
        assert (statistics.sent, statistics.received, statistics.abandoned) == (3, 1, 2)
        assert statistics.conserved

    run(main)


def test_closing_wakes_the_sender_and_abandons_what_is_queued() -> None:
    async def main() -> None:
        channel = Channel("edge", items=1)
        told: list[bool] = []
        channel.on_close = lambda: told.append(True)
        await channel.send(Batch([1]))
        sending = asyncio.ensure_future(channel.send(Batch([2])))
        await asyncio.sleep(0)
        channel.close()
        await sending
        await channel.send(Batch([3]))
        assert told == [True]
        assert channel.take_nowait() is None
        assert channel.statistics().abandoned == 3
        assert channel.statistics().conserved

    run(main)


def test_receiving_until_a_deadline_uses_the_clock_of_the_loop() -> None:
    async def main() -> None:
        channel = Channel("edge")
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await channel.receive_until(began + 1000) is None
        assert loop.time() == pytest.approx(began + 1000)
        loop.call_later(5, lambda: channel.mark(Barrier(1)))
        assert await channel.receive_until(loop.time() + 1000) == Barrier(1)

    run(main)


@settings(max_examples=20)
@given(st.integers(1, 50))
def test_a_sender_is_woken_once_a_batch_not_once_an_item(count: int) -> None:
    async def main() -> None:
        channel = Channel("edge", items=100)
        await channel.send(Batch(list(range(100))))
        sending = asyncio.ensure_future(channel.send(Batch(list(range(count)))))
        await asyncio.sleep(0)
        assert not sending.done()
        channel.take_nowait()
        await sending

    run(main)


class Odd:
    """Answer every question about its size in a way of its own."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)

    def __sizeof__(self) -> int:
        raise ValueError("no size")


class OddBytes:
    @property
    def nbytes(self) -> int:
        raise ValueError("nobody knows")


def released() -> memoryview:
    view = memoryview(b"abc")
    view.release()
    return view


ITEMS = [
    *["a", b"b", 1, 2.5, None, True, {"k": [1]}, ()],
    *[bytearray(b"x"), memoryview(b"yy"), released(), Odd(), OddBytes()],
]


@given(st.lists(st.integers(0, len(ITEMS) - 1), min_size=1, max_size=6))
def test_no_item_fails_a_batch_by_its_size(chosen: list[int]) -> None:
    assert size_of_items([ITEMS[n] for n in chosen]) >= 0


def test_watermarks_that_nothing_stands_between_are_one() -> None:
    channel = Channel("edge")
    for time in range(1000):
        channel.mark(Watermark(time))
    channel.force(Batch([1]))
    channel.mark(Watermark(2000))
    taken = [channel.take_nowait() for _ in range(4)]
    assert taken == [Watermark(999), Batch([1]), Watermark(2000), None]
