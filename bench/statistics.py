"""Pure functions that turn runs into figures."""

from collections.abc import Sequence
from statistics import median

from bench.works import Figure, Outcome

__all__ = ["median", "metric_of", "percentile", "ratio_of_rounds", "rotated", "value_of"]


def percentile(values: Sequence[float], share: float) -> float:
    """Give the nearest-rank percentile: a value that was measured, never one between two.

    Raises ValueError for no values or a share outside (0, 1].
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"a percentile needs values and a share in (0, 1], not {len(values)} and {share}")
    rank = -(-len(values) * share // 1)
    return sorted(values)[int(rank) - 1]


def metric_of(run: Outcome, metric: str, size: int) -> float:
    """Read a metric of a run; seconds are per unit of size, so that runs of two sizes compare."""
    if metric == "seconds":
        return run.seconds / size
    if metric == "peak_mib":
        return run.peak_mib
    return run.metrics[metric]


def ratio_of_rounds(values: Sequence[float], baseline: Sequence[float]) -> tuple[float, float, float]:
    """Give (median, least, greatest) of the ratios taken round by round.

    A round's contenders ran beside each other; a machine that slows down between rounds cancels out.
    """
    ratios = [value / base for value, base in zip(values, baseline, strict=True)]
    return median(ratios), min(ratios), max(ratios)


def value_of(figure: Figure, metrics: dict[str, list[float]]) -> float:
    """Compute a figure from the metric's values by contender, one for each round."""
    if figure.over is None:
        return median(metrics[figure.of])
    return ratio_of_rounds(metrics[figure.of], metrics[figure.over])[0]


def rotated(items: Sequence[str], by: int) -> list[str]:
    """Turn a list, so that no contender always runs after the same one or first."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]
