"""Events as they happen: each once, in order, also over a restart; against what the warehouse holds."""

import asyncio
import json
import threading
from datetime import timedelta

import httpx
import pytest

from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.feed.event_log import Event, EventLog
from smartflow_assets.serve.feed.listeners import MOST_WAITING, Listener, Told
from smartflow_assets.serve.queries.lists import encoded
from smartflow_assets_tests.homes import START, daily_series, write_rows
from smartflow_assets_tests.serve.served import NOW, SPIKE_AT, service_of, serving, token


class Page(threading.Thread):
    """Listens as a page does: it comes back with the number of the last event, and keeps what it was told."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(daemon=True)
        self.addresses, self.told, self.last, self.is_connected = addresses, [], None, threading.Event()
        self.is_ended = False

    def run(self) -> None:
        while not self.is_ended:
            try:
                self._listen()
            except httpx.HTTPError:
                threading.Event().wait(0.1)

    def _listen(self) -> None:
        headers = {} if self.last is None else {"Last-Event-ID": str(self.last)}
        with (
            httpx.Client(timeout=httpx.Timeout(5, read=2), trust_env=False) as client,
            client.stream("GET", f"{self.addresses[-1]}/api/stream/anomalies", headers=headers) as answer,
        ):
            event: dict[str, str] = {}
            for line in answer.iter_lines():
                if line.startswith(":"):
                    self.is_connected.set()
                elif not line:
                    self.last = event.get("id", self.last)
                    if "id" in event and "data" in event:
                        self.told.append((int(event["id"]), event["event"], json.loads(event["data"])))
                    event = {}
                else:
                    name, _, value = line.partition(": ")
                    event[name] = value

    def wait_for(self, count: int) -> list[tuple[int, str, dict]]:
        for _ in range(600):
            if len(self.told) >= count:
                break
            threading.Event().wait(0.05)
        return self.told


def spike(home, *at: int) -> None:
    """Another day with spikes in these rows, judged and published."""
    rows = daily_series(8)
    rows.loc[[SPIKE_AT, *at], "value"] = 4000
    write_rows(home.settings.data / "examples/web.csv", rows)
    home.run_stages("web", START + timedelta(days=8))
    home.warehouse.publish("test", is_forced=True)


def keys(home) -> set[str]:
    """What a page may hear of, by the tables themselves."""
    events = home.table("incident_events", "event NOT IN ('seen', 'grouped', 'suppressed')")["event_id"]
    return {*("anomaly " + home.table("anomalies")["anomaly_id"]), *("event " + events)}


@pytest.mark.soak
def test_what_is_there_already_is_no_news_and_what_comes_is_told_once_also_over_a_restart(home):
    addresses: list[str] = []
    pages, before = [Page(addresses) for _ in range(5)], keys(home)
    with serving(service_of(home)) as client:
        addresses.append(str(client.base_url))
        for _ in range(100):  # until what is there is known
            if (home.settings.serve / "events.sqlite").exists() and EventLog(home.settings.serve / "events.sqlite").seen_up_to():
                break
            threading.Event().wait(0.05)
        for page in pages:
            page.start()
        for page in pages:
            assert page.is_connected.wait(10)
        assert pages[0].told == []
        spike(home, 2200)
        first = pages[0].wait_for(len(keys(home) - before))
        assert first[0][1] == "anomaly" and first[0][2]["started_at"].startswith("2026-03-09T15:20")
        assert "opened" in [event["event"] for _, kind, event in first if kind == "incident"]
    home.warehouse.publish("nothing new", is_forced=True)
    spike(home, 2200, 2290)  # while no server runs
    with serving(service_of(home)) as client:
        addresses.append(str(client.base_url))
        known = {event["anomaly_id"] for _, kind, event in pages[0].wait_for(len(keys(home) - before)) if kind == "anomaly"}
        for page in pages:
            told = page.wait_for(len(keys(home) - before))
            assert len(told) == len(keys(home) - before)
            assert told == pages[0].told and [number for number, *_ in told] == sorted({number for number, *_ in told})
            page.is_ended = True
        stored = home.table("anomalies", f"started_at >= TIMESTAMPTZ '{NOW.isoformat()}'")
        assert known == set(stored["anomaly_id"]) and len(known) == 2
        newest = client.get("/api/events?limit=1").json()["items"][0]
        assert newest["id"] == pages[0].told[-1][0]


def test_the_log_tells_an_event_once_whoever_takes_it(tmp_path):
    one, other = EventLog(tmp_path / "events.sqlite"), EventLog(tmp_path / "events.sqlite")
    events = [Event.of(f"anomaly:{number}", "anomaly", "web", {"number": number}) for number in range(5)]
    assert [each.event_id for each in one.take(events[:3], "2026-03-01")] == [1, 2, 3]
    later = other.take(events, "2026-03-02")
    assert [each.key for each in later] == ["anomaly:3", "anomaly:4"] and later[0].event_id > 3
    assert other.take(events, "2026-03-02") == []
    assert [each.key for each in one.after(2)] == ["anomaly:2", "anomaly:3", "anomaly:4"]
    assert one.seen_up_to() == "2026-03-02" and one.last_id == later[-1].event_id


def test_what_was_known_at_the_beginning_is_never_told(tmp_path):
    log = EventLog(tmp_path / "events.sqlite")
    log.begin(["anomaly:1"], "2026-03-01")
    taken = log.take([Event.of("anomaly:1", "anomaly", "web", {}), Event.of("anomaly:2", "anomaly", "web", {})], "2026-03-02")
    assert [each.key for each in taken] == ["anomaly:2"] and [each.key for each in log.after(0)] == ["anomaly:2"]


def test_a_listener_that_does_not_keep_up_is_let_go():
    async def told() -> list[Told | None]:
        listener = Listener(asyncio.get_running_loop())
        for number in range(MOST_WAITING + 100):
            listener.put(Told(b"x", number + 1))
        assert listener.is_dropped
        return [listener.queue.get_nowait() for _ in range(listener.queue.qsize())]

    found = asyncio.run(told())
    assert found[-1] is None and [each.event_id for each in found[:-1]] == list(range(1, MOST_WAITING + 1))


def test_pages_of_events_are_the_whole_log(home):
    service = service_of(home)
    service.events.take((Event.of(f"anomaly:{number}", "anomaly", "web", {"number": number}) for number in range(12)), "2026-03-01")
    with serving(service) as client:
        pages, cursor = [], {}
        while cursor is not None:
            page = client.get("/api/events", params={"limit": 5, **cursor}).json()
            pages.append([each["data"]["number"] for each in page["items"]])
            cursor = {"cursor": page["next"]} if page["next"] else None
        for wrong in ("bm9uZQ", encoded(["x"])):
            assert client.get("/api/events", params={"cursor": wrong}).status_code == 422
        assert len(client.get("/api/events", params={"cursor": encoded([10**30])}).json()["items"]) == 12
    assert pages == [[11, 10, 9, 8, 7], [6, 5, 4, 3, 2], [1, 0]]


@pytest.mark.parametrize("number", ["999999", "-1", "x", "0", "1" * 23, "1" * 5000, b"\xb2"])
def test_a_number_of_another_log_begins_here(client, number):
    with client.stream("GET", "/api/stream/anomalies", headers={"Last-Event-ID": number}) as answer:
        assert answer.status_code == 200
        assert next(answer.iter_lines()) == "retry: 2000"


def test_a_stream_ends_when_its_token_is_revoked(home, monkeypatch):
    monkeypatch.setattr("smartflow_assets.serve.api.stream.HEARTBEAT_SECONDS", 0.1)
    header = token(home, Role.reader, "anna")
    service = service_of(home)
    with serving(service) as client, client.stream("GET", "/api/stream/anomalies", headers=header) as answer:
        lines = answer.iter_lines()
        beats = (line for line in lines if line.startswith(":"))
        assert next(beats) and next(beats) and next(beats)
        service.tokens.revoke("anna")
        assert len(list(beats)) < 20, "it ends"
