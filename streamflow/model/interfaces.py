"""Every interface of streamflow on one page: what a third party implements to add a part.

A part comes in two shapes. The *description* (`Source`, `Sink`) is a frozen, keyword-only dataclass: cheap, reusable,
what a user or a configuration file writes. Its `open()` gives the *live* one (`Reader`, `Writer`), which belongs to a
single run and is always closed by it.

Time is not an interface here: the running event loop is the clock, so a test that runs on a virtual loop
(`streamflow.testing`) drives every part without a fake.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from streamflow.model.checkpoint import Delivery, SavedCheckpoint
from streamflow.model.errors import RecordError
from streamflow.model.events import Event
from streamflow.model.placement import Chain, Outcome
from streamflow.model.policies import FAIL, ErrorPolicy, Retry
from streamflow.model.positions import Position
from streamflow.model.statistics import PlaceStatistics, Progress

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)


class Block(ABC):
    """Hold consecutive records of a source that are not decoded yet.

    The engine iterates `raw()` inside the generated function that also decodes and processes each record, so that
    a record lives only for that moment.
    """

    __slots__ = ()

    #: A record after those of this block that could not even be framed (too long, cut off), or None.
    broken: RecordError | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of raw records (a broken one is not counted)."""

    @abstractmethod
    def raw(self) -> Iterator[bytes]:
        """Return a fresh iterator over the raw records, each with its line end if it had one."""

    @abstractmethod
    def consumed(self, raw: Iterator[bytes]) -> int:
        """Return how many records `raw` has handed out so far."""

    def note_length(self, length: int) -> None:
        """Be told `len(self)` by who has iterated all of it, where counting would cost something."""
        return None

    @abstractmethod
    def position(self, index: int) -> Position:
        """Return the position of record `index`; `len(self)` is the place after the last, where `broken` is.

        A negative index counts from the end.
        """


class Reader(ABC, Generic[T_co]):
    """Read one source, live. A reader belongs to one run; its methods are never called concurrently."""

    #: What a reader calls with an event that whoever runs the flow may want to know of; set by the engine.
    tell: Callable[[Event], None] | None = None

    @abstractmethod
    async def read(self, limit: int) -> Sequence[T_co] | Block | None:
        """Return from 1 to `limit` items, waiting for the first of them only; None at the end.

        A batch is what is there: waiting to fill it is a defect. Cancelling `read` must not lose an item. A reader
        of blocks may take `limit` as a hint of records.
        """

    @abstractmethod
    def position(self) -> Position:
        """Return the position of the next item that `read` will return."""

    def progress(self) -> Progress | None:
        """Return how far the reader is, or None if it cannot tell; asked a few times a second, also during a `read`.

        It looks at what is known already: it neither waits nor counts.
        """
        return None

    async def seek(self, position: Position) -> None:
        """Go on from `position`, which an earlier reader of the same source returned."""
        raise RecordError(f"{type(self).__name__} cannot seek to {position}: this source cannot be replayed")

    def drain(self) -> bool:
        """Take nothing more in; tell whether `read` has items that were received already, to be read until None.

        Called between reads, or after a `read` was cancelled, when a run drains; a source that keeps its items until
        they are read (a file, an iterator) has nothing to do.
        """
        return False

    async def close(self) -> None:
        """Release everything; called exactly once, also after an error or a cancellation."""
        return None


class PullReader(Reader[T_co]):
    """Be a reader that never waits, so that the synchronous driver can use it too."""

    @abstractmethod
    def pull(self, limit: int) -> Sequence[T_co] | None:
        """Do what `read` does, without a loop."""

    async def read(self, limit: int) -> Sequence[T_co] | None:
        """Pull: there is nothing to wait for."""
        return self.pull(limit)

    def release(self) -> None:
        """Do what `close` does, without a loop."""
        return None

    async def close(self) -> None:
        """Release: there is nothing to wait for."""
        self.release()


