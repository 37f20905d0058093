"""A worker process: it takes shares from its pipe, does them one after the other, and ends when the pipe does.

It is started by `worker_process.py` with a fresh interpreter, never imports the parent's `__main__`, and imports
nothing of streamflow but what it needs here.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import io
import json
import os
import pickle
import signal
import socket
import sys
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic_ns
from typing import Any

from streamflow.executors.errors import pickled_error
from streamflow.executors.performing import CURSOR, ITEM, SINCE, Performer, tamed
from streamflow.executors.wire import Content, Frames, Message, Reference, Report, frame, packed
from streamflow.executors.worker_memory import WorkerMemory
from streamflow.memory.packing import Packed, unpack
from streamflow.memory.reclaiming import give_back_freed
from streamflow.memory.segment import Segment
from streamflow.model.errors import FlowError, NotTransferable
from streamflow.model.placement import Failure, Outcome

#: Beside what `performing` knows: the share that is at work, from 1, and 0 in between.
SHARE = CURSOR
#: The worth of ITEM while no function is at work, but the items are put together, or the results taken apart.
BETWEEN = -1
#: The worth of ITEM while a chain is loaded, which imports modules.
LOADING = -2
CURSOR_FIELDS = CURSOR + 1
#: What a pickle has in it that names something of the parent's script.
_MAIN = b"__main__"


def main() -> None:
    """Serve until the pipe is closed; what is to be known stands on the command line."""
    settings = json.loads(sys.argv[1])
    # Signals to the whole group are for the parent, which ends its workers. A handler that does nothing is not
    # inherited by the programs that a function starts, as an ignored signal would be.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _do_nothing)
    _die_with_parent(settings["life"])
    if settings["memory"] is not None:
        _limit_memory(settings["memory"])
    worker = Worker(settings)
    os.register_at_fork(after_in_child=worker.close)
    worker.serve()
    worker.close()
    # Threads that a function has left behind are not waited for.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def _do_nothing(*_: object) -> None:
    return None


def _die_with_parent(life: int) -> None:
    """Have the kernel end this process when the parent's end of a pipe is closed, whatever C code is at work."""
    # SIGIO's default is the end of the process; nothing is ever written to this pipe, so that it is its end that
    # raises the signal. A thread that reads would not run while C code holds the GIL.
    # Where a system cannot do that, the worker ends with its next look at the other pipe.
    with contextlib.suppress(OSError):
        fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(life, fcntl.F_GETFL)
        fcntl.fcntl(life, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        if os.read(life, 1) == b"":  # it has gone already
            os._exit(0)


def _limit_memory(limit: int) -> None:
    import resource

    # What this process allocates for itself; the arenas, which are shared and the parent's, do not count.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))


class Worker:
    """Hold the two ends of what a worker shares with its parent, and the chains that it knows."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._pipe = socket.socket(fileno=settings["pipe"])
        self._limit: int | None = settings["memory"]
        self._frames = Frames()
        self._arrived = memoryview(bytearray(1 << 16))
        self._messages: deque[Message] = deque()
        self._cursor = Segment(settings["cursor"]).view(0, 8 * CURSOR_FIELDS).cast("q")
        self._memory = WorkerMemory(settings["inbox"], settings["outbox"], settings["arena"], self._more_room)
        self._performers: dict[int, Performer] = {}
        self._broken: dict[int, FlowError] = {}
        self._of_main: set[str] = set()

    def serve(self) -> None:
        """Do what comes until the end is asked for, or the parent is gone."""
        self._send(("ready",))
        while (message := self._next()) is not None:
            kind = message[0]
            if kind == "share":
                self._share(*message[1:])
            elif kind == "chain":
                self._load(*message[1:])
            elif kind == "room":
                self._memory.free(message[1])
            elif kind == "argv":
                sys.argv[:] = message[1]
            elif kind == "trim":
                self._memory.trim()
                give_back_freed()
            elif kind == "forget":
                self._forget()
            elif kind == "end":
                self._send(("ended", self._close_performers()))
                return

    def close(self) -> None:
        """Close the pipe; in a child of this process, too, which must not answer in its place."""
        self._pipe.close()

    # -- messages -------------------------------------------------------------------------------------------------

    def _next(self) -> Message | None:
        if self._messages:
            return self._messages.popleft()
        return self._receive()

    def _receive(self) -> Message | None:
        """Read one more message from the pipe; None at its end."""
        arrived: deque[Message] = deque()
        while not arrived:
            count = self._pipe.recv_into(self._arrived)
            if not count:
                return None
            arrived.extend(self._frames.feed(self._arrived[:count]))
        first = arrived.popleft()
        self._messages.extend(arrived)
        return first

    def _answer_to(self, question: Message, kind: str) -> Message:
        """Ask the parent, and return its answer; what comes meanwhile waits its turn."""
        self._send(question)
        waiting, self._messages = self._messages, deque()
        try:
            while True:
                message = self._next()
                if message is None:
                    os._exit(0)  # the parent is gone, and nobody waits for what is under way
                if message[0] == kind:
                    return message
                waiting.append(message)
        finally:
            waiting.extend(self._messages)
            self._messages = waiting

    def _more_room(self) -> tuple[list[int], bool]:
        _, freed, beyond = self._answer_to(("full",), "room")
        return freed, beyond

    def _send(self, message: Message) -> None:
        if self._pipe.fileno() < 0:
            os._exit(0)  # a function has forked and returned in the child as well
        self._pipe.sendall(frame(message))

    # -- chains ---------------------------------------------------------------------------------------------------

    def _load(self, key: int, payload: bytes | Reference) -> None:
        self._cursor[SINCE] = monotonic_ns()
        self._cursor[ITEM] = LOADING
        try:
            chain = pickle.loads(self._memory.read(payload))
        except BaseException as error:
            self._broken[key] = _not_loaded(error)
            return
        finally:
            self._memory.settle()
            self._cursor[SINCE] = 0
            self._cursor[ITEM] = BETWEEN
        for name, value in list(_classes_of_main(step.function for step in chain.steps)):
            self.adopt(name, value)
        self._performers[key] = Performer(chain, self._memory.keep)

    def _forget(self) -> None:
        for name in self._of_main:
            delattr(sys.modules["__main__"], name)  # it may be defined anew before the next run
        self._of_main.clear()
        self._broken.clear()
        self._send(("forgotten", self._close_performers()))

    def _close_performers(self) -> bytes | None:
        """Leave all resources; return the first error of that."""
        performers, self._performers = self._performers, {}
        first: BaseException | None = None
        for performer in performers.values():
            try:
                performer.close()
            except BaseException as error:
                first = first or tamed(error, "resource=")
        return None if first is None else pickled_error(first, "resource=")

    # -- shares ---------------------------------------------------------------------------------------------------

    def _share(self, number: int, key: int, content: Content, placed: bool, frees: list[int]) -> None:
        self._memory.free(frees)
        self._between_items(key)
        self._cursor[SHARE] = number
        outcome = self._perform(key, content, placed=placed)
        self._between_items(key)
        answer, report = self._packed(outcome, key)
        del outcome  # results may be views of the items, whose blocks are given back with the answer
        self._send(("outcome", number, answer, report, self._memory.take_freed()))
        self._cursor[SHARE] = 0

    def _between_items(self, key: int) -> None:
        """Have the cursor say that pickle is at work: what the items make of it is bounded by their timeout as well."""
        performer = self._performers.get(key)
        timed = performer is not None and performer.chain.timeout is not None
        self._cursor[SINCE] = monotonic_ns() if timed else 0
        self._cursor[ITEM] = BETWEEN

    def _perform(self, key: int, content: Content, *, placed: bool) -> Outcome:
        performer = self._performers.get(key)
        count = content[2]
        if performer is None:
            return Outcome(kept=(), undone=range(count), fatal=self._broken[key])
        try:
            values = self._unpack(content)
            items, positions = values if placed else (values, None)
            del values
            self._cursor[SINCE] = 0  # opening a resource may take its time
        except BaseException as error:
            if count == 1:
                return Outcome(kept=(), failures=[Failure(0, 0, _not_read(error, performer.chain.label))])
            return Outcome(kept=(), undone=range(count), apart=True)
        return performer.perform(items, positions, self._cursor)

    def _unpack(self, content: Content) -> Any:
        payload, buffers, _ = content
        views = self._memory.views(buffers)
        if isinstance(payload, list):
            return unpack(payload, views)
        pickled = self._memory.read(payload)
        return _Reader(self, pickled, views).load() if _MAIN in pickled else unpack(pickled, views)

    def main_value(self, name: str) -> None:
        """Fetch a class or function of the parent's `__main__`, and put it into this one's."""
        message = self._answer_to(("need", name), "main")
        if message[2] is not None:
            self.adopt(name, pickle.loads(message[2]))

    def adopt(self, name: str, value: object) -> None:
        """Let pickle find what came from the parent's `__main__` in this one's."""
        main = sys.modules["__main__"]
        if not hasattr(main, name):
            setattr(main, name, value)
            self._of_main.add(name)

    # -- outcomes -------------------------------------------------------------------------------------------------

    def _packed(self, outcome: Outcome, key: int) -> tuple[Content, Report]:
        steps = self._performers[key].chain.steps if key in self._performers else ()
        label = steps[-1].label if steps else ""
        values, kept = outcome.values, outcome.kept
        try:
            parts = packed(values)
        except BaseException:
            values, kept, parts = self._without_the_unpicklable(outcome, len(steps) - 1, label)
        content = self._memory.content(parts, values)
        report = (
            kept,
            outcome.dropped,
            [(one.index, one.step, pickled_error(self._told(one.error), label)) for one in outcome.failures],
            outcome.undone,
            outcome.apart,
            outcome.seconds,
            None if outcome.fatal is None else pickled_error(outcome.fatal, label),
        )
        outcome.failures.clear()  # their frames hold the outcome, and with it perhaps a view of the items
        return content, report

    def _told(self, error: BaseException) -> BaseException:
        """Name the limit of this worker's memory where that is what an error is about."""
        if self._limit is None or not isinstance(error, MemoryError):
            return error
        said = f"{error}: " if str(error) else ""
        told = MemoryError(f"{said}a worker may allocate {self._limit:,} bytes, by memory= of processes(...)")
        told.__cause__ = error
        return told

    @staticmethod
    def _without_the_unpicklable(outcome: Outcome, last: int, label: str) -> tuple[list[Any], list[int], Packed]:
        """Turn results that cannot leave into failures of their items."""
        kept = range(len(outcome.values)) if outcome.kept is None else outcome.kept
        good: list[tuple[int, Any]] = []
        for index, value in zip(kept, outcome.values, strict=True):
            try:
                packed([value])
            except BaseException as error:
                outcome.failures.append(Failure(index, last, _cannot_leave(error, value, label)))
            else:
                good.append((index, value))
        outcome.failures.sort(key=lambda failure: failure.index)
        values = [value for _, value in good]
        return values, [index for index, _ in good], packed(values)


class _Reader(pickle.Unpickler):
    """Unpickle items; what they name in the parent's `__main__` is fetched from there, once."""

    def __init__(self, worker: Worker, payload: bytes, views: list[memoryview]) -> None:
        super().__init__(io.BytesIO(payload), buffers=views)
        self._worker = worker

    def find_class(self, module: str, name: str) -> Any:
        """Find it where it is, or in the parent."""
        first = name.partition(".")[0]
        if module == "__main__" and not hasattr(sys.modules["__main__"], first):
            self._worker.main_value(first)
        return super().find_class(module, name)


def _classes_of_main(functions: Iterable[Any]) -> Iterator[tuple[str, type]]:
    """Yield the classes of the parent's `__main__` that came along with functions, by the names they have there."""
    for function in functions:
        for name, value in getattr(function, "__globals__", {}).items():
            if isinstance(value, type) and value.__module__ == "__main__":
                yield name, value


def _not_loaded(error: BaseException) -> FlowError:
    where = "".join(traceback.format_exception(error)).rstrip()
    return FlowError(
        f"a function cannot be loaded in a worker process: {type(error).__name__}: {error}. A worker imports modules "
        f"by their names, from the folders of the parent's sys.path; it never sees what exists in the parent's memory "
        f"only.\n{where}"
    )


def _not_read(error: BaseException, label: str) -> NotTransferable:
    return NotTransferable(f"{label}: the item cannot be read in a worker process: {type(error).__name__}: {error}")


def _cannot_leave(error: BaseException, value: object, label: str) -> NotTransferable:
    return NotTransferable(
        f"{label}: the result, a {type(value).__name__}, cannot leave the worker process: {type(error).__name__}: "
        f"{error}; return plain data (numbers, text, dicts, arrays)"
    )
