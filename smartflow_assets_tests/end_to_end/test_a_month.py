"""A month of six sources with the clock in the hand: which incidents there are, and which messages go out.

Each source is loaded as often as its rows come. Before the month ten weeks of rows were loaded at once and a dozen batches as they came, so
it is known how late the rows of each are. The month begins on a Monday.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages.alerting import close_incidents_of, drain_outbox
from smartflow_assets.stages.ingestion import raw_records
from smartflow_assets_tests.homes import STAGES, START, Home, write_rows

pytestmark = pytest.mark.soak

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST, END = START - 84 * DAY, START + 30 * DAY
DIES = START + 11 * DAY + 18 * HOUR  # Friday evening
REMOVED = START + 20 * DAY
SPIKE = START + DAY + 14 * HOUR
ZERO, BACK = START + 8 * DAY, START + 18 * DAY
LATE_SPIKE = START + 15 * DAY
WRONG_CLOCK = START + DAY + 21 * HOUR
HEAD = "name: {name}\nread: {{type: csv, path: examples/{name}.csv, time: at}}\n"
NOISE = np.random.default_rng(5)


def made(every: timedelta, value: Callable[[pd.DatetimeIndex], np.ndarray], **columns: str) -> pd.DataFrame:
    times = pd.date_range(FIRST, END, freq=every, inclusive="left")
    return pd.DataFrame({"at": times, "value": value(times)} | columns)


def wave(times: pd.DatetimeIndex) -> np.ndarray:
    hours = (times.hour + times.minute / 60).to_numpy()
    return np.round(500 + 200 * np.sin(hours / 24 * 2 * np.pi) + NOISE.normal(0, 12, len(times)), 1)


def takings(times: pd.DatetimeIndex) -> np.ndarray:
    amounts = np.round(1000 * NOISE.lognormal(0, 0.5, len(times)) * np.where(times.day_of_week >= 5, 1.5, 1.0))
    return np.where((times >= ZERO) & (times < BACK), 0, amounts)


@dataclass
class Feed:
    """A source: its YAML below the head, its rows, how late they come, how often they are loaded, and for how long of the month."""

    yaml: str
    rows: pd.DataFrame
    late: timedelta
    every: timedelta
    until: datetime = END

    @property
    def first_load(self) -> datetime:
        return START - 12 * self.every

    def shown(self, now: datetime) -> pd.DataFrame:
        """The rows of the last days that are there by now; at the first load all of them."""
        rows = self.rows[self.rows["at"] + self.late <= now]
        rows = rows if now == self.first_load else rows[rows["at"] > now - self.late - 5 * DAY]
        return rows.assign(at=rows["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))


def feeds() -> dict[str, Feed]:
    alerts = "alerts: {to: [pager]}\n"
    hourly = made(HOUR, wave)
    office = made(timedelta(minutes=15), wave)
    office = office[office["at"].dt.hour.between(8, 17) & (office["at"].dt.day_of_week < 5)]
    batch = made(timedelta(minutes=5), wave)
    batch.loc[(batch["at"] >= SPIKE) & (batch["at"] < SPIKE + HOUR), "value"] *= 5
    late = made(DAY, lambda times: np.round(800 + NOISE.normal(0, 20, len(times))))
    late.loc[late["at"] == LATE_SPIKE, "value"] = 2500.0
    ids = [
        (at, f"{at:%m%d}-{k}", float(NOISE.poisson(20)))
        for at in pd.date_range(FIRST + 70 * DAY, END, freq="1h", inclusive="left")
        for k in range(10)
    ]
    mean = "metrics: [{name: value, aggregate: mean}]\n"
    return {
        "feed": Feed(mean + "time_bucket: {every: 1h, settle: 0s}\n" + alerts, hourly[hourly["at"] < DIES], HOUR, 12 * HOUR, REMOVED),
        "office": Feed(mean + "time_bucket: {every: 15min, settle: 0s}\n" + alerts, office, timedelta(minutes=15), 12 * HOUR),
        "batch": Feed(mean + "time_bucket: {every: 5min, settle: 0s}\n" + alerts, batch, timedelta(minutes=5), HOUR, START + 2 * DAY),
        "late": Feed(mean + "time_bucket: {every: 1 day, settle: 0s}\n" + alerts, late, 4 * DAY, DAY),
        "revenue": Feed(mean + "time_bucket: {every: 1 day, settle: 0s}\n" + alerts, made(DAY, takings), DAY, DAY),
        "jobs": Feed(
            "metrics: [{name: value, aggregate: sum, without_rows: zero}]\ndimensions: [id]\ntime_bucket: {every: 1h, settle: 0s}\n"
            + alerts,
            pd.DataFrame(ids, columns=["at", "id", "value"]),
            HOUR,
            DAY,
        ),
    }


class Month:
    """The home, and the hours that pass in it."""

    def __init__(self, folder: Path) -> None:
        self.home, self.feeds, self.is_killed = Home(folder), feeds(), False
        self.home.write_channels("pager: {type: file}\nmail: {type: file}\n")
        for name, feed in self.feeds.items():
            self.home.write_source(name, HEAD.format(name=name) + feed.yaml)

    def load(self, name: str, now: datetime, clock: datetime) -> None:
        write_rows(self.home.settings.data / f"examples/{name}.csv", self.feeds[name].shown(now))
        stages = STAGES if now >= START else [raw_records]
        self.home.run_stages(name, clock, stages, run_id=f"{name} {clock}")

    def deliver(self, now: datetime) -> None:
        catalogue = Catalogue.load(self.home.settings)
        drain_outbox(self.home.warehouse, catalogue, self.home.settings, now=now, run_id=f"outbox {now}", environment={})

    def die_while_sending(self, now: datetime) -> None:
        """Processes that are killed between claim and wire leave their claims behind, two of them here."""
        planned = self.home.table("alert_sends", "status = 'planned' AND source = 'late'")
        claims = pd.concat([planned.assign(status="claimed", attempt=attempt, happened_at=pd.Timestamp(now)) for attempt in (1, 2)])
        self.home.warehouse.commit("killed", [Append("alert_sends", claims)])

    def pass_by(self) -> None:
        hours = pd.date_range(min(feed.first_load for feed in self.feeds.values()), END, freq="1h")
        for now in map(pd.Timestamp.to_pydatetime, hours):
            due = [name for name, feed in self.feeds.items() if feed.first_load <= now < feed.until and not (now - START) % feed.every]
            for name in due:
                self.load(name, now, now + HOUR if now == WRONG_CLOCK else now)
            if now == SPIKE + HOUR:  # it is found by now, and not over
                self.home.write_source("batch", HEAD.format(name="batch") + self.feeds["batch"].yaml.replace("pager", "mail"))
            if now == REMOVED:
                (self.home.settings.sources / "feed.yaml").unlink()
                policy = Catalogue.load(self.home.settings).alert_policy("feed")
                close_incidents_of(self.home.warehouse, "feed", now=now, reason="its file was removed", policy=policy)
            if "late" in due and not self.is_killed and self.home.count("alert_sends", "status = 'planned' AND source = 'late'"):
                self.die_while_sending(now)
                self.is_killed = True
            if due and now >= START:
                self.deliver(now)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Home:
    passed = Month(tmp_path_factory.mktemp("month"))
    passed.pass_by()
    return passed.home


def test_incidents_are_those_that_happened(month: Home):
    found = month.warehouse.read("SELECT source, cause, opened_at, resolved_at, resolved_reason FROM incidents ORDER BY source, opened_at")
    assert list(found.itertuples(index=False, name=None)) == [
        ("batch", "anomaly", SPIKE, SPIKE + timedelta(minutes=75), "back to normal for 15 min"),
        ("feed", "freshness", DIES - HOUR, REMOVED, "its file was removed"),
        ("late", "anomaly", LATE_SPIKE, LATE_SPIKE + 2 * DAY, "back to normal for 1 day"),
        ("revenue", "anomaly", ZERO + DAY, BACK + DAY, "back to normal for 1 day"),  # one zero in three months is none yet
    ]


def test_messages_are_those_that_people_need(month: Home):
    """An opening, a worse severity, a recovery: where the opening went, each once, and marked where a killed process may have sent it."""
    sent = month.sent().sort_values(["source", "happened_at"])
    assert list(sent[["source", "event", "channel", "is_possible_repeat"]].itertuples(index=False, name=None)) == [
        ("batch", "opened", "pager", False),
        ("batch", "resolved", "pager", False),  # `to` names mail by then
        ("feed", "opened", "pager", False),
        ("feed", "escalated", "pager", False),
        ("feed", "resolved", "pager", False),
        ("late", "opened", "pager", True),
        ("late", "resolved", "pager", False),
        ("revenue", "opened", "pager", False),
        ("revenue", "escalated", "pager", False),
        ("revenue", "resolved", "pager", False),
    ]
    told = sent.set_index(["source", "event"])["happened_at"]
    assert told["feed", "opened"] <= DIES + DAY and told["late", "opened"] <= LATE_SPIKE + 6 * DAY
    assert month.table("alert_sends", "status IN ('failed', 'skipped')").empty


def test_fresh_ids_cost_no_more_than_the_days_that_they_live(month: Home):
    assert (
        10 * (30 + 13) * 24 < month.count("clean_series", "source = 'jobs'") < 2.2 * 10 * (30 + 13) * 24
    )  # a day of rows, a day of waiting
    assert month.table("anomalies", "source = 'jobs'").empty
