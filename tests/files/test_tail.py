"""Following a file against a slow model of a disk: whatever happens between two looks, or in the middle of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamflow.files.file_system import FileSystem, InputFile, Kind, OutputFile, Status
from streamflow.files.tail import Tail
from streamflow.files.tail_state import LINGER

PATH = "/logs/app.log"
#: Each line consists of a byte of its own, so that one byte tells whose it is.
MOST = 245


@dataclass(eq=False)
class Node:
    """Be what bears an inode."""

    inode: int
    content: bytearray = field(default_factory=bytearray)
    written: int = 0
    handles: int = 0


class Disk(FileSystem):
    """Hold files in memory. A free inode is given away again at once, as ext4 does; the clock is coarse."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.held: list[Node] = []
        self.clock = 0
        #: Called before every call of the one who looks.
        self.meanwhile: Callable[[], None] = lambda: None

    def create_node(self, path: str) -> Node:
        taken = {node.inode for node in (*self.nodes.values(), *self.held)}
        node = Node(next(n for n in range(1, 10_000) if n not in taken), written=self.clock)
        self.nodes[path] = node
        return node

    def status(self, path: str) -> Status | None:
        self.meanwhile()
        if path in ("/logs", "/"):
            return Status(1, 0, "directory", 0, 0)
        node = self.nodes.get(path)
        return None if node is None else _status(node)

    def kind(self, path: str) -> Kind:
        found = self.status(path)
        return "missing" if found is None else found.kind

    def names(self, folder: str) -> list[str]:
        self.meanwhile()
        return [path.removeprefix(folder + "/") for path in sorted(self.nodes, reverse=True)]

    def resolve(self, path: str) -> str:
        return path

    def open_to_read(self, path: str) -> InputFile:
        self.meanwhile()
        if path not in self.nodes:
            raise FileNotFoundError(2, "no such file", path)
        return Handle(self, self.nodes[path])

    def create(self, path: str, like: str | None = None) -> OutputFile:
        raise NotImplementedError

    def open_to_append(self, path: str, *, lines: bool = True) -> OutputFile:
        raise NotImplementedError

    def open_pipe(self, path: str) -> int:
        raise NotImplementedError

    def make_directories(self, path: str) -> None:
        raise NotImplementedError

    def rename(self, old: str, new: str) -> None:
        self.nodes[new] = self.nodes.pop(old)

    def remove(self, path: str) -> None:
        del self.nodes[path]


class Handle(InputFile):
    def __init__(self, disk: Disk, node: Node) -> None:
        self._disk, self.node, self._at = disk, node, 0
        disk.held.append(node)

    def read_into(self, buffer: bytearray) -> int:
        self._disk.meanwhile()
        data = bytes(self.node.content[self._at : self._at + len(buffer)])
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int) -> None:
        self._at = offset

    def status(self) -> Status:
        self._disk.meanwhile()
        return _status(self.node)

    def close(self) -> None:
        self._disk.held.remove(self.node)


def _status(node: Node) -> Status:
    return Status(1, node.inode, "file", len(node.content), node.written)


@dataclass(eq=False)
class Generation:
    """Be what was written to one file from its beginning; `sure` bytes of it must arrive, None for all."""

    node: Node
    content: bytearray = field(default_factory=bytearray)
    sure: int | None = None
    first_at: float | None = None
    copied: bool = False

    def matches(self, segment: bytes) -> bool:
        if self.sure is None:
            return segment == self.content
        return len(segment) >= self.sure and self.content.startswith(segment)


