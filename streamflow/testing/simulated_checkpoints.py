"""A store of checkpoints on a simulated disk, which keeps each whole or not at all."""

from __future__ import annotations

from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.errors import FlowError
from streamflow.model.interfaces import CheckpointStore
from streamflow.testing.simulated_disk import SimulatedDisk

#: Checkpoints that are kept.
KEPT = 3


class SimulatedCheckpoints(CheckpointStore):
    """Save checkpoints on `disk` by two operations each: who dies in the first has not saved, in the second he has.

    What a database does to be able to promise that is not simulated.
    """

    def __init__(self, disk: SimulatedDisk, name: str = "checkpoints") -> None:
        self._disk = disk
        self._name = name
        self._open = False

    @property
    def label(self) -> str:
        """Return its name."""
        return self._name

    @property
    def folder(self) -> str:
        """Return how folders at the root of the disk begin, which no output is in."""
        return f"/.{self._name}"

    @property
    def kept(self) -> int:
        """Return how many are kept."""
        return KEPT

    def open(self, anew: bool = False) -> None:
        """Make it ours; FlowError if somebody has it, who has not lost power since.

        Beginning `anew` forgets every checkpoint, in two operations as well.
        """
        self._disk.look()
        if self._name in self._disk.held:
            raise FlowError(f"another run has {self._name!r}: wait for its end, or give this one a store of its own")
        self._disk.held.add(self._name)
        self._open = True
        if anew:
            self._disk.operate("clear", self._name)
            self._saved().clear()
            self._disk.operate("cleared", self._name)

    def latest(self) -> SavedCheckpoint | None:
        """Return the newest checkpoint."""
        self._disk.look()
        saved = self._saved()
        return saved[-1] if saved else None

    def save(self, checkpoint: SavedCheckpoint) -> None:
        """Keep `checkpoint`, durably, and two before it."""
        self._disk.operate("save", self._name)
        self._saved().append(checkpoint)
        del self._saved()[:-KEPT]
        self._disk.operate("saved", self._name)

    def close(self) -> None:
        """Let go of it."""
        if self._open:
            self._open = False
            self._disk.held.discard(self._name)

    def _saved(self) -> list[SavedCheckpoint]:
        return self._disk.checkpoints.setdefault(self._name, [])
