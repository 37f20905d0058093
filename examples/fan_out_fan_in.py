"""Part a flow and bring it together again: two ways at once, one source read once."""

import asyncio

import streamflow as sf


async def slow_square(n: int) -> int:
    await asyncio.sleep(0.001)
    return n * n


async def main() -> None:
    numbers = sf.flow(range(1000))
    even, odd = numbers.branch(lambda n: n % 2 == 0)

    squares = even.map(slow_square, concurrency=50)
    negatives = odd.map(lambda n: -n)
    merged = sf.merge(squares, negatives)

    by_size = merged.route(lambda n: "big" if n > 10_000 else "small", "big", "small")
    big: list[int] = []
    small: list[int] = []
    report = await sf.together(by_size["big"].to(big), by_size["small"].to(small)).run()

    print(f"{report.items_in} numbers in, {len(big)} big and {len(small)} small out")
    print(report.bottleneck)


if __name__ == "__main__":
    asyncio.run(main())
