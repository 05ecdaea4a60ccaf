"""What a backtest says of two settings."""

import re
from datetime import timedelta
from html.parser import HTMLParser

import pandas as pd
import pytest

from smartflow_assets.core.evaluation.metrics import EventScores, Quality, SeriesQuality
from smartflow_assets.core.reports.backtest_report import LISTED, Side, backtest_page, figure_rows, incident_rows, only_in

START = pd.Timestamp("2026-03-02", tz="UTC")
HOUR, STEP = pd.Timedelta("1h"), timedelta(minutes=5)


def incidents(*spans: tuple[str, float, float]) -> pd.DataFrame:
    """Incidents by series, first and last hour."""
    return pd.DataFrame(
        [
            {
                "series": series,
                "opened_at": START + first * HOUR,
                "last_seen_at": START + last * HOUR,
                "resolved_at": START + (last + 1) * HOUR,
                "severity": "critical",
                "is_told": True,
                "title": f"<{series}> & co",
            }
            for series, first, last in spans
        ],
        columns=["series", "opened_at", "last_seen_at", "resolved_at", "severity", "is_told", "title"],
    )


def side(name: str, found: pd.DataFrame, *, is_labelled: bool = True, others: pd.DataFrame | None = None) -> Side:
    one = SeriesQuality("a", START, START + 48 * HOUR, EventScores(3, 1, 2), EventScores(5, 5, 0), 0.9, None, (300.0, 0.0, 600.0), 2.0)
    return Side(
        name,
        found,
        7,
        Quality((one,)),
        is_labelled,
        plots={"a": b"\x89PNG of " + name.encode()},
        only=None if others is None else only_in(found, others, STEP),
    )


@pytest.mark.parametrize(
    ("other", "is_alone"),
    [
        (("a", 2, 3), False),
        (("a", 1, 9), False),
        (("a", 3.08, 4), False),  # within five minutes
        (("a", 3.2, 4), True),
        (("b", 2, 3), True),
    ],
)
def test_an_incident_is_the_same_when_series_and_time_meet(other, is_alone):
    assert len(only_in(incidents(("a", 2, 3)), incidents(other), STEP)) == is_alone


def test_without_others_each_incident_stands_alone():
    assert len(only_in(incidents(("a", 2, 3), ("b", 1, 2)), incidents(), STEP)) == 2
    assert only_in(incidents(), incidents(("a", 2, 3)), STEP).empty


def test_figures_of_labelled_sides_are_measures_of_events():
    rows = {name: values for name, *values in figure_rows([side("A", incidents(("a", 2, 3))), side("B", incidents())])}
    assert rows["incidents"] == ["1", "0"]
    assert rows["of them severe enough to tell"] == ["1", "0"]
    assert rows["event precision"][0] == "0.60" and rows["event recall"][0] == "0.75" and rows["event F1"][0] == "0.67"
    assert rows["false alerts per series-day"][0] == "1.000" and rows["median delay"][0] == "5min"
    assert rows["ROC AUC"][0] == "0.900" and rows["PR AUC"][0] == "–"


def test_without_labels_no_precision_is_claimed():
    rows = {name: values for name, *values in figure_rows([side("A", incidents(), is_labelled=False)])}
    assert rows["alarms per series-day"] == ["1.000"]
    assert not [name for name in rows if "precision" in name or "false" in name]


def test_times_are_those_of_the_zone_and_open_incidents_say_so():
    found = incidents(("a", 2, 3)).assign(resolved_at=pd.NaT)
    assert incident_rows(found, "Europe/Berlin")[0][:2] == ["2026-03-02 03:00", "open"]


def test_the_page_is_whole_and_loads_nothing():
    one, two = incidents(("a", 2, 3), ("a", 9, 9)), incidents(("a", 2, 3))
    page = backtest_page("Test <1>", ["A fact."], [side("A", one, others=two), side("B", two, others=one)], "UTC")
    assert "Test &lt;1&gt;" in page and "&lt;a&gt; &amp; co" in page and "<a>" not in page
    assert "Incidents only with B</h2>\n<p>None.</p>" in page
    only_a = page.split("Incidents only with A")[1].split("<h2>")[0]
    assert "2026-03-02 09:00" in only_a and "2026-03-02 02:00" not in only_a
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page) and "http:" not in page and "https:" not in page
    opened: list[str] = []

    class Balanced(HTMLParser):
        def handle_starttag(self, tag, attrs):
            opened.extend([] if tag in ("meta", "img") else [tag])

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Balanced().feed(page)
    assert opened == []


def test_a_long_list_is_cut_and_says_so():
    many = incidents(*(("a", hour, hour) for hour in range(LISTED + 3)))
    assert "and 3 more" in backtest_page("t", [], [side("A", many)], "UTC")
