"""What the weekly report says: how it went, how the sources are, what was wrong, who heard of it, what comes back.

Facts in, a document out; they are read by `stages.weekly_report`. Each table is bounded and says what it left out. What did not happen
takes no room, and a week in which nothing happened says so in a sentence.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from statistics import median as middle_of
from zoneinfo import ZoneInfo

from smartflow_assets.core.incidents.event_log import GROUP
from smartflow_assets.core.reports.document import Cell, Document, Heading, Link, Paragraph, Part, Picture, Table
from smartflow_assets.core.reports.recurring_patterns import Begun, recurring
from smartflow_assets.core.reports.weekly_plot import COLOURS, Bars, weekly_plot
from smartflow_assets.core.temporal.week import Period
from smartflow_assets.core.text_format import lasting, names

MOST_ROWS = 30
MOST_NOISY = 10
_MOST_DAYS, _MOST_WEEKS = 36, 54  # bars of a picture; 30 days by the clock touch 31 dates
_NO = "–"


@dataclass(frozen=True)
class WeekIncident:
    """An incident as people were told of it: one of a group, its members counted.

    `began_at` and `ended_at`, until when it lasted, are of its data; `found_at`, `acknowledged_at` and `closed_at` are of the clock, the
    last None where it was found when it was over. `messages` are those that went out; `page` leads to its page, where there is one;
    `sources` are those of a group over several.
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
    sources: tuple[str, ...] = ()

    @property
    def lasted(self) -> timedelta:
        """From its beginning to its end, or to when it was seen last."""
        return max((self.ended_at or self.last_seen_at) - self.began_at, timedelta(0))

    @property
    def who(self) -> str:
        """What it is of."""
        if self.sources:
            return names(self.sources, "source")
        return f"{self.source} {self.series or self.cause}" if self.source != "*" else self.cause

    @property
    def of_sources(self) -> tuple[str, ...]:
        """The sources that it is of; `*` for none."""
        return self.sources or (self.source,)


@dataclass(frozen=True)
class SourceWeek:
    """How a source is at the end of the report, and what the week brought. `calm_share`: the share of it in which no incident was open;
    `severities`: how many incidents of its own began, those that were told with other sources as well. What was not watched yet has
    neither."""

    source: str
    state: str
    newest_at: datetime | None
    row_count: int
    calm_share: float
    failed_checks: int
    model_trained_at: datetime | None
    is_broken: bool = False
    severities: Mapping[str, int] = field(default_factory=dict[str, int])
    is_watched: bool = True


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
    def units(self) -> str:
        """What several such periods are called."""
        return "weeks" if _is_week(self.period) else f"spans of {span_of(self.period)}"

    @property
    def unit(self) -> str:
        """What a period is called."""
        return "week" if _is_week(self.period) else f"span of {span_of(self.period)}"

    @property
    def is_watched(self) -> bool:
        """Whether anything was watched by its end."""
        return bool(self.incidents) or any(each.is_watched for each in self.sources)

    @property
    def until(self) -> datetime:
        """The end of what the report knows of."""
        return min(self.period.end, self.made_at)


def _is_week(period: Period) -> bool:
    return "W" in period.name


def span_of(period: Period) -> str:
    """How long it is, in days where it has some."""
    length = period.end - period.start
    return lasting(timedelta(days=round(length / timedelta(days=1)))) if length >= timedelta(days=1) else lasting(length)


def title_of(period: Period) -> str:
    """Its heading: the week, and from when to when."""
    first, last = _local(period.start, period), _local(period.end - timedelta(seconds=1), period)
    if not _is_week(period):
        return f"{first.day} {first:%b}{f' {first.year}' if first.year != last.year else ''} to {last.day} {last:%b %Y}"
    return f"{period.name}: {first:%a} {first.day} {first:%b} to {last:%a} {last.day} {last:%b %Y}"


