"""What fails is tried again, then set aside with all that is needed to understand it; the rest goes on, in order."""

import asyncio
from collections import Counter

import streamflow as sf

tries: Counter[int] = Counter()


async def fetch(n: int) -> str:
    """Stand for a service that fails now and then, and for some items always."""
    tries[n] += 1
    await asyncio.sleep(0.001)
    if n % 40 == 7:
        raise ConnectionError(f"nobody answers for {n}")
    if n % 10 == 3 and tries[n] < 3:
        raise TimeoutError(f"{n} took too long")
    return f"page {n}"


async def main() -> None:
    pages: list[str] = []
    failed: list[sf.DeadLetter] = []
    flow = (
        sf.flow(range(200))
        .map(
            fetch,
            concurrency=20,
            retry=sf.Retry(attempts=3, base=0.001),
            on_error=sf.dead_letter(failed),
            max_failures=50,
        )
        .to(pages)
    )
    report = await flow.run()
    stage = report.statistics.stage("map(fetch)")
    print(f"{len(pages)} pages, {stage.retried} retries, {len(failed)} dead letters")
    letter = failed[0]
    print(
        f"item {letter.item!r} of {letter.operator}, {letter.attempts} attempts: {letter.exception}: {letter.message}"
    )


if __name__ == "__main__":
    asyncio.run(main())
