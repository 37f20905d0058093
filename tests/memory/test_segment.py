"""Memory without a name: views outlive growth and closing, and nothing is left wherever a process dies."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streamflow.memory.segment import Segment

SHM = Path("/dev/shm")
MEMFD = hasattr(os, "memfd_create")
MIB = 1 << 20


def named() -> set[str]:
    return {entry.name for entry in SHM.iterdir()} if SHM.is_dir() else set()


def ours() -> set[str]:
    return {name for name in named() if name.startswith("sf-")}


@pytest.fixture(params=["memfd", "shm"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "shm":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not MEMFD:
        pytest.skip("no memfd_create here")
    return str(request.param)


def test_what_one_mapping_writes_the_other_reads(kind: str) -> None:
    owner = Segment.create(3 * mmap.PAGESIZE)
    other = Segment(os.dup(owner.fd))
    assert not os.get_inheritable(owner.fd)
    assert not os.get_inheritable(other.fd)
    owner.view(5000, 5)[:] = b"hello"
    assert bytes(other.view(5000, 5)) == b"hello"
    other.view(0, 1)[:] = b"!"
    assert bytes(owner.view(0, 1)) == b"!"
    owner.close()
    other.close()


def test_an_inherited_descriptor_is_not_inherited_further() -> None:
    owner = Segment.create(10)
    fd = os.dup(owner.fd)
    os.set_inheritable(fd, True)
    other = Segment(fd)
    assert not os.get_inheritable(fd)
    owner.close()
    other.close()


def test_views_that_are_held_outlive_growth_and_closing(kind: str) -> None:
    owner = Segment.create(mmap.PAGESIZE)
    other = Segment(os.dup(owner.fd))
    early, seen = owner.view(0, 4), other.view(0, 4)
    early[:] = b"old!"
    try:
        owner.grow(5 * mmap.PAGESIZE)
    except OSError:
        pytest.skip("this system cannot grow shared memory")
    late = other.view(4 * mmap.PAGESIZE, 4)
    owner.view(4 * mmap.PAGESIZE, 4)[:] = b"new!"
    assert (bytes(seen), bytes(late)) == (b"old!", b"new!")
    early[:] = b"both"
    assert bytes(other.view(0, 4)) == bytes(seen) == b"both"
    owner.close()
    other.close()
    assert (bytes(early), bytes(seen), bytes(late)) == (b"both", b"both", b"new!")


def test_what_is_not_there_is_refused() -> None:
    segment = Segment.create(100)
    size = segment.size
    for offset, length in [(0, size + 1), (-1, 1), (size, 1), (5, -1)]:
        with pytest.raises(ValueError, match="not in a segment"):
            segment.view(offset, length)
    with pytest.raises(ValueError, match="cannot become"):
        segment.grow(1)
    segment.close()
    segment.close()
    with pytest.raises(ValueError, match="closed"):
        segment.view(0, 1)


@pytest.mark.skipif(not (MEMFD and hasattr(mmap, "MADV_REMOVE")), reason="needs memfd and MADV_REMOVE")
def test_pages_are_taken_as_they_are_written_and_given_back() -> None:
    segment = Segment.create(1024 * MIB)
    assert segment.resident == 0
    view = segment.view(0, MIB)
    view[:] = b"x" * MIB
    assert segment.resident == MIB
    segment.discard(100, MIB - 200)  # whole pages only
    assert segment.resident == 2 * mmap.PAGESIZE
    segment.discard(0, 100)
    assert segment.resident == 2 * mmap.PAGESIZE
    assert (bytes(view[:100]), bytes(view[-100:])) == (b"x" * 100, b"x" * 100)
    assert bytes(view[mmap.PAGESIZE : mmap.PAGESIZE + 1]) == b"\0"
    segment.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_mount_is_an_error_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    before = len(os.listdir("/dev/fd"))
    real = os.posix_fallocate

    def tiny(fd: int, offset: int, length: int) -> None:
        if length > MIB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", tiny)
    with pytest.raises(OSError, match="No space left") as caught:
        Segment.create(2 * MIB)
    assert caught.value.errno == errno.ENOSPC
    assert len(os.listdir("/dev/fd")) == before
    segment = Segment.create(MIB)
    with pytest.raises(OSError, match="No space left"):
        segment.grow(2 * MIB)
    assert segment.size == MIB
    segment.discard(0, MIB)
    assert segment.resident == MIB  # what was reserved stays
    segment.close()


def test_a_kernel_without_memfd_is_known_by_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> int:
        raise OSError(errno.ENOSYS, "not there")

    monkeypatch.setattr(os, "memfd_create", missing, raising=False)
    Segment.create(10).close()

    def refused(*_: Any) -> int:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    with pytest.raises(OSError, match="too many"):
        Segment.create(10)


CHILD = """
import os, sys, time
if sys.argv[1] == "shm" and hasattr(os, "memfd_create"):
    del os.memfd_create
from streamflow.memory.segment import Segment
segments = [Segment.create(1 << 20) for _ in range(3)]
for segment in segments:
    segment.view(0, 1 << 20)[:] = b"x" * (1 << 20)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["memfd", "shm"])
def test_nothing_is_left_of_a_process_that_is_killed(how: str) -> None:
    before = ours()
    command = [sys.executable, "-c", CHILD, how]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={**os.environ, "PYTHONPATH": root()}) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        assert ours() == before
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert ours() == before


def root() -> str:
    return str(Path(__file__).parents[2])
