"""Checkpoints in a file: one SQLite database, one transaction a checkpoint, each piece under the digest of it."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.errors import CheckpointDamaged, FlowError
from streamflow.model.interfaces import CheckpointStore
from streamflow.model.version import __version__
from streamflow.state import checkpoint_rows as rows
from streamflow.state.file_check import looked_at
from streamflow.state.holder import claim, guard, is_still_there, note_identity, release
from streamflow.state.manifest import FORMAT, Damage, Manifest
from streamflow.state.sqlite_errors import FAILURES, REMEDY, is_damage, told_of

#: Bytes of a page of SQLite's.
PAGE = 4096
#: How long one waits for another process that has the file: `streamflow checkpoints` is through by then.
PATIENCE = 1.0
#: Bytes that the file beside it, to which SQLite writes first, keeps after a large checkpoint.
_KEPT_LOG = 16 << 20

_log = logging.getLogger("streamflow.checkpoints")


@dataclass(frozen=True, slots=True)
class Kept:
    """Describe one checkpoint of a file; `fault` says what is wrong with it, if anything is."""

    manifest: Manifest
    fault: str = ""


class CheckpointFile(CheckpointStore):
    """Keep the last `keep` checkpoints in the file at `path`; pieces that did not change are written once.

    The file is locked while it is open, by SQLite itself, so that the lock ends with the process. After `close`
    everything is in this one file; after a crash there is another one beside it, which the next `open` folds in.
    """

    def __init__(self, path: str | os.PathLike[str], keep: int = 3) -> None:
        if keep < 1:
            raise FlowError(f"{os.fspath(path)}: keep={keep} would keep no checkpoint: keep one at least")
        self._name = os.fspath(path)
        self._path = os.path.realpath(self._name)
        self._keep = keep
        self._db: sqlite3.Connection | None = None
        self._claimed = False
        #: What is in the file, the newest first, as far as it is whole.
        self._manifests: list[Manifest] = []
        self._last = 0
        #: Digests of pieces that were read, or written, by us: what else has their name in the file is not relied on.
        self._trusted: set[bytes] = set()
        #: What was whole in a damaged file: the next `save` replaces all that is in it.
        self._salvaged: list[tuple[Manifest, SavedCheckpoint]] | None = None

    @property
    def label(self) -> str:
        """Return the path, as it was given."""
        return self._name

    @property
    def folder(self) -> str | None:
        """Return a path beside it."""
        return f"{self._path}.edge"

    @property
    def kept(self) -> int:
        """Return how many there are at most."""
        return self._keep

    def open(self, anew: bool = False) -> None:
        """Lock the file, and make it if it is missing or empty; `anew`, empty it first, if it is one of ours."""
        if self._db is not None:
            return
        claim(self._path)
        self._claimed = True
        # What an earlier opening knew may have been changed by another process meanwhile.
        self._manifests, self._last, self._trusted, self._salvaged = [], 0, set(), None
        try:
            try:
                self._begin()
                if anew:
                    self.clear()
            except CheckpointDamaged:
                if not anew:
                    raise
                self._empty()
                self._begin()
            guard(self._path, PATIENCE)  # it may be new
            note_identity(self._path)
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        looked_at(self._path)
        guard(self._path, PATIENCE)
        self._connect()

    def _empty(self) -> None:
        """Make an empty file of ours, of which SQLite makes nothing, without giving up the lock on it.

        It is the same file afterwards, so that nobody else can have it in between.
        """
        self._disconnect()
        guard(self._path, PATIENCE)
        for beside in ("-wal", "-journal"):
            with suppress(FileNotFoundError):
                os.remove(self._path + beside)  # first: it belongs to what is there now
        os.truncate(self._path, 0)

    def _connect(self) -> None:
        """Let SQLite lock the file: in exclusive mode it needs no memory shared with others, and nobody reads half."""
        with told_of(self._path):
            db = self._db = sqlite3.connect(self._path, timeout=PATIENCE, isolation_level=None)
            db.text_factory = bytes  # damaged texts are none
            db.execute("PRAGMA locking_mode=EXCLUSIVE")
            db.execute(f"PRAGMA page_size={PAGE}")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN EXCLUSIVE")
            if self._is_new():
                rows.create(db)
            db.execute("COMMIT")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA journal_size_limit={_KEPT_LOG}")

    def _is_new(self) -> bool:
        """Look once more, now that nobody else can write: tell whether there is nothing; refuse what is later's."""
        db = self._database
        application, version = (
            int(db.execute(f"PRAGMA {n}").fetchone()[0]) for n in ("application_id", "user_version")
        )
        if application == 0 and version == 0 and not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return True
        if application != rows.APPLICATION or version < 1:
            raise CheckpointDamaged(
                f"{self._path}: the checkpoint file is damaged: its first page is not as we write it. {REMEDY}"
            )
        if version > FORMAT:
            by = rows.written_by(db) or "a later version"
            raise CheckpointDamaged(
                f"{self._path}: streamflow {by} wrote these checkpoints, in format {version}; this is streamflow "
                f"{__version__}, which knows formats up to {FORMAT}: update it"
            )
        return False

    @property
    def _database(self) -> sqlite3.Connection:
        if self._db is None:
            raise FlowError(f"{self._name}: this checkpoint file is not open")
        return self._db

    def latest(self) -> SavedCheckpoint | None:
        """Return the newest that is whole, each piece looked at; what is damaged is told in a warning."""
        found = self._survey()
        if found.empty:
            return None
        trusted: dict[bytes, bytes] = {}
        faults = list(found.faults)
        whole: list[tuple[Manifest, SavedCheckpoint]] = []
        for manifest in found.manifests:
            try:
                whole.append((manifest, self._load(manifest, trusted)))
            except Damage as damage:
                faults.append(f"{_name(manifest)}: {damage}")
            else:
                if not faults:
                    break
        if not whole:
            raise CheckpointDamaged(
                f"{self._path}: no checkpoint in this file is whole: {'; '.join(faults)}. Begin from the start "
                '(resume="never"), or bring back a copy of it'
            )
        self._trusted = set(trusted)
        if faults:
            _log.warning("%s: %s; going on from %s", self._path, "; ".join(faults), _name(whole[0][0]))
            self._salvaged = whole
        return whole[0][1]

    def checkpoints(self) -> list[Kept]:
        """Return what is in the file, the newest first, each looked at to its last piece.

        Raises CheckpointDamaged if not even that can be told.
        """
        found = self._survey()
        trusted: dict[bytes, bytes] = {}
        return [Kept(manifest, self._fault(manifest, trusted)) for manifest in found.manifests]

    def nameless(self) -> list[str]:
        """Return what is wrong with checkpoints of which not even the number can be told, each in a sentence."""
        return self._survey().faults

    def faults(self) -> list[str]:
        """Return what is wrong in the file, each in a sentence; nothing if all is whole."""
        found = self._survey()
        trusted: dict[bytes, bytes] = {}
        told = ((manifest, self._fault(manifest, trusted)) for manifest in found.manifests)
        return found.faults + [f"{_name(manifest)}: {fault}" for manifest, fault in told if fault]

    def _fault(self, manifest: Manifest, trusted: dict[bytes, bytes]) -> str:
        try:
            self._load(manifest, trusted)
        except Damage as damage:
            return str(damage)
        return ""

    def _survey(self) -> rows.Survey:
        with told_of(self._path):
            try:
                found = rows.survey(self._database)
            except Damage as damage:
                raise CheckpointDamaged(f"{self._path}: the checkpoint file is damaged: {damage}. {REMEDY}") from damage
        self._manifests, self._last = found.manifests, max([found.last, *(one.number for one in found.manifests)])
        return found

    def _load(self, manifest: Manifest, trusted: dict[bytes, bytes]) -> SavedCheckpoint:
        with told_of(self._path):
            try:
                return rows.load(self._database, manifest, trusted)
            except FAILURES as error:
                if not is_damage(error):
                    raise
                raise Damage(f"SQLite cannot read it ({error})") from error

    def save(self, checkpoint: SavedCheckpoint) -> None:
        """Write it in one transaction, which also removes what is older than the last `keep`.

        Once a run is done, the ones before it go too: nobody may go on from them, since the output has its final name.
        """
        if self._db is not None and not is_still_there(self._path):
            raise FileNotFoundError(
                errno.ENOENT, "the checkpoint file was removed or replaced under the run: put it back", self._path
            )
        if self._last == 0 and not self._manifests:
            self._survey()
        manifest = Manifest.of(checkpoint, self._last + 1, __version__)
        older = 0 if checkpoint.stand == "done" else self._keep - 1
        if self._salvaged is not None:
            self._replace([(manifest, checkpoint), *self._salvaged[:older]])
            return
        kept = [manifest, *self._manifests[:older]]
        with told_of(self._path):
            db = self._database
            db.execute("BEGIN IMMEDIATE")
            try:
                rows.write(db, checkpoint, manifest, self._trusted)
                rows.remove_others(db, kept)
                db.execute("COMMIT")
            except BaseException:
                with suppress(*FAILURES):  # a full disk has ended the transaction already
                    db.execute("ROLLBACK")
                raise
        self._wrote(kept)
        if manifest.number == 1:
            self._fold()  # from here on the file itself holds a checkpoint, whatever becomes of the one beside it

    def _wrote(self, kept: list[Manifest]) -> None:
        needed = {digest for one in kept for digest in one.digests}
        self._trusted = (self._trusted | set(kept[0].digests if kept else ())) & needed
        self._manifests = kept
        self._last = max([self._last, *(one.number for one in kept)])

    def clear(self) -> None:
        """Forget all; this works on a damaged file too, as long as SQLite takes it for one of its own."""
        self._replace([])
        self._last = 0

    def prune(self, keep: int) -> int:
        """Keep the last `keep` checkpoints that are whole, give the space back; return how many bytes that were."""
        before = self._fold()
        if self.latest() is None:
            return 0
        trusted: dict[bytes, bytes] = {}
        whole: list[tuple[Manifest, SavedCheckpoint]] = []
        for manifest in self._manifests:
            with suppress(Damage):
                whole.append((manifest, self._load(manifest, trusted)))
            if len(whole) == keep:
                break
        self._replace(whole)
        return before - self._fold()

    def _replace(self, kept: Sequence[tuple[Manifest, SavedCheckpoint]]) -> None:
        """Put a new database, which holds `kept`, in place of all that is in the file: whole or not at all."""
        with told_of(self._path), closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            db = self._database
            fresh.execute(f"PRAGMA page_size={int(db.execute('PRAGMA page_size').fetchone()[0])}")
            fresh.execute("BEGIN")
            rows.create(fresh)
            written: set[bytes] = set()
            for manifest, checkpoint in reversed(kept):
                rows.write(fresh, checkpoint, manifest, written)
                written.update(manifest.digests)
            fresh.execute("COMMIT")
            fresh.backup(db)
        self._salvaged = None
        self._trusted = written
        self._wrote([manifest for manifest, _ in kept])

    def _fold(self) -> int:
        """Bring into the file itself what is beside it; return how long it is then."""
        with suppress(*FAILURES):  # it is durable as it is, and the next open does the same
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return os.path.getsize(self._path)

    def close(self) -> None:
        """Fold everything into the one file, and unlock it."""
        self._disconnect()
        if self._claimed:
            self._claimed = False
            release(self._path)

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(*FAILURES):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with suppress(*FAILURES):
                db.close()


def _name(manifest: Manifest) -> str:
    when = ""
    with suppress(ValueError, OverflowError, OSError):
        when = f"{datetime.fromtimestamp(manifest.taken_at, UTC):%Y-%m-%d %H:%M:%S} UTC, "
    return f"checkpoint {manifest.epoch:,} ({when}at {manifest.items:,} items)"
