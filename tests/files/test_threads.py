import asyncio
import threading
import warnings

import pytest

from streamflow.files.threads import FileThread, calls_in_flight


def test_calls_run_in_order_off_the_loop_and_the_thread_ends():
    seen = []

    async def main():
        thread = FileThread("test")
        answers = [thread.submit(seen.append, number) for number in range(10)]
        assert calls_in_flight() == 10
        await asyncio.gather(*answers)
        assert await thread.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(KeyError):
            await thread.run({}.__getitem__, 1)
        assert calls_in_flight() == 0
        await thread.close()

    before = threading.active_count()
    asyncio.run(main())
    assert seen == list(range(10))
    assert threading.active_count() == before


def test_a_call_whose_caller_was_cancelled_runs_to_its_end_before_the_next_one():
    started, release, seen = threading.Event(), threading.Event(), []

    def slow():
        started.set()
        release.wait()
        seen.append("slow")

    async def main():
        thread = FileThread("test")
        first = asyncio.ensure_future(thread.run(slow))
        await asyncio.sleep(0)
        started.wait()
        first.cancel()
        await asyncio.wait([first])
        second = thread.submit(seen.append, "next")
        release.set()
        await second
        await thread.close()

    asyncio.run(main())
    assert seen == ["slow", "next"]


def test_a_call_that_hangs_is_given_up_and_named_and_may_end_later(caplog):
    release = threading.Event()

    async def main():
        thread = FileThread("test", grace=0.01)
        answer = thread.submit(release.wait)
        await thread.close()
        assert not answer.done()
        return thread

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        thread = asyncio.run(main())
        assert "does not return" in thread.abandoned
        assert "abandoned" in caplog.text
        assert calls_in_flight() == 0
        release.set()
        for other in threading.enumerate():
            if other.name == "streamflow-test":
                other.join()
