import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.model.errors import FlowError, InboxClosed, InboxFull
from streamflow.sources.inbox import Inbox
from streamflow.testing import virtual_clock as virtual


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def read_all(inbox, limit=10):
    reader = await inbox.open()
    found = []
    while (batch := await reader.read(limit)) is not None:
        found += batch
    await reader.close()
    return found


def test_items_are_taken_before_the_run_starts_and_all_at_once():
    async def main():
        inbox = Inbox(5)
        for number in range(5):
            await inbox.send(number)
        with pytest.raises(InboxFull, match="full with 5"):
            inbox.send_nowait(5)
        reader = await inbox.open()
        assert await reader.read(3) == [0, 1, 2]
        assert await reader.read(3) == [3, 4]
        assert reader.position().index == 5
        inbox.close()
        assert await reader.read(3) is None
        await reader.close()

    asyncio.run(main())


def test_senders_wait_in_turn_and_are_named():
    async def main():
        inbox = Inbox(1)
        tasks = [asyncio.create_task(inbox.send(number)) for number in range(6)]
        await settle()
        assert inbox.waiting_senders == set(tasks[1:])
        with pytest.raises(InboxFull):
            inbox.send_nowait(99)
        reader = await inbox.open()
        found = []
        while len(found) < 6:
            found += await reader.read(10)
            assert len(inbox) <= 1
        await asyncio.gather(*tasks)
        assert found == list(range(6))
        assert not inbox.waiting_senders
        await reader.close()

    asyncio.run(main())


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=25),
    st.lists(st.integers(0, 4), max_size=25),
)
def test_what_was_sent_arrives_once_and_what_was_cancelled_never(capacity, senders, reads):
    async def main():
        inbox, sent, refused = Inbox(capacity), [], []

        async def send(item):
            try:
                await inbox.send(item)
            except asyncio.CancelledError:
                refused.append(item)
                raise
            sent.append(item)

        reader, found, tasks = await inbox.open(), [], []
        for number, (turns, cancel) in enumerate(senders):
            tasks.append((asyncio.create_task(send(number)), cancel))
            for _ in range(turns % 3):
                await asyncio.sleep(0)
            if number < len(reads) and reads[number] and len(inbox):
                found += await reader.read(reads[number])
            for task, cancelled in tasks[: turns % 4]:
                if cancelled:
                    task.cancel()
        closing = asyncio.create_task(_close_when_sent(inbox, tasks))
        while (batch := await reader.read(3)) is not None:
            found += batch
        await closing
        await reader.close()
        assert not inbox.waiting_senders
        assert sorted(found) == sorted(sent)
        assert not set(found) & set(refused)

    asyncio.run(main())


async def _close_when_sent(inbox, tasks):
    await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
    inbox.close()


def test_cancelling_a_read_loses_nothing():
    async def main():
        inbox = Inbox(5)
        reader = await inbox.open()
        reading = asyncio.ensure_future(reader.read(5))
        await settle()
        inbox.send_nowait(1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await reader.read(5) == [1]
        await reader.close()

    asyncio.run(main())


def test_closing_refuses_waiting_and_later_senders_and_delivers_what_is_there():
    async def main():
        inbox = Inbox(1, name="orders")
        inbox.send_nowait(1)
        waiting = asyncio.create_task(inbox.send(2))
        await settle()
        inbox.close()
        inbox.close()
        with pytest.raises(InboxClosed, match="orders was closed"):
            await waiting
        with pytest.raises(InboxClosed):
            await inbox.send(3)
        with pytest.raises(InboxClosed):
            inbox.send_nowait(3)
        assert await read_all(inbox) == [1]
        assert await read_all(inbox) == []
        assert inbox.closed

    asyncio.run(main())


def test_nobody_waits_for_a_run_that_is_gone_and_the_next_run_reads_again():
    async def main():
        inbox = Inbox(1)
        reader = await inbox.open()
        inbox.send_nowait(1)
        waiting = asyncio.create_task(inbox.send(2))
        await settle()
        await reader.close()  # the run has failed
        with pytest.raises(InboxClosed, match="is over"):
            await waiting
        with pytest.raises(InboxClosed):
            inbox.send_nowait(3)
        reader = await inbox.open()
        assert await reader.read(5) == [1]
        inbox.send_nowait(4)
        assert await reader.read(5) == [4]
        await reader.close()

    asyncio.run(main())


def test_draining_refuses_more_and_delivers_what_is_there():
    async def main():
        inbox = Inbox(5)
        reader = await inbox.open()
        inbox.send_nowait(1)
        assert reader.drain()
        with pytest.raises(InboxClosed):
            await inbox.send(2)
        assert await reader.read(5) == [1]
        assert not reader.drain()
        assert await reader.read(5) is None
        await reader.close()

    asyncio.run(main())


def test_one_run_at_a_time_reads():
    async def main():
        inbox = Inbox(5)
        reader = await inbox.open()
        with pytest.raises(FlowError, match="another run"):
            await inbox.open()
        await reader.close()
        await (await inbox.open()).close()

    asyncio.run(main())
    with pytest.raises(FlowError, match="capacity"):
        Inbox(0)


def test_a_promised_place_that_is_given_up_wakes_the_reader_of_a_closed_inbox():
    async def main():
        inbox = Inbox(1)
        reader = await inbox.open()
        inbox.send_nowait(1)
        waiting = asyncio.create_task(inbox.send(2))
        await settle()
        assert await reader.read(1) == [1]  # the sender has its place now, and has not run yet
        waiting.cancel()
        inbox.close()
        assert await reader.read(1) is None
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await reader.close()

    asyncio.run(main())


def test_a_question_that_could_not_be_asked_leaves_nothing_behind():
    async def main():
        inbox = Inbox(1)
        inbox.send_nowait(1)
        asking = [asyncio.create_task(inbox.ask(n)) for n in range(3)]
        await asyncio.sleep(1)
        asking[0].cancel()
        await asyncio.sleep(1)
        inbox.close()
        results = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in results] == [asyncio.CancelledError, InboxClosed, InboxClosed]
        with pytest.raises(InboxClosed):
            await inbox.ask(4)
        await asyncio.sleep(1)
        assert inbox.answers.asked == set()

    virtual.run(main)
