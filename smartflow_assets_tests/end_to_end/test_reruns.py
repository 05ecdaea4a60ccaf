"""Running again: the same clock changes nothing, a later one adds the buckets between, an appended row adds itself."""

from datetime import timedelta

import pandas as pd

from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

LEDGERS = {"run_log", "writes", "snapshot_info"}  # a run leaves a trace there, whatever it found
END = START + timedelta(days=6)


def web(home: Home) -> pd.DataFrame:
    home.write_source("web", WEB)
    rows = daily_series(6)
    rows.loc[1600, "value"] = 2500
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    return rows


def counts(home: Home) -> dict[str, int]:
    names = [name for name in TABLES if name not in LEDGERS]
    return {name: home.count(name) for name in [*names, "raw.web"]}


def test_the_same_clock_twice_changes_nothing(home):
    web(home)
    assert home.run("web", END).is_success
    before = counts(home)
    assert before["anomalies"] >= 1 and before["alert_sends"] >= 1
    assert home.run("web", END).is_success
    assert counts(home) == before


def test_a_later_clock_adds_exactly_the_buckets_between(home):
    web(home)
    assert home.run("web", END - 10 * STEP).is_success
    before = counts(home)
    assert home.run("web", END - 3 * STEP).is_success
    after = counts(home)
    for name in ("clean_series", "series_features", "anomaly_scores"):
        assert after[name] - before[name] == 7, name
    assert after["raw.web"] == before["raw.web"]


def test_an_appended_row_adds_exactly_itself(home):
    rows = web(home)
    assert home.run("web", END).is_success
    before = counts(home)
    newest = pd.DataFrame({"timestamp": [END.strftime("%Y-%m-%dT%H:%M:%SZ")], "value": [500.0]})
    write_rows(home.settings.data / "examples" / "web.csv", pd.concat([rows, newest]))
    assert home.run("web", END + STEP).is_success
    after = counts(home)
    assert {name: after[name] - before[name] for name in ("raw.web", "clean_series", "series_features", "anomaly_scores")} == {
        "raw.web": 1,
        "clean_series": 1,
        "series_features": 1,
        "anomaly_scores": 1,
    }


def test_a_late_row_changes_its_own_bucket_and_no_other_score(home):
    rows = web(home)
    late = rows.drop(index=1000)
    write_rows(home.settings.data / "examples" / "web.csv", late)
    assert home.run("web", END).is_success
    before = home.table("anomaly_scores").set_index("observed_at")["raw_score"].sort_index()
    write_rows(home.settings.data / "examples" / "web.csv", rows)
    assert home.run("web", END + STEP).is_success
    after = home.table("anomaly_scores").set_index("observed_at")["raw_score"].sort_index()
    at = START + 1000 * STEP
    changed = before.index[(before.fillna(-1) != after.reindex(before.index).fillna(-1)).to_numpy()]
    assert set(changed) <= {pd.Timestamp(at)}
    clean = home.table("clean_series", f"observed_at = '{at.isoformat()}'")
    assert clean["repair"].tolist() == ["none"] and clean["value"].tolist() == [rows["value"][1000]]


def test_a_changed_aggregation_rebuilds_without_alerting_again(home):
    web(home)
    assert home.run("web", END).is_success
    sent = home.count("alert_sends", "status = 'sent'")
    assert sent >= 1
    home.write_source("web", WEB.replace("every: 5min", "every: 10min"))
    assert home.run("web", END).is_success
    assert home.count("clean_series") == 6 * 144
    assert home.count("alert_sends", "status = 'sent'") == sent
    assert home.count("raw.web") == 6 * 288


def test_a_dry_run_leaves_no_trace(home):
    web(home)
    assert home.run("web", END - 10 * STEP).is_success
    before, runs = counts(home), len(home.instance.get_run_records())
    assert home.run("web", END, dry_run=True).facts["rows_scored"] == 10
    assert counts(home) == before and len(home.instance.get_run_records()) == runs
