"""`streamflow run`: flows that are named, flows that are typed, and what mistakes are told."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli

COMMAND = [sys.executable, "-c", "from streamflow.cli import main; main()"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a folder with a module of steps, of which nothing stays imported."""
    (tmp_path / "mysteps.py").write_text(
        "import streamflow as sf\n"
        "def double(n): return n * 2\n"
        "def is_big(n): return n > 4\n"
        "def twice(n): return [n, n]\n"
        "async def slowly(n): return n + 1\n"
        "def boom(n): raise ValueError('no ' + str(n))\n"
        "flow = sf.flow([1, 2, 3]).map(double)\n"
        "def make(): return flow.to('made.jsonl')\n"
        "ended = flow.to('ended.jsonl')\n"
        "number = 5\n"
    )
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(5)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mysteps", raising=False)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["run", *arguments])


def test_steps_run_in_the_order_in_which_they_are_typed(folder: Path) -> None:
    for order, expected in (("map filter", [6, 8]), ("filter map", [])):
        steps = {"map": ["--map", "mysteps:double"], "filter": ["--filter", "mysteps:is_big"]}
        typed = [word for step in order.split() for word in steps[step]]
        result = invoke("--from", "in.jsonl", *typed, "--to", f"{len(expected)}.jsonl")
        assert result.exit_code == 0, result.output
        lines = (folder / f"{len(expected)}.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == expected


def test_async_and_flat_steps(folder: Path) -> None:
    result = invoke("--from=in.jsonl", "--map=mysteps:slowly", "--flat-map=mysteps:twice", "--to", "out.jsonl")
    assert result.exit_code == 0, result.output
    assert [int(line) for line in (folder / "out.jsonl").read_text().split()] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(("name", "output"), [("make", "made.jsonl"), ("ended", "ended.jsonl")])
def test_a_named_flow(folder: Path, name: str, output: str) -> None:
    assert invoke(f"mysteps:{name}").exit_code == 0
    assert (folder / output).read_text() == "2\n4\n6\n"


def test_a_flow_without_an_end_goes_where_it_is_sent(folder: Path) -> None:
    assert invoke("mysteps:flow", "--to", "sent.jsonl").exit_code == 0
    assert (folder / "sent.jsonl").read_text() == "2\n4\n6\n"


def test_json_is_one_object_on_stdout(folder: Path) -> None:
    result = invoke("mysteps:ended", "--json")
    report = json.loads(result.stdout)
    assert report["state"] == "finished"
    assert report["bottleneck"]


def test_a_memory_limit_and_a_tuned_allocator(folder: Path) -> None:
    done = invoke("mysteps:ended", "--memory", "8GB", "--tune-allocator", "--json")
    assert done.exit_code == 0, done.output
    statistics = json.loads(done.stdout)["statistics"]
    assert statistics["memory"]["limit"] == 8 * 10**9
    assert statistics["memory"]["times_held"] == 0
    assert statistics["allocator"]
    refused = invoke("mysteps:ended", "--memory", "8G")
    assert refused.exit_code == 2
    assert "did you mean '8GB'?" in refused.output


def test_a_failure_names_stage_item_and_position_and_leaves_no_output(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl")
    assert result.exit_code == 1
    assert "ValueError: no 0" in result.stderr
    assert "in.jsonl, line 1, byte 0" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == {"in.jsonl", "mysteps.py"}
    assert "Traceback" in invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "o.jsonl", "--traceback").stderr


def test_dead_letters_from_the_command_line(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl", "--on-error", "bad.jsonl")
    assert result.exit_code == 0, result.output
    assert len((folder / "bad.jsonl").read_text().splitlines()) == 5


def test_a_bad_line_follows_the_policy_too(folder: Path) -> None:
    (folder / "in.jsonl").write_bytes(b"1\n\xff\n3\n")
    assert invoke("--from", "in.jsonl", "--to", "out.jsonl").exit_code == 65
    assert invoke("--from", "in.jsonl", "--to", "out.jsonl", "--on-error", "bad.jsonl").exit_code == 0
    assert (folder / "out.jsonl").read_text() == "1\n3\n"
    letter = json.loads((folder / "bad.jsonl").read_text())
    assert (letter["position"]["line"], letter["position"]["offset"], letter["item"]) == (2, 2, "\\xff\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["mysteps:flwo"], "did you mean 'flow'?"),
        (["mystep:flow"], "there is no module 'mystep'"),
        (["mysteps"], "module:name"),
        (["mysteps:number"], "mysteps:number is int"),
        (["mysteps:ended", "--to", "x.jsonl"], "has an end already"),
        ([], "there is nothing to run"),
        (["--from", "in.xyz"], "'.xyz'"),
        (["mysteps:flow", "--from", "in.jsonl"], "not both"),
    ],
)
def test_a_mistake_is_told_with_its_fix(folder: Path, arguments: list[str], says: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_reader_that_leaves_ends_the_run_quietly(folder: Path) -> None:
    (folder / "many.jsonl").write_text("".join(f"{n}\n" for n in range(200_000)))
    with subprocess.Popen(
        [*COMMAND, "run", "--from", "many.jsonl", "--to", "-"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(timeout=30) == 0, errors
    assert errors == b""


def test_a_plain_run_does_not_wait_for_what_it_does_not_need(folder: Path) -> None:
    (folder / "streamflow-demo").mkdir()  # is no distribution
    late = ("sqlite3", "tomllib", "html", "tempfile", "email", "importlib.metadata", "streamflow.sinks.rolling")
    late += ("streamflow.channels.spilling", "streamflow.files.tail", "streamflow.state.encoding")
    late += tuple(f"streamflow.engine.stages.{kind}" for kind in ("join", "keyed", "process"))
    code = f"import sys, atexit; atexit.register(lambda: print([n for n in {late} if n in sys.modules]))\n"
    command = [sys.executable, "-c", f"{code}from streamflow.cli import main; main()"]
    done = subprocess.run(
        [*command, "run", "--from", "in.jsonl", "--to", "-"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    assert done.stdout.splitlines() == ["0", "1", "2", "3", "4", "[]"], done.stderr


def test_the_other_streamflow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "streamflow-0.2.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: streamflow\nVersion: 0.2.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = CliRunner().invoke(cli, ["demo"])
    assert result.exit_code == 2
    assert "pip uninstall -y streamflow" in result.stderr


def test_help_is_quick_and_shows_an_example() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom streamflow.cli.commands import cli\n"
        "print(CliRunner().invoke(cli, ['run', '--help']).output)\n"
        "heavy = {'numpy', 'rich', 'psutil', 'uvloop', 'orjson'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "streamflow run --from in.jsonl" in done.stdout


def start(folder: Path, *arguments: str, shell: str = "", **options: Any) -> subprocess.Popen[str]:
    """Start the command in a process of its own; `shell` redirects."""
    command = [sys.executable, "-c", "from streamflow.cli import main; main()", "run", *arguments]
    if shell:
        command = ["sh", "-c", f'exec "$0" "$@" {shell}', *command]
    return subprocess.Popen(
        command,
        cwd=folder,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_a_pipe_that_breaks_in_the_users_own_code_is_a_failure(folder: Path) -> None:
    (folder / "broken.py").write_text("def send(n): raise BrokenPipeError('connection lost')\n")
    result = invoke("--from", "in.jsonl", "--map", "broken:send", "--to", "out.jsonl")
    assert result.exit_code == 1
    assert "BrokenPipeError: connection lost" in result.output
    assert not (folder / "out.jsonl").exists()


@pytest.mark.parametrize(
    "option", ["--map=mysteps:double", "--filter=mysteps:is_big", "--concurrency=3", "--on-error=skip"]
)
def test_options_that_would_have_no_effect_on_a_named_flow_are_refused(folder: Path, option: str) -> None:
    result = invoke("mysteps:flow", option)
    assert result.exit_code == 2
    assert f"{option.partition('=')[0]} belongs to --from" in result.output


@pytest.mark.parametrize(
    ("text", "reference", "says"),
    [
        ("def f(: pass", "bad:f", "bad.py, line 1"),
        ("x = 1\n1 / 0", "bad:f", "import bad: ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('k')", "bad:f", "bad.py, line 2"),
        ("async def f(): ...", "bad:f", "bad:f is async"),
        ("import streamflow as sf\ndef f(): return sf.flow(5)", "bad:f", "cannot take items from int"),
        ("", "..:x", "module:name"),
        ("", "--to", "No such option"),
    ],
)
def test_what_the_users_module_raises_is_told_with_its_line(
    folder: Path, text: str, reference: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "bad.py").write_text(text)
    monkeypatch.delitem(sys.modules, "bad", raising=False)
    importlib.invalidate_caches()
    result = invoke(reference)
    assert result.exit_code == 2
    if reference != "--to":
        assert says in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("closed", ["<&-", "2>&-"])
def test_a_closed_descriptor_is_no_file_of_the_run(folder: Path, closed: str) -> None:
    process = start(folder, "--from", "in.jsonl", "--map", "mysteps:double", "--to", "out.jsonl", shell=closed)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (folder / "out.jsonl").read_text().split() == ["0", "2", "4", "6", "8"]


@pytest.mark.parametrize(("to", "code"), [("-", 1), ("out.jsonl", 0)])
def test_with_standard_output_closed_only_what_needs_it_fails(folder: Path, to: str, code: int) -> None:
    process = start(folder, "--from", "in.jsonl", "--to", to, shell=">&-")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert ("no standard output" in errors) == (code == 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("arguments", [("--from", "in.jsonl", "--to", "out.jsonl", "--json"), ("--help",)])
def test_a_report_that_cannot_be_printed_is_told_plainly(folder: Path, arguments: tuple[str, ...]) -> None:
    process = start(folder, *arguments, shell="> /dev/full")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "No space left" in errors
    assert "Traceback" not in errors


def test_lines_come_out_as_they_come_in(folder: Path) -> None:
    process = start(folder, "--from", "-", "--map", "mysteps:double", "--to", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    for n in range(3):
        process.stdin.write(f"{n}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{2 * n}\n"  # before the input ends
    process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("function", "code", "says"),
    [
        ("raise GeneratorExit", 1, ["GeneratorExit", "odd.py, line 2"]),
        ("import sys; sys.exit(3)", 1, ["SystemExit: 3", "odd.py, line 2"]),
        ("raise KeyboardInterrupt", 1, ["KeyboardInterrupt", "odd.py, line 2"]),
        ("raise ValueError('five\\nlines\\x1b[31m')", 1, ["five\nlines\ufffd[31m"]),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", 1, ["Odd", "in stage"]),
        ("raise ExceptionGroup('many', [ValueError('one'), KeyError('two')])", 1, ["- ValueError: one", "- KeyError"]),
    ],
)
def test_whatever_a_function_raises_is_told_with_its_place(
    folder: Path, function: str, code: int, says: list[str]
) -> None:
    (folder / "odd.py").write_text(f"def f(item):\n    {function}\n")
    command = [*COMMAND, "run", "--from", "in.jsonl", "--map", "odd:f", "--to", "out.jsonl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)
    assert done.returncode == code, done.stderr
    for text in says:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out.jsonl").exists()


def test_a_report_and_items_do_not_share_standard_output(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--json")
    assert (result.exit_code, "give --to FILE" in result.output) == (2, True)


def test_data_is_no_flow(folder: Path) -> None:
    assert "run --from in.jsonl" in invoke("in.jsonl").output
    assert "is a folder" in invoke(".").output
    (folder / "a.toml").touch()
    assert "write follow = true" in invoke("a.toml", "--follow").output


BLOCKING = """
import sys, time, asyncio
def told(): print("begun", file=sys.stderr, flush=True)
def sleeps(item):
    told()
    time.sleep(1000)
async def swallows(item):
    told()
    while True:
        try: await asyncio.sleep(1000)
        except asyncio.CancelledError: pass
async def both(item):
    if item == 4: sleeps(item)
    while True:
        try: await asyncio.sleep(1000)
        except asyncio.CancelledError: pass
def stubborn(item):
    while True:
        try: sleeps(item)
        except BaseException: pass
"""


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("sleeps", ["holds the event loop", "ended"]),
        ("swallows", ["cancelling", "ending at once"]),
        ("both", ["holds the event loop", "ending at once"]),  # one is broken off, the others go on
        ("stubborn", ["holds the event loop", "begun", "ending at once"]),  # it takes a fourth
    ],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_third_signal_ends_what_cannot_be_stopped(folder: Path, function: str, says: list[str], number: int) -> None:
    (folder / "blocking.py").write_text(BLOCKING)
    code = "import streamflow.cli.stopping as s; s.TOGETHER = 0; from streamflow.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        code,
        "run",
        "--from",
        "in.jsonl",
        "--map",
        f"blocking:{function}",
        "--to",
        "out.jsonl",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as run:
        assert run.stderr is not None
        seen = ""
        answers = ["begun", "draining", *says]
        for answer in answers:
            line = ""
            while answer not in line:
                line = run.stderr.readline()
                assert line, seen
                seen += line
            if answer != answers[-1]:
                run.send_signal(number)
        assert run.wait(timeout=60) == 128 + number, seen
    assert not (folder / "out.jsonl").exists()


def test_signals_that_come_together_are_one(folder: Path) -> None:
    """As those of `timeout` are, which sends its own to the process and to its group."""
    code = "import streamflow.cli.stopping as s; s.TOGETHER = 1e9; from streamflow.cli import main; main()"
    command = [sys.executable, "-c", code, "run", "--from", "-", "--to", "out.jsonl", "--map", "blocking:tells"]
    (folder / "blocking.py").write_text(
        "import sys\ndef tells(item):\n    print('begun', file=sys.stderr, flush=True)\n"
    )
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdin.write("1\n")
        run.stdin.flush()
        assert run.stderr.readline() == "begun\n"
        run.send_signal(signal.SIGTERM)
        assert "draining" in run.stderr.readline()
        run.send_signal(signal.SIGTERM)
        assert run.wait(timeout=60) == 128 + signal.SIGTERM
        assert "cancelling" not in run.stderr.read()
    assert (folder / "out.jsonl").read_text() == "null\n"


def test_json_is_printed_of_what_failed_too(folder: Path) -> None:
    (folder / "bad.toml").write_text('source = "in.jsonl"\nsorce = "x"\nsink = "out.jsonl"\n')
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl", "--json")
    report = json.loads(result.stdout)
    assert (result.exit_code, report["state"], "ValueError: no 0" in report["error"]) == (1, "failed", True)
    for arguments in (["run", "bad.toml", "--json"], ["graph", "bad.toml", "--json"], ["bench", "bad.toml", "--json"]):
        result = CliRunner().invoke(cli, arguments)
        told = json.loads(result.stdout)
        assert (result.exit_code, told["problems"][0]["line"]) == (78, 2)


@pytest.mark.parametrize("verb", [["list"], ["doctor", "--json"], ["graph", "mysteps:ended"], ["--help"]])
def test_a_reader_that_leaves_is_no_failure_of_any_verb(folder: Path, verb: list[str]) -> None:
    with subprocess.Popen([*COMMAND, *verb], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_reader_that_leaves_hides_no_mistake(folder: Path) -> None:
    (folder / "bad.toml").write_text('sorce = "x"\n')
    command = [*COMMAND, "validate", "bad.toml"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 78


def test_the_package_is_the_command(folder: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "streamflow", "--version"], capture_output=True, text=True, cwd=folder)
    assert (done.returncode, done.stdout.startswith("streamflow, version")) == (0, True)


def test_bench_tells_what_a_function_raises(folder: Path) -> None:
    (folder / "odd.py").write_text("import streamflow as sf\nflow = sf.flow([1]).map(lambda n: n / 0).to([])\n")
    result = CliRunner().invoke(cli, ["bench", "odd.py"])
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output
    assert "in stage" in result.output


def test_a_text_that_is_no_python_is_told_with_its_own_place(folder: Path) -> None:
    (folder / "syn.py").write_text("def f(:\n")
    result = invoke("syn.py")
    assert "syn.py, line 1" in result.output
    assert "importlib" not in result.output


def test_what_to_do_about_dead_letters_is_said(folder: Path) -> None:
    result = invoke("--from", "in.jsonl", "--map", "mysteps:boom", "--to", "out.jsonl", "--on-error", "bad.jsonl")
    assert "streamflow dlq ls bad.jsonl" in result.output
