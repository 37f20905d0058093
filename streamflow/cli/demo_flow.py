"""The flow of `streamflow demo`, written as a user would write it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import streamflow as sf

Record = dict[str, Any]
COUNTRIES = ("CH", "DE", "FR", "IT", "JP", "KE", "NO", "US")


def is_record(line: str) -> bool:
    """Leave out comments."""
    return not line.startswith("#")


def parse(line: str) -> Record:
    """Take a line apart; what does not fit raises ValueError and becomes a dead letter."""
    client, time, method, path, status, size, milliseconds = line.split(" ")
    return {
        "client": client,
        "time": time,
        "method": method,
        "path": path,
        "status": int(status),
        "bytes": int(size),
        "ms": int(milliseconds),
    }


def is_interesting(record: Record) -> bool:
    """Leave out health checks and static files."""
    return record["path"] not in ("/healthz", "/static/app.js")


class GeoLookup:
    """Stand for a service that tells the country of a network: slow at first, then cached."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    async def country(self, client: str) -> str:
        """Return the country of a client's network, asking the service for each network once."""
        network = client[: client.rindex(".")]
        if network not in self._known:
            await asyncio.sleep(0.005)  # a round trip
            self._known[network] = country_of(client)
        return self._known[network]


def country_of(client: str) -> str:
    """Return what the service would say: the same in every process (Python's own hash is salted)."""
    return COUNTRIES[sum(client[: client.rindex(".")].encode()) % len(COUNTRIES)]


def with_country(record: Record, country: str) -> Record:
    """Return the record with what is known of it."""
    return {**record, "country": country, "slow": record["ms"] > 500}


def access_log_flow(folder: Path) -> sf.Runnable:
    """Describe the flow: access.log to enriched.jsonl, what fails to bad.jsonl."""
    lookup = GeoLookup()

    async def enrich(record: Record) -> Record:
        return with_country(record, await lookup.country(record["client"]))

    bad = sf.dead_letter(folder / "bad.jsonl")
    return (
        sf.flow(sf.sources.TextLines(folder / "access.log", on_error=bad))
        .filter(is_record)
        .map(parse, on_error=bad)
        .filter(is_interesting)
        .map(enrich, concurrency=100, on_error=bad)
        .to(folder / "enriched.jsonl")
    )
