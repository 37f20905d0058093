"""What the demo's flow should have written, made by a plain loop, against what is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from streamflow.cli.demo_flow import country_of, is_interesting, is_record, parse, with_country


class Proof(NamedTuple):
    """Count what was compared, what of it is missing, and what is there though it should not be, or once too often."""

    compared: int
    lost: int
    twice: int

    @property
    def holds(self) -> bool:
        """Tell whether all is there, once."""
        return not (self.lost or self.twice)

    def __str__(self) -> str:
        return f"{self.lost:,} lost, {self.twice:,} twice ({self.compared:,} compared with what a plain loop makes)"


def proved(folder: Path) -> Proof:
    """Compare what the demo has written with what a plain loop makes of the log: dead letters by their line in it."""
    bad: list[int] = []
    with (folder / "access.log").open("rb") as log, (folder / "enriched.jsonl").open("rb") as found:
        records = _compared(_expected(log, bad), found)
    with (folder / "bad.jsonl").open("rb") as letters:
        failed = _compared(bad, sorted(json.loads(letter)["position"]["line"] for letter in letters))
    return Proof(*map(sum, zip(records, failed, strict=True)))


def _expected(log: Iterable[bytes], bad: list[int]) -> Iterator[bytes]:
    """Yield what is to be written of each line; the numbers of those that fail go into `bad`."""
    for number, line in enumerate(log, 1):
        try:
            text = line.decode().removesuffix("\n")
            record = parse(text) if is_record(text) else None
        except ValueError:
            bad.append(number)
            continue
        if record is not None and is_interesting(record):
            yield orjson.dumps(with_country(record, country_of(record["client"]))) + b"\n"


def _compared(expected: Iterable[Any], found: Iterable[Any]) -> Proof:
    """Go along both together, and count only from where they differ.

    >>> _compared([1, 2, 3], [1, 3, 3])
    Proof(compared=3, lost=1, twice=1)
    """
    left, right, number = iter(expected), iter(found), 0
    for one, other in zip_longest(left, right):
        if one != other:
            rest, there = Counter(chain([one], left)), Counter(chain([other], right))
            lost, twice = rest - there, there - rest
            del lost[None], twice[None]
            return Proof(number + rest.total() - rest[None], lost.total(), twice.total())
        number += 1
    return Proof(number, 0, 0)
