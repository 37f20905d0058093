"""Where windows of a fixed length begin and end: even in seconds, or by the wall clock of a time zone. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamflow.model.errors import FlowError

DAY = 86400.0
#: Seconds beyond which no window is looked for: some three million years.
FARTHEST = 1e14
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Grid:
    """Number windows of `size` seconds that begin each `every`, the first of the numbering at 1970-01-01 + `offset`.

    With a `zone` whole days last from midnight to midnight there, 23 or 25 hours twice a year; a midnight that the
    wall shows twice is the first of the two. Shorter windows follow each other by the time that goes by, from midnight
    (and `offset`) on, and the last of a day ends where those of the next one begin. They are numbered as if each day
    could have twice as many: those that it has not are empty, at its end.
    """

    size: float
    every: float
    offset: float = 0.0
    zone: ZoneInfo | None = None

    @property
    def even(self) -> bool:
        """Tell whether windows end where others begin."""
        return (self.size / self.every).is_integer()

    def begin(self, n: int) -> float:
        """Return when window `n` begins, in seconds since the epoch."""
        if not self._within_days:
            return self._moment(n * self.every + self.offset)
        day, nth = divmod(n, self._numbers_of_a_day)
        return min(self._day(day) + nth * self.every, self._day(day + 1))

    def bounds(self, n: int) -> tuple[float, float]:
        """Return begin and end of window `n`; the end of one is exactly the begin of the one that follows it."""
        if self.even:
            return self.begin(n), self.begin(n + int(self.size / self.every))
        return self.begin(n), self._moment(n * self.every + self.offset + self.size)

    def index(self, time: float) -> int:
        """Return the last window that has begun by `time`; ValueError for a time at which no calendar holds."""
        if not -FARTHEST < time < FARTHEST:
            raise ValueError(f"an event time of {time!r} s is out of all bounds")
        n = self._about(time)
        while self.begin(n) > time:
            n -= 1
        while self.begin(n + 1) <= time:
            n += 1
        return n

    def covering(self, time: float) -> list[int]:
        """Return every window that holds `time`, the earliest first."""
        last = n = self.index(time)
        while self.bounds(n - 1)[1] > time:
            n -= 1
        return [*range(n, last + 1)]

    @property
    def _within_days(self) -> bool:
        return self.zone is not None and self.every < DAY

    @property
    def _numbers_of_a_day(self) -> int:
        return 2 * round(DAY / self.every)  # the longest day there ever was had 48 hours

    def _day(self, day: int) -> float:
        """Return when the windows of that day begin."""
        return self._moment(day * DAY + self.offset % self.every)

    def _about(self, time: float) -> int:
        """Return the number of a window that begins near `time`."""
        wall = self._on_the_wall(time) - self.offset
        if not self._within_days:
            return math.floor(wall / self.every)
        day = math.floor(self._on_the_wall(time) / DAY)
        if self._day(day) > time:
            day -= 1
        numbers = self._numbers_of_a_day
        return day * numbers + min(math.floor((time - self._day(day)) / self.every), numbers - 1)

    def _moment(self, wall: float) -> float:
        if self.zone is None:
            return wall
        return (_EPOCH + timedelta(seconds=wall)).replace(tzinfo=self.zone).timestamp()

    def _on_the_wall(self, time: float) -> float:
        if self.zone is None:
            return time
        shown = datetime.fromtimestamp(time, UTC).astimezone(self.zone)
        return (shown.replace(tzinfo=None) - _EPOCH).total_seconds()


def zone_of(what: str, name: object) -> ZoneInfo | None:
    """Return the time zone of that name; FlowError if there is none."""
    if name is None:
        return None
    if isinstance(name, ZoneInfo):
        return name
    try:
        return ZoneInfo(name)  # type: ignore[arg-type]  # that is the question
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise FlowError(f"{what}: {name!r} is no time zone; name it as in 'Europe/Rome'") from None


def require_whole(what: str, size: float, zone: ZoneInfo | None) -> None:
    """Refuse windows that would not begin at midnight each day, where they are to follow a wall clock."""
    if zone is not None and not ((size / DAY).is_integer() or (DAY / size).is_integer()):
        raise FlowError(
            f"{what}: with timezone= windows are counted from midnight, so that their length must be whole days, or "
            f"divide a day evenly, as '1d', '6h' or '15m' do"
        )
