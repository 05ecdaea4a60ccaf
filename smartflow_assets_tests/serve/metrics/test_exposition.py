"""What `/metrics` answers is what Prometheus takes, in the format that it asks for, and counts what the server has answered."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from smartflow_assets.serve.access.tokens import Role, TokenFile
from smartflow_assets.serve.metrics.declarations import METRICS, OF_THE_SERVER
from smartflow_assets.serve.metrics.exposition import Exposition
from smartflow_assets_tests.serve.metrics.watched_home import busy_home, collector, insert, make_home, run, send, service_of
from smartflow_assets_tests.serve.served import serving

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in prometheus(text) for one in family.samples}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One that has answered: twice by a template, a wrong address, a method that there is not, a stream."""
    with serving(service_of(busy_home(tmp_path_factory.mktemp("busy"), datetime.now(UTC)))) as client:
        client.get("/api/data/shop")
        client.get("/api/data/%0Astrange")
        client.get("/wp-admin.php")
        client.get("/api/status?token=sf_00000000_aaaaaaaaaaaaaaaaaaaaaaaa")
        client.request("PURGE", "/api/sources")
        with client.stream("GET", "/api/stream/anomalies") as events:
            pieces = events.iter_bytes()  # kept: its end would close the stream
            assert next(pieces)
            assert samples(client.get("/metrics").text)["smartflow_http_stream_clients", ()] == 1
        yield client


def counted(found: Samples) -> dict[tuple[str, ...], float]:
    return {tuple(value for _, value in labels): n for (name, labels), n in found.items() if name == "smartflow_http_requests_total"}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus")
def test_promtool_finds_nothing_wrong_with_names_units_and_help(server: httpx.Client) -> None:
    text = server.get("/metrics").text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    named = {family.name + ("_total" if family.type == "counter" else "") for family in prometheus(text)}
    assert set(METRICS) <= named, "each metric that is declared is exposed"


def test_openmetrics_is_answered_where_it_is_asked_for(server: httpx.Client) -> None:
    plain = server.get("/metrics")
    asked = server.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert asked.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n")
    units = {family.name: family.unit for family in openmetrics(asked.text)}
    assert units["smartflow_published_timestamp_seconds"] == "seconds" and units["smartflow_disk_free_bytes"] == "bytes"


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/openmetrics-text;version=x", ";;q=a,", "a" * 5000])
def test_whatever_is_accepted_prometheus_text_is_answered(server: httpx.Client, accept: str) -> None:
    answer = server.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(("text/plain", "application/openmetrics-text"))


def test_requests_are_counted_by_the_template_of_their_route(server: httpx.Client) -> None:
    found = samples(server.get("/metrics").text)
    requests = counted(found)
    assert sum(n for (_, route, _), n in requests.items() if route == "/api/data/{source}") == 2
    assert requests["GET", "other", "4xx"] == 2, "an address that there is not, and one that was refused"
    assert requests["other", "/api/sources", "4xx"] == 1, "a method that nobody serves"
    assert not any(name.endswith("_created") for name, _ in found)
    assert not any("strange" in part or "wp-admin" in part or "sf_" in part for labels in requests for part in labels)


def test_a_stream_is_counted_and_no_slow_answer(server: httpx.Client) -> None:
    found = samples(server.get("/metrics").text)
    timed = {labels for name, labels in found if name == "smartflow_http_request_duration_seconds_count"}
    assert (("method", "GET"), ("route", "/api/data/{source}")) in timed
    assert not any(("route", "/api/stream/anomalies") in labels for labels in timed)
    assert "smartflow_http_stream_events_total" in {name for name, _ in found}


def test_reading_needs_a_token_once_there_is_one(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    with serving(service_of(settings)) as client:
        assert client.get("/metrics").status_code == 200
        token = TokenFile(settings.serve / "tokens.json").create("prometheus", Role.reader, datetime.now(UTC))
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_server_of_a_home_in_which_nothing_is_published_says_so(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    settings.published_file.unlink()
    with serving(service_of(settings)) as client:
        found = samples(client.get("/metrics").text)
    assert found["smartflow_published_readable", ()] == 0 and found["smartflow_sources", (("state", "ok"),)] == 1


def test_scrapes_that_follow_at_once_are_answered_with_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("smartflow_assets.serve.metrics.exposition.time.monotonic", lambda: clock[0])
    settings = make_home(tmp_path, "shop")
    exposition = Exposition(collector(settings))
    name, succeeded = "smartflow_source_last_run_success", ("smartflow_source_last_run_success", (("source", "shop"),))
    assert name not in exposition.plain().decode()
    insert(settings, "run_log", run("shop", datetime.now(UTC)))
    clock[0] += 4
    assert name not in exposition.plain().decode()
    clock[0] += 2
    assert samples(exposition.plain().decode())[succeeded] == 1


def test_hostile_names_stay_inside_their_quotes(tmp_path: Path) -> None:
    settings = make_home(tmp_path, "shop")
    insert(settings, "alert_sends", send('a"} 1\nevil_total 5', "m", "planned", datetime.now(UTC)))
    found = samples(Exposition(collector(settings)).plain().decode())
    assert not any("evil" in name or "evil" in str(labels) for name, labels in found)
    assert found["smartflow_messages_waiting", (("channel", "_other"), ("wait", "due"))] == 1


def test_without_traffic_nothing_of_the_server_is_told(tmp_path: Path) -> None:
    named = {family.name for family in prometheus(Exposition(collector(make_home(tmp_path, "shop"))).plain().decode())}
    assert not any(name.startswith(("process_", "smartflow_http_")) for name in named) and "smartflow_build_info" in named
    assert not named & OF_THE_SERVER
