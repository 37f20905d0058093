"""Render reports as Markdown: the figures to reach beside what was measured, and everybody side by side.

Pure functions from reports to text; nothing is measured or read here.
"""

from collections.abc import Iterable, Mapping, Sequence

from bench.report import Entry, Report, Setting
from bench.statistics import ratio_of_rounds, value_of
from bench.works import METRICS, Figure, Work

Reports = Mapping[str, Mapping[str, Report]]
"""Reports by work, and there by the suffix of their setting."""


def grouped(reports: Iterable[Report]) -> dict[str, dict[str, Report]]:
    """Sort reports by work and setting."""
    found: dict[str, dict[str, Report]] = {}
    for report in reports:
        found.setdefault(report.work, {})[report.setting.suffix] = report
    return found


def document(works: Sequence[Work], reports: Reports) -> str:
    """Write both tables and what they were measured with."""
    shown = [work for work in works if work.name in reports]
    parts = [reach_table(shown, reports), *(side_by_side(shown, reports, suffix) for suffix in settings(reports))]
    return "\n\n".join([*parts, caption(reports)])


def settings(reports: Reports) -> dict[str, Setting]:
    """List the settings that were measured, the plain one first."""
    found = {suffix: report.setting for by_setting in reports.values() for suffix, report in by_setting.items()}
    return dict(sorted(found.items()))


def reach_table(works: Sequence[Work], reports: Reports) -> str:
    """Write a row for each figure: what to reach, and what each setting gave."""
    columns = settings(reports)
    if len(columns) > 1 and all(len(reports[work.name]) == 1 for work in works):
        return _reach_table_of_one_column(works, reports)
    heads = [setting_name(setting) for setting in columns.values()]
    rows = []
    for work in works:
        for at, figure in enumerate(work.figures):
            cells = [measured_cell(work, figure, reports[work.name].get(suffix)) for suffix in columns]
            rows.append([work.title if at == 0 else "", wanted(work, figure), *cells])
    return table(["work", "to reach", *heads], rows)


def _reach_table_of_one_column(works: Sequence[Work], reports: Reports) -> str:
    """Write it where each work was measured under one setting, which is told where it is not the plain one."""
    rows = []
    for work in works:
        (report,) = reports[work.name].values()
        setting = f" ({setting_name(report.setting)})" if report.setting.suffix else ""
        for at, figure in enumerate(work.figures):
            cell = measured_cell(work, figure, report)
            rows.append([work.title + setting if at == 0 else "", wanted(work, figure), cell])
    return table(["work", "to reach", "measured"], rows)


def side_by_side(works: Sequence[Work], reports: Reports, suffix: str) -> str:
    """Write a row for each work with all its contenders, the quickest first."""
    rows = [
        [work.title, " · ".join(contender_cells(work, report))]
        for work in works
        if (report := reports[work.name].get(suffix)) is not None
    ]
    setting = settings(reports)[suffix]
    return table(["work", f"× the baseline, which is in bold ({setting_name(setting)})"], rows)


def contender_cells(work: Work, report: Report) -> list[str]:
    """Put each contender's result, or the reason why there is none, into a few words."""
    base = report.measured().get(work.baseline)
    ranked = sorted(report.entries.items(), key=lambda named: _rank(named[1]))
    return [_contender_cell(work, entry, base, is_base=name == work.baseline) for name, entry in ranked]


def _rank(entry: Entry) -> float:
    return entry.median("seconds") if entry.runs and entry.status == "measured" else float("inf")


def _contender_cell(work: Work, entry: Entry, base: Entry | None, *, is_base: bool) -> str:
    label = f"**{entry.label}**" if is_base else entry.label
    if entry.status != "measured":
        return f"{label}: {absence(entry)}"
    facts = [*(_timing(work, entry, base) if work.timed else ()), *(_metric(entry, name) for name in work.shows)]
    return f"{label} {', '.join(facts)}"


