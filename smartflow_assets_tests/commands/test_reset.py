"""`smartflow reset`: a source is forgotten after a question, and read anew by the next run."""

from datetime import UTC, datetime

import pytest

from smartflow_assets_tests.homes import Home

NOW = datetime(2026, 3, 6, tzinfo=UTC)


@pytest.fixture
def shop(home) -> Home:
    """Five days of orders with a flood in the last hour, which is an incident."""
    with (home / "data/feeds/shop.csv").open("a") as feed:
        feed.write("2026-03-05T23:30:00Z,5000\n")
    with (home / "data/sources/shop.yaml").open("a") as yaml:
        yaml.write("alerts: {to: [file], max_age: 3650 days}\n")
    made = Home(home)
    made.run_stages("shop", NOW)
    assert made.count("incidents") == 1
    return made


@pytest.mark.soak
def test_nothing_is_forgotten_without_a_yes(shop, smartflow):
    answer = smartflow("reset", "shop", input="n\n")
    assert answer.code == 1 and "forget 121 stored rows and all that was made of them; its incidents go too?" in answer.out
    assert shop.count("raw.shop") == 121


@pytest.mark.soak
def test_rows_and_what_was_made_of_them_go_and_the_next_run_reads_anew(shop, smartflow):
    answer = smartflow("reset", "shop", "--yes")
    assert answer.code == 0 and "raw.shop: 121 rows" in answer.out
    left = {name: count for name, count in shop.warehouse.tables().items() if count and name not in ("writes", "snapshot_info", "run_log")}
    assert left == {}
    shop.run_stages("shop", NOW, run_id="again")
    assert shop.count("raw.shop") == 121
    assert (shop.count("incidents"), set(shop.table("alert_sends")["status"])) == (1, {"skipped"})  # nobody is told again


@pytest.mark.soak
def test_incidents_stay_when_they_are_to(shop, smartflow):
    before = shop.table("incident_events")
    assert smartflow("reset", "shop", "--keep-incidents", "--yes").code == 0
    assert shop.count("incidents") == 1 and shop.count("clean_series") == 0
    shop.run_stages("shop", NOW, run_id="again")
    assert shop.table("incident_events")["event_id"].tolist() == before["event_id"].tolist()


def test_a_source_that_there_is_not_is_named(home, smartflow):
    answer = smartflow("reset", "shopp", "--yes")
    assert answer.code != 0 and "shop" in answer.err
