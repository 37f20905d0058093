"""Run one contender once in this process: ``python -m bench.worker WORK CONTENDER SIZE [LOOP]``.

The last line on stdout is the outcome as JSON.
"""

import asyncio
import json
import sys
from dataclasses import asdict, replace

from bench.flows import WORKS
from bench.meter import resident_mib
from bench.works import Contender, Outcome


def main(arguments: list[str]) -> None:
    """Do the work and print what came of it."""
    work, contender, size, *loop = arguments
    if loop == ["uvloop"]:
        use_uvloop()
    outcome = run(WORKS[work].contender(contender), int(size), WORKS[work].warm_up)
    print(json.dumps(asdict(outcome)), flush=True)


def run(contender: Contender, size: int, warm_up: int) -> Outcome:
    """Run small first, then for the record: nobody's time holds imports, nobody's are cheaper for being late.

    Memory is counted from the imported package on, so that what is imported late does count there.
    """
    for package in contender.needs:
        package.load()
    imported_mib = resident_mib()
    if warm_up:
        contender.run(warm_up)
    outcome = contender.run(size)
    above = outcome.imported_mib + outcome.peak_mib - imported_mib
    return replace(outcome, imported_mib=imported_mib, peak_mib=max(above, 0.0))


def use_uvloop() -> None:
    """Make uvloop the loop of every contender, those that start their own loop in a thread included."""
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


if __name__ == "__main__":
    main(sys.argv[1:])
