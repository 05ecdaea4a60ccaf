"""What breaks together in three sources of one run: one message with twenty members, one recovery, and no more however often it is run."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pandas as pd
import pytest

from smartflow_assets.defs import many_sources
from smartflow_assets.defs.execute import execute_many
from smartflow_assets_tests.end_to_end.conftest import opened
from smartflow_assets_tests.homes import START, STEP, Home, daily_series, write_rows

END = START + timedelta(days=4)
SOURCES = {"shop": 7, "payments": 7, "logistics": 6}
BROKEN_AT, CALM_AT = 1100, 1112  # rows
YAML = """
name: {name}
read: {{type: csv, path: examples/{name}.csv, time: timestamp}}
dimensions: [region]
metrics: [{{name: orders, column: value, aggregate: sum}}]
time_bucket: {{every: 5min, settle: 0s}}
detectors: [{{type: mad}}]
rules: [{{type: threshold, metric: orders, above: 1500}}]
profile: off
alerts: {{to: [file]}}
{more}
"""


def write(home: Home, until: int) -> datetime:
    """All rows of all sources before a row; -> when that is."""
    for name, count in SOURCES.items():
        frames = []
        for number in range(count):
            rows = daily_series(4, seed=number)
            rows.loc[BROKEN_AT : CALM_AT - 1, "value"] = 1600 + number
            frames.append(rows[:until].assign(region=f"r{number}"))
        write_rows(home.settings.data / "examples" / f"{name}.csv", pd.concat(frames))
    return START + until * STEP


def watch(home: Home, now: datetime) -> None:
    assert execute_many(home.instance, home.settings, list(SOURCES), {"as_of": now.isoformat()}, on_end=lambda outcome: None) == ()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with opened(tmp_path_factory.mktemp("groups")) as home:
        for name in SOURCES:
            more = "" if name != "payments" else "contract: {references: [{column: region, source: shop}]}"
            home.write_source(name, YAML.format(name=name, more=more))
        watch(home, write(home, 1000))
        yield home


@pytest.mark.soak
def test_it_is_one_message_with_twenty_members_and_one_recovery(broken: Home) -> None:
    for until in (1106, 1106, 1106, 1106):
        watch(broken, write(broken, until))
    sent = broken.sent()
    assert list(sent["event"]) == ["opened"] and set(sent["source"]) == {"*"}
    [path] = broken.settings.outbox.glob("*.json")
    told = json.loads(path.read_text())
    assert told["member_count"] == 20 and len(told["members"]) == 20 and set(told["sources"]) == {*SOURCES}
    assert told["subject"].startswith("[critical] 20 series of 3 sources: ") and told["subject"].endswith(", and 19 more")
    assert told["sources"].index("shop") < told["sources"].index("payments")  # which refers to it
    for until in (1120, 1120):
        watch(broken, write(broken, until))
    assert list(broken.sent()["event"]) == ["opened", "resolved"]
    assert broken.count("incidents", "state <> 'resolved'") == 0
    [group] = broken.table("incidents", "source = '*'").to_dict("records")
    assert group["resolved_at"] == broken.table("incidents")["resolved_at"].max()


@pytest.mark.soak
def test_what_waits_is_told_by_a_run_of_several_only_after_a_look_at_its_source(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(many_sources, "TOLD_EVERY", timedelta(0))
    window = {"from": (START + BROKEN_AT * STEP).isoformat(), "until": (START + CALM_AT * STEP).isoformat()}
    with opened(tmp_path_factory.mktemp("waiting")) as home:
        for name in SOURCES:
            home.write_source(name, YAML.format(name=name, more="").replace("to: [file]", f"to: [file], maintenance: [{window}]"))
        for until in (1000, 1106, CALM_AT + 20):  # by then the message is due, and what it tells of is over
            watch(home, write(home, until))
        assert home.sent().empty and home.count("incidents") > 0