class Source(ABC, Generic[T_co]):
    """Describe where items come from. Implementations are frozen, keyword-only dataclasses."""

    #: What happens to a record that this source cannot read or decode.
    errors: ErrorPolicy = FAIL
    #: What a run that is repeated reads, in a few words; and the extra that must be installed.
    guarantee: ClassVar[str] = ""
    extra: ClassVar[str | None] = None

    @property
    def bounded(self) -> bool:
        """Tell whether the source ends by itself."""
        return True

    @property
    def replayable(self) -> bool:
        """Tell whether a reader can `seek`, so that a failed run can go on from a checkpoint."""
        return False

    @property
    def decode(self) -> Callable[[bytes], Any] | None:
        """Return the function that makes an item of a raw record, if `open` gives a reader of blocks.

        It runs inside the fused stage and raises ValueError (or a subclass) for a bad record.
        """
        return None

    def reads(self, path: str) -> bool:
        """Tell whether the file at `path`, which is absolute, is one that is read."""
        return False

    @property
    def label(self) -> str:
        """Return the name shown for this source where the user gave none."""
        return type(self).__name__

    @abstractmethod
    async def open(self) -> Reader[T_co]:
        """Open the source for one run."""


class Prepared:
    """Be awaited for a value that is there already."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self._value
        yield


class Writer(ABC, Generic[T_contra]):
    """Write to one sink, live. A writer belongs to one run; its methods are never called concurrently.

    The way to the end: `write`* → `prepare(epoch)` → `commit(epoch)`, repeated; then `finish()` after success,
    `suspend()` if a later run is to go on from the last checkpoint, or `abort()` after anything else; then `close()`.
    Before all that, `resume(prepared)` if this run goes on from a checkpoint.
    """

    #: Items of the latest batch that `write` took before it raised.
    written: int = 0
    #: Whether somebody may be reading the output already: then it is flushed whenever the flow waits for input.
    watched: bool = False

    @abstractmethod
    async def write(self, batch: Sequence[T_contra]) -> None:
        """Take a batch, in order. On an error, the items before the one that failed count as written: `written`."""

    async def flush(self) -> None:
        """Make what was written visible to a reader of the output as far as the sink does that at all."""
        return None

    async def prepare(self, epoch: int) -> Any:
        """Make everything written so far durable, invisible or not, and return what `commit` needs after a crash."""
        await self.flush()
        return None

    async def begin_prepare(self, epoch: int) -> Awaitable[Any]:
        """Begin to `prepare`, and return what its value can be awaited of, while `write` goes on.

        What is written after this has returned is not part of it. For a writer that would else have the flow wait for
        the disk.
        """
        return Prepared(await self.prepare(epoch))

    async def commit(self, epoch: int) -> None:
        """Make visible what `prepare(epoch)` secured, and those before it; may be called again after a crash."""
        return None

    async def resume(self, prepared: Any) -> None:
        """Go on from what `prepare` returned in an earlier run: what was written after that is taken back.

        Called once at most, before the first `write`; then `commit` of that epoch follows, which may have been done
        before. If the earlier run was at its end, `finish` follows at once, and may have been done before as well.
        """
        return None

    async def suspend(self) -> None:
        """Stop here and keep what was prepared, for a later run to `resume`: in place of `finish` and `abort`."""
        return None

    async def abort(self) -> None:
        """Undo what was never committed: nothing half-written may bear the final name."""
        return None

    async def finish(self) -> None:
        """Complete the output: everything is written, make it durable and visible under its final name."""
        await self.flush()

    async def close(self) -> None:
        """Release everything; called exactly once, after `finish` or `abort`."""
        return None


class InlineWriter(Writer[T_contra]):
    """Be a writer whose `put` is called from inside the fused stage, once an item, and must not block."""

    @property
    def pending(self) -> int:
        """Return the bytes that `put` has taken and `settle` has not written yet; read once a slice."""
        return 0

    #: The pending bytes from which the engine awaits `settle` before it goes on.
    high_water: int = 1 << 62
    #: Whether `put` is a function of the user's, which may take its time.
    calls_user: bool = False

    @abstractmethod
    def put(self, item: T_contra, /) -> object:
        """Take one item. The engine binds this method once, before the first item."""

    async def settle(self) -> None:
        """Write what `put` has gathered; called between batches, when `pending` has reached `high_water`."""
        return None

    async def write(self, batch: Sequence[T_contra]) -> None:
        """Put each item, then settle."""
        self.written = 0
        for item in batch:
            self.put(item)
            self.written += 1
        if self.pending:
            await self.settle()


class Sink(ABC, Generic[T_contra]):
    """Describe where items go. Implementations are frozen, keyword-only dataclasses."""

    #: What happens to an item that this sink cannot encode or write.
    errors: ErrorPolicy = FAIL
    #: What others see of the output, in a few words; and the extra that must be installed.
    guarantee: ClassVar[str] = ""
    extra: ClassVar[str | None] = None
    #: How often an item is written again before that; it makes the engine write one item at a time.
    retry: Retry | None = None

    @property
    def wants_positions(self) -> bool:
        """Tell whether the writer takes pairs `(item, position)`; such a sink is not inline."""
        return False

    @property
    def inline(self) -> bool:
        """Tell whether `open` gives an `InlineWriter`, so that the sink can be fused into the stage before it."""
        return False

    @property
    def encode(self) -> Callable[[Any], bytes] | None:
        """Return the function that makes bytes of an item before it reaches the writer, if there is one.

        It runs inside the fused stage, so that the writer is handed bytes.
        """
        return None

    @property
    def delivery(self) -> Delivery:
        """Tell how often an item has its effect when a run is resumed from a checkpoint, if the source is replayed."""
        return "at least once"

    @property
    def unresumable(self) -> str:
        """Return why no run with checkpoints can write here, with the nearest fix; nothing if one can."""
        return ""

    @property
    def file(self) -> str | None:
        """Return the absolute path of the file that is written, if there is one."""
        return None

    def writes(self, path: str) -> bool:
        """Tell whether the file at `path`, which is absolute, is the one that is written."""
        return self.file == path

    def missing(self) -> str | None:
        """Return the path of what a finished run has written if it is not there any more; this may block."""
        return None

    @property
    def label(self) -> str:
        """Return the name shown for this sink where the user gave none."""
        return type(self).__name__

    @abstractmethod
    async def open(self, bounded: bool) -> Writer[Any]:
        """Open the sink for one run; `bounded` tells whether the flow that feeds it ends by itself."""

    async def open_marked(self, bounded: bool, mark: str) -> Writer[Any]:
        """Do so for a run with checkpoints.

        `mark` may be part of a temporary name: nobody else has it but an earlier run on the same checkpoints, so that
        what such a run left under that name may be replaced.
        """
        return await self.open(bounded)


class Codec(ABC, Generic[T]):
    """Turn items into bytes and back. A codec is stateless and safe to share between runs."""

    @abstractmethod
    def decode(self, record: bytes) -> T:
        """Return the item in one framed record (its line end may still be there); raise ValueError if it is bad."""

    @abstractmethod
    def encode(self, item: T) -> bytes:
        """Return one framed record, line end included; raise TypeError or ValueError if the item has no such form."""


class State(ABC):
    """Be what one operator remembers during a run.

    `snapshot` is called while nothing is in the operator's hands; what it returns is never changed afterwards.
    """

    __slots__ = ()

    #: Items that were received and are still held (a partial batch).
    retained: int = 0
    #: True once the operator wants no more input and has nothing more to give.
    finished: bool = False
    #: How many keys are remembered (of windows: cells).
    key_count: int = 0

    def sample(self) -> Any:
        """Return an entry by which the size of all can be judged; None if there is none."""
        return None

    @abstractmethod
    def snapshot(self) -> Any:
        """Return what `restore` needs to go on from here."""

    @abstractmethod
    def restore(self, snapshot: Any) -> None:
        """Become what `snapshot` described."""

    def chunks(self) -> Iterator[Any]:
        """Yield the snapshot in pieces that take a millisecond or less to encode each, for those that may be large.

        Nothing is fed to the operator before the last of them, and each is encoded, or copied, by then: unlike a
        snapshot it may hold what is changed later.
        """
        yield self.snapshot()

    def restore_chunk(self, chunk: Any) -> None:
        """Take one of the pieces, and keep what is in it; called for each, in their order, on fresh state."""
        self.restore(chunk)

    def flush(self) -> list[Any]:
        """Return what was held back, at a regular end of the input."""
        return []


class Operator(ABC):
    """Describe one step between a source and a sink. Implementations are frozen dataclasses."""

    name: str | None
    errors: ErrorPolicy = FAIL

    @property
    def label(self) -> str:
        """Return the name shown for this operator where the user gave none."""
        return self.name or type(self).__name__.lower()

    @property
    def multiplies(self) -> bool:
        """Tell whether one item in may be none or several out, so that joining this path by `zip` could starve."""
        return self.errors.drops

    @property
    def repeatable(self) -> bool:
        """Tell whether the output depends on the items alone, not on time, arrival or concurrency."""
        return True

    @property
    def keeps(self) -> str:
        """Return what a checkpoint holds of this operator, with every setting that gives it its meaning.

        A later run takes the state over if this is the same; nothing for an operator that remembers nothing.
        """
        return ""


class Executor(ABC):
    """Describe where functions run. Implementations are frozen dataclasses: equal ones share one pool within a run."""

    #: The extra that must be installed.
    extra: ClassVar[str | None] = None
    #: Whether a call that takes too long can be given up, so that a `timeout` is possible.
    interrupts: ClassVar[bool] = False

    @property
    @abstractmethod
    def workers(self) -> int:
        """Return how many functions run at the same time."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Return it as a user would write it: `processes(2)`."""

    @abstractmethod
    async def open(self) -> Pool:
        """Open the pool for one run; FlowError says why that is not possible here."""


