"""Orders meet their payments, both out of order; what was not paid within half an hour is found as time goes by."""

import asyncio
from random import Random

import streamflow as sf

chance = Random(7)
ORDERS = [{"order": n, "ts": 60.0 * n, "amount": chance.randrange(5, 200)} for n in range(1000)]
PAYMENTS = [
    {"order": one["order"], "ts": one["ts"] + chance.uniform(1, 1500), "paid": one["amount"]}
    for one in ORDERS
    if chance.random() < 0.97
]


def as_they_come(events: list[dict], most: float) -> list[dict]:
    """Return the events in the order of their arrival, each up to `most` seconds after it happened."""
    return sorted(events, key=lambda event: event["ts"] + chance.uniform(0, most))


def keyed(events: list[dict], max_lateness: str) -> sf.KeyedFlow:
    """Say when each event happened, how late it may come, and which order it is about."""
    timed = sf.flow(events).event_time(lambda event: event["ts"], max_lateness=max_lateness)
    return timed.key_by(lambda event: event["order"])


async def main() -> None:
    orders = keyed(as_they_come(ORDERS, 120), "2m")
    payments = keyed(as_they_come(PAYMENTS, 600), "10m")
    pairs = orders.join(payments, within=("0s", "30m"), how="left")
    paid, unpaid = pairs.branch(lambda pair: pair.right is not None)
    found: list[sf.Joined] = []
    missing: list[sf.Joined] = []
    report = await sf.together(paid.to(found), unpaid.to(missing)).run()
    joined = next(stage for stage in report.statistics.stages if stage.kind == "join")
    print(f"{len(found)} orders paid, {len(missing)} never, {joined.dropped} events too late")
    waited = sum(pair.right["ts"] - pair.left["ts"] for pair in found) / len(found)
    print(f"a customer takes {waited / 60:.0f} minutes; the first that did not pay: {missing[0].left}")


if __name__ == "__main__":
    asyncio.run(main())
