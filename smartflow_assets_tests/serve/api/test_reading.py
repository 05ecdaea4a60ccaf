"""What the server answers about a home, compared with what the warehouse says."""

import csv
import io
from datetime import datetime, timedelta

import duckdb
import pandas as pd
import pytest

from smartflow_assets_tests.homes import START, STEP, daily_series, write_rows
from smartflow_assets_tests.serve.served import NOW, SPIKE_AT, service_of, serving

SPIKE = START + SPIKE_AT * STEP
NAMES = ("me", "status", "sources", "stats", "data/web", "anomalies", "incidents", "alerts", "checks", "events")


@pytest.mark.parametrize("name", NAMES)
def test_each_question_is_answered_with_json_and_guarded_headers(client, name):
    answer = client.get(f"/api/{name}")
    assert answer.status_code == 200, answer.text
    assert isinstance(answer.json(), dict)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_status_counts_what_the_warehouse_holds(client, filled_home):
    told = client.get("/api/status").json()
    assert told["point_count"] == filled_home.count("clean_series")
    assert told["anomaly_count"] == filled_home.count("anomalies")
    assert told["open_incidents"]["critical"] + told["open_incidents"]["warning"] + told["open_incidents"]["info"] == len(
        client.get("/api/incidents").json()["items"]
    )
    assert told["source_count"] == 2


SHOP = """
name: shop
read: {type: csv, path: examples/shop.csv, time: timestamp}
metrics: [{name: orders, column: value, aggregate: sum}]
dimensions: [region]
time_bucket: {every: 1h, settle: 0s}
rules: [{type: threshold, metric: orders, above: 1500, severity: critical}]
alerts: {to: [file]}
"""
WARMING_UP = """
name: doors
read: {type: csv, path: examples/doors.csv, time: timestamp}
metrics: [{name: opened, column: value, aggregate: sum}]
time_bucket: {every: 5min, settle: 0s}
rules: [{type: threshold, metric: opened, above: 500}]
"""


def test_the_share_of_anomalous_points_is_the_same_everywhere(home):
    home.write_source("doors", WARMING_UP)
    write_rows(home.settings.data / "examples/doors.csv", daily_series(2))  # too few for detectors: rules alone judge them
    home.run_stages("doors", START + timedelta(days=2), run_id="doors")
    home.warehouse.publish("doors", is_forced=True)
    with serving(service_of(home)) as client:
        told, items = client.get("/api/status").json(), client.get("/api/sources").json()["items"]
    sources = {each["source"]: each for each in items}
    broken = home.count("(SELECT DISTINCT observed_at FROM rule_violations WHERE source = 'doors')")
    assert sources["doors"]["judged_count"] == 576 and sources["doors"]["anomaly_rate"] == broken / 576 > 0.3
    assert told["judged_count"] == sum(each["judged_count"] for each in items) == 2016 + 576
    flagged = sum(each["judged_count"] * (each["anomaly_rate"] or 0) for each in items)
    assert told["anomaly_rate"] == pytest.approx(flagged / told["judged_count"])


def test_days_and_sends_are_summed_by_what_they_say_and_of_the_sources_that_are_asked_for(home):
    home.write_source("shop", SHOP)
    rows = daily_series(7, step=timedelta(hours=1))
    rows.loc[len(rows) - 3 :, "value"] = 4000
    write_rows(home.settings.data / "examples/shop.csv", pd.concat([rows.assign(region=region) for region in ("eu", "us", "asia")]))
    home.run_stages("shop", NOW, run_id="shop")
    home.warehouse.publish("shop", is_forced=True)
    sql = "SELECT source, severity, count(*) AS n FROM anomalies WHERE started_at > TIMESTAMPTZ '2026-03-08' GROUP BY ALL"
    stored = {tuple(row[:2]): row[2] for row in home.warehouse.read(sql).itertuples(index=False)}
    with serving(service_of(home)) as client:
        told = client.get("/api/stats?days=1").json()
        of = {name: client.get(f"/api/stats?source={name}").json()["sends"] for name in ("web", "shop")}
    days = [(each["day"], each["source"], each["severity"]) for each in told["by_day"]]
    assert len(days) == len(set(days)), "one for each day, source and severity"
    assert {(each["source"], each["severity"]): each["anomalies"] for each in told["by_day"]} == stored and max(stored.values()) == 3
    for name, sends in of.items():
        counted = home.count("alert_sends", f"status IN ('sent', 'failed', 'skipped') AND source = '{name}'")
        assert sum(each["count"] for each in sends) == counted


