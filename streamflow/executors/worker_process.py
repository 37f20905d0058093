"""One worker process as its pool sees it: its pipe, its two arenas, its cursor, and how it is started and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress

from streamflow.executors.wire import INLINE, Content, Frames, Message, Reference, frame
from streamflow.executors.worker import CURSOR_FIELDS
from streamflow.memory.arena import Arena, Borrowed
from streamflow.memory.packing import Packed
from streamflow.memory.segment import Segment
from streamflow.model.errors import FlowError

#: What the new interpreter executes; it leaves no name in `__main__`, where the parent's classes may have to stand.
_BOOT = "__import__('sys').path[:] = {path!r}; __import__('streamflow.executors.worker', fromlist=['main']).main()"


class WorkerProcess:
    """Be one worker: what is sent to it is put in order here, and what it has is freed with it.

    `start` and `wait` block, and are called on a thread.
    """

    def __init__(self, *, arena: int, memory: int | None, environment: dict[str, str]) -> None:
        self.frames = Frames()
        self.ready = False
        self.cursor_segment, self._inbox, self._outbox = segments = _segments(8 * CURSOR_FIELDS, arena, arena)
        self.cursor = self.cursor_segment.view(0, 8 * CURSOR_FIELDS).cast("q")
        self.inbox = Arena(self._inbox, arena)
        self.outbox = Borrowed(self._outbox)
        #: Results that came back in blocks of ours, and those of these blocks that nobody refers to any more.
        self.returned = Borrowed(self._inbox)
        self.returned_freed: deque[int] = deque()
        #: Blocks of the worker's arena that nobody refers to any more, to be told with the next message.
        self.freed: deque[int] = deque()
        self._memory = memory
        self._arena = arena
        self._environment = environment
        self._unsent = bytearray()
        self._arrived = memoryview(bytearray(1 << 16))
        self.pipe, self._far, self._life_far, self._life = _pipes(segments)
        self.pipe.setblocking(False)
        self.process: subprocess.Popen[bytes] | None = None
        self.closed = False
        #: Bytes that went through the arenas, and waits for room there, as far as somebody has taken note of them.
        self.crossed = self.waits_noted = 0

    # -- on a thread ----------------------------------------------------------------------------------------------

    def start(self) -> WorkerProcess:
        """Start the interpreter; FlowError says why there is none."""
        if not sys.executable:
            raise FlowError(
                "processes(n): this Python does not know its own executable (embedded?), and cannot start it"
            )
        inherited = {
            "pipe": self._far.fileno(),
            "life": self._life_far,
            "cursor": self.cursor_segment.fd,
            "inbox": self._inbox.fd,
            "outbox": self._outbox.fd,
        }
        settings = {**inherited, "arena": self._arena, "memory": self._memory}
        path = [entry for entry in sys.path if isinstance(entry, str)]
        command = [sys.executable, *_flags(), "-c", _BOOT.format(path=path), json.dumps(settings)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                pass_fds=tuple(inherited.values()),
                env={**os.environ, **self._environment},
            )
        except OSError as error:
            self.close()
            raise FlowError(f"processes(n): a worker process cannot be started: {error}") from error
        finally:
            self._far.close()
            os.close(self._life_far)
        return self

    def wait(self, seconds: float) -> str:
        """Wait for the end, which is enforced after `seconds`; return in words how it ended, and release everything."""
        process = self.process
        assert process is not None
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.close()
        return _in_words(process.returncode)

    def converse(self, until: str, seconds: float) -> Message | None:
        """Read what the worker still says, up to a message of the kind `until`; None if it ends without, or hangs."""
        deadline = time.monotonic() + seconds
        with suppress(OSError):
            while (left := deadline - time.monotonic()) > 0:
                self.pipe.settimeout(left)
                data = self.pipe.recv(1 << 16)
                if not data:
                    break
                for message in self.frames.feed(data):
                    if message[0] == "outcome":
                        self._take_back(*message[2:])
                    if message[0] == until:
                        self.pipe.setblocking(False)
                        return message
        return None

    def _take_back(self, content: Content, _: object, frees: list[int]) -> None:
        """Free the blocks of an outcome that nobody wants any more."""
        for offset in frees:
            self.inbox.give_back(offset)
        payload, buffers, _count = content
        for offset, _length, _readonly, returned in [*buffers, *([payload] if isinstance(payload, tuple) else [])]:
            (self.returned_freed if returned else self.freed).append(offset)

    # -- on the loop ----------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Tell whether the process has not ended."""
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """End it now, whatever it is at."""
        if self.process is not None:
            self.process.kill()

    def close(self) -> None:
        """Release what it had; arrays that lie in its memory stay valid."""
        if self.closed:
            return
        self.closed = True
        self.pipe.close()
        os.close(self._life)
        self.cursor.release()
        for segment in (self.cursor_segment, self._inbox, self._outbox):
            segment.close()

    def send(self, message: Message) -> bool:
        """Send as much as the pipe takes now; return whether all of it is gone. An error means that it is lost."""
        self._unsent += frame(message)
        return self.flush()

    def flush(self) -> bool:
        """Send on what the pipe did not take before."""
        try:
            while self._unsent:
                sent = self.pipe.send(self._unsent)
                del self._unsent[:sent]
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()  # its end is told by what is read, or rather is not
        return True

    def read(self) -> list[Message] | None:
        """Return what has arrived, None at the end."""
        try:
            count = self.pipe.recv_into(self._arrived)
        except BlockingIOError:
            return []
        except OSError:
            return None
        return list(self.frames.feed(self._arrived[:count])) if count else None

    def place(self, parts: Packed, count: int, *, beyond: bool) -> Content | None:
        """Copy the large parts into the worker's memory and return what travels; None while there is no room."""
        self.reclaim()
        large = [buffer.raw() for buffer in parts.buffers]
        payload = parts.payload
        if isinstance(payload, bytes) and len(payload) > INLINE:
            large.append(memoryview(payload))
        placed: list[Reference] = []
        for data in large:
            block = self.inbox.allocate(data.nbytes, beyond=beyond)
            if block is None:
                for offset, *_ in placed:
                    self.inbox.give_back(offset)
                return None
            block.view[:] = data
            self.crossed += data.nbytes
            placed.append((*block.reference, data.readonly, False))
        return placed.pop() if len(placed) > len(parts.buffers) else payload, placed, count

    def reclaim(self) -> None:
        """Free the blocks in which results came back that nobody refers to any more."""
        while self.returned_freed:
            self.inbox.give_back(self.returned_freed.popleft())

    def take_freed(self) -> list[int]:
        """Return the blocks to be told as free with the message that is sent now."""
        freed: list[int] = []
        while self.freed:
            freed.append(self.freed.popleft())
        return freed

    def __repr__(self) -> str:
        return f"<WorkerProcess {self.process.pid if self.process else 'not started'}>"


