"""Show a plan: as a tree for a terminal, as Mermaid for a document, as HTML for a notebook. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from streamflow.engine.guarantees import guarantees, weakest
from streamflow.engine.plan import Plan, PlannedEdge, PlannedStage
from streamflow.metrics.units import written
from streamflow.operators.keyed_apart import KeyedApart
from streamflow.operators.process import Process


def explain(plan: Plan) -> str:
    """Return the plan as a tree from sources to sinks, each stage with what it fuses and why it begins there.

    What follows in a straight line stands at the same depth; a fan-out indents what it feeds.
    """
    stages = [stage for stage in plan.stages if not stage.letters]
    edges = [edge for edge in plan.edges if not (edge.letters or plan.stages[edge.producer].letters)]
    lines = [f"{len(stages)} {_plural('stage', stages)}, {len(edges)} {_plural('edge', edges)}"]
    shown: set[int] = set()
    for stage in stages:
        if stage.source is not None:
            _show(plan, stage, None, 0, lines, shown)
    lines.append(_promise(plan))
    lines += promises(plan)
    if plan.timed:
        lines.append("event time: carried with each item, because what goes by it stands behind an edge")
    if plan.exact:
        lines.append("positions: exact, carried with each item (dead letters, with_position or answers ask for it)")
    return "\n".join(lines)


def _show(
    plan: Plan, stage: PlannedStage, edge: PlannedEdge | None, depth: int, lines: list[str], shown: set[int]
) -> None:
    indent = "   " * depth
    arrow = f"{indent}└─ {_edge(edge)}" if edge is not None else indent
    if stage.index in shown:
        lines.append(f"{arrow}{stage.name} (above)")
        return
    shown.add(stage.index)
    lines.append(f"{arrow}{stage.name}  [{_kind(stage)}]")
    detail = f"{indent}      · "
    if len(stage.labels) > 1:
        lines.append(f"{detail}{'cross together' if stage.placed else 'fused'}: {' → '.join(stage.labels)}")
    if edge is not None:
        lines.append(f"{detail}begins here because {stage.why}")
    onward = [edge for edge in plan.edges if edge.producer == stage.index]
    for letters in (edge for edge in onward if edge.letters):
        lines.append(f"{detail}dead letters go to {_letter_sink(plan, letters.consumer)}")
    data = [edge for edge in onward if not edge.letters]
    for edge in data:
        _show(plan, plan.stages[edge.consumer], edge, depth + (len(data) > 1), lines, shown)


def _letter_sink(plan: Plan, gathering: int) -> str:
    sink = next(plan.stages[edge.consumer].sink for edge in plan.edges if edge.producer == gathering)
    return sink.label if sink is not None else "nowhere"


def _plural(word: str, things: Sequence[object]) -> str:
    return word if len(things) == 1 else f"{word}s"


def _kind(stage: PlannedStage) -> str:
    operator = stage.operator
    if stage.source is not None and not stage.source.bounded:
        return f"{stage.kind}, endless"
    if stage.kind == "concurrent":
        concurrency = getattr(operator, "concurrency", 1)
        order = "ordered" if getattr(operator, "ordered", True) else "unordered"
        return f"concurrent, {concurrency} at once, {order}"
    if isinstance(operator, Process):
        several = f", {operator.concurrency} coroutines that share the keys" if operator.concurrency > 1 else ""
        return f"process, timers by {'event time' if operator.by_event_time else 'the clock of the run'}{several}"
    if isinstance(operator, KeyedApart):
        place = "" if operator.on is None else f"{operator.on.label}, "
        return f"keyed: {place}state in {operator.store.label}"
    if stage.placed:
        first = stage.placed[0]
        return f"placed: {first.on.label}, {'ordered' if first.ordered else 'unordered'}"
    return stage.kind


def _edge(edge: PlannedEdge) -> str:
    words = [f"up to {edge.items:,} items, {edge.bytes / 2**20:g} MiB"] if edge.asked else []
    if edge.spilling is not None:
        words.append(f"spills to disk, up to {written(edge.spilling.bytes, 'bytes')}")
    elif edge.overflow != "block":
        words.append(f"overflow {edge.overflow}")
    if edge.output is not None:
        words.append(f"output {edge.output!r}")
    return f"({'; '.join(words)}) " if words else ""


def _promise(plan: Plan) -> str:
    if plan.repeatable:
        return "repeatable: the output is a function of the input alone"
    return f"not repeatable byte for byte, because of {', '.join(plan.because)}: the output depends on time or arrival"


def promises(plan: Plan) -> list[str]:
    """Say what a run with checkpoints promises when it is broken off: the weakest, and each pair."""
    found = guarantees(plan)
    cannot = [stage.sink for stage in plan.stages if stage.sink is not None and stage.sink.unresumable]
    if cannot:
        return [f"with checkpoint=: refused, because of {sink.label}: {sink.unresumable}" for sink in cannot]
    if len(found) == 1:
        return [f"with checkpoint=: {found[0].promise}" + (f", {found[0].because}" if found[0].because else "")]
    return [f"with checkpoint=: {weakest(found)}", *(f"   {one}" for one in found)] if found else []


def to_mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart, left to right."""
    lines = ["flowchart LR"]
    for stage in plan.stages:
        place = [f"({_kind(stage)})"] if stage.placed else []
        text = "<br/>".join(_quoted(label) for label in (*stage.labels, *place)) or "pass"
        lines.append(f'    s{stage.index}["{text}"]')
    for edge in plan.edges:
        label = "dead letters" if edge.letters else "" if edge.output is None else str(edge.output)
        arrow = f"-->|{_quoted(label)}|" if label else "-->"
        lines.append(f"    s{edge.producer} {arrow} s{edge.consumer}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    from html import escape  # late: it holds the names of all characters

    return escape(text, quote=True).replace("|", "&#124;")


def to_html(plan: Plan) -> str:
    """Return the plan as an HTML fragment without scripts: one box a stage, and its promises below."""
    from html import escape  # late, as above

    boxes = []
    for stage in plan.stages:
        labels = "".join(f"<div>{escape(label)}</div>" for label in stage.labels)
        onward = ", ".join(
            escape(plan.stages[edge.consumer].name) for edge in plan.edges if edge.producer == stage.index
        )
        boxes.append(
            f'<td style="border:1px solid #888;border-radius:4px;padding:4px 8px;vertical-align:top;text-align:left">'
            f"<b>{escape(_kind(stage))}</b>{labels}"
            + (f'<div style="color:#666">→ {onward}</div>' if onward else "")
            + "</td>"
        )
    told = "<br/>".join(escape(line.strip()) for line in (_promise(plan), *promises(plan)))
    return f"<table><tr>{''.join(boxes)}</tr></table><small>{told}</small>"
