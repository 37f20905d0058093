"""Pure Python that computes: one argument, `on=`, puts it on every core. Functions of a script need no guard for it."""

import re
import time
from collections import Counter
from pydoc_data.topics import topics  # some 80 chapters of Python's own manual, from 200 characters to 80,000

import streamflow as sf


def phrases(text: str) -> list[tuple[str, int]]:
    """Return the five runs of words that save most if they are written once: length times repetitions."""
    words = re.findall(r"[a-z]+", text.lower())
    counts = Counter(
        " ".join(words[start : start + length]) for length in range(2, 7) for start in range(len(words) - length + 1)
    )
    worth = sorted(((phrase, len(phrase) * (count - 1)) for phrase, count in counts.items()), key=lambda pair: -pair[1])
    return worth[:5]


def paragraphs() -> list[str]:
    """Return the text in pieces of some 4,000 characters, in a fixed order."""
    whole = "\n".join(topics[name] for name in sorted(topics))
    return [whole[start : start + 4_000] for start in range(0, len(whole), 4_000)] * 4


def timed(flow: sf.Flow[str], results: list[list[tuple[str, int]]]) -> float:
    began = time.perf_counter()
    report = flow.to(results).run_sync()
    seconds = time.perf_counter() - began
    print(f"{seconds:.2f} s: {report.bottleneck}")
    return seconds


def main() -> None:
    text = sf.flow(paragraphs())
    here: list[list[tuple[str, int]]] = []
    there: list[list[tuple[str, int]]] = []
    alone = timed(text.map(phrases), here)
    together = timed(text.map(phrases, on=sf.processes(2)), there)
    print(f"the same results in the same order: {here == there}; {alone / together:.2f} × as fast with two workers")
    print(f"worth an abbreviation: {max((pair for found in there for pair in found), key=lambda pair: pair[1])[0]!r}")


if __name__ == "__main__":
    main()