def _segments(*sizes: int) -> list[Segment]:
    """Return shared memory; FlowError says that there is none."""
    made: list[Segment] = []
    try:
        for size in sizes:
            made.append(Segment.create(size))
    except OSError as error:
        for segment in made:
            segment.close()
        raise FlowError(
            f"processes(n): there is no shared memory for a worker ({error}); fewer workers, or arena= below "
            f"{max(sizes):,} bytes, need less"
        ) from error
    return made


def _pipes(segments: list[Segment]) -> tuple[socket.socket, socket.socket, int, int]:
    """Return both ends of the pipe for messages, and of the one that ends with the parent; else FlowError."""
    near = far = None
    try:
        near, far = socket.socketpair()
        return near, far, *os.pipe()
    except OSError as error:
        for opened in (near, far, *segments):
            if opened is not None:
                opened.close()
        raise FlowError(f"processes(n): there is no pipe for a worker: {error}") from error


def _flags() -> list[str]:
    """Return the options that make the new interpreter like this one."""
    flags = sys.flags
    options = ["-" + "O" * flags.optimize] if flags.optimize else []
    options += [f"-{letter}" for letter, is_on in _letters() if is_on]
    options += [f"-W{option}" for option in sys.warnoptions]
    return options + (["-Xutf8"] if flags.utf8_mode else [])


def _letters() -> list[tuple[str, int]]:
    flags = sys.flags
    if flags.isolated:
        return [("I", 1)]
    return [("E", flags.ignore_environment), ("s", flags.no_user_site), ("B", flags.dont_write_bytecode)]


def _in_words(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hints = {"SIGKILL": " (by hand, or because the system ran out of memory)", "SIGSEGV": " (a crash in C code)"}
    return f"was ended by {name}{hints.get(name, '')}"
