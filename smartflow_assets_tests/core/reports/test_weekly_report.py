"""The weekly report in words: what a manager reads, what is bounded, what is left out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.core.reports import html_page
from smartflow_assets.core.reports.document import Document, Heading, Paragraph, Table
from smartflow_assets.core.reports.weekly_report import SourceWeek, WeekFacts, WeekIncident, bars_of, hint, summary, weekly_document
from smartflow_assets.core.temporal.week import Period, week_named
from smartflow_assets_tests.core.reports.test_html_page import Read

WEEK = week_named("2026-W10", "UTC")
CALM = SourceWeek("shop", "calm", WEEK.end, 100, 1.0, 0, None)


def incident(number: int = 0, **more: object) -> WeekIncident:
    at = WEEK.start + timedelta(hours=number)
    known = WeekIncident(f"{number:016x}", "shop", "orders", "anomaly", "warning", "resolved", "900, usually 90", at, at, at, at)
    return replace(known, **more)


def facts(**more: object) -> WeekFacts:
    return replace(WeekFacts(WEEK, WEEK.end + timedelta(hours=6), [CALM], [], []), **more)


def headings(document: Document) -> list[str]:
    return [part.text for part in document.parts if isinstance(part, Heading)]


def test_a_week_in_which_nothing_happened_says_so() -> None:
    assert summary(facts()) == [
        "Nothing happened: no incident began.",
        "No source had an open incident at any time.",
        "Nobody was sent a message.",
    ]
    assert headings(weekly_document(facts())) == ["Sources, the worst first", "Against the four weeks before"]
    assert summary(facts(sources=[]))[1] == "There is no source yet."


def test_a_manager_reads_three_sentences() -> None:
    began = WEEK.start + timedelta(hours=9)
    worst = incident(
        9, severity="critical", ended_at=began + timedelta(hours=4), found_at=began, acknowledged_at=began + timedelta(minutes=12)
    )
    said = summary(
        facts(
            sources=[replace(CALM, calm_share=0.9), replace(CALM, source="web")],
            incidents=[incident(1), worst],
            earlier=[incident(number) for number in range(6)],
            still_open=1,
            messages={("mail", "sent"): 4, ("mail", "failed"): 1},
        )
    )
    assert said == [
        "2 incidents began, 1 of them critical; a usual week of the four before had 1.5. 1 incident is still open.",
        "The worst was shop orders: 900, usually 90, for 4 h; 2 of 2 were of shop.",
        "1 of 2 sources had no open incident at any time. 4 messages went out, 1 failed; "
        "half of what was acknowledged was so within 12 min.",
    ]


def test_a_thousand_sources_and_incidents_are_bounded_and_counted() -> None:
    sources = [replace(CALM, source=f"s{number:03}", failed_checks=number) for number in range(1000)]
    document = weekly_document(facts(sources=sources, incidents=[incident(number % 100) for number in range(500)]))
    tables = [part for part in document.parts if isinstance(part, Table)]
    assert max(len(table.rows) for table in tables) == 30
    said = [part.text for part in document.parts if isinstance(part, Paragraph)]
    assert "and 970 more" in said and "and 470 more" in said
    named = next(table for table in tables if table.columns[0] == "source")
    assert named.rows[0][0] == "s999"  # the worst first
    assert len(html_page.render(document)) < 60_000


def test_the_noisiest_series_are_named_with_what_would_quieten_them() -> None:
    many = [incident(number, messages=2, point_count=1) for number in range(4)] + [incident(9, source="web", cause="freshness", series="")]
    document = weekly_document(facts(incidents=many))
    (noisy,) = [part for part in document.parts if isinstance(part, Table) and part.columns[-1] == "what would quieten it"]
    assert noisy.rows == [["shop orders", "4", "8", "alerts: {min_points: 3}"]]


@pytest.mark.parametrize(
    ("cause", "points", "hours", "key"),
    [
        ("volume", 9, 50, "profile: {false_alerts: 1 per year}"),
        ("freshness", 9, 50, "freshness: {delay: 3h}"),
        ("readability", 9, 50, "on_bad_rows: {warn_above: 5%}"),
        ("load:ab", 9, 50, "the severity of the promise that breaks, in contract:"),
        ("clean_series", 9, 50, "nothing to turn: mend it (smartflow doctor)"),
        ("anomaly", 9, 2, "alerts: {resolve_after: 1h, reopen_within: 6h}"),
        ("anomaly", 9, 50, "threshold: {false_alerts: 1 per month}"),
    ],
)
def test_what_would_help_is_a_key_of_the_guide(cause: str, points: int, hours: int, key: str) -> None:
    assert hint([incident(number * hours, cause=cause, point_count=points) for number in range(3)]) == key


def test_what_people_said_is_a_share_and_without_it_there_is_no_place() -> None:
    judged = weekly_document(facts(verdicts={"false_positive": 1, "true_positive": 2, "expected": 1}))
    assert "25 % of 4 judged incidents were false alerts (1 expected, 1 false positive, 2 true positive)." in [
        part.text for part in judged.parts if isinstance(part, Paragraph)
    ]
    for nothing in (None, {}):
        assert "What people said of them" not in headings(weekly_document(facts(verdicts=nothing)))


def test_a_week_that_is_not_over_says_so_and_names_are_text() -> None:
    page = html_page.render(
        weekly_document(facts(made_at=datetime(2026, 3, 4, 12, tzinfo=UTC), incidents=[incident(title="<script>", source="<b>")]))
    )
    assert "The time is not over" in page and "script" not in Read(page).tags and "<b>" not in page


def rows_of(document: Document, first: str) -> list[list[str]]:
    return next([[*map(str, row)] for row in part.rows] for part in document.parts if isinstance(part, Table) and part.columns[0] == first)


def test_what_was_told_with_other_sources_counts_for_each_of_them() -> None:
    group = incident(
        9, source="*", series="", cause="group", severity="critical", title="2 series of 2 sources: shop orders 5", member_count=2
    )
    group = replace(group, sources=("shop", "web"))
    ill = [replace(CALM, source=name, severities={"critical": 1}, calm_share=0.9) for name in ("shop", "web")]
    document = weekly_document(facts(incidents=[group], sources=[replace(CALM, source="mail"), *ill]))
    assert [(row[0], row[4], row[7]) for row in rows_of(document, "source")] == [
        ("shop", "1", "90.0 %"),
        ("web", "1", "90.0 %"),
        ("mail", "–", "100.0 %"),
    ]
    assert [row[2] for row in rows_of(document, "id")] == ["shop and web: 2 series of 2 sources: shop orders 5"]
    assert "The worst was shop and web: 2 series of 2 sources" in summary(facts(incidents=[group]))[1]


def test_nothing_that_was_not_watched_is_said_to_be_calm() -> None:
    new = replace(CALM, state="not watched yet", newest_at=None, is_watched=False)
    nothing = facts(sources=[replace(new, row_count=0)])
    assert summary(nothing) == ["Nothing was watched then: nothing is known of this week."]
    assert headings(weekly_document(nothing)) == []
    partly = facts(sources=[CALM, replace(new, source="web")])
    assert summary(partly)[1] == "No source had an open incident at any time."
    assert [(row[0], row[1], row[7]) for row in rows_of(weekly_document(partly), "source")] == [
        ("shop", "calm", "100.0 %"),
        ("web", "not watched yet", "–"),
    ]


@pytest.mark.parametrize(
    ("days", "title", "unit", "bars"),
    [
        (30, "30 Oct to 29 Nov 2026", "incidents by day", 31),
        (5, "24 Nov to 29 Nov 2026", "incidents by day", 6),
        (90, "31 Aug to 29 Nov 2026", "incidents by week", 13),
        (400, "25 Oct 2025 to 29 Nov 2026", "incidents by month", 14),
    ],
)
def test_a_span_is_told_by_its_dates_and_all_of_it_is_in_the_picture(days: int, title: str, unit: str, bars: int) -> None:
    end = datetime(2026, 11, 29, 12, tzinfo=UTC)
    period = Period(f"since-{end - timedelta(days=days):%Y-%m-%d}", end - timedelta(days=days), end, "UTC")
    began = [period.start, end - timedelta(days=1), end - timedelta(hours=1)]
    span = facts(period=period, made_at=end, incidents=[replace(incident(), began_at=at) for at in began])
    document = weekly_document(span)
    assert document.title == title and f"Against the four spans of {days} days before" in headings(document)
    spans, within = bars_of(span)
    assert (spans.title, len(spans.bars), sum(spans.bars[-1][1].values())) == (f"incidents by {days} days", 5, 3)
    assert (within.title, len(within.bars), sum(sum(each.values()) for _, each in within.bars)) == (unit, bars, 3)


def test_a_week_has_a_bar_for_each_of_its_days() -> None:
    weeks, days = bars_of(facts(incidents=[incident(9), incident(33, severity="critical")]))
    assert (weeks.title, days.title) == ("incidents by week", "incidents of this week by day")
    assert [label for label, _ in days.bars] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [counts for _, counts in days.bars[:3]] == [{"warning": 1}, {"critical": 1}, {}]
