"""What models learn from: no row that is still to be scored, nothing of an incident that is not over, no anomaly unless it is usual."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.writes import Replace, Rewrite
from smartflow_assets.stages import ingestion, modelling, preparation
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.training_rows import learnable_rows
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows
from smartflow_assets_tests.stages.test_model_ledger import HOUR, day, make, models, rows_of, run_of, train, watch, web

__all__ = ["web"]


@pytest.fixture(scope="module")
def sixteen_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen days, of which two thirds have been scored, without an anomaly."""
    web = make(tmp_path_factory.mktemp("watched"))
    watch(web, day(16))
    nothing = web.table("anomalies", "FALSE")
    web.warehouse.commit(
        "test",
        [
            Replace("anomalies", "web", nothing, day(0), day(17), is_empty_allowed=True),
            Rewrite("incidents", tuple(web.table("incidents")["incident_id"]), web.table("incidents", "FALSE")),
        ],
    )
    return web.folder


@pytest.fixture
def watched(sixteen_days: Path, tmp_path: Path) -> Home:
    return Home(shutil.copytree(sixteen_days, tmp_path, dirs_exist_ok=True))


def learnt(home: Home) -> list[datetime]:
    """The times of the rows that a training would learn from now."""
    run = run_of(home, day(16))
    learnable = learnable_rows(run, metric_groups(run)[0], None, is_accepting=False)
    assert learnable is not None
    return learnable.rows.dropna(subset="value")["observed_at"].tolist()


def between(since: float, until: float) -> list[pd.Timestamp]:
    return list(pd.date_range(day(since), day(until), freq=HOUR, inclusive="left"))


def add_incident(
    home: Home, since: float, *, state: str = "open", cause: str = "anomaly", series: str = "requests", **more: object
) -> None:
    until = day(since) + HOUR
    home.warehouse.commit(
        "test",
        [
            Rewrite(
                "incidents",
                (f"i{since}",),
                pd.DataFrame(
                    [
                        {
                            "source": "web",
                            "incident_id": f"i{since}",
                            "cause": cause,
                            "series": series,
                            "fingerprint": "f",
                            "severity": "warning",
                            "state": state,
                            "opened_at": day(since),
                            "last_seen_at": until,
                            "resolved_at": until if state == "resolved" else None,
                            **more,
                        }
                    ]
                ),
            )
        ],
    )


def add_anomaly(home: Home, since: float, until: float) -> None:
    rows = pd.DataFrame(
        [
            {
                "source": "web",
                "anomaly_id": f"a{since}",
                "series": "requests",
                "metric": "requests",
                "started_at": day(since),
                "ended_at": day(until),
            }
        ]
    )
    home.warehouse.commit("test", [Replace("anomalies", "web", rows, day(since), day(until))])


@pytest.mark.soak
def test_all_that_is_calm_and_scored_is_learnt_from(watched):
    assert learnt(watched) == between(0, 16)


@pytest.mark.parametrize("runs", [[60], [44, 48, 52, 56, 60]])
@pytest.mark.soak
def test_a_feed_with_holes_has_its_first_model_when_there_are_enough_values(tmp_path, runs):
    home = Home(tmp_path)
    home.write_source("web", WEB.replace("every: 5min", "every: 1h"))
    rows = daily_series(2.5, step=HOUR)
    rows = rows[rows.index % 3 != 1]  # 40 of 60 hours: the 36th is the 53rd
    trained = []
    for hours in runs:
        write_rows(home.settings.data / "examples" / "web.csv", rows[rows.index < hours])
        done = home.run_stages("web", START + hours * HOUR, [ingestion.raw_records, preparation.clean_series, modelling.trained_models])
        trained += [hours] * done["trained_models"].trained_count
    (model,) = home.table("trained_models").to_dict("records")
    assert model["trained_to"] == START + 53 * HOUR
    assert trained == [next(hours for hours in runs if hours >= 54)]


@pytest.mark.soak
def test_rows_that_are_still_to_be_scored_are_not(web):
    watch(web, day(12))
    run = run_of(web, day(14), is_retraining=True)
    for stage in (ingestion.raw_records, preparation.clean_series, preparation.series_features, modelling.trained_models):
        stage(run)  # and no scoring: two days wait for it
    newest = models(web).iloc[-1]
    assert newest["status"] == "current" and newest["trained_to"] == pd.Timestamp(day(12) - HOUR)
    assert web.table("clean_series")["observed_at"].max() == pd.Timestamp(day(14) - HOUR)