class Writer:
    """Write, rotate, truncate and remove, and remember what a follower has to see."""

    def __init__(self, disk: Disk, *, dated: bool) -> None:
        self.disk = disk
        self.dated = dated
        self.now = 0.0
        self.lines = 0
        self.turns = 0
        self.generations: list[Generation] = []
        self.emptied: list[Node] = []
        self.delivered: Callable[[Generation], int] = lambda _: 0
        self.is_open: Callable[[Node], bool] = lambda _: False

    def append(self, *, partial: bool = False) -> None:
        if PATH not in self.disk.nodes:
            self.create()
        generation = self.generations[-1]
        self._write(generation, partial)
        if generation.first_at is None:
            generation.first_at = self.now

    def _write(self, generation: Generation, partial: bool) -> None:
        if self.lines == MOST:
            return
        self.lines += 1
        data = bytes([10 + self.lines]) * 3 + (b"" if partial else b"\n")
        for content in (generation.node.content, generation.content):
            content += data
        generation.node.written = self.disk.clock

    def create(self) -> None:
        self.generations.append(Generation(self.disk.create_node(PATH)))

    def rotate(self, *, create: bool) -> None:
        if PATH in self.disk.nodes:
            self._make_room()
            self.disk.rename(PATH, self._first())
            if create:
                self.create()

    def _first(self) -> str:
        self.turns += 1
        return f"{PATH}-{20260000 + self.turns}" if self.dated else f"{PATH}.1"

    def _make_room(self) -> None:
        if not self.dated:
            for number in sorted((int(path.rpartition(".")[2]) for path in self.rotated()), reverse=True):
                self.disk.rename(f"{PATH}.{number}", f"{PATH}.{number + 1}")

    def rotated(self) -> list[str]:
        """Return the paths of rotated files, the oldest first."""
        paths = [path for path in self.disk.nodes if path != PATH]
        return sorted(paths, key=lambda path: path if self.dated else -int(path.rpartition(".")[2]))

    def append_late(self) -> None:
        """Write to the file before, as one of several writers does that has not noticed yet."""
        if len(self.generations) > 1:
            before, last = self.generations[-2:]
            in_time = last.first_at is None or self.now < last.first_at + LINGER
            # One that was emptied, and removed before anybody looked, is given up for its copy.
            removed = before.node not in self.disk.nodes.values()
            exists = self.is_open(before.node) and before.node not in self.emptied if removed else True
            if in_time and exists and before.sure is None and not before.copied and before.node is not last.node:
                self._write(before, partial=False)

    def truncate(self, *, copy: bool) -> None:
        if PATH not in self.disk.nodes:
            return
        node, last = self.disk.nodes[PATH], self.generations[-1]
        if copy and node.content:
            self._make_room()
            last.node = self.disk.create_node(self._first())
            last.node.content += node.content
            last.copied = True
        last.sure = None if copy else self.delivered(last)
        node.content.clear()
        self.emptied.append(node)
        node.written = self.disk.clock
        self.generations.append(Generation(node))

    def delete(self) -> None:
        if PATH in self.disk.nodes:
            self._lose(PATH)

    def retire(self) -> None:
        """Remove the oldest rotated file, as rotations do that keep a few."""
        if len(paths := self.rotated()) > 1:
            self._lose(paths[0])

    def _lose(self, path: str) -> None:
        node = self.disk.nodes[path]
        for generation in self.generations:
            if generation.node is node and generation.sure is None and not self.is_open(node):
                generation.sure = min(self.delivered(generation), len(generation.content))
        self.disk.remove(path)


