"""Charts as inline SVG, drawn when a page is built; every one has its numbers in words or a table too."""

from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from apel.pubsync.figures import Month
from apel.pubsync.markup import Markup, tag
from apel.pubsync.model import OK, UNKNOWN, Site, month_text, months_back

SPARK_MONTHS, CHART_MONTHS = 24, 36
SPARK_WIDTH, SPARK_HEIGHT = 120, 22
WIDTH, PANEL, GAP, LEFT, RIGHT, TOP, BOTTOM = 1140, 104, 40, 56, 24, 22, 20


class Point(NamedTuple):
    """A month in a chart; site_jobs is None where the site doesn't say. agrees: by the month's status."""

    month: Month
    jobs: int
    site_jobs: Optional[int]
    cpu_hours: float
    agrees: bool = True

    @property
    def text(self) -> str:
        """'2026-09'."""
        return month_text(self.month)


def history(site: Site, current: Month, count: int) -> List[Point]:
    """The last `count` months up to the current one, months without jobs too."""
    known = {month.month: month for month in site.months}
    points = []
    for back in range(count - 1, -1, -1):
        month = months_back(current, back)
        found = known.get(month)
        if found is None:
            points.append(Point(month, 0, None, 0.0))
        else:
            cpu = found.published.normalised_cpu_seconds / 3600
            agrees = found.comparison.status in (OK, UNKNOWN)
            points.append(Point(month, found.published.jobs, found.comparison.site_jobs, cpu, agrees))
    return points


def sparkline(what: str, counts: Mapping[Month, Union[int, float]], current: Month) -> Markup:
    """Counts of something ("Jobs") by month in the size of a word; months that are missing are 0."""
    months = [months_back(current, back) for back in range(SPARK_MONTHS - 1, -1, -1)]
    values = [counts.get(month, 0) for month in months]
    most = max(values)
    if not most:
        return tag("span", "no %s" % what.lower(), class_="muted")
    step = (SPARK_WIDTH - 4) / (len(values) - 1)
    places = [
        (2 + place * step, SPARK_HEIGHT - 2 - value / most * (SPARK_HEIGHT - 4))
        for place, value in enumerate(values)
    ]
    label = "%s by month, %s to %s: at most %s, last %s" % (
        what,
        month_text(months[0]),
        month_text(months[-1]),
        number(round(most)),
        number(round(values[-1])),
    )
    line = " ".join("%.1f,%.1f" % place for place in places)
    return tag(
        "svg",
        tag("title", label),
        tag("polyline", points=line),
        tag("circle", cx="%.1f" % places[-1][0], cy="%.1f" % places[-1][1], r="2"),
        class_="spark",
        viewBox="0 0 %d %d" % (SPARK_WIDTH, SPARK_HEIGHT),
        width=SPARK_WIDTH,
        height=SPARK_HEIGHT,
        role="img",
        aria_label=label,
    )


def site_chart(points: Sequence[Point]) -> Markup:
    """Two panels over one axis of months: jobs (bar: centre, tick: site), and normalised CPU hours."""
    height = TOP + 2 * PANEL + GAP + BOTTOM
    jobs = max(max(point.jobs, point.site_jobs or 0) for point in points)
    panels = [
        *_panel(TOP, "Jobs", jobs, points, [point.jobs for point in points], "jobs"),
        *_ticks(TOP, jobs, points),
        *_panel(
            TOP + PANEL + GAP,
            "Normalised CPU hours (HS06 or HEPscore23)",
            max(point.cpu_hours for point in points),
            points,
            [point.cpu_hours for point in points],
            "cpu",
        ),
        *_months(height, points),
    ]
    label = "Jobs and normalised CPU hours by month, %s to %s; the table of months has the numbers." % (
        points[0].text,
        points[-1].text,
    )
    return tag(
        "svg",
        tag("title", label),
        *panels,
        class_="chart",
        viewBox="0 0 %d %d" % (WIDTH, height),
        role="img",
        aria_label=label,
    )


def _slots(points: Sequence[Point]) -> Tuple[float, float]:
    """The width of a month, and of the bar in it."""
    slot = (WIDTH - LEFT - RIGHT) / len(points)
    return slot, slot * 0.72


def top_of_scale(most: float) -> float:
    """The next number that is round, as is its half, and not less; 1 for nothing."""
    if most <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(most))) - 1) if most >= 1 else 1.0
    return next(factor * power for factor in (1, 2, 3, 4, 6, 8, 10) if factor * power >= most)


def _panel(
    top: int, title: str, most: float, points: Sequence[Point], values: Sequence[float], kind: str
) -> List[Markup]:
    scale = top_of_scale(most)
    slot, width = _slots(points)
    drawn = [tag("text", title, x=0, y=top - 10, class_="panel")]
    for share in (0.0, 0.5, 1.0):
        y = top + PANEL * (1 - share)
        drawn.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1="%.1f" % y, y2="%.1f" % y, class_="rule"))
        drawn.append(tag("text", short_number(scale * share), x=LEFT - 6, y="%.1f" % (y + 4), class_="scale"))
    for place, (point, value) in enumerate(zip(points, values)):
        height = value / scale * PANEL
        drawn.append(
            tag(
                "rect",
                tag("title", "%s: %s" % (point.text, _said(point, kind))),
                class_="bar " + kind,
                x="%.2f" % (LEFT + place * slot + (slot - width) / 2),
                y="%.2f" % (top + PANEL - height),
                width="%.2f" % width,
                height="%.2f" % height,
                data_month=point.text,
                data_value="%.10g" % value,
            )
        )
    return drawn


def _said(point: Point, kind: str) -> str:
    if kind == "cpu":
        return "%s hours" % number(round(point.cpu_hours))
    at_site = "not told" if point.site_jobs is None else number(point.site_jobs)
    return "%s jobs at the centre, %s at the site" % (number(point.jobs), at_site)


def _ticks(top: int, most: float, points: Sequence[Point]) -> List[Markup]:
    scale = top_of_scale(most)
    slot, width = _slots(points)
    drawn = []
    for place, point in enumerate(points):
        if point.site_jobs is not None:
            x, y = LEFT + place * slot + (slot - width) / 2, top + PANEL * (1 - point.site_jobs / scale)
            drawn.append(
                tag(
                    "line",
                    class_="tick" if point.agrees else "tick off",
                    x1="%.2f" % (x - 1),
                    x2="%.2f" % (x + width + 1),
                    y1="%.2f" % y,
                    y2="%.2f" % y,
                    data_month=point.text,
                    data_value=point.site_jobs,
                )
            )
    return drawn


def _months(height: int, points: Sequence[Point]) -> List[Markup]:
    slot, _ = _slots(points)
    step = max(1, len(points) // 6)
    return [
        tag("text", point.text, x="%.1f" % (LEFT + (place + 0.5) * slot), y=height - 4, class_="month")
        for place, point in enumerate(points)
        if place % step == (len(points) - 1) % step
    ]


def number(value: float) -> str:
    """1234567 -> '1,234,567'."""
    return "{:,}".format(int(value))


def short_number(value: float) -> str:
    """1500000 -> '1.5 M'."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return "%.3g %s" % (value / limit, unit)
    return "%.3g" % value
