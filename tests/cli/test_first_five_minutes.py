"""The first five minutes of somebody who has just heard of us, in an environment of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Stranger:
    """Type commands in a folder."""

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        self._environment = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
        } | {"PATH": f"{commands}:{os.environ['PATH']}", "NO_COLOR": "1"}

    def types(self, command: str, code: int = 0) -> str:
        """Run a command, and return what it prints."""
        done = subprocess.run(
            command, shell=True, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def begins(self, command: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command.split(), cwd=self.folder, env=self._environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )


@pytest.fixture(
    scope="module", params=["borrowed", pytest.param("installed", marks=pytest.mark.nightly)], ids=lambda how: how
)
def stranger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    """Make a fresh environment: everything installed anew, or (quick) this tree and the packages that are here."""
    folder = tmp_path_factory.mktemp("stranger")
    commands = folder / "venv" / "bin"
    if request.param == "installed":
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([commands / "pip", "install", "--quiet", str(ROOT)], check=True, capture_output=True)
        return Stranger(folder, commands)
    venv.create(folder / "venv")
    site = next((folder / "venv").glob("lib/python*/site-packages"))
    (site / "here.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n")
    (commands / "streamflow").write_text(f"#!{commands / 'python'}\nfrom streamflow.cli import main\nmain()\n")
    (commands / "streamflow").chmod(0o755)
    return Stranger(folder, commands)


def interrupted(stranger: Stranger) -> list[str]:
    """Press Ctrl-C while a run waits for more; return what it has written."""
    output = stranger.folder / "caught.jsonl"
    with stranger.begins(f"streamflow run --from - --map str.upper --to {output}") as run:
        assert run.stdin is not None
        # More than a pipe holds: when all is written, the run has begun to read.
        run.stdin.write("".join(f'"line {number}"\n' for number in range(50_000)))
        run.stdin.flush()
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        told = run.stderr.read()
        assert run.wait(timeout=60) == 128 + signal.SIGINT
        assert "what came of the part that was read" in told, told
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="signals and shells as POSIX has them")
def test_the_first_five_minutes(stranger: Stranger) -> None:
    assert "streamflow run flow.py" in stranger.types("streamflow new demo")
    stranger.folder = stranger.folder / "demo"

    # It runs, says what came of every line, and leaves whole files.
    told = stranger.types("streamflow run flow.py")
    assert "200 items in" in told
    assert "3 failed" in told
    assert stranger.types("wc -l < paid.jsonl").split() == ["125"]
    assert "map(with_amount): ValueError" in stranger.types("streamflow dlq ls bad.jsonl")

    # Ctrl-C: what was read is finished, nothing is lost, nothing comes twice.
    caught = interrupted(stranger)
    assert caught == [f"LINE {number}" for number in range(len(caught))]

    # The same flow in a file, and a key in it that is broken.
    assert "valid" in stranger.types("streamflow validate app.toml")
    stranger.types("streamflow run app.toml")
    app = stranger.folder / "app.toml"
    app.write_text(app.read_text().replace("source = { type", "source = { max_line_byte = 65536, type"))
    told = stranger.types("streamflow run app.toml", code=78)
    assert "error[SF104]: unknown option 'max_line_byte'" in told
    assert "app.toml:2:12" in told
    assert "did you mean 'max_line_bytes'?" in told
    app.write_text(app.read_text().replace("max_line_byte = 65536, ", ""))

    # What must come out does come out; what was mended goes through again.
    assert "2 passed, 0 failed" in stranger.types("streamflow test")
    flow = stranger.folder / "flow.py"
    flow.write_text(flow.read_text().replace('float(order["amount"])', 'float(order["amount"].replace("ten", "10"))'))
    told = stranger.types("streamflow dlq replay bad.jsonl flow.py --to mended.jsonl")
    assert "3 sent, 1 failed again" in told
    assert stranger.types("wc -l < mended.jsonl").split() == ["2"]

    # Another sink is another word, and what it needs is said.
    flow.write_text(flow.read_text().replace('"paid.jsonl"', '"paid.csv.gz"'))
    stranger.types("streamflow run flow.py")
    assert (stranger.folder / "paid.csv.gz").exists()
    assert "streamflow-engine[" in stranger.types("streamflow doctor") or "missing" not in stranger.types(
        "streamflow doctor"
    )
    assert "bash" in stranger.types("streamflow completion bash")
