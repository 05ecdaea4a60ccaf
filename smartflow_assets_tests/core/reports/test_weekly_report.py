"""The weekly report in words: what a manager reads, what is bounded, what is left out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smartflow_assets.core.reports import html_page
from smartflow_assets.core.reports.document import Document, Heading, Paragraph, Table
from smartflow_assets.core.reports.weekly_report import SourceWeek, WeekFacts, WeekIncident, hint, summary, weekly_document
from smartflow_assets.core.temporal.week import week_named
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
