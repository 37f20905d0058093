"""Every executor under the suite that third parties run over theirs; the loop itself must pass it, too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import ExecutorSuite

STEPS = st.lists(st.sampled_from(["map", "filter", "tap", "loop"]), min_size=1, max_size=5)
BATCHES = st.sampled_from([1, 2, 7, 64, None])


def short(*always: str):
    """Mark as nightly whatever else a class inherits: its runs begin with new workers, which takes its time."""

    def mark(suite):
        for name in dir(suite):
            if name.startswith("test_") and name not in always:
                setattr(suite, name, nightly(suite.__mro__[1], name))
        return suite

    return mark


def nightly(parent, name):
    @pytest.mark.nightly
    def long(self):
        getattr(parent, name)(self)

    return long


class TestLoop(ExecutorSuite):
    def make_executor(self):
        return "loop"


class TestThread(ExecutorSuite):
    def make_executor(self):
        return sf.threads(1)


class TestThreads(ExecutorSuite):
    def make_executor(self):
        return sf.threads(4)

    @settings(max_examples=40)
    @given(STEPS, st.integers(0, 500), BATCHES, st.booleans())
    def test_any_mixture(self, steps, count, batch, ordered):
        self.check_mixture(steps, count, batch, ordered=ordered)


class TestProcess(ExecutorSuite):
    crosses_processes = True
    quick = False
    mixtures = 4

    def make_executor(self):
        return sf.processes(1)


class TestProcesses(TestProcess):
    def make_executor(self):
        return sf.processes(2)

    @settings(max_examples=6)
    @given(STEPS, st.integers(0, 500), BATCHES, st.booleans())
    def test_any_mixture(self, steps, count, batch, ordered):
        self.check_mixture(steps, count, batch, ordered=ordered)


@short(
    "test_every_item_arrives_once_and_in_order_in_any_mixture",
    "test_an_error_fails_the_run_as_the_users_own",
    "test_what_cannot_be_pickled_fails_its_item_alone",
    "test_barriers_pass_in_order",
)
class TestCopyingProcesses(TestProcess):
    def make_executor(self):
        return sf.processes(2, views=False)


class TestJoblibThreads(ExecutorSuite):
    def make_executor(self):
        return sf.joblib("threading", 2)


@short(
    "test_every_item_arrives_once_and_in_order_in_any_mixture",
    "test_an_error_between_others_is_the_first_in_order",
    "test_failed_items_are_set_aside",
    "test_a_failed_item_is_tried_again",
    "test_what_cannot_be_pickled_fails_its_item_alone",
    "test_a_resource_opens_once_a_worker_and_closes_once",
    "test_drained_it_loses_nothing",
    "test_cancelled_at_work_it_leaves_nothing_behind",
    "test_the_pool_answers_each_share_once",
)
class TestLoky(TestProcess):
    mixtures = 2

    def make_executor(self):
        return sf.joblib("loky", 2)
