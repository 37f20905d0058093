"""What a spilling edge has on the disk: segments of records, in order, and never more bytes than its cap. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamflow.channels.records import SEGMENT_HEADER
from streamflow.model.markers import Idle, Marker, Watermark

#: The size from which a new segment is begun, if an eighth of the cap is not less.
SEGMENT_SIZE = 16 << 20


class Position(NamedTuple):
    """Name a place in the segments: before record `sequence`, at byte `offset` of segment number `segment`."""

    segment: int
    offset: int
    sequence: int


@dataclass(slots=True)
class Segment:
    """Be one file of records: those from `first` on, before `last`; they end at byte `end`.

    A file may be longer than that, if it was written to after the checkpoint that a run resumes from.
    """

    number: int
    name: str
    first: int
    last: int
    end: int
    #: Bytes on the disk.
    size: int
    sealed: bool = False
    leaving: bool = False


class Piece(NamedTuple):
    """Be the part of one segment that belongs to a checkpoint: bytes `start` to `end`, records `first` to `last`."""

    number: int
    name: str
    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Cut:
    """Hold what was on the disk when a barrier overtook it, and the markers that stood behind it."""

    epoch: int
    items: int = 0
    pieces: Sequence[Piece] = ()
    markers: Sequence[Marker] = ()

    def plain(self) -> dict[str, Any]:
        """Return the cut as plain values."""
        return {
            "epoch": self.epoch,
            "items": self.items,
            "pieces": [list(piece) for piece in self.pieces],
            "markers": [marker.time if isinstance(marker, Watermark) else None for marker in self.markers],
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Cut:
        """Return the cut of which `plain` returned these values."""
        markers = [Idle() if time is None else Watermark(time) for time in plain["markers"]]
        return cls(plain["epoch"], plain["items"], [Piece(*piece) for piece in plain["pieces"]], markers)


@dataclass(slots=True)
class Spill:
    """Keep account of the segments of one edge: what is written and read next, and which of them may be removed.

    What has been read stays while a checkpoint that is kept may need it, and counts against `cap` as before. Where that
    may be (`durable`), what has not been read takes half of it at most: the other half is for what the last checkpoint
    needs, or no room would come free before the next one, which waits for whoever waits for room.
    """

    cap: int
    token: str
    segment_size: int = 0
    durable: bool = False
    segments: dict[int, Segment] = field(default_factory=dict)
    head: Position = field(default_factory=lambda: Position(0, 0, 0))
    #: The number of the next record that is written, and of the segment that was begun last.
    sequence: int = 0
    last: int = 0
    #: Items that are written and not read.
    items: int = 0
    #: Bytes on the disk, those read already included, and the most there ever were.
    bytes: int = 0
    high_water: int = 0
    cuts: dict[int, Cut] = field(default_factory=dict)
    #: Files of an earlier run that only checkpoints before the one it resumed from, `resumed`, could need.
    strangers: list[Segment] = field(default_factory=list)
    resumed: int = 0
    #: The last checkpoint that is whole; what only those before it need goes where room is short.
    saved: int = 0

    def __post_init__(self) -> None:
        if not self.segment_size:
            self.segment_size = max(1, min(SEGMENT_SIZE, self.cap // 8))

    @property
    def empty(self) -> bool:
        """Tell whether everything that was written has been read."""
        return self.head.sequence == self.sequence

    # -- writing --------------------------------------------------------------------------------------------------

    def fits(self, size: int) -> bool:
        """Tell whether records of `size` bytes may be written now."""
        more = size + (SEGMENT_HEADER if self._current(size) is None else 0)
        return self.bytes + more <= self.cap and (not self.durable or self._unread() + more <= self.cap // 2)

    def _unread(self) -> int:
        return sum(one.size for one in self.segments.values() if one.last > self.head.sequence)

    def could_fit(self, size: int) -> bool:
        """Tell whether records of `size` bytes may be written when nothing else is there."""
        return size + SEGMENT_HEADER <= (self.cap // 2 if self.durable else self.cap)

    def place(self, size: int) -> Segment:
        """Return the segment to which `size` bytes of records go: the last one, or one that begins with them."""
        segment = self._current(size)
        if segment is None:
            self.seal()
            self.last += 1
            name = f"{self.last:08d}-{self.token}.spill"
            segment = Segment(self.last, name, self.sequence, self.sequence, SEGMENT_HEADER, SEGMENT_HEADER)
            self.segments[self.last] = segment
            self._grow(SEGMENT_HEADER)
        return segment

    def wrote(self, size: int, records: int, items: int) -> None:
        """Take note that what was placed last has been written."""
        segment = self.segments[self.last]
        self.sequence += records
        self.items += items
        segment.last = self.sequence
        segment.end += size
        segment.size = segment.end
        self._grow(size)

    def failed(self) -> None:
        """Take note that what was placed last could not be written: its segment takes no more, or is not there."""
        segment = self.segments[self.last]
        if segment.first == segment.last:
            self.bytes -= segment.size
            del self.segments[self.last]
        segment.sealed = True

    def seal(self) -> None:
        """Write no more to the last segment."""
        if self.last in self.segments:
            self.segments[self.last].sealed = True

    def _current(self, size: int) -> Segment | None:
        segment = self.segments.get(self.last)
        if segment is None or segment.sealed or (segment.size > SEGMENT_HEADER and segment.size >= self.segment_size):
            return None
        # One that has begun is filled as far as whole records go; a record larger than a segment has one to itself.
        return segment if segment.size == SEGMENT_HEADER or segment.size + size <= self.segment_size else None

    def _grow(self, size: int) -> None:
        self.bytes += size
        self.high_water = max(self.high_water, self.bytes)

    # -- reading --------------------------------------------------------------------------------------------------

    def next(self) -> tuple[Segment, Position]:
        """Return the segment that is read next, and where; there is something to be read."""
        segment = self.segments.get(self.head.segment)
        if segment is not None and self.head.offset < segment.end:
            return segment, self.head
        segment = self.segments[min(number for number in self.segments if number > self.head.segment)]
        return segment, Position(segment.number, SEGMENT_HEADER, self.head.sequence)

    def read(self, to: Position, items: int) -> None:
        """Take note that everything before `to` has been read."""
        self.head = to
        self.items -= items

    def skip(self) -> int:
        """Read nothing of what there is; return how many items that were."""
        items, self.items = self.items, 0
        self.seal()
        self.head = Position(self.last, 0, self.sequence)
        return items

    # -- removing -------------------------------------------------------------------------------------------------

    def disposable(self) -> list[Segment]:
        """Return the segments that nobody needs any more, each once: they are to be removed."""
        needed = self.needed()
        found = [
            one
            for one in self.segments.values()
            if one.sealed and not one.leaving and one.last <= self.head.sequence and one.name not in needed
        ]
        if self.resumed == 0:
            found += [one for one in self.strangers if not one.leaving]
        for one in found:
            one.leaving = True
        return found

    def removed(self, segment: Segment) -> None:
        """Take note that the file of `segment` is gone."""
        if self.segments.get(segment.number) is segment:
            del self.segments[segment.number]
        elif segment in self.strangers:
            self.strangers.remove(segment)
        else:
            return  # it could not be written, and was removed then
        self.bytes -= segment.size

    def unneeded(self) -> set[str]:
        """Return the names of all files that no checkpoint can need."""
        strangers = set[str]() if self.resumed else {one.name for one in self.strangers}
        return strangers | {one.name for one in self.segments.values()} - self.needed()

    def needed(self) -> set[str]:
        """Return the names of the segments that checkpoints need."""
        return {piece.name for cut in self.cuts.values() for piece in cut.pieces}

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def cut(self, epoch: int, markers: Iterable[Marker]) -> Cut:
        """Remember what is unread as belonging to checkpoint `epoch`, with the markers that stand behind it."""
        pieces = []
        for one in self.segments.values():
            if one.last > self.head.sequence:
                begun = one.number == self.head.segment
                start, first = (self.head.offset, self.head.sequence) if begun else (SEGMENT_HEADER, one.first)
                pieces.append(Piece(one.number, one.name, start, one.end, first, one.last))
        self.cuts[epoch] = Cut(epoch, self.items, tuple(pieces), tuple(markers))
        return self.cuts[epoch]

    def let_go(self) -> None:
        """Keep no more for checkpoints before the last one: there is no room."""
        if self.saved:
            self.forget(self.saved, self.saved)

    def forget(self, before: int, saved: int) -> None:
        """Take note that checkpoint `saved` is whole, and none before epoch `before` is kept any more."""
        self.saved = saved
        self.cuts = {epoch: cut for epoch, cut in self.cuts.items() if epoch >= before}
        if before >= self.resumed:
            self.resumed = 0

    def restore(self, cut: Cut, sizes: Mapping[str, int]) -> None:
        """Begin with what `cut` holds; `sizes` are the bytes of all files in the folder, by name."""
        for piece in cut.pieces:
            self.segments[piece.number] = Segment(
                piece.number, piece.name, piece.first, piece.last, piece.end, sizes[piece.name], sealed=True
            )
        if cut.pieces:
            first, last = cut.pieces[0], cut.pieces[-1]
            self.head = Position(first.number, first.start, first.first)
            self.sequence, self.last = last.last, last.number
            self.cuts[cut.epoch] = cut
        self.items = cut.items
        self.resumed = self.saved = cut.epoch
        ours = {piece.name for piece in cut.pieces}
        self.strangers = [Segment(0, name, 0, 0, 0, size) for name, size in sizes.items() if name not in ours]
        self._grow(sum(sizes.values()))
