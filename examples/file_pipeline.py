"""From file to file: JSON Lines in, cleaned and typed records out; the output appears whole or not at all."""

import json
import tempfile
from pathlib import Path

import msgspec

import streamflow as sf


class Reading(msgspec.Struct):
    """A line of the input, checked while it is decoded."""

    sensor: str
    celsius: float


class Warm(msgspec.Struct):
    """A line of the output."""

    sensor: str
    fahrenheit: float


def is_warm(reading: Reading) -> bool:
    return reading.celsius > 20


def convert(reading: Reading) -> Warm:
    return Warm(reading.sensor, reading.celsius * 9 / 5 + 32)


def write_sample(path: Path) -> None:
    readings = [{"sensor": f"s{n % 3}", "celsius": n / 2} for n in range(100)]
    lines = [json.dumps(reading) for reading in readings]
    lines[10] = '{"sensor": "s1", "celsius": "warm"}'  # not a number: it fits no Reading
    path.write_text("\n".join(lines) + "\n")


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    write_sample(folder / "readings.jsonl")
    flow = (
        sf.flow(sf.sources.JsonLines(folder / "readings.jsonl", type=Reading, on_error="skip"))
        .filter(is_warm)
        .map(convert)
        .to(folder / "warm.jsonl")
    )
    print(flow.explain())
    report = flow.run_sync()
    print(f"{report.items_in} in, {report.failed} bad, {report.statistics.stages[0].passed} out")
    print((folder / "warm.jsonl").read_text().splitlines()[0])


if __name__ == "__main__":
    main()
