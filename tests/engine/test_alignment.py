"""Barriers over several inputs, against a model that counts what each input has delivered."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streamflow.engine.alignment import Alignment
from streamflow.model.markers import Barrier
from tests.sizes import examples


class Aligning(RuleBasedStateMachine):
    """Deliver barriers on inputs that may be read, in the order of their epochs, and end inputs.

    A barrier has passed when each input has delivered it or has ended. One that has delivered a barrier which has not
    passed is held; nobody delivers a later barrier before that.
    """

    @initialize(ports=st.integers(1, 5))
    def begin(self, ports: int) -> None:
        self.alignment = Alignment(ports)
        self.delivered = [0] * ports
        self.ended: set[int] = set()
        self.passed = 0

    def expected(self) -> int | None:
        """Return the epoch that must pass now, by the definition."""
        epoch = max(self.delivered)
        if epoch == self.passed or any(
            self.delivered[port] < epoch for port in range(len(self.delivered)) if port not in self.ended
        ):
            return None
        self.passed = epoch
        return epoch

    def check(self, barrier: Barrier | None) -> None:
        assert (None if barrier is None else barrier.epoch) == self.expected()

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        free = [port for port in range(len(self.delivered)) if self.alignment.readable(port)]
        if free:
            port = data.draw(st.sampled_from(free))
            self.delivered[port] = self.passed + 1
            self.check(self.alignment.deliver(port, Barrier(self.passed + 1)))

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        alive = [port for port in range(len(self.delivered)) if port not in self.ended]
        # What is held is not read, so that its end is not seen.
        alive = [port for port in alive if self.alignment.readable(port)]
        if alive:
            port = data.draw(st.sampled_from(alive))
            self.ended.add(port)
            self.check(self.alignment.end(port))

    @invariant()
    def those_are_held_that_are_ahead(self) -> None:
        if not hasattr(self, "alignment"):
            return
        for port, epoch in enumerate(self.delivered):
            assert self.alignment.readable(port) == (port not in self.ended and epoch <= self.passed)
        assert self.alignment.complete == (len(self.ended) == len(self.delivered))

    @invariant()
    def nobody_is_held_for_ever(self) -> None:
        """Once every input is held or has ended, the barrier has passed."""
        if hasattr(self, "alignment") and not self.alignment.complete:
            assert any(self.alignment.readable(port) for port in range(len(self.delivered)))


TestAligning = Aligning.TestCase
TestAligning.settings = settings(max_examples=examples(100, nightly=5000), stateful_step_count=40)
