"""What a checkpoint file says of one checkpoint, beside the pieces themselves; and when it is believed. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Final

from streamflow.model.checkpoint import SavedCheckpoint, Stand

#: What we write, and read: a file with a higher number is a later streamflow's.
FORMAT: Final = 1


class Damage(Exception):
    """Say that something is not as it was written."""


def digest_of(data: bytes) -> bytes:
    """Return that by which data is known again.

    >>> digest_of(b"").hex()
    '3345524abf6bbe1809449224b5972c41790b6cf2'
    """
    return blake2b(data, digest_size=20).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Name the pieces of one checkpoint, in their order; `number` counts the checkpoints of a file from 1."""

    number: int
    epoch: int
    stand: Stand
    taken_at: float
    items: int
    keeps: Mapping[str, str]
    #: Digests in hexadecimal digits.
    parts: Mapping[str, Sequence[str]]
    #: Of all pieces together.
    size: int
    written_by: str
    format: int = FORMAT

    @classmethod
    def of(cls, checkpoint: SavedCheckpoint, number: int, written_by: str) -> Manifest:
        """Describe a checkpoint."""
        return cls(
            number=number,
            epoch=checkpoint.epoch,
            stand=checkpoint.stand,
            taken_at=checkpoint.taken_at,
            items=checkpoint.items,
            keeps=dict(checkpoint.keeps),
            parts={name: [digest_of(piece).hex() for piece in pieces] for name, pieces in checkpoint.parts.items()},
            size=sum(len(piece) for pieces in checkpoint.parts.values() for piece in pieces),
            written_by=written_by,
        )

    def to_bytes(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: object, checksum: object) -> Manifest:
        """Read it; raise Damage if it is not what was written."""
        if not isinstance(data, bytes) or digest_of(data) != checksum:
            raise Damage("its description is not what was written")
        return cls(**json.loads(data))

    @property
    def digests(self) -> Iterable[bytes]:
        """Yield the digest of each piece."""
        return (bytes.fromhex(digest) for digests in self.parts.values() for digest in digests)

    def with_pieces(self, pieces: Mapping[bytes, bytes]) -> SavedCheckpoint:
        """Return the checkpoint, with its pieces by their digests."""
        return SavedCheckpoint(
            epoch=self.epoch,
            stand=self.stand,
            taken_at=self.taken_at,
            items=self.items,
            keeps=self.keeps,
            parts={name: [pieces[bytes.fromhex(digest)] for digest in digests] for name, digests in self.parts.items()},
        )
