"""``python -m bench``: measure streamflow beside its limits and peers, or render what was measured."""

import argparse
import os
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench import data
from bench.flows import WORKS
from bench.harness import Driver, WrongResult
from bench.report import Report, Setting, read
from bench.table import document, grouped
from bench.works import Work

RESULTS = Path(__file__).parent / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 1 where a contender failed or results disagree."""
    options = parser().parse_args(arguments)
    patterns = options.only or ["*"]
    works = [work for work in WORKS.values() if any(fnmatchcase(work.name, pattern) for pattern in patterns)]
    if not works:
        print(f"no work is called {' or '.join(patterns)}; there are {', '.join(WORKS)}", file=sys.stderr)
        return 2
    if options.table:
        return show(works, options.results or RESULTS)
    if options.data:
        os.environ[data.FOLDER] = str(options.data)
    return measure(works, options)


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    made.add_argument("--only", action="append", metavar="NAME", help="a work, or a pattern such as 'ints*'")
    made.add_argument("--contenders", metavar="A,B", help="these and the baseline only; nothing is written")
    made.add_argument("--rounds", type=positive, metavar="N", help="how often each contender runs (5; quick: 1)")
    made.add_argument("--quick", action="store_true", help="small sizes: is it right, not how fast; nothing is written")
    made.add_argument("--full", action="store_true", help="the sizes of the table: 1 GB of JSON Lines")
    made.add_argument("--allocator", choices=("default", "raised"), default="default", help="thresholds of malloc")
    made.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the event loop of all")
    made.add_argument("--results", type=Path, metavar="DIR", help="where the JSON files are (bench/results)")
    made.add_argument("--data", type=Path, metavar="DIR", help="where input files are kept (temporary folder)")
    made.add_argument("--timeout", type=float, default=900, metavar="S", help="longest run of one contender")
    made.add_argument("--table", action="store_true", help="render the results, measure nothing")
    return made


def measure(works: Sequence[Work], options: argparse.Namespace) -> int:
    """Measure the works one after the other, write each as soon as it is done, print the tables."""
    setting = Setting(
        scale="quick" if options.quick else "full" if options.full else "default",
        rounds=options.rounds or (1 if options.quick else 5),
        allocator=options.allocator,
        loop=options.loop,
    )
    driver = Driver(setting, options.timeout, lambda line: print(line, file=sys.stderr, flush=True))
    only = options.contenders.split(",") if options.contenders else ()
    folder = options.results or (None if options.quick or only else RESULTS)
    reports = []
    for work in works:
        try:
            reports.append(driver.measure(work, only))
        except WrongResult as wrong:
            print(f"WRONG RESULT: {wrong}", file=sys.stderr)
            return 1
        if folder is not None:
            reports[-1].write(folder, work)
    print(document(works, grouped(reports)))
    return int(any(has_failed(report) for report in reports))


def show(works: Sequence[Work], folder: Path) -> int:
    """Print the tables of what was measured before."""
    reports = [read(path) for path in sorted(folder.glob("*.json"))]
    if not reports:
        print(f"there are no results yet in {folder}; measure with: python -m bench", file=sys.stderr)
        return 2
    print(document(works, grouped(reports)))
    return 0


def has_failed(report: Report) -> bool:
    """Tell whether a contender that is installed gave no result."""
    return any(entry.status == "failed" for entry in report.entries.values())


def positive(text: str) -> int:
    """Read a number of rounds."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