class StateStore(ABC):
    """Keep a value for each key of one keyed operator, live.

    Keys are told apart as in a dict. They stand in the order in which they came; if `timed`, each value is a pair of
    something and the moment at which it was put, and they stand in the order of those, which never go back.

    Methods in the first part are called on the loop and never wait. Those in the second may block: if `blocks`, they
    are called one at a time on a thread of the store's. What is to be read or changed is brought in beforehand:
    `admit(fetch(missing(keys)))`; it stays there until the next `shed`.
    """

    __slots__ = ()

    #: Whether the second part may block.
    blocks: ClassVar[bool] = False

    @abstractmethod
    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key that was brought in, or a default."""

    @abstractmethod
    def put(self, key: Any, value: Any) -> None:
        """Set the value of a key that was brought in; one that was changed is put again."""

    @abstractmethod
    def delete(self, key: Any) -> None:
        """Forget a key that was brought in, if it is there."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of keys."""

    @property
    def in_memory(self) -> int:
        """Return how many of the keys are in memory."""
        return len(self)

    @property
    def disk_bytes(self) -> int:
        """Return the bytes on the disk."""
        return 0

    def missing(self, keys: Iterable[Any]) -> list[Any]:
        """Return those of `keys` that must be fetched."""
        return []

    def admit(self, found: Any) -> None:
        """Bring in what `fetch` has found."""
        return None

    @abstractmethod
    def forget(self, before: float, limit: int) -> None:
        """Forget up to `limit` keys in memory that were put at `before` or earlier, if `timed`."""

    def forgotten(self, keys: Iterable[Any]) -> None:
        """Be told which keys `expire` has removed."""
        return None

    def shed(self, limit: int) -> Any:
        """Return what is more than memory is to hold, to be written; None if nothing is. It holds `limit` at most."""
        return None

    def unsaved(self, limit: int) -> Any:
        """Return what has changed and is not written yet, to be written; None if nothing is. `limit` at most."""
        return None

    # The second part.

    def open(self) -> None:
        """Make what the store needs; OSError says what is wrong with the place."""
        return None

    def fetch(self, keys: Sequence[Any]) -> Any:
        """Return what is kept of `keys`, for `admit`."""
        return None

    def write(self, unwritten: Any) -> None:
        """Write what `shed` or `unsaved` gave; NotSerialisable names the key that cannot be written down."""
        return None

    def expire(self, before: float, limit: int) -> list[Any]:
        """Remove up to `limit` keys on the disk that were put at `before` or earlier, and return them, if `timed`."""
        return []

    @abstractmethod
    def items(self) -> Iterator[tuple[Any, Any]]:
        """Yield keys and values in their order, once all is written; nothing is changed meanwhile."""

    @abstractmethod
    def pieces(self) -> Iterator[Any]:
        """Yield all in pieces for a checkpoint, once all is written: bytes that `state.encoding` made, or values."""

    @abstractmethod
    def load(self, piece: Any) -> None:
        """Take a piece of a store of any kind."""

    def loaded(self) -> None:
        """Be told that it was the last."""
        return None

    def close(self) -> None:
        """Let go of everything, and leave nothing behind."""
        return None


