"""One line over the time of a run, as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamflow.metrics.markup import element, text
from streamflow.metrics.units import Kind, ticks, written

WIDTH, HEIGHT = 480, 200
LEFT, RIGHT, TOP, BOTTOM = 72, 14, 10, 26
#: Up to so many points each gets a mark of its own.
MARKED = 12

Point = tuple[float, float]
#: A moment and what was seen then, or None.
Seen = tuple[float, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Hold what is drawn: values of one kind over the seconds of a run that took `elapsed`."""

    title: str
    kind: Kind
    points: Sequence[Seen]
    elapsed: float
    #: What is said beside the title.
    note: str = ""

    def svg(self) -> str:
        """Return the drawing; it takes its colours from the page."""
        marks = ticks(max(self._values(), default=0.0), self.kind)
        top = marks[-1][0]
        right = max(self.elapsed, max((at for at, _ in self.points), default=0.0)) or 1.0
        parts = [*_rows(marks, top), *_columns(right)]
        for stretch in unbroken(self.points):
            parts += _line([(_x(at, right), _y(value, top)) for at, value in stretch], len(self.points) <= MARKED)
        if not self._values():
            parts.append(element("text", "nothing was measured", class_="empty", x=WIDTH / 2, y=HEIGHT / 2))
        return element("svg", "".join(parts), viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=self.described())

    def described(self) -> str:
        """Say in words what is drawn, for who cannot see it."""
        values = self._values()
        if not values:
            return f"{self.title}: nothing was measured"
        return f"{self.title}: at most {written(max(values), self.kind)}, {written(values[-1], self.kind)} at the end"

    def _values(self) -> list[float]:
        return [value for _, value in self.points if value is not None]

    def figure(self) -> str:
        """Return the drawing with its title above it."""
        note = element("span", text(self.note)) if self.note else ""
        return element("figure", element("figcaption", element("b", text(self.title)) + note) + self.svg())


def unbroken(points: Sequence[Seen]) -> list[list[Point]]:
    """Return the stretches in which something was seen at every moment.

    >>> unbroken([(0.0, 1.0), (1.0, None), (2.0, 3.0), (3.0, 4.0)])
    [[(0.0, 1.0)], [(2.0, 3.0), (3.0, 4.0)]]
    """
    found: list[list[Point]] = [[]]
    for at, value in points:
        if value is not None:
            found[-1].append((at, value))
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _x(at: float, right: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * at / right


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / top if top else 0.0)


def _rows(marks: Sequence[tuple[float, str]], top: float) -> list[str]:
    """Return a line across and a label for each value marked."""
    parts = []
    for value, label in marks:
        y = _y(value, top)
        parts.append(element("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y))
        parts.append(element("text", text(label), class_="tick up", x=LEFT - 6, y=y + 4))
    return parts


def _columns(right: float) -> list[str]:
    """Return a label for each time marked that fits below the line."""
    found = [(at, label) for at, label in ticks(right, "seconds", most=6) if at <= right * (1 + 1e-9)]
    parts = []
    for at, label in found:
        x = _x(at, right)
        anchor = "end" if x > WIDTH - RIGHT - 20 else "middle"
        parts.append(element("line", class_="grid", x1=x, x2=x, y1=HEIGHT - BOTTOM, y2=HEIGHT - BOTTOM + 4))
        parts.append(element("text", text(label), class_="tick", x=x, y=HEIGHT - 8, text_anchor=anchor))
    return parts


def _line(places: Sequence[Point], marked: bool) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    base = HEIGHT - BOTTOM
    parts = []
    if len(places) > 1:
        area = f"{places[0][0]:.1f},{base} {path} {places[-1][0]:.1f},{base}"
        parts = [element("polygon", class_="area", points=area), element("polyline", class_="line", points=path)]
    if marked or len(places) == 1:
        parts += [element("circle", class_="mark", cx=x, cy=y, r=2.5 if marked else 1.5) for x, y in places]
    return parts
