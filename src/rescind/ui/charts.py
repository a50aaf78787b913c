"""Charts: numbers to places in a drawing, which a template draws."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import accumulate

from msgspec import Struct

from rescind.lifecycle import Status
from rescind.service.overview import Activity

WIDTH, HEIGHT = 720, 160
"""Of a drawing, in its own units."""

HOUR = timedelta(hours=1)

KINDS = {
    "success": frozenset({Status.SUCCESS}),
    "failed": frozenset(
        {
            Status.ERRORS_ENCOUNTERED,
            Status.TIMEOUT,
            Status.COMPLETED_DUE_TO_INACTIVITY,
            Status.MISSED_SCHEDULE,
            Status.FAILED_TO_RUN,
        }
    ),
    "cancelled": frozenset({Status.CANCELLED}),
}
"""How jobs end, as they are told apart."""


class Bar(Struct, frozen=True):
    """A piece of a column."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    says: str


class Line(Struct, frozen=True):
    """A number over time."""

    kind: str
    points: str
    most: int
    now: int


class Charts(Struct, frozen=True):
    """What is drawn, and what it says in words."""

    bars: list[Bar]
    bars_most: int
    ends: dict[str, int]
    lines: list[Line]
    lines_most: int
    hours: list[tuple[float, str]]
    """Where an hour begins, and which it is."""


def charts_of(activity: Activity) -> Charts:
    """Jobs by their end in each hour, and how many waited and ran at the end of each period."""
    hourly: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
    changes = {"waiting": Counter[int](), "running": Counter[int]()}
    per_hour = HOUR // activity.width
    for passage in activity.passages:
        total, left, ended = passage.total, passage.left, passage.ended
        changes["waiting"][passage.due] += total
        if left is not None:
            changes["waiting"][max(left, passage.due)] -= total
            changes["running"][max(left, passage.due)] += total
            if ended is not None:
                changes["running"][max(ended, left, passage.due)] -= total
        if ended is not None:
            for kind, statuses in KINDS.items():
                if passage.status in statuses:
                    hourly[kind][min(ended, activity.periods - 1) // per_hour] += total
    hours = activity.periods // per_hour
    columns = [{kind: hourly[kind][hour] for kind in KINDS} for hour in range(hours)]
    begins = [activity.since + hour * HOUR for hour in range(hours)]
    says = [f"{at:%H:%M}" for at in begins]
    bars_most = max((sum(column.values()) for column in columns), default=0)
    levels = {
        kind: list(accumulate(change[period] for period in range(-1, activity.periods)))[1:]
        for kind, change in changes.items()
    }
    lines_most = max(max(level) for level in levels.values())
    return Charts(
        bars=[*_bars(columns, says, max(1, bars_most))],
        bars_most=bars_most,
        ends={kind: hourly[kind].total() for kind in KINDS},
        lines=[_line(kind, level, max(1, lines_most)) for kind, level in levels.items()],
        lines_most=lines_most,
        hours=[(index * WIDTH / hours, label) for index, label in enumerate(says)],
    )


def _bars(columns: Sequence[dict[str, int]], says: Sequence[str], most: int) -> list[Bar]:
    width = WIDTH / max(1, len(columns))
    bars = []
    for index, column in enumerate(columns):
        y = float(HEIGHT)
        for kind, total in column.items():
            height = total / most * HEIGHT
            y -= height
            if total:
                text = f"from {says[index]}: {total:,} {kind}"
                bars.append(Bar(kind, index * width + 1, y, width - 2, height, text))
    return bars


def _line(kind: str, level: Sequence[int], most: int) -> Line:
    width = WIDTH / max(1, len(level))
    points = " ".join(
        f"{(index + 0.5) * width:.1f},{HEIGHT - value / most * HEIGHT:.1f}"
        for index, value in enumerate(level)
    )
    return Line(kind, points, max(level), level[-1])
