import asyncio

import pytest

from streamflow.model.errors import FlowError
from streamflow.sources.ticks import Ticks


class SteppedLoop(asyncio.SelectorEventLoop):
    """Jump to the next timer instead of waiting for it."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select
        self._selector.select = lambda timeout: self._jump(timeout) or select(0)

    def _jump(self, timeout):
        self.now += timeout or 0.0

    def time(self):
        return self.now


def run(coroutine):
    with asyncio.Runner(loop_factory=SteppedLoop) as runner:
        return runner.run(coroutine)


def test_ticks_keep_to_their_times_and_end():
    async def main():
        reader, loop, seen = await Ticks(10.0, count=3).open(), asyncio.get_running_loop(), []
        began = loop.time()
        while (batch := await reader.read(100)) is not None:
            seen += [(number, round(loop.time() - began, 6)) for number in batch]
        assert reader.position().index == 3
        await reader.close()
        return seen

    assert run(main()) == [(0, 0), (1, 10), (2, 20)]


def test_missed_ticks_are_one_and_the_beat_is_kept():
    async def main():
        reader, loop, seen = await Ticks(10.0).open(), asyncio.get_running_loop(), []
        began = loop.time()
        for busy in (35.0, 0.0, 0.0, 0.0):
            seen += [(number, round(loop.time() - began, 6)) for number in await reader.read(100)]
            await asyncio.sleep(busy)
        return seen

    assert run(main()) == [(0, 0), (1, 35), (2, 40), (3, 50)]


def test_cancelling_a_read_loses_no_tick_and_draining_ends():
    async def main():
        reader = await Ticks(10.0).open()
        await reader.read(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await reader.read(1)
        assert await reader.read(1) == (1,)
        assert not reader.drain()
        assert await reader.read(1) is None

    run(main())


@pytest.mark.parametrize("options", [{"every": 0}, {"every": -1}, {"every": float("inf")}, {"every": 1, "count": -1}])
def test_what_is_no_time_is_refused(options):
    with pytest.raises(FlowError):
        Ticks(**options)


def test_endless_ones_are_not_bounded():
    assert Ticks(1, count=1).bounded
    assert not Ticks(1).bounded
