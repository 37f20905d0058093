"""A flow with its ends: what can be planned, looked at and run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from streamflow.engine.durable import Resume
from streamflow.engine.explain import explain, to_html, to_mermaid
from streamflow.engine.plan import Plan
from streamflow.engine.planner import plan
from streamflow.engine.runner import OnEvent, Run
from streamflow.engine.wiring import CheckpointPlace
from streamflow.metrics.report import RunReport
from streamflow.model.checkpoint import Checkpoint
from streamflow.model.errors import FlowError
from streamflow.model.graph import Graph


class Runnable:
    """Describe one or several ends that run together; immutable, and runnable many times, also at the same time."""

    __slots__ = ("_graph", "_plan")

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._plan: Plan | None = None

    @property
    def plan(self) -> Plan:
        """Return the plan; raise FlowError for what cannot work."""
        if self._plan is None:
            self._plan = plan(self._graph)
        return self._plan

    async def run(
        self,
        *,
        on_event: OnEvent | None = None,
        stall_after: float = 60.0,
        max_stall: float = 0.001,
        fuse: bool = True,
        checkpoint: CheckpointPlace | None = None,
        every: object = 1.0,
        resume: Resume | Checkpoint = "auto",
        memory: str | int | None = None,
        tune_allocator: bool = False,
        gc_threshold: int | None = None,
    ) -> RunReport:
        """Run to the end and return the report; raise the user's own exception, with a note, if an item fails the run.

        `on_event` is called with each event; `stall_after` are the seconds without movement after which a warning says
        why; `max_stall` those for which the engine holds the loop at most; `fuse=False` interprets instead of
        generating code. Cancelling cancels the run and cleans up first.

        `checkpoint` is the path of a file in which the run keeps what it has reached, `every` so often (seconds, a
        timedelta, "5s"). The same call again goes on from there, whatever ended the run before: `kill -9`, an error, a
        drain (which suspends). `resume="never"` begins anew, `"require"` fails where there is nothing to go on from. A
        run that has finished is not run again. What `Run.checkpoint` returned may be given as `resume` too: that is one
        in memory.

        `memory` ("512MB", or a number of bytes) is a limit for the whole process and its children: near it, what is not
        in use is given back, then the sources are held until memory has fallen. What the flow itself keeps cannot be
        had back: then batches pass one at a time. `tune_allocator=True` has glibc keep freed memory while the run
        lasts, for the whole process, which makes large items that come and go up to several times as fast.
        `gc_threshold=20_000` has Python look for garbage that much less often than after each 700 new objects: worth a
        fifth where batches of dicts cross an edge.
        """
        run = Run(
            self.plan,
            on_event=on_event,
            stall_after=stall_after,
            max_stall=max_stall,
            fuse=fuse,
            checkpoint=checkpoint,
            every=every,
            resume=resume,
            memory=memory,
            tune_allocator=tune_allocator,
            gc_threshold=gc_threshold,
        )
        return await run.wait()

    def run_sync(self, **options: Any) -> RunReport:
        """Run to the end from code that is not async, on a loop of its own (uvloop where it is installed).

        Options as for `run`. Raises FlowError inside a running loop.
        """
        if asyncio._get_running_loop() is not None:
            raise FlowError(
                "run_sync(): an event loop is running here already (a notebook, an async function); await .run()"
            )
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(self.run(**options))

    def start(
        self,
        *,
        on_event: OnEvent | None = None,
        stall_after: float = 60.0,
        max_stall: float = 0.001,
        fuse: bool = True,
        checkpoint: CheckpointPlace | None = None,
        every: object = 1.0,
        resume: Resume | Checkpoint = "auto",
        memory: str | int | None = None,
        tune_allocator: bool = False,
        gc_threshold: int | None = None,
    ) -> Run:
        """Start a run and return its handle, for `async with`: leaving it waits, leaving by an exception cancels."""
        return Run(
            self.plan,
            on_event=on_event,
            stall_after=stall_after,
            max_stall=max_stall,
            fuse=fuse,
            checkpoint=checkpoint,
            every=every,
            resume=resume,
            memory=memory,
            tune_allocator=tune_allocator,
            gc_threshold=gc_threshold,
        )

    def explain(self) -> str:
        """Return the plan as a readable tree: stages, what is fused, why each boundary stands, what is promised."""
        return explain(self.plan)

    def to_mermaid(self) -> str:
        """Return the plan as a Mermaid flowchart."""
        return to_mermaid(self.plan)

    def _repr_html_(self) -> str:
        return to_html(self.plan)

    def __repr__(self) -> str:
        return f"<Runnable with {len(self._graph.ends)} ends: {', '.join(end.what.label for end in self._graph.ends)}>"


def together(*runnables: Runnable) -> Runnable:
    """Run several ends as one run; parts that they share run once."""
    for one in runnables:
        if not isinstance(one, Runnable):
            raise FlowError(f"together(...): expected flows with an end (flow.to(sink)), got {type(one).__name__}")
    return Runnable(Graph(tuple(end for one in runnables for end in one._graph.ends)))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a uvloop, or None where it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
