"""The tables of a checkpoint file, and what is read from and written to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.state.manifest import FORMAT, Damage, Manifest, digest_of

#: By which SQLite's own header, and `file`, tell our files from others: "SFlc".
APPLICATION: Final = int.from_bytes(b"SFlc", "big")
#: A foreign file has no such text on its first page.
MARK: Final = b"CREATE TABLE checkpoints(number INTEGER PRIMARY KEY, manifest BLOB, checksum BLOB)"
#: `about` stays as it is in every format: `last` counts the checkpoints that were written, so that none can vanish.
_SCHEMA: Final = (
    "CREATE TABLE about(last INTEGER, written_by TEXT)",
    MARK.decode(),
    "CREATE TABLE pieces(id INTEGER PRIMARY KEY, digest BLOB UNIQUE, data BLOB)",
    "INSERT INTO about VALUES(0, '')",
    f"PRAGMA application_id={APPLICATION}",
    f"PRAGMA user_version={FORMAT}",
)


class Survey(NamedTuple):
    """Hold what a file says that is in it: descriptions, the newest first, and what is wrong with others."""

    manifests: list[Manifest]
    faults: list[str]
    #: The number of the last checkpoint that was written.
    last: int

    @property
    def empty(self) -> bool:
        """Tell whether there was never one."""
        return not self.manifests and not self.faults and self.last == 0


def create(connection: sqlite3.Connection) -> None:
    """Make the tables, within the transaction that is open."""
    for statement in _SCHEMA:
        connection.execute(statement)


def survey(connection: sqlite3.Connection) -> Survey:
    """Read all descriptions; raise Damage, or what SQLite raises, if that is not possible at all."""
    about = connection.execute("SELECT last FROM about").fetchall()
    if len(about) != 1 or not isinstance(about[0][0], int):
        raise Damage("it does not say how many checkpoints were written")
    last: int = about[0][0]
    manifests, faults = [], []
    for number, data, checksum in connection.execute("SELECT number, manifest, checksum FROM checkpoints"):
        try:
            manifests.append(Manifest.from_bytes(data, checksum))
        except Damage as damage:
            # What a run calls it is in its description; the row's number is another one.
            faults.append(f"{'the newest' if number == last else 'an older'} checkpoint: {damage}")
    manifests.sort(key=lambda manifest: -manifest.number)
    if not faults and last != (manifests[0].number if manifests else 0):
        faults.append("the newest checkpoint is not there any more")
    return Survey(manifests, faults, last)


def written_by(connection: sqlite3.Connection) -> str:
    """Return the version of streamflow that wrote last, also in a format that is not ours."""
    try:
        [(version,)] = connection.execute("SELECT written_by FROM about")
        return version.decode() if isinstance(version, bytes) else str(version)
    except (sqlite3.Error, ValueError):
        return ""


def load(connection: sqlite3.Connection, manifest: Manifest, trusted: dict[bytes, bytes]) -> SavedCheckpoint:
    """Read the pieces of a checkpoint; raise Damage if one is not what was written.

    `trusted` holds those that were read before, and gets the others.
    """
    for name, digests in manifest.parts.items():
        for index, digest in enumerate(map(bytes.fromhex, digests)):
            if digest in trusted:
                continue
            row = connection.execute("SELECT data FROM pieces WHERE digest=?", (digest,)).fetchone()
            if row is None:
                raise Damage(f"piece {index} of {name!r} is missing")
            if not isinstance(row[0], bytes) or digest_of(row[0]) != digest:
                raise Damage(f"piece {index} of {name!r} is not what was written")
            trusted[digest] = row[0]
    return manifest.with_pieces(trusted)


def write(
    connection: sqlite3.Connection, checkpoint: SavedCheckpoint, manifest: Manifest, trusted: Iterable[bytes]
) -> None:
    """Add a checkpoint, within the transaction that is open; pieces that are `trusted` to be there stay as they are."""
    seen = set(trusted)
    new: list[tuple[bytes, bytes]] = []
    pieces = (piece for part in checkpoint.parts.values() for piece in part)
    for digest, piece in zip(manifest.digests, pieces, strict=True):
        if digest not in seen:
            seen.add(digest)
            new.append((digest, piece))
    connection.executemany("INSERT OR REPLACE INTO pieces(digest, data) VALUES(?, ?)", new)
    data = manifest.to_bytes()
    connection.execute("INSERT INTO checkpoints VALUES(?, ?, ?)", (manifest.number, data, digest_of(data)))
    connection.execute("UPDATE about SET last=?, written_by=?", (manifest.number, manifest.written_by))


def remove_others(connection: sqlite3.Connection, kept: Iterable[Manifest]) -> None:
    """Remove every other checkpoint, and pieces that none of `kept` refers to."""
    kept = list(kept)
    numbers = {manifest.number for manifest in kept}
    gone = [row for row in connection.execute("SELECT number FROM checkpoints").fetchall() if row[0] not in numbers]
    connection.executemany("DELETE FROM checkpoints WHERE number=?", gone)
    needed = {digest for manifest in kept for digest in manifest.digests}
    unused = [row for row in connection.execute("SELECT digest FROM pieces").fetchall() if row[0] not in needed]
    connection.executemany("DELETE FROM pieces WHERE digest=?", unused)
