"""What a message says beside its incident, on a home whose rows hold one spike."""

import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets.core.reports.incident_plot import Panel
from smartflow_assets.stages import message_background
from smartflow_assets.stages.alerting import drain_outbox
from smartflow_assets.stages.message_background import MessageBackground, page_of, report_address
from smartflow_assets_tests.core.incidents.formats.extremes import facts, group, incident, message
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

UI = {"SMARTFLOW_UI_URL": "https://dagster.example.com/"}
PAGE = "https://dagster.example.com/assets/smartflow/incidents?view=partitions&partition=web"


@pytest.fixture
def spiked(home: Home) -> Home:
    """A rule that finds one spike, told into a file; nothing is trained."""
    rows = daily_series(1)
    rows.loc[200, "value"] = 1600
    write_rows(home.folder / "data" / "examples" / "web.csv", rows)
    home.write_source("web", WEB + "owner: team:web\nrunbook: https://wiki.example.com/web\ndetectors: [{type: zscore}]\n")
    return home


def background(home: Home, environment: dict[str, str] | None = None) -> MessageBackground:
    return MessageBackground(home.warehouse, Catalogue.load(home.settings), environment or {})


def panels_of(told_by: MessageBackground, told: Message) -> list[Panel]:
    """What is drawn for a message."""
    drawn = list[Panel]()

    def keep(panels: Sequence[Panel], **_: object) -> bytes:
        drawn.extend(panels)
        return b"picture"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_background, "incident_plot", keep)
        patch.setattr(message_background, "_drawn_lately", {})
        assert told_by.picture(told) == b"picture"
    return drawn


def of_spike(**more: object) -> Message:
    at = START + 200 * STEP
    told = facts(metric="requests", unit="requests", started_at=at, ended_at=at + STEP, rules=["threshold"], bucket_seconds=300, **more)
    return message("opened", incident(source="web", series="requests", opened_at=at), told)


def test_owner_runbook_and_link_are_those_of_the_source(spiked: Home) -> None:
    told = background(spiked, UI).facts("web", "3f0a")
    assert told == {
        "page": None,
        "act": None,
        "owner": "team:web",
        "owners": {"web": "team:web"},
        "runbook": "https://wiki.example.com/web",
        "link": PAGE,
    }
    assert background(spiked).facts("gone", "3f0a") == {
        "page": None,
        "act": None,
        "owner": None,
        "owners": {},
        "runbook": None,
        "link": None,
    }


def test_the_link_has_the_prefix_of_the_home_and_is_none_without_an_address() -> None:
    assert page_of("web", UI | {"SMARTFLOW_PREFIX": "quality"}) == PAGE.replace("/smartflow/", "/quality/")
    assert page_of("web", {"SMARTFLOW_UI_URL": "javascript:alert(1)"}) is None


def test_a_report_has_an_address_where_a_web_server_shows_it(home: Home) -> None:
    page = home.settings.reports / "incidents" / "ab12.html"
    shown = {"SMARTFLOW_PAGES_URL": "https://reports.example.com/x/"}
    assert report_address(page, home.settings, shown) == "https://reports.example.com/x/incidents/ab12.html"
    assert report_address(home.folder / "ab12.html", home.settings, shown) is None
    for address in ({}, {"SMARTFLOW_PAGES_URL": "file:///etc"}):
        assert report_address(page, home.settings, address) is None


def test_a_run_sends_a_mail_with_the_chart_and_who_answers(spiked: Home) -> None:
    spiked.run_stages("web", START + timedelta(days=1))
    drain_outbox(
        spiked.warehouse, Catalogue.load(spiked.settings), spiked.settings, now=START + timedelta(days=1), run_id="r", environment=UI
    )
    [told] = [json.loads(path.read_text()) for path in spiked.settings.outbox.glob("*-opened-*.json")]
    assert (told["owner"], told["runbook"], told["link"]) == ("team:web", "https://wiki.example.com/web", PAGE)
    [mail] = spiked.settings.outbox.glob("*-opened-*.eml")
    assert b"image/png" in mail.read_bytes()
    assert background(spiked).picture(of_spike()) == background(spiked).picture(of_spike())


@pytest.mark.soak
def test_rows_of_after_the_message_change_no_picture(spiked: Home) -> None:
    spiked.run_stages("web", START + 205 * STEP)
    before = background(spiked).picture(of_spike())
    spiked.run_stages("web", START + timedelta(days=1))
    assert before is not None and background(spiked).picture(of_spike()) == before


