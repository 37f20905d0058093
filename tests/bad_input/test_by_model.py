"""Every bad input in every format and under every policy, by the command line: the good is kept, the bad is told."""

from __future__ import annotations

import hashlib
import json
import os
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamflow.cli.commands import cli
from tests.bad_input.inputs import COMPRESS, DAMAGE, INPUTS, SUFFIX
from tests.bad_input.model import Bad, Expected, decompressed, expected

POLICIES = ("fail", "skip", "bad.jsonl")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(source: str, policy: str) -> Result:
    return CliRunner().invoke(cli, ["run", "--from", source, "--to", "out.jsonl", "--on-error", policy, "--json"])


def check(source: str, policy: str, wanted: Expected) -> None:
    """Run the command, and compare everything it leaves behind with what was wanted."""
    before = set(os.listdir())
    result = run(source, policy)
    left = set(os.listdir()) - before
    assert "Traceback" not in result.output
    if wanted.fatal or (wanted.bad and policy == "fail"):
        assert result.exit_code == 65, result.output
        assert left == set()  # neither a file with the final name nor a temporary one
        first = wanted.bad[0]
        assert f"{source}, line {first.line:,}, byte {first.offset:,}" in result.stderr.replace("\n", " ")
        return
    assert result.exit_code == 0, result.output
    assert read_lines("out.jsonl") == list(wanted.good)
    stages = json.loads(result.stdout)["statistics"]["stages"]
    assert sum(stage["failed"] for stage in stages) == len(wanted.bad)
    assert left == ({"out.jsonl", "bad.jsonl"} if policy == "bad.jsonl" else {"out.jsonl"})
    if policy == "bad.jsonl":
        assert [told(letter, bad) for letter, bad in zip(read_lines(policy), wanted.bad, strict=True)] == [
            (source, bad.line, bad.offset, shown(bad)) for bad in wanted.bad
        ]


def read_lines(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def told(letter: dict[str, Any], bad: Bad) -> tuple[Any, ...]:
    place = letter["position"]
    return place["source"], place["line"], place["offset"], None if bad.raw is None else letter["item"]


def shown(bad: Bad) -> str | None:
    return None if bad.raw is None else bad.raw.decode("utf-8", "backslashreplace")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("suffix", "name", "content"), INPUTS, ids=[f"{name}{suffix}" for suffix, name, _ in INPUTS])
def test_good_records_are_kept_and_bad_ones_follow_the_policy(
    suffix: str, name: str, content: bytes, policy: str, folder: Path
) -> None:
    (folder / f"in{suffix}").write_bytes(content)
    check(f"in{suffix}", policy, expected(suffix, content))


METHOD_OF = [(*row, list(SUFFIX)[number % 3]) for number, row in enumerate(INPUTS)]


@pytest.mark.parametrize(
    ("suffix", "name", "content", "method"), METHOD_OF, ids=[f"{row[1]}{row[0]}{SUFFIX[row[3]]}" for row in METHOD_OF]
)
def test_what_is_bad_uncompressed_is_as_bad_compressed(
    suffix: str, name: str, content: bytes, method: str, folder: Path
) -> None:
    path = f"in{suffix}{SUFFIX[method]}"
    (folder / path).write_bytes(COMPRESS[method](content))
    check(path, "bad.jsonl", expected(suffix, content))


#: More than a block of zstd, which is 128 KiB of content, of lines that do not shrink much.
WORDS = [hashlib.sha512(b"%d" % n).hexdigest().encode() for n in range(1_200)]
LINES = {
    ".jsonl": b"".join(b'{"word": "%s"}\n' % word for word in WORDS),
    ".csv": b"n,word\n" + b"".join(b"%d,%s\n" % pair for pair in enumerate(WORDS)),
    ".txt": b"".join(b"%s\n" % word for word in WORDS),
}
WHOLE = {(suffix, method): COMPRESS[method](LINES[suffix]) for suffix in LINES for method in COMPRESS}


@pytest.mark.parametrize(
    ("suffix", "policy"),
    [*product([".jsonl"], POLICIES), (".csv", "fail"), (".csv", "bad.jsonl"), (".txt", "bad.jsonl")],
)
@pytest.mark.parametrize("method", SUFFIX)
@pytest.mark.parametrize("harm", DAMAGE)
def test_what_comes_before_damage_is_kept(harm: str, method: str, suffix: str, policy: str, folder: Path) -> None:
    data = DAMAGE[harm](WHOLE[suffix, method], COMPRESS[method])
    content, whole = decompressed(method, data)
    path = f"in{suffix}{SUFFIX[method]}"
    (folder / path).write_bytes(data)
    check(path, policy, damaged(suffix, content) if not whole else expected(suffix, content))


def damaged(suffix: str, content: bytes) -> Expected:
    """Return what must come of content behind which is damage: the line that is cut there belongs to that."""
    end = content.rfind(b"\n") + 1
    before = expected(suffix, content[:end])
    bad = Bad(content.count(b"\n") + 1, end, content[end:][:200])
    return Expected(before.good, (*before.bad, bad), fatal=suffix == ".csv" and not end)
