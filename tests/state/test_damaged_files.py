"""A damaged checkpoint file gives a checkpoint that was saved, as it was, or is refused: never another value."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streamflow.model.checkpoint import SavedCheckpoint
from streamflow.model.errors import CheckpointDamaged, FlowError
from streamflow.state import checkpoint_file, file_check
from streamflow.state.checkpoint_file import CheckpointFile

Read = Callable[[bytes], SavedCheckpoint | None]
#: Where SQLite says that there is a file beside this one: a copy in memory can have none.
BESIDE = slice(18, 20)


def checkpoint(epoch: int) -> SavedCheckpoint:
    return SavedCheckpoint(
        epoch=epoch,
        taken_at=1_000_000_000.5 + epoch,
        items=epoch * 1000,
        keeps={"count": "scan(count)"},
        parts={"source": [b"at %d" % epoch], "count": [b"unchanged" * 9, b"state %d " % epoch * 12]},
    )


SAVED = [checkpoint(epoch) for epoch in (1, 2, 3, 4)]
REMAINING = SAVED[1:]


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Be a file with three checkpoints, in small pages, so that there are many of them."""
    monkeypatch.setattr(checkpoint_file, "PAGE", 512)
    file = CheckpointFile(tmp_path / "image.ckpt")
    file.open()
    for one in SAVED:
        file.save(one)
    file.close()
    assert os.listdir(tmp_path) == ["image.ckpt"]
    return (tmp_path / "image.ckpt").read_bytes()


