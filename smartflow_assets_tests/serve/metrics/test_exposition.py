"""What is exposed is what Prometheus takes, in the format that it asks for."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from smartflow_assets.serve.metrics.declarations import METRICS, OF_THE_SERVER
from smartflow_assets.serve.metrics.exposition import Exposition
from smartflow_assets_tests.serve.metrics.counted_server import counted_app
from smartflow_assets_tests.serve.metrics.watched_home import busy_home, collector, insert, make_home, run, send

pytestmark = pytest.mark.integration


async def _asked(app, *paths: str, method: str = "GET", **headers: str) -> list[httpx.Response]:  # type: ignore[no-untyped-def]
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return [await client.request(method, path, headers=headers) for path in paths]


def asked(app, *paths: str, method: str = "GET", **headers: str) -> list[httpx.Response]:  # type: ignore[no-untyped-def]
    import anyio

    async def ask() -> list[httpx.Response]:
        return await _asked(app, *paths, method=method, **headers)

    return anyio.run(ask)


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in prometheus(text) for one in family.samples}


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool comes with Debian's prometheus")
def test_promtool_finds_nothing_wrong_with_names_units_and_help(tmp_path: Path) -> None:
    app = counted_app(busy_home(tmp_path, datetime.now(UTC)))
    asked(app, "/api/data/shop", "/api/broken", "/api/stream/anomalies")
    [answer] = asked(app, "/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=answer.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    named = {family.name + ("_total" if family.type == "counter" else "") for family in prometheus(answer.text)}
    assert set(METRICS) <= named, "each metric that is declared is exposed"


def test_openmetrics_is_answered_where_it_is_asked_for(tmp_path: Path) -> None:
    app = counted_app(busy_home(tmp_path, datetime.now(UTC)))
    [plain] = asked(app, "/metrics")
    [open_] = asked(app, "/metrics", accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert open_.text.endswith("# EOF\n")
    units = {family.name: family.unit for family in openmetrics(open_.text)}
    assert units["smartflow_published_timestamp_seconds"] == "seconds" and units["smartflow_disk_free_bytes"] == "bytes"


def test_requests_are_counted_by_the_template_of_their_route(tmp_path: Path) -> None:
    app = counted_app(make_home(tmp_path, "shop"))
    asked(app, "/api/data/shop", "/api/data/%0Astrange", "/api/broken", "/wp-admin.php", "/api/stream/anomalies")
    asked(app, "/api/data/shop", method="BREW")
    [answer] = asked(app, "/metrics")
    found = samples(answer.text)
    counted = {tuple(value for _, value in labels): n for (name, labels), n in found.items() if name == "smartflow_http_requests_total"}
    assert counted == {
        ("GET", "/api/data/{source}", "2xx"): 2,
        ("GET", "/api/broken", "5xx"): 1,
        ("GET", "other", "4xx"): 1,
        ("GET", "/api/stream/anomalies", "2xx"): 1,
        ("other", "/api/data/{source}", "4xx"): 1,
    }
    timed = {labels for name, labels in found if name == "smartflow_http_request_duration_seconds_count"}
    assert (("method", "GET"), ("route", "/api/broken")) in timed
    assert not any(("route", "/api/stream/anomalies") in labels for labels in timed), "a stream is no slow answer"
    assert found["smartflow_http_stream_clients", ()] == 0
    assert found["smartflow_http_stream_events_total", ()] == 2


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