@pytest.mark.parametrize(("state", "resolved_by"), [("open", None), ("acknowledged", None), ("suppressed", None), ("resolved", "ann")])
def test_nothing_is_learnt_since_an_incident_began_that_is_not_over_whatever_people_say_of_it(watched, state, resolved_by):
    add_incident(watched, 10, state=state, resolved_by=resolved_by)
    assert learnt(watched) == between(0, 10)


def test_an_incident_that_is_over_hides_no_more_than_its_anomalies(watched):
    add_incident(watched, 10, state="resolved")
    add_anomaly(watched, 10, 10.5)
    assert learnt(watched) == between(0, 10) + between(10.5, 16)


@pytest.mark.parametrize(
    ("cause", "series", "until"),
    [
        ("check:row_count", "", 10),  # of all series
        ("check:row_count", "requests", 10),
        ("anomaly", "other", 16),  # of another series
        ("check:columns_are_as_agreed", "", 16),  # a column that somebody has yet to accept: the rows are good
        ("check:distributions_are_usual", "", 16),
        ("alert_sends", "", 16),  # a step that failed: a dead channel says nothing of the rows
    ],
)
def test_what_an_incident_is_about_decides_what_it_hides(watched, cause, series, until):
    add_incident(watched, 10, cause=cause, series=series)
    assert learnt(watched) == between(0, until)


@pytest.mark.parametrize(("until", "is_learnt"), [(13.1, False), (13.3, True)])
def test_anomalies_on_more_than_a_fifth_of_the_rows_are_what_is_normal(watched, until, is_learnt):
    add_anomaly(watched, 10, until)
    assert learnt(watched) == (between(0, 16) if is_learnt else between(0, 10) + between(until + 0.025, 16))


def test_but_not_while_their_incident_is_open(watched):
    add_anomaly(watched, 10, 14)
    add_incident(watched, 10)
    assert learnt(watched) == between(0, 10)


def test_too_few_calm_rows_leave_the_model_as_it_is(watched):
    add_incident(watched, 1)
    said = modelling.trained_models(run_of(watched, day(16), is_retraining=True)).summary
    assert said == "all metrics: too little history, 36 buckets without anomalies and open incidents are needed"
    assert len(models(watched)) == 1


@pytest.mark.soak
def test_a_spike_that_was_flagged_is_not_learnt_by_the_training_after_it(web):
    rows = rows_of()
    rows.loc[300:305, "value"] = 9000
    write_rows(web.settings.data / "examples" / "web.csv", rows)
    watch(web, day(14))
    spike = web.table("anomalies", f"started_at <= '{START + 300 * HOUR}' AND ended_at >= '{START + 306 * HOUR}'")
    assert len(spike) == 1
    assert set(learnt(web)).isdisjoint(START + number * timedelta(hours=1) for number in range(300, 306))
    train(web, day(14))
    assert models(web)["trained_because"].tolist() == ["first training", "by hand"]


def test_a_budget_counts_past_anomalies_as_alarms_and_nothing_of_an_open_incident(watched):
    add_anomaly(watched, 4, 4.5)
    add_incident(watched, 10)
    run = run_of(watched, day(16))
    learnable = learnable_rows(run, metric_groups(run)[0], None, is_accepting=False)
    assert learnable is not None
    assert learnable.calm.dropna(subset="value")["observed_at"].tolist() == between(0, 10)
    assert learnable.rows.dropna(subset="value")["observed_at"].tolist() == between(0, 4) + between(4.5, 10)


@pytest.mark.soak
def test_the_next_training_raises_the_threshold_of_a_series_that_alarmed_more_often_than_its_budget(web):
    rows = rows_of(32)
    at = rows.index[(rows.index > 24 * 8) & (rows.index % 31 == 0)]
    rows.loc[at, "value"] += 3000 + 40 * at.to_numpy()
    write_rows(web.settings.data / "examples" / "web.csv", rows)
    web.write_source("web", (web.settings.data / "sources" / "web.yaml").read_text() + "threshold: {false_alerts: 1 per week}\n")
    watch(web, day(16))
    train(web, day(16))
    watch(web, day(32))
    found = web.table("anomaly_scores", "state = 'scored'")
    before, after = found[found["observed_at"] < day(16)], found[found["observed_at"] >= day(16)]
    assert before["is_anomaly"].sum() > 3
    assert after["threshold"].min() > before["threshold"].max()