def test_what_has_no_series_has_no_picture(spiked: Home) -> None:
    for cause in ("load:ab12", "check:values_are_as_agreed", "delivery:ops", "run"):
        assert background(spiked).picture(message("opened", incident(source="web", cause=cause))) is None
    assert background(spiked).picture(of_spike(**group(500))) is None  # of series that are not there


def test_a_silence_shows_the_rows_that_came_before_it(home: Home) -> None:
    write_rows(home.folder / "data" / "examples" / "web.csv", daily_series(3))
    home.write_source("web", WEB + "detectors: [{type: zscore}]\n")
    home.run_stages("web", START + timedelta(days=3, hours=5))
    at = START + timedelta(days=3)
    silence = message("opened", incident(source="web", series="", cause="freshness", opened_at=at), facts(bucket_seconds=300))
    drawn = panels_of(background(home), silence)
    assert [panel.title for panel in drawn] == ["web rows"]
    assert set(drawn[0].rows["value"]) == {timedelta(hours=1) / STEP} and drawn[0].rows["observed_at"].max() == at - timedelta(hours=1)
    assert background(home).picture(silence) is not None


def test_a_group_over_sources_shows_the_first_of_each(spiked: Home) -> None:
    spiked.write_source("shop", WEB.replace("name: web", "name: shop") + "detectors: [{type: zscore}]\n")
    for name in ("web", "shop"):
        spiked.run_stages(name, START + timedelta(days=1))
    at = START + 200 * STEP
    told = group(3) | {"sources": ["shop", "web"]}
    named = [("shop", "requests", "anomaly"), ("web", "requests", "anomaly"), ("web", "", "load:ab12")]
    told["members"] = [
        member | {"source": source, "series": series, "cause": cause}
        for member, (source, series, cause) in zip(told["members"], named, strict=True)
    ]
    both = message("opened", incident(source="*", series="", cause="group", opened_at=at), facts(**told, bucket_seconds=300))
    drawn = panels_of(background(spiked), both)
    assert [panel.title for panel in drawn] == ["shop requests", "web requests"]
    assert [panel.rows["value"].max() for panel in drawn] == [1600, 1600]


def test_of_many_series_each_source_is_shown_before_a_second_of_the_first(spiked: Home) -> None:
    spiked.write_source("shop", WEB.replace("name: web", "name: shop") + "detectors: [{type: zscore}]\n")
    for name in ("web", "shop"):
        spiked.run_stages(name, START + timedelta(days=1))
    told = group(7) | {"sources": ["web", "shop"]}
    told["members"] = [
        member | {"source": "shop" if number == 6 else "web", "series": "requests", "cause": "anomaly"}
        for number, member in enumerate(told["members"])
    ]
    both = message(
        "opened", incident(source="*", series="", cause="group", opened_at=START + 200 * STEP), facts(**told, ended_at=START + 201 * STEP)
    )
    drawn = panels_of(background(spiked), both)
    assert [panel.title for panel in drawn] == ["web requests", "shop requests", *["web requests"] * 2]
    assert drawn[0].rows["observed_at"].min() == START + 140 * STEP  # by the buckets of its own source


def test_a_picture_that_cannot_be_drawn_keeps_no_message_back(
    spiked: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise MemoryError("no room")

    spiked.run_stages("web", START + timedelta(days=1))
    monkeypatch.setattr(message_background, "incident_plot", broken)
    monkeypatch.setattr(message_background, "_drawn_lately", {})
    with caplog.at_level(logging.WARNING):
        drained = drain_outbox(
            spiked.warehouse, Catalogue.load(spiked.settings), spiked.settings, now=START + timedelta(days=1), run_id="r", environment={}
        )
    assert drained.sent >= 1 and drained.failed == 0
    assert "goes without a picture: MemoryError: no room" in caplog.text
    assert not any(b"image/png" in path.read_bytes() for path in Path(spiked.settings.outbox).glob("*.eml"))


def test_channels_without_pictures_have_none_drawn(spiked: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    spiked.run_stages("web", START + timedelta(days=1))
    spiked.write_channels("file: {type: file, picture: false}\n")
    monkeypatch.setattr(MessageBackground, "picture", lambda *_: pytest.fail("a picture was drawn"))
    drained = drain_outbox(
        spiked.warehouse, Catalogue.load(spiked.settings), spiked.settings, now=START + timedelta(days=1), run_id="r", environment={}
    )
    assert drained.sent >= 1
