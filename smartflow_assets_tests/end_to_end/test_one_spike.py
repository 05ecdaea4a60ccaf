"""One spike, one message: point by point, in one run, in runs of seven, with a dead channel, a retraining, and a month later."""

import shutil
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.stages import alerting, modelling
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.run import SourceRun
from smartflow_assets_tests.homes import STAGES, START, STEP, Home, daily_series, write_rows
from smartflow_assets_tests.receivers import HookServer, MailServer

DAYS, POINTS = 6, 40
FIRST = START + timedelta(days=DAYS)  # the first of the forty points
SPIKE = slice(10, 16)
SOURCE = """
name: shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum, unit: orders}]
time_bucket: {every: 5min, settle: 0s}
rules: [{type: ratio_to_median, name: promo_surge, metric: orders, at_least: 2.5, window: 1 day, severity: critical}]
alerts: {to: [mail, hook], resolve_after: 15min, max_age: 1 day}
"""
CHANNELS = """
mail: {{type: email, host: 127.0.0.1, port: {port}, security: none, sender: smartflow@example.org, to: [ops@example.org]}}
hook: {{type: webhook, url: "{url}"}}
"""


def rows_with_spike() -> pd.DataFrame:
    rows = daily_series(DAYS + POINTS * STEP / timedelta(days=1))
    at = np.arange(len(rows)) - DAYS * 288
    return rows.assign(value=rows["value"].where((at < SPIKE.start) | (at >= SPIKE.stop), 1900.0))


def shop(home: Home, mailbox: MailServer, receiver: HookServer) -> None:
    home.write_source("shop", SOURCE)
    home.write_channels(CHANNELS.format(port=mailbox.port, url=receiver.url))


def send(run: SourceRun) -> None:
    alerting.alert_sends(run, environment={})


def collect(home: Home, until: datetime) -> None:
    """The collector has appended what happened before `until`."""
    rows = rows_with_spike()
    write_rows(home.settings.data / "examples" / "shop.csv", rows[pd.to_datetime(rows["timestamp"], utc=True) < until])


def run_dagster(home: Home, until: datetime, *, is_retraining: bool = False) -> None:
    job = "train_source" if is_retraining else "monitor_source"
    outcome = home.run("shop", until, job, retrain=is_retraining)
    assert outcome.is_success, outcome.failures


def run_stages(home: Home, until: datetime, *, is_retraining: bool = False) -> None:
    """What a run does, without Dagster around it: a hundred runs in a minute."""
    home.run_stages("shop", until, [modelling.trained_models] if is_retraining else [*STAGES, send], is_retraining=is_retraining)


def results(home: Home) -> list[pd.DataFrame]:
    scores = home.table("anomaly_scores").drop(columns="model_id").sort_values("observed_at", ignore_index=True)
    anomalies = home.table("anomalies").drop(columns="run_id").sort_values("started_at", ignore_index=True)
    incidents = home.table("incidents").sort_values("opened_at", ignore_index=True)
    return [
        frame[frame.iloc[:, frame.columns.get_indexer([column])[0]] >= FIRST].reset_index(drop=True)
        for frame, column in ((scores, "observed_at"), (anomalies, "started_at"), (incidents, "opened_at"))
    ]


POINT_BY_POINT = pytest.param(range(1, POINTS + 1), run_dagster, marks=pytest.mark.soak, id="point by point")
WHERE_SOMETHING_HAPPENS = pytest.param((11, 13, 16, 20, 36, POINTS), run_stages, id="where something happens")


@pytest.mark.parametrize(("points", "run"), [POINT_BY_POINT, WHERE_SOMETHING_HAPPENS])
@pytest.mark.soak
def test_a_spike_over_many_runs_is_one_mail_and_one_recovery(home, mailbox, receiver, points, run):
    shop(home, mailbox, receiver)
    collect(home, FIRST)
    run(home, FIRST)
    receiver.answers = [(503, {})] * 1000
    for k in points:
        if k == 20:
            run(home, FIRST + k * STEP, is_retraining=True)
        if k == 36:
            receiver.answers.clear()
            refused = len(receiver.posts)
        collect(home, FIRST + k * STEP)
        run(home, FIRST + k * STEP)
    subjects = [mail["Subject"] for mail in mailbox.mails]
    assert len(subjects) == 2, subjects
    assert "critical" in subjects[0] and "resolved" in subjects[1]
    later = FIRST + timedelta(hours=8)
    drain_outbox(home.warehouse, Catalogue.load(home.settings), home.settings, now=later, run_id="later", environment={})
    assert len(receiver.posts) - refused == 2  # the wait grows with each failure; the first attempt after it delivers
    failed = home.table("alert_sends", "channel = 'hook' AND status = 'failed'")
    assert len(failed) >= 1 and failed["error"].str.contains("503").any()
    _, anomalies, incidents = results(home)
    assert len(anomalies) == 1 and len(incidents) == 1
    assert len(anomalies["detectors"][0]) and list(anomalies["rules"][0]) == ["promo_surge"]
    assert incidents["state"][0] == "resolved"
    run(home, FIRST + POINTS * STEP)
    assert len(mailbox.mails) == 2


@pytest.mark.parametrize("size", [13, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.soak
def test_runs_of_one_and_of_some_points_leave_what_one_run_leaves(tmp_path, size):
    before, found = Home(tmp_path / "before"), []
    before.write_source("shop", SOURCE)
    before.write_channels(CHANNELS.format(port=25, url="http://127.0.0.1:9/hook"))
    collect(before, FIRST)
    before.run_stages("shop", FIRST)
    for step in (POINTS, size):
        home = Home(shutil.copytree(before.folder, tmp_path / str(step)))
        for k in [*range(step, POINTS, step), POINTS]:
            collect(home, FIRST + k * STEP)
            home.run_stages("shop", FIRST + k * STEP)
        found.append(results(home))
    assert [len(frame) for frame in found[0]] == [POINTS, 1, 1]
    for expected, actual in zip(*found, strict=True):
        pd.testing.assert_frame_equal(actual, expected, check_exact=True)


@pytest.mark.soak
def test_what_is_found_a_month_later_is_recorded_and_not_sent(home, mailbox, receiver):
    shop(home, mailbox, receiver)
    write_rows(home.settings.data / "examples" / "shop.csv", rows_with_spike())
    assert home.run("shop", FIRST + timedelta(days=30)).is_success
    for channel in ("mail", "hook"):
        sends = home.table("alert_sends", f"channel = '{channel}'")
        assert len(sends) >= 1 and set(sends["status"]) == {"skipped"}
    assert mailbox.mails == [] and receiver.posts == []