def _timing(work: Work, entry: Entry, base: Entry | None) -> list[str]:
    each = [f"{entry.median('seconds') * 1e9:,.0f} ns"] if work.unit == "items" else []
    if base is None:
        return each
    ratio, least, greatest = ratio_of_rounds(entry.values("seconds"), base.values("seconds"))
    spread = "" if entry is base or least == greatest else f" ({least:.2f}–{greatest:.2f})"
    return [f"{ratio:.2f}{spread}", *each]


def _metric(entry: Entry, metric: str) -> str:
    label, unit = METRICS[metric]
    return " ".join(part for part in (label, number(entry.median(metric)), unit) if part)


def wanted(work: Work, figure: Figure) -> str:
    """Put a figure to reach into words."""
    if figure.over is not None and figure.at_least is not None:
        # Less than one times is no faster: it says how much of another's speed is asked for.
        compared = "faster than" if figure.at_least >= 1 else "the speed of"
        return f"≥ {figure.at_least:g} × {compared} {work.contender(figure.of).label}{_whose(work, figure)}"
    if figure.over is not None:
        return f"≤ {figure.at_most:g} × {work.contender(figure.over).label}{_whose(work, figure)}"
    label, unit = METRICS[figure.metric]
    bound = f"≥ {figure.at_least:g}" if figure.at_least is not None else f"≤ {figure.at_most:g}"
    return " ".join(part for part in (label, bound, unit) if part) + _whose(work, figure)


def _whose(work: Work, figure: Figure) -> str:
    """Name the contender that is held to a figure, where several of a work are."""
    held = {_held_to(one) for one in work.figures}
    return f" ({work.contender(_held_to(figure)).label})" if len(held) > 1 else ""


def _held_to(figure: Figure) -> str:
    return figure.over if figure.over is not None and figure.at_least is not None else figure.of


def measured_cell(work: Work, figure: Figure, report: Report | None) -> str:
    """Put what was measured beside a figure into words: its value and whether it is reached, or why there is none."""
    if report is None:
        return "not measured"
    for name in (figure.of, *([figure.over] if figure.over else [])):
        entry = report.entries.get(name)
        if entry is None or not entry.runs or entry.status != "measured":
            return f"{work.contender(name).label} {absence(entry)}"
    value = figure_value(figure, report)
    unit = "×" if figure.over is not None else METRICS[figure.metric][1]
    return " ".join(part for part in (number(value), unit, "✓" if figure.is_met_by(value) else "✗") if part)


def figure_value(figure: Figure, report: Report) -> float:
    """Compute a figure from a report whose contenders have run."""
    return value_of(figure, {name: entry.values(figure.metric) for name, entry in report.measured().items()})


def absence(entry: Entry | None) -> str:
    """Say why a contender shows no figure."""
    if entry is None:
        return "not run"
    return "not installed" if entry.status == "not installed" else f"failed ({entry.reason})"


def caption(reports: Reports) -> str:
    """Say when, where and with which versions the figures were measured."""
    every = [report for by_setting in reports.values() for report in by_setting.values()]
    return "\n\n".join(dict.fromkeys(_caption(report) for report in every))


def _caption(report: Report) -> str:
    machine, setting = report.machine, report.setting
    packages = ", ".join(f"{name} {version}" for name, version in report.packages.items())
    return (
        f"Measured {report.date} on {machine.cores} cores ({machine.cpu}), {machine.memory_gib} GiB, {machine.system}, "
        f"{machine.libc}, {machine.python}; {setting_name(setting)}, sizes: {setting.scale}, "
        f"medians of {setting.rounds} rounds. {packages}."
    )


def setting_name(setting: Setting) -> str:
    """Name a setting in a heading."""
    loop = f", {setting.loop}" if setting.loop != "asyncio" else ""
    return f"{setting.allocator} allocator{loop}"


def number(value: float) -> str:
    """Write a number with the digits that mean something."""
    if float(value).is_integer() or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