@pytest.fixture
def read(image: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Open a copy in memory, by all that opens a file but for the disk."""
    logging.getLogger("streamflow.checkpoints").setLevel(logging.CRITICAL)
    connect = sqlite3.connect
    content = b""

    def in_memory(path: str, **options: object) -> sqlite3.Connection:
        db = connect(":memory:", isolation_level=None)
        if content:
            plain = bytearray(content)
            plain[BESIDE] = b"\x01\x01"[: len(plain[BESIDE])]
            db.deserialize(bytes(plain))
        return db

    def look(path: str) -> None:
        if content:
            file_check.judge(content, path)

    monkeypatch.setattr(sqlite3, "connect", in_memory)
    monkeypatch.setattr(checkpoint_file, "looked_at", look)

    def latest(data: bytes) -> SavedCheckpoint | None:
        nonlocal content
        content = data
        file = CheckpointFile("/nowhere/copy.ckpt")
        try:
            file.open()
            return file.latest()
        finally:
            file.close()

    yield latest
    logging.getLogger("streamflow.checkpoints").setLevel(logging.NOTSET)


def check(read: Read, data: bytes, case: str) -> str:
    """Return what a damaged copy gave: the newest, an earlier one, or nothing but an error."""
    try:
        found = read(data)
    except CheckpointDamaged:
        return "refused"
    assert found in REMAINING, case
    return "newest" if found == REMAINING[-1] else "earlier"


def test_the_image_itself_is_whole(read: Read, image: bytes) -> None:
    assert len(image) > 4000
    assert read(image) == SAVED[-1]
    assert read(b"") is None


def test_each_byte_changed(read: Read, image: bytes) -> None:
    found: dict[str, int] = {}
    for at in range(len(image)):
        damaged = bytearray(image)
        damaged[at] ^= (0xFF, 0x01, 0x80, 0x10)[at % 4]
        outcome = check(read, bytes(damaged), f"byte {at}")
        found[outcome] = found.get(outcome, 0) + 1
    assert min(found["newest"], found["earlier"], found["refused"]) > 20, found


@pytest.mark.nightly
def test_each_bit_changed(read: Read, image: bytes) -> None:
    for at in range(len(image)):
        for mask in (1, 2, 4, 8, 16, 32, 64, 128, 0xFF):
            damaged = bytearray(image)
            damaged[at] ^= mask
            check(read, bytes(damaged), f"byte {at}, mask {mask}")


def test_cut_at_each_length(read: Read, image: bytes) -> None:
    for length in range(1, len(image)):
        check(read, image[:length], f"{length} bytes")


def test_a_page_of_zeros_or_of_another_place(read: Read, image: bytes) -> None:
    pages = len(image) // 512
    for page in range(1, pages):
        at = slice(page * 512, (page + 1) * 512)
        for other in range(-1, pages):
            damaged = bytearray(image)
            damaged[at] = bytes(512) if other < 0 else image[other * 512 : (other + 1) * 512]
            check(read, bytes(damaged), f"page {page} like {other}")


def test_without_its_first_page_nobody_knows_whose_it_is(read: Read, image: bytes) -> None:
    with pytest.raises(FlowError, match="this is no checkpoint file, and is left as it is"):
        read(bytes(512) + image[512:])


def on_disk(path: Path, data: bytes) -> SavedCheckpoint | None:
    path.write_bytes(data)
    file = CheckpointFile(path)
    try:
        file.open()
        return file.latest()
    finally:
        file.close()
        for beside in path.parent.glob(f"{path.name}-*"):
            beside.unlink()


def test_the_same_on_a_real_disk(tmp_path: Path, image: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "damaged.ckpt"
    places = {*range(16, 21), *range(0, len(image), 61)}
    for at in sorted(places):
        damaged = bytearray(image)
        damaged[at] ^= 0x03
        check(lambda data: on_disk(path, data), bytes(damaged), f"byte {at}")
    for length in range(1, len(image), 97):
        check(lambda data: on_disk(path, data), image[:length], f"{length} bytes")


def test_damage_is_told_and_the_next_save_heals_the_file(
    tmp_path: Path, image: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(image.replace(b"state 4 state 4 ", b"state 4 stale 4 ", 1))
    file = CheckpointFile(path)
    file.open()
    assert file.latest() == SAVED[2]
    assert "checkpoint 4 (2001-09-09 01:46:44 UTC, at 4,000 items): piece 1 of 'count'" in caplog.text
    assert "going on from checkpoint 3 (2001-09-09 01:46:43 UTC, at 3,000 items)" in caplog.text
    # The same pieces once more: what is damaged under their digest is not relied on.
    file.save(SAVED[3])
    assert file.latest() == SAVED[3]
    assert file.faults() == []
    assert [kept.manifest.epoch for kept in file.checkpoints()] == [4, 3, 2]
    file.close()
    caplog.clear()
    assert on_disk(path, path.read_bytes()) == SAVED[3]
    assert caplog.text == ""


def test_an_older_one_that_is_damaged_does_no_harm_to_the_next(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(image.replace(b"state 3 state 3 ", b"state 3 stale 3 ", 1))
    file = CheckpointFile(path)
    file.open()
    assert file.latest() == SAVED[3]
    assert [kept.fault != "" for kept in file.checkpoints()] == [False, True, False]
    file.save(SAVED[2])
    assert file.latest() == SAVED[2]
    file.close()


def test_where_none_is_whole_it_says_so_and_can_begin_anew(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "damaged.ckpt"
    path.write_bytes(image.replace(b"unchangedunchanged", b"unchangedunchanges"))
    file = CheckpointFile(path)
    file.open()
    with pytest.raises(CheckpointDamaged, match=r"no checkpoint in .* is whole: checkpoint 4 .*resume=\"never\""):
        file.latest()
    file.clear()
    assert file.latest() is None
    file.save(SAVED[0])
    file.close()
    assert on_disk(path, path.read_bytes()) == SAVED[0]


def test_pages_that_sqlite_cannot_read_are_replaced_by_the_next_save(tmp_path: Path, image: bytes) -> None:
    healed = 0
    for page in range(1, len(image) // 512):
        path = tmp_path / f"{page}.ckpt"
        damaged = bytearray(image)
        damaged[page * 512 : page * 512 + 12] = b"\xff" * 12
        path.write_bytes(damaged)
        file = CheckpointFile(path)
        try:
            file.open()
            found = file.latest()
        except CheckpointDamaged:
            file.close()
            continue
        assert found in REMAINING
        if found != SAVED[3]:
            healed += 1
            file.save(checkpoint(9))
            assert file.latest() == checkpoint(9)
            assert file.faults() == []
        file.close()
    assert healed > 0


def test_a_later_version_is_refused_and_named(tmp_path: Path, image: bytes) -> None:
    path = tmp_path / "later.ckpt"
    path.write_bytes(image)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=2")
    db.execute("UPDATE about SET written_by='3.1.4'")
    db.execute("ALTER TABLE checkpoints RENAME TO epochs")
    db.commit()
    db.close()
    before = path.read_bytes()
    file = CheckpointFile(path)
    with pytest.raises(CheckpointDamaged, match=r"streamflow 3\.1\.4 wrote these .*, in format 2; .*update it"):
        file.open()
    assert path.read_bytes() == before


def flipped(image: bytes, at: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 0xFF]) + image[at + 1 :]


def test_whatever_is_damaged_a_file_of_ours_is_begun_anew(image: bytes, tmp_path: Path) -> None:
    """Flip bytes of each kind of page, the very first too, and cut it anywhere: resume="never" gets past all."""
    path = tmp_path / "run.ckpt"
    places = [*range(0, 110, 5), *range(110, len(image), 397)]
    damaged = [flipped(image, at) for at in places] + [image[:length] for length in range(0, len(image), 397)]
    for content in [*damaged, image[:100] + bytes(len(image) - 100), image]:
        path.write_bytes(content)
        file = CheckpointFile(path)
        file.open(anew=True)
        assert file.latest() is None
        file.save(SAVED[0])
        file.close()
        file.open()
        assert file.latest() == SAVED[0]
        assert file.faults() == []
        file.close()
    assert sorted(os.listdir(tmp_path)) == ["image.ckpt", "run.ckpt"]


def test_what_lies_beside_a_damaged_file_is_not_folded_into_the_new_one(image: bytes, tmp_path: Path) -> None:
    path, beside = tmp_path / "run.ckpt", tmp_path / "run.ckpt-wal"
    path.write_bytes(image)
    file = CheckpointFile(path)
    file.open()
    file.save(checkpoint(5))
    log, content = beside.read_bytes(), path.read_bytes()
    file.close()
    assert log
    path.write_bytes(flipped(content, 3))
    beside.write_bytes(log)
    file.open(anew=True)
    assert file.latest() is None
    file.close()
    assert not beside.exists()


@pytest.mark.parametrize("content", [b"my diary", b"SQLite format 3\x00" + bytes(4080)])
def test_what_is_no_file_of_ours_is_not_begun_anew(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "diary"
    path.write_bytes(content)
    with pytest.raises(FlowError, match="is left as it is"):
        CheckpointFile(path).open(anew=True)
    assert path.read_bytes() == content


def test_a_damaged_file_that_another_process_has_is_not_begun_anew(image: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    path.write_bytes(image)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from streamflow.state.checkpoint_file import CheckpointFile; "
            "CheckpointFile(sys.argv[1]).open(); print('open', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        damaged = flipped(path.read_bytes(), 3)
        path.write_bytes(damaged)
        with pytest.raises(FlowError, match=r"has this checkpoint file"):
            CheckpointFile(path).open(anew=True)
        assert path.read_bytes() == damaged
        child.kill()