def summary(facts: WeekFacts) -> list[str]:
    """Three sentences for whoever reads no more."""
    if not facts.is_watched:
        return [
            f"Nothing was watched then: nothing is known of this {facts.unit}.",
            *([] if facts.sources else ["There is no source yet."]),
        ]
    count, critical = len(facts.incidents), sum(each.severity == "critical" for each in facts.incidents)
    usual = len(facts.earlier) / 4
    sent = _sum(facts.messages, "sent")
    failed = _sum(facts.messages, "failed")
    watched = [each for each in facts.sources if each.is_watched]
    calm = _calm(sum(each.calm_share >= 1 for each in watched), len(watched))
    before = f"a usual {facts.unit} of the four before had {_average(usual)}" if usual else f"the four {facts.units} before had none"
    is_open = f"{_counted(facts.still_open, 'incident')} {'is' if facts.still_open == 1 else 'are'} still open" if facts.still_open else ""
    if not count:
        first = f"Nothing happened: no incident began; {before}." if usual else "Nothing happened: no incident began."
        return [first, f"{calm}{f' From before, {is_open}.' if is_open else ''}", _told(sent, failed, [])]
    first = f"{_counted(count, 'incident')} began, {critical or 'none'} of them critical; {before}. {is_open or 'None is still open'}."
    worst, of_sources = worst_first(facts.incidents)[0], Counter(name for each in facts.incidents for name in each.of_sources)
    noisiest, of_it = of_sources.most_common(1)[0]
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
    if (picture := weekly_plot(*bars_of(facts))) is not None:
        parts.append(Picture(picture, f"incidents of five {facts.units}, and of the days or weeks of this one, by severity"))
    if facts.is_watched or any(each.is_broken for each in facts.sources):
        parts += _incidents(facts) + _sources(facts)
    parts += _noisy(facts) + _trends(facts) + _patterns(facts) + _messages(facts)
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
        is_counted = each.cause == GROUP  # its title says how many they are
        what = each.title + (f" (and {each.member_count} more series)" if each.member_count and not is_counted else "")
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
    def badness(each: SourceWeek) -> tuple[object, ...]:
        return (
            -each.is_broken,
            *(-each.severities.get(severity, 0) for severity in COLOURS),
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
            *(str(each.severities.get(severity) or _NO) for severity in COLOURS),
            f"{100 * each.calm_share:.1f} %" if each.is_watched else _NO,
            str(each.failed_checks or _NO),
            _NO if each.model_trained_at is None else lasting(max(facts.until - each.model_trained_at, timedelta(0))),
        ]
        for each in sorted(facts.sources, key=badness)
    ]
    columns = ["source", "state", "newest row", "rows", *COLOURS, "without incident", "failed checks", "age of model"]
    return _listed("Sources, the worst first", columns, rows[:MOST_ROWS], range(3, 9), total=len(rows))


def _noisy(facts: WeekFacts) -> list[Part]:
    """Series with several incidents, and what docs/tuning.md would turn."""
    groups: dict[tuple[object, ...], list[WeekIncident]] = {}
    for each in facts.incidents:
        groups.setdefault((each.of_sources, each.series, each.cause), []).append(each)
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
    if cause == GROUP:
        return "nothing to turn: mend what these sources have in common"
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
    return _listed(f"Against the four {facts.units} before", ["", f"this {facts.unit}", "usual", "change"], shown, [1, 2, 3])


def _patterns(facts: WeekFacts) -> list[Part]:
    zone = ZoneInfo(facts.period.timezone)
    found = recurring([Begun(each.source, each.began_at.astimezone(zone), each.cause) for each in (*facts.incidents, *facts.earlier)])
    return [Heading(f"What comes back, in five {facts.units}"), *(Paragraph(f"{each}.") for each in found)] if found else []


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


def bars_of(facts: WeekFacts) -> tuple[Bars, Bars]:
    """The five spans, each named by its first day, and the days of this one; the weeks, or the months, of one that is long."""
    period = facts.period
    spans: list[tuple[str, dict[str, int]]] = []
    for number in (4, 3, 2, 1, 0):
        each = period.earlier(number) if number else period
        spans.append((_day(_local(each.start, period).date()), _severities((*facts.earlier, *facts.incidents), each.start, each.end)))
    unit, firsts = _steps(period)
    edges = [datetime.combine(day, time(), ZoneInfo(period.timezone)) for day in firsts]
    ends = [*edges[1:], period.end]
    within: list[tuple[str, dict[str, int]]] = []
    for day, start, end in zip(firsts, edges, ends, strict=True):
        label = f"{day:%a}" if _is_week(period) else f"{day:%b %Y}" if unit == "month" else _day(day)
        within.append((label, _severities(facts.incidents, start, end)))
    by = f"incidents of this week by {unit}" if _is_week(period) else f"incidents by {unit}"
    return Bars(f"incidents by {'week' if _is_week(period) else span_of(period)}", spans), Bars(by, within)


def _steps(period: Period) -> tuple[str, list[date]]:
    """What a bar is of, and the first day of each: days up to five weeks, weeks up to a year, else months."""
    first, last = _local(period.start, period).date(), _local(period.end - timedelta(seconds=1), period).date()
    days = (last - first).days + 1
    if days <= _MOST_DAYS:
        return "day", [first + timedelta(days=number) for number in range(days)]
    if days <= _MOST_WEEKS * 7:
        monday = first - timedelta(days=first.weekday())
        return "week", [monday + timedelta(days=number) for number in range(0, (last - monday).days + 1, 7)]
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return "month", [date(number // 12, number % 12 + 1, 1) for number in months]


def _severities(incidents: Sequence[WeekIncident], start: datetime, end: datetime) -> dict[str, int]:
    return dict(Counter(each.severity for each in incidents if start <= each.began_at < end))


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


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
