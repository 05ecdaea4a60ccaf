"""A published copy that was damaged or taken away while the server runs: all that looks at it says the same, and what makes it anew."""

import threading

import pytest

from smartflow_assets.serve.feed import watcher
from smartflow_assets_tests.commands.conftest import call
from smartflow_assets_tests.serve.served import service_of, serving

ASKED = ("/ready", "/api/status", "/api/sources", "/api/anomalies", "/api/data/web", "/api/alerts", "/api/export/anomalies")


def readable(client) -> float:
    [line] = [line for line in client.get("/metrics").text.splitlines() if line.startswith("smartflow_published_readable ")]
    return float(line.split()[1])


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_copy_that_was_cut_off_is_told_everywhere(home, monkeypatch, share):
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))
    whole, part = home.settings.published_file.read_bytes(), home.settings.published_file.with_suffix(".new")
    with serving(service_of(home)) as client:
        assert client.get("/ready").status_code == 200
        part.write_bytes(whole[: int(share * len(whole))])
        part.replace(home.settings.published_file)
        for address in ASKED:
            answer = client.get(address)
            assert answer.status_code == 503, address
            assert "`smartflow run` makes it anew" in answer.json()["remedy"], address
        assert readable(client) == 0
    [line] = [line for line in call("doctor").out.splitlines() if "published copy:" in line]
    assert line.startswith("fail") and "`smartflow run` makes it anew" in line
    assert "smartflow_published_readable 0.0" in call("metrics").out


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_no_copy_at_all_is_told_with_a_remedy(home, is_folder):
    file = home.settings.published_file
    file.unlink()
    file.mkdir() if is_folder else file.write_bytes(b"garbage" * 10_000)
    with serving(service_of(home)) as client:
        for address in ASKED:
            answer = client.get(address)
            assert answer.status_code == 503, address
            assert str(home.folder) not in answer.text
            assert ("folder" in answer.json()["remedy"]) == is_folder and "`smartflow run`" in answer.json()["remedy"]


def test_a_copy_that_was_taken_away_is_no_home_without_figures(home):
    with serving(service_of(home)) as client:
        assert client.get("/api/status").json()["point_count"] == 2016
        home.settings.published_file.unlink()
        told = client.get("/api/status").json()
        assert told["state"] == "copy_missing" and "`smartflow run`" in told["remedy"]
        unknown = ("point_count", "judged_count", "anomaly_count", "anomaly_rate", "open_incidents", "published_at", "last_run_at")
        assert [told[name] for name in unknown] == [None] * len(unknown)
        [broken, web] = client.get("/api/sources").json()["items"]
        assert web["record_count"] is None and web["open_incidents"] is None and broken["problem"]
        home.warehouse.publish("nothing new")
        assert client.get("/api/status").json()["point_count"] == 2016


def test_the_log_says_once_why_it_cannot_be_read(home, monkeypatch, caplog):
    monkeypatch.setattr(watcher, "EACH", 0.01)
    monkeypatch.setattr(watcher, "AFTER_A_FAILURE", 0.01)
    file, whole = home.settings.published_file, home.settings.published_file.read_bytes()
    with serving(service_of(home)) as client:
        for content in (b"garbage" * 10_000, whole[: len(whole) // 2]):
            file.with_suffix(".new").write_bytes(content)
            file.with_suffix(".new").replace(file)
            threading.Event().wait(4)  # an opening is tried for a second
        assert client.get("/ready").status_code == 503
    told = [each for each in caplog.records if "cannot be looked at" in each.getMessage()]
    assert len(told) == 2 and not any(each.exc_info for each in told)