class StatePlace(ABC):
    """Describe where the state of a keyed operator lies. Implementations are frozen dataclasses."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Return it as a user would write it: `disk_store()`."""

    @abstractmethod
    def make(self, *, timed: bool) -> StateStore:
        """Return a store for one run, not open yet."""


class CheckpointStore(ABC):
    """Keep the checkpoints of one flow. Every method blocks; all are called one at a time, on one thread."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Return what it is called in messages: a path."""

    @property
    def folder(self) -> str | None:
        """Return how the paths of folders beside the checkpoints begin, where edges spill; None if they cannot."""
        return None

    @property
    def kept(self) -> int:
        """Return how many of the last checkpoints are kept."""
        return 1

    @abstractmethod
    def open(self, anew: bool = False) -> None:
        """Make it ours; raise FlowError if another run has it, an OSError that names what is wrong with the place.

        A run that begins `anew` has every checkpoint in it forgotten, whole or damaged.
        """

    @abstractmethod
    def latest(self) -> SavedCheckpoint | None:
        """Return the newest checkpoint that is whole, None if there was never one.

        Raises CheckpointDamaged if there were some and none is whole, or if a later version wrote them.
        """

    @abstractmethod
    def save(self, checkpoint: SavedCheckpoint) -> None:
        """Keep `checkpoint` beside the ones before it, durably, whole or not at all; an OSError leaves those intact."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; a second call does nothing."""


class Pool(ABC):
    """Run shares of items through chains of functions, live. A pool belongs to one run and its event loop.

    The way of a share: `await room()`, then `submit` at once; its answer comes on the loop, exactly once, unless the
    pool is closed before. An item whose worker is lost is a failure of that item, and the others are `undone`.
    """

    @abstractmethod
    def load(self, chain: Chain) -> int:
        """Make `chain` known; return the number by which shares name it. FlowError says what cannot be taken there."""

    @abstractmethod
    async def room(self) -> None:
        """Wait until a share can be taken, first come, first served; the place is the caller's until `submit`."""

    @abstractmethod
    def decline(self) -> None:
        """Give the place back that `room` gave, unused."""

    @abstractmethod
    def submit(
        self, chain: int, items: Sequence[Any], positions: Sequence[Any] | None, answer: Callable[[Outcome], None]
    ) -> None:
        """Have the items taken through `chain`; `items` is not changed by the caller before the answer."""

    @abstractmethod
    def statistics(self) -> PlaceStatistics:
        """Return what befell the workers; asked after `close` too."""

    @abstractmethod
    async def close(self) -> None:
        """End the workers: those that are at work are broken off, where that is possible. Called exactly once."""