def test_a_broken_source_is_listed_with_what_is_wrong(client):
    broken, web = client.get("/api/sources").json()["items"]
    assert "nothing" in broken["problem"] and broken["source"] == "broken"
    assert web["problem"] is None and web["owner"] == "team:shop" and web["bucket_seconds"] == 300 and web["series_count"] == 1
    assert [each["source"] for each in client.get("/api/sources?tag=domain=sales").json()["items"]] == ["web"]
    assert client.get("/api/sources?owner=nobody").json()["items"] == []


def test_a_message_says_of_which_series_it_was(client, filled_home):
    items = client.get("/api/alerts").json()["items"]
    known = dict(filled_home.table("incidents")[["incident_id", "series"]].itertuples(index=False))
    assert items and [each["series"] for each in items] == [known[each["incident_id"]] for each in items]


def test_every_bucket_of_a_short_window_is_a_point(client, filled_home):
    told = client.get("/api/data/web?last=60").json()
    [series] = told["series"]
    stored = filled_home.table("anomaly_scores").sort_values("observed_at").tail(60)
    assert series["value"] == stored["value"].tolist()
    assert series["at"] == [int(at.timestamp() * 1000) for at in stored["observed_at"]]
    assert series["upper"] == stored["upper"].tolist() and told["resolution_seconds"] == told["bucket_seconds"] == 300


def test_a_spike_of_one_bucket_is_seen_in_a_week_of_fifty_points(client):
    told = client.get("/api/data/web", params={"points": 50}).json()
    [series] = told["series"]
    assert len(series["value"]) <= 51
    at = max(range(len(series["value"])), key=lambda place: series["value"][place])
    assert series["value"][at] == series["high"][at] == 4000 and series["severity"][at] is not None
    assert series["at"][at] <= SPIKE.timestamp() * 1000 < series["at"][at] + told["resolution_seconds"] * 1000
    assert [each["series"] for each in told["incidents"]] == ["requests"]


