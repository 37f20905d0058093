"""Conformance suites: subclass one, override its hooks, and pytest runs the contract over your part."""

from __future__ import annotations

from streamflow.testing.conformance.executors import ExecutorSuite as ExecutorSuite
from streamflow.testing.conformance.operators import OperatorSuite as OperatorSuite
from streamflow.testing.conformance.sinks import SinkSuite as SinkSuite
from streamflow.testing.conformance.sources import SourceSuite as SourceSuite
from streamflow.testing.conformance.state_stores import StateStoreSuite as StateStoreSuite
