import errno
import os
import stat

import pytest

from streamflow.files.file_system import SyncFailed
from streamflow.files.local import LOCAL, LocalOutput
from streamflow.files.target import Target


def write(output, data: bytes):
    output.write(memoryview(data))


def test_a_write_that_fails_midway_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    output = LOCAL.create(str(tmp_path / "a"))
    write(output, b"whole\n")
    real, budget = os.write, [4]

    def full_disk(descriptor, data):
        if not budget:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[: budget.pop()])

    monkeypatch.setattr(os, "write", full_disk)
    with pytest.raises(OSError, match="No space left") as caught:
        write(output, b"torn record\n")
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"whole\n"
    monkeypatch.undo()
    write(output, b"next\n")
    assert output.length == len(b"whole\nnext\n")
    output.close()
    assert (tmp_path / "a").read_bytes() == b"whole\nnext\n"


def test_what_another_process_appended_is_never_cut_off(tmp_path, monkeypatch):
    path = tmp_path / "a"
    output = LOCAL.open_to_append(str(path))
    real, calls = os.write, []

    def shared(descriptor, data):
        calls.append(1)
        if len(calls) == 1:
            return real(descriptor, data[:2])
        with path.open("ab") as other:
            other.write(b"theirs\n")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", shared)
    with pytest.raises(OSError, match="No space"):
        write(output, b"ours\n")
    output.close()
    assert path.read_bytes() == b"outheirs\n"


def test_a_pipe_goes_on_where_it_failed(monkeypatch):
    reading, writing = os.pipe()
    output = LocalOutput(writing, "pipe")
    real, fail = os.write, [True]

    def flaky(descriptor, data):
        if len(data) < 6 and fail:
            fail.clear()
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, data[:3])

    monkeypatch.setattr(os, "write", flaky)
    with pytest.raises(OSError, match="Input/output"):
        write(output, b"abcdef\n")
    write(output, b"abcdef\n")
    output.sync()
    output.close()
    assert os.read(reading, 100) == b"abcdef\n"
    os.close(reading)


def test_a_non_blocking_pipe_is_waited_for():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    output = LocalOutput(writing, "pipe")
    import threading

    data = os.urandom(300_000)
    got = bytearray()

    def drain():
        while chunk := os.read(reading, 1 << 16):
            got.extend(chunk)

    thread = threading.Thread(target=drain)
    thread.start()
    write(output, data)
    output.close()
    thread.join()
    os.close(reading)
    assert got == data


def test_appending_after_a_torn_line_begins_a_new_one(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"whole\ntorn")
    output = LOCAL.open_to_append(str(path))
    write(output, b"new\n")
    assert output.length == path.stat().st_size
    output.close()
    assert path.read_bytes() == b"whole\ntorn\nnew\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_device_is_an_error():
    target = Target.open(LOCAL, "/dev/full", complete=True)
    assert target.temporary is None
    with pytest.raises(OSError, match="No space left"):
        write(target.file, b"a\n")
    target.discard()
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_a_target_bears_its_name_only_when_complete(tmp_path):
    path = tmp_path / "out.jsonl"
    target = Target.open(LOCAL, str(path), complete=True)
    assert os.path.dirname(target.temporary) == str(tmp_path)
    write(target.file, b"a\n")
    assert not path.exists()
    target.publish()
    assert os.listdir(tmp_path) == ["out.jsonl"]
    target = Target.open(LOCAL, str(path), complete=True)
    write(target.file, b"b\n")
    target.discard()
    target.close()
    assert os.listdir(tmp_path) == ["out.jsonl"]
    assert path.read_bytes() == b"a\n"


def test_a_replaced_file_keeps_its_permissions_and_its_symbolic_link(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "a.txt", tmp_path / "a.txt"
    real.write_bytes(b"old\n")
    real.chmod(0o640)
    link.symlink_to(real)
    target = Target.open(LOCAL, str(link), complete=True)
    write(target.file, b"new\n")
    target.publish()
    assert link.is_symlink()
    assert real.read_bytes() == b"new\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_long_name_has_a_temporary_one(tmp_path):
    path = tmp_path / ("ä" * 120 + ".txt")
    target = Target.open(LOCAL, str(path), complete=True)
    target.publish()
    assert path.exists()


def test_what_cannot_be_written_to_says_why(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        Target.open(LOCAL, str(tmp_path / "no" / "a.txt"), complete=True)
    with pytest.raises(FileNotFoundError, match="there is no directory"):
        Target.open(LOCAL, str(tmp_path / "no" / "a.txt"), complete=False)
    for complete in (True, False):
        with pytest.raises(IsADirectoryError, match="name a file in it"):
            Target.open(LOCAL, str(tmp_path), complete=complete)


def test_a_sync_that_has_failed_never_succeeds_again(tmp_path, monkeypatch):
    """The system may have dropped what it could not bring to the disk, and say the next time that all is well."""
    output = LOCAL.create(str(tmp_path / "out"))
    output.write(memoryview(b"x"))

    def refuse(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output error") as caught:
            output.sync()
    assert caught.value.filename == str(tmp_path / "out")
    with pytest.raises(SyncFailed, match=r"Input/output error.*run again once the disk is well") as again:
        output.sync()
    assert again.value.errno == errno.EIO
    output.close()
    other = LOCAL.open_to_continue(str(tmp_path / "out"))
    other.sync()
    other.close()