class Follower:
    """Look, and gather what comes, one segment for each file."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.tail = Tail(disk, PATH)
        self.mark = self.tail.begin()
        self.offset = 0
        self.segments: list[bytearray] = [bytearray()]
        self.notices: list[tuple[str, str]] = []

    def look(self, now: float, size: int = 7) -> Any:
        buffer = bytearray(size)
        found = self.tail.look(buffer, now)
        self.notices += [(notice.change, notice.detail) for notice in found.notices]
        self.segments[-1] += buffer[: found.count]
        self.mark, self.offset = found.mark, 0 if found.ended else self.offset + found.count
        if found.ended and self.segments[-1]:
            self.segments.append(bytearray())
        return found

    def has_seen(self, node: Node | None) -> bool:
        """Tell whether the file that is open has been read in part, and was not emptied since."""
        current = self.tail._state.current
        return bool(self.tail._state.offset and current and node and node.content.startswith(current.head))

    def resume(self) -> None:
        """Begin anew where this one stands."""
        assert self.mark is not None
        self.tail.close()
        self.tail = Tail(self.disk, PATH)
        assert self.tail.resume(self.mark, self.offset)
        self.tail.move(self.offset)

    def settle(self, writer: Writer) -> None:
        """Look until nothing comes any more."""
        quiet = 0
        while quiet < 3:
            found = self.look(writer.now, 1000)
            quiet = 0 if found.count or found.ended else quiet + 1
            writer.now += LINGER if not found.count else 0.0


class Rotations(RuleBasedStateMachine):
    """Rename and write, several times between two looks or in the middle of one: every byte comes once, in order."""

    dated = False
    resumes = True

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()
        self.writer = Writer(self.disk, dated=self.dated)
        self.follower = Follower(self.disk)
        self.writer.is_open = lambda node: node in self.disk.held

    @rule(partial=st.booleans())
    def append(self, partial: bool) -> None:
        self.writer.append(partial=partial)

    @rule(create=st.booleans())
    def rotate(self, create: bool) -> None:
        self.writer.rotate(create=create)

    @rule()
    def append_late(self) -> None:
        self.writer.append_late()

    @rule(seconds=st.sampled_from([0.01, LINGER / 2, LINGER]))
    def wait(self, seconds: float) -> None:
        self.writer.now += seconds

    @rule()
    def tick(self) -> None:
        self.disk.clock += 1

    @rule(size=st.sampled_from([1, 7, 1000]))
    def look(self, size: int) -> None:
        self.follower.look(self.writer.now, size)

    @rule(
        at=st.integers(0, 12),
        what=st.lists(st.sampled_from(["append", "partial", "rotate", "create", "late"]), min_size=1, max_size=6),
    )
    def look_while_it_happens(self, at: int, what: list[str]) -> None:
        acts = {
            "append": self.writer.append,
            "partial": lambda: self.writer.append(partial=True),
            "rotate": lambda: self.writer.rotate(create=False),
            "create": lambda: self.writer.rotate(create=True),
            "late": self.writer.append_late,
        }
        calls = iter(range(1000))

        def meanwhile() -> None:
            if next(calls) == at:
                for word in what:
                    acts[word]()

        self.disk.meanwhile = meanwhile
        self.follower.look(self.writer.now)
        self.disk.meanwhile = lambda: None

    @precondition(lambda self: self.resumes and self.follower.mark is not None)
    @rule()
    def resume(self) -> None:
        self.follower.resume()

    @invariant()
    def few_files_are_open(self) -> None:
        assert len(self.disk.held) <= 1

    def teardown(self) -> None:
        self.follower.settle(self.writer)
        found = [bytes(segment) for segment in self.follower.segments if segment]
        assert found == [bytes(one.content) for one in self.writer.generations if one.content]
        self.follower.tail.close()
        assert not self.disk.held


class DatedRotations(Rotations):
    """The same with names that say when."""

    dated = True


class Everything(Rotations):
    """Truncate, remove and reuse inodes as well: only what was gone before it could be looked at is missing."""

    resumes = False

    def __init__(self) -> None:
        super().__init__()
        self.writer.delivered = self.delivered

    def delivered(self, generation: Generation) -> int:
        """Return how much of a generation has arrived by now; lines tell whose they are."""
        return max(
            (len(one) for one in map(bytes, self.follower.segments) if one and generation.content.startswith(one)),
            default=0,
        )

    @rule(copy=st.booleans())
    def truncate(self, copy: bool) -> None:
        for _ in range(2):
            if not self.follower.has_seen(self.disk.nodes.get(PATH)):
                self.follower.look(self.writer.now)  # a copy of what nobody has seen anything of comes late, if at all
        self.writer.truncate(copy=copy)

    @rule()
    def delete(self) -> None:
        self.writer.delete()

    @rule()
    def retire(self) -> None:
        self.writer.retire()

    def teardown(self) -> None:
        self.follower.settle(self.writer)
        found = [bytes(segment) for segment in self.follower.segments if segment]
        at = 0
        for generation in self.writer.generations:
            if at < len(found) and generation.content.startswith(found[at]) and generation.matches(found[at]):
                at += 1
            else:
                assert generation.matches(b""), (generation, found, self.follower.notices)
        assert at == len(found), (found, at)
        self.follower.tail.close()


TestRotations = Rotations.TestCase
TestDatedRotations = DatedRotations.TestCase
TestEverything = Everything.TestCase
TestRotations.settings = TestDatedRotations.settings = TestEverything.settings = settings(
    max_examples=150, stateful_step_count=40
)