def test_pages_of_a_list_are_the_whole_list(client, filled_home):
    found, cursor = [], None
    for _ in range(20):
        page = client.get("/api/anomalies", params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        found += [each["anomaly_id"] for each in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    stored = filled_home.table("anomalies").sort_values(["started_at", "anomaly_id"], ascending=False)
    assert found == stored["anomaly_id"].tolist() and len(found) >= 1


def test_an_anomaly_says_to_which_incident_it_belongs(client):
    [spike] = [each for each in client.get("/api/anomalies").json()["items"] if datetime.fromisoformat(each["started_at"]) == SPIKE]
    told = client.get(f"/api/incidents/{spike['incident_id'][:8]}").json()
    assert told["incident"]["incident_id"] == spike["incident_id"]
    assert told["timeline"][0]["event"] == "opened" and "4000" in told["incident"]["title"].replace(",", "")


def test_an_answer_that_is_known_is_not_sent_again(client):
    first = client.get("/api/anomalies")
    again = client.get("/api/anomalies", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/anomalies?limit=3").headers["etag"] != first.headers["etag"]


def test_another_copy_has_other_answers(home):
    with serving(service_of(home)) as client:
        before = client.get("/api/status").json()["published_at"], client.get("/api/anomalies").headers["etag"]
        home.warehouse.publish("again", is_forced=True)
        assert client.get("/api/status").json()["published_at"] > before[0]
        assert client.get("/api/anomalies").headers["etag"] != before[1]


def test_exports_say_what_the_warehouse_says(client, filled_home):
    rows = list(csv.DictReader(io.StringIO(client.get("/api/export/scores?source=web").text)))
    assert [float(row["value"]) for row in rows] == filled_home.table("anomaly_scores").sort_values("observed_at")["value"].tolist()
    flagged = client.get("/api/export/scores?only_anomalies=true&format=json").json()
    assert SPIKE.isoformat() in {datetime.fromisoformat(row["timestamp"]).isoformat() for row in flagged}
    assert len(flagged) == sum(row["is_anomaly"] == "true" for row in rows)


@pytest.mark.parametrize(
    ("asked", "is_found"),
    [("series=requests", True), ("q=QUEST", True), ("q=%25", False)],
)
def test_an_export_holds_the_series_that_are_asked_for(client, filled_home, asked, is_found):
    rows = client.get(f"/api/export/scores?source=web&format=json&{asked}").json()
    assert len(rows) == (filled_home.count("anomaly_scores") if is_found else 0)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/api/data/wep", 404, "web"),
        ("/api/data/..%2F..%2Fetc", 404, ""),
        ("/api/data/web?from=yesterday-ish", 422, "from"),
        ("/api/data/web?from=2026-03-05&to=2026-03-04", 422, "before"),
        ("/api/data/web?last=60&from=2026-03-05", 422, "last"),
        ("/api/data/web?series=requests&series=reqests", 404, "Did you mean requests?"),
        ("/api/anomalies?source=web&series=reqests", 404, "Did you mean requests?"),
        ("/api/anomalies?series=nothing", 404, "nothing"),
        ("/api/anomalies?cursor=bm9uZQ", 422, "cursor"),
        ("/api/anomalies?severity=bad", 422, "severity"),
        ("/api/anomalies?limit=100000", 422, "limit"),
        ("/api/incidents/ffffffff", 404, "ffffffff"),
        ("/api/nothing", 404, ""),
        ("/api/export/scores?series=it's", 404, "it's"),
        ("/api/export/scores?source=web&series=reqests", 404, "Did you mean requests?"),
        ("/api/export/incidents?series=requests&series=nothing", 404, "nothing"),
    ],
)
def test_what_cannot_be_answered_says_why(client, address, status, said):
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.text and answer.json()["status"] == status


def test_before_anything_is_published_the_page_is_there_and_says_so(tmp_path):
    from smartflow_assets_tests.homes import Home

    empty = Home(tmp_path)
    empty.settings.warehouse_file.unlink()
    with serving(service_of(empty)) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        assert client.get("/api/status").json()["state"] == "never_run" and client.get("/api/status").json()["remedy"] is None
        answer = client.get("/api/anomalies")
        assert answer.status_code == 503 and "smartflow run" in answer.json()["remedy"]


def test_the_default_window_is_the_newest_week(client):
    told = client.get("/api/data/web").json()
    assert datetime.fromisoformat(told["to"]) == NOW
    assert datetime.fromisoformat(told["from"]) == NOW - timedelta(days=7)


def test_a_copy_that_an_older_version_made_is_read(home):
    """Its marts have no columns that came since; the next run makes them anew."""
    with serving(service_of(home)) as client:
        before = [client.get(f"/api/{name}").json() for name in ("status", "sources")]
    with duckdb.connect(home.settings.published_file) as older:
        older.execute("ALTER VIEW marts.source_health RENAME TO newer")
        older.execute("CREATE VIEW marts.source_health AS SELECT * EXCLUDE (judged_count, anomalous_count) FROM marts.newer")
    with serving(service_of(home)) as client:
        after = [client.get(f"/api/{name}").json() for name in ("status", "sources")]
    assert after[1] == before[1] and after[0] | {"now": ""} == before[0] | {"now": ""}
