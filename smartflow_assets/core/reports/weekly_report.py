"""What the weekly report says: how it went, how the sources are, what was wrong, who heard of it, what comes back.

Facts in, a document out; they are read by `stages.weekly_report`. Each table is bounded and says what it left out. What did not happen
takes no room, and a week in which nothing happened says so in a sentence.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median as middle_of
from zoneinfo import ZoneInfo

from smartflow_assets.core.reports.document import Cell, Document, Heading, Link, Paragraph, Part, Picture, Table
from smartflow_assets.core.reports.recurring_patterns import Begun, recurring
from smartflow_assets.core.reports.weekly_plot import COLOURS, weekly_plot
from smartflow_assets.core.temporal.week import Period
from smartflow_assets.core.text_format import lasting

MOST_ROWS = 30
MOST_NOISY = 10
_NO = "–"


@dataclass(frozen=True)
class WeekIncident:
    """An incident as people were told of it: one of a group, its members counted.

    `began_at` and `ended_at` are of its data; `found_at`, `acknowledged_at` and `closed_at` are of the clock, the last None where it was
    found when it was over. `messages` are those that went out; `page` leads to its page, where there is one.
    """

    incident_id: str
    source: str
    series: str
    cause: str
    severity: str
    state: str
    title: str
    began_at: datetime
    ended_at: datetime | None
    last_seen_at: datetime
    found_at: datetime
    acknowledged_at: datetime | None = None
    closed_at: datetime | None = None
    by_whom: str = ""
    member_count: int = 0
    point_count: int = 0
    messages: int = 0
    page: str = ""

    @property
    def lasted(self) -> timedelta:
        """From its beginning to its end, or to when it was seen last."""
        return max((self.ended_at or self.last_seen_at) - self.began_at, timedelta(0))

    @property
    def who(self) -> str:
        """What it is of."""
        return f"{self.source} {self.series or self.cause}" if self.source != "*" else self.cause


@dataclass(frozen=True)
class SourceWeek:
    """How a source is at the end of the report, and what the week brought. `calm_share`: the share of it in which no incident was open."""

    source: str
    state: str
    newest_at: datetime | None
    row_count: int
    calm_share: float
    failed_checks: int
    model_trained_at: datetime | None
    is_broken: bool = False


@dataclass(frozen=True)
class WeekFacts:
    """Everything that the report is made of. `incidents` are those of the week, `earlier` those of the four before; `messages` counts by
    channel and status; `sent_before` is of the four weeks together; `verdicts` counts what people said of incidents, None where nobody
    can. `remedies`: action, status, count; `drift`: source, columns, message; `breaches`: source, promise, severity, count, message."""

    period: Period
    made_at: datetime
    sources: Sequence[SourceWeek]
    incidents: Sequence[WeekIncident]
    earlier: Sequence[WeekIncident]
    still_open: int = 0
    messages: Mapping[tuple[str, str], int] | None = None
    sent_before: int = 0
    rows_before: int = 0
    verdicts: Mapping[str, int] | None = None
    remedies: Sequence[Sequence[str]] = ()
    drift: Sequence[Sequence[str]] = ()
    breaches: Sequence[Sequence[str]] = ()

    @property
    def unit(self) -> str:
        """What a period is called."""
        return "week" if "W" in self.period.name else "time"

    @property
    def until(self) -> datetime:
        """The end of what the report knows of."""
        return min(self.period.end, self.made_at)


def title_of(period: Period) -> str:
    """Its heading: the week, and from when to when."""
    first, last = _local(period.start, period), _local(period.end - timedelta(seconds=1), period)
    return f"{period.name}: {first:%a} {first.day} {first:%b} to {last:%a} {last.day} {last:%b %Y}"


def summary(facts: WeekFacts) -> list[str]:
    """Three sentences for whoever reads no more."""
    count, critical = len(facts.incidents), sum(each.severity == "critical" for each in facts.incidents)
    usual = len(facts.earlier) / 4
    sent = _sum(facts.messages, "sent")
    failed = _sum(facts.messages, "failed")
    calm = _calm(sum(each.calm_share >= 1 for each in facts.sources), len(facts.sources))
    before = f"a usual {facts.unit} of the four before had {_average(usual)}" if usual else f"the four {facts.unit}s before had none"
    is_open = f"{_counted(facts.still_open, 'incident')} {'is' if facts.still_open == 1 else 'are'} still open" if facts.still_open else ""
    if not count:
        first = f"Nothing happened: no incident began; {before}." if usual else "Nothing happened: no incident began."
        return [first, f"{calm}{f' From before, {is_open}.' if is_open else ''}", _told(sent, failed, [])]
    first = f"{_counted(count, 'incident')} began, {critical or 'none'} of them critical; {before}. {is_open or 'None is still open'}."
    worst, (noisiest, of_it) = worst_first(facts.incidents)[0], Counter(each.source for each in facts.incidents).most_common(1)[0]
    second = f"The worst was {worst.who}: {worst.title.rstrip('.')}, for {lasting(worst.lasted)}"
    of_most = f"; {of_it} of {count} were of {'no source' if noisiest == '*' else noisiest}" if of_it > 1 and len(facts.sources) > 1 else ""
    return [first, f"{second}{of_most}.", f"{calm} {_told(sent, failed, facts.incidents)}"]


def _calm(quiet: int, total: int) -> str:
    if not total:
        return "There is no source yet."
    if quiet == total:
        return "No source had an open incident at any time."
    return f"{quiet} of {total:,} sources had no open incident at any time." if quiet else "Each source had an open incident at some time."


def weekly_document(facts: WeekFacts) -> Document:
    """The whole report."""
    period = facts.period
    parts: list[Part] = [Paragraph(sentence, is_lead=True) for sentence in summary(facts)]
    if period.end > facts.made_at:
        parts.append(Paragraph(f"The time is not over: this is how it stood on {_at(facts.made_at, period)}."))
    if (picture := weekly_plot(*_bars(facts))) is not None:
        parts.append(Picture(picture, "incidents of five weeks, and of each day of this one, by severity"))
    parts += _incidents(facts) + _sources(facts) + _noisy(facts) + _trends(facts) + _patterns(facts) + _messages(facts)
    if facts.verdicts is not None:
        parts += _verdicts(facts.verdicts)
    parts += _listed("Remedies", ["action", "status", "count"], facts.remedies, [2])
    parts += _listed("Drift", ["source", "columns", "newest finding"], facts.drift)
    parts += _listed("Broken promises of contracts", ["source", "promise", "severity", "failed", "newest"], facts.breaches, [3])
    parts.append(Paragraph(f"Times are of {period.timezone}. Made on {_at(facts.made_at, period)} by `smartflow report`."))
    return Document(title_of(period), parts, kicker="SmartFlow weekly report" if "W" in period.name else "SmartFlow report")


def worst_first(incidents: Sequence[WeekIncident]) -> list[WeekIncident]:
    """The worst first: by severity, by how many series, by how long."""
    order = {severity: place for place, severity in enumerate(COLOURS)}
    return sorted(
        incidents, key=lambda each: (order.get(each.severity, 3), -each.member_count, -each.lasted, each.began_at, each.incident_id)
    )


def _incidents(facts: WeekFacts) -> list[Part]:
    rows: list[Sequence[Cell]] = []
    for each in worst_first(facts.incidents)[:MOST_ROWS]:
        what = each.title + (f" (and {each.member_count} more series)" if each.member_count else "")
        rows.append(
            [
                Link(each.incident_id[:8], each.page) if each.page else each.incident_id[:8],
                each.severity,
                f"{each.who}: {what}",
                each.state,
                _at(each.began_at, facts.period),
                lasting(each.lasted),
                _length(each.found_at, each.acknowledged_at),
                _length(each.found_at, each.closed_at),
                each.by_whom or _NO,
            ]
        )
    columns = ["id", "severity", "what", "state", "began", "lasted", "to acknowledge", "to resolve", "who"]
    return _listed("Incidents", columns, rows, total=len(facts.incidents)) if rows else []


def _sources(facts: WeekFacts) -> list[Part]:
    counts = Counter((each.source, each.severity) for each in facts.incidents)

    def badness(each: SourceWeek) -> tuple[object, ...]:
        return (
            -each.is_broken,
            *(-counts[each.source, severity] for severity in COLOURS),
            each.calm_share,
            -each.failed_checks,
            each.source,
        )

    rows = [
        [
            each.source,
            each.state,
            "no row" if each.newest_at is None else f"{lasting(max(facts.until - each.newest_at, timedelta(0)))} old",
            f"{each.row_count:,}",
            *(str(counts[each.source, severity] or _NO) for severity in COLOURS),
            f"{100 * each.calm_share:.1f} %",
            str(each.failed_checks or _NO),
            _NO if each.model_trained_at is None else lasting(max(facts.until - each.model_trained_at, timedelta(0))),
        ]
        for each in sorted(facts.sources, key=badness)
    ]
    columns = ["source", "state", "newest row", "rows", *COLOURS, "without incident", "failed checks", "age of model"]
    return _listed("Sources, the worst first", columns, rows[:MOST_ROWS], range(3, 9), total=len(rows))


def _noisy(facts: WeekFacts) -> list[Part]:
    """Series with several incidents, and what docs/tuning.md would turn."""
    groups: dict[tuple[str, str, str], list[WeekIncident]] = {}
    for each in facts.incidents:
        groups.setdefault((each.source, each.series, each.cause), []).append(each)
    noisy = sorted(
        (own for own in groups.values() if len(own) > 1), key=lambda own: (-len(own), -sum(each.messages for each in own), own[0].who)
    )
    rows = [[own[0].who, str(len(own)), str(sum(each.messages for each in own)), hint(own)] for own in noisy[:MOST_NOISY]]
    said = [
        Paragraph(
            "What to turn, and what it costs: docs/tuning.md. Try it on the past first: smartflow backtest SOURCE --against KEY=VALUE."
        )
    ]
    listed = _listed("Noisiest", ["of", "incidents", "messages", "what would quieten it"], rows, [1, 2], total=len(noisy))
    return [*listed, *said] if listed else []


def hint(own: Sequence[WeekIncident]) -> str:
    """The key that would quieten incidents of one matter, as docs/tuning.md has it."""
    cause = own[0].cause
    if cause in ("volume", "profile"):
        return "profile: {false_alerts: 1 per year}"
    if cause == "freshness":
        return "freshness: {delay: 3h}"
    if cause == "readability":
        return "on_bad_rows: {warn_above: 5%}"
    if cause.startswith(("check:", "load:")):
        return "the severity of the promise that breaks, in contract:"
    if cause != "anomaly":
        return "nothing to turn: mend it (smartflow doctor)"
    if sum(each.point_count <= 1 for each in own) * 2 > len(own):
        return "alerts: {min_points: 3}"
    gaps = [later.began_at - (one.ended_at or one.last_seen_at) for one, later in _in_turn(own)]
    if gaps and _median(gaps) < timedelta(hours=6):
        return "alerts: {resolve_after: 1h, reopen_within: 6h}"
    return "threshold: {false_alerts: 1 per month}"


def _in_turn(own: Sequence[WeekIncident]) -> list[tuple[WeekIncident, WeekIncident]]:
    ordered = sorted(own, key=lambda each: each.began_at)
    return list(pairwise(ordered))


def _trends(facts: WeekFacts) -> list[Part]:
    now, before = facts.incidents, facts.earlier

    def counted(name: str, count: float, earlier: float) -> list[str]:
        change = "" if not earlier else f"{100 * (count / earlier - 1):+.0f} %"
        return [name, f"{count:,.0f}", _average(earlier), change]

    def middle(name: str, values: Sequence[timedelta], earlier: Sequence[timedelta]) -> list[str]:
        return [name, *(lasting(_median(each)) if each else _NO for each in (values, earlier)), ""]

    rows = [
        counted("incidents", len(now), len(before) / 4),
        counted(
            "critical incidents", sum(each.severity == "critical" for each in now), sum(each.severity == "critical" for each in before) / 4
        ),
        counted("messages sent", _sum(facts.messages, "sent"), facts.sent_before / 4),
        counted("rows read", sum(each.row_count for each in facts.sources), facts.rows_before / 4),
        middle("median time to acknowledge", _times(now, "acknowledged_at"), _times(before, "acknowledged_at")),
        middle("median time to resolve", _times(now, "closed_at"), _times(before, "closed_at")),
        middle("median duration", [each.lasted for each in now], [each.lasted for each in before]),
    ]
    shown = [row for row in rows if row[1] not in ("0", _NO) or row[2] not in ("0", _NO)]
    return _listed(f"Against the four {facts.unit}s before", ["", f"this {facts.unit}", "usual", "change"], shown, [1, 2, 3])


def _patterns(facts: WeekFacts) -> list[Part]:
    zone = ZoneInfo(facts.period.timezone)
    found = recurring([Begun(each.source, each.began_at.astimezone(zone), each.cause) for each in (*facts.incidents, *facts.earlier)])
    return [Heading(f"What comes back, in five {facts.unit}s"), *(Paragraph(f"{each}.") for each in found)] if found else []


def _messages(facts: WeekFacts) -> list[Part]:
    rows = [[channel, status, f"{count:,}"] for (channel, status), count in sorted((facts.messages or {}).items())]
    return _listed("Messages", ["channel", "status", "count"], rows, [2])


def _verdicts(verdicts: Mapping[str, int]) -> list[Part]:
    total = sum(verdicts.values())
    if not total:
        return []
    false = verdicts.get("false_positive", 0)
    said = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in sorted(verdicts.items()))
    return [
        Heading("What people said of them"),
        Paragraph(f"{100 * false / total:.0f} % of {_counted(total, 'judged incident')} were false alerts ({said})."),
    ]


def _bars(facts: WeekFacts) -> tuple[list[tuple[str, dict[str, int]]], list[tuple[str, dict[str, int]]]]:
    """The five weeks, each named by its first day, and the days of this one."""
    period, zone = facts.period, ZoneInfo(facts.period.timezone)
    weeks: list[tuple[str, dict[str, int]]] = []
    for number in (4, 3, 2, 1, 0):
        each = period.earlier(number) if number else period
        inside = [one for one in (*facts.earlier, *facts.incidents) if each.start <= one.began_at < each.end]
        first = _local(each.start, period)
        weeks.append((f"{first.day} {first:%b}", dict(Counter(one.severity for one in inside))))
    first_day, last_day = period.start.astimezone(zone).date(), (period.end - timedelta(seconds=1)).astimezone(zone).date()
    days: list[tuple[str, dict[str, int]]] = []
    for offset in range(min(14, (last_day - first_day).days + 1)):
        day = first_day + timedelta(days=offset)
        inside = [one for one in facts.incidents if one.began_at.astimezone(zone).date() == day]
        days.append((f"{day:%a}" if (last_day - first_day).days < 7 else str(day.day), dict(Counter(one.severity for one in inside))))
    return weeks, days


def _listed(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], numbers: Sequence[int] = (), *, total: int | None = None
) -> list[Part]:
    """A heading and a table, with how many more there are; nothing for no row."""
    left = (len(rows) if total is None else total) - min(len(rows), MOST_ROWS)
    more: list[Part] = [Paragraph(f"and {left:,} more")] if left > 0 else []
    return [Heading(title), Table(columns, rows[:MOST_ROWS], tuple(numbers)), *more] if rows else []


def _told(sent: int, failed: int, incidents: Sequence[WeekIncident]) -> str:
    times = _times(incidents, "acknowledged_at")
    quick = f"; half of what was acknowledged was so within {lasting(_median(times))}" if times else ""
    lost = f", {failed:,} failed" if failed else ""
    return f"{_counted(sent, 'message')} went out{lost}{quick}." if sent or failed else "Nobody was sent a message."


def _times(incidents: Sequence[WeekIncident], name: str) -> list[timedelta]:
    return [max(ended - each.found_at, timedelta(0)) for each in incidents if (ended := getattr(each, name)) is not None]


def _median(lengths: Sequence[timedelta]) -> timedelta:
    """The middle length; there is one at least."""
    return timedelta(seconds=middle_of(each.total_seconds() for each in lengths))


def _length(start: datetime, end: datetime | None) -> str:
    return _NO if end is None else lasting(max(end - start, timedelta(0)))


def _sum(messages: Mapping[tuple[str, str], int] | None, status: str) -> int:
    return sum(count for (_, each), count in (messages or {}).items() if each == status)


def _average(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _local(moment: datetime, period: Period) -> datetime:
    return moment.astimezone(ZoneInfo(period.timezone))


def _at(moment: datetime, period: Period) -> str:
    local = _local(moment, period)
    return f"{local:%a} {local.day} {local:%b %H:%M}"
