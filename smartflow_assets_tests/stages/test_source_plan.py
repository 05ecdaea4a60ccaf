"""What a plan compares a YAML with: what it said when a run last came through."""

import pandas as pd
import pytest

from smartflow_assets.adapters.warehouse.writes import Delete, Prune
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages.alerting import incidents
from smartflow_assets.stages.configuration_log import last_configuration, note_files
from smartflow_assets.stages.ingestion import raw_records
from smartflow_assets.stages.preparation import clean_series
from smartflow_assets.stages.source_plan import plan_of
from smartflow_assets_tests.homes import START, STEP, WEB, Home, daily_series, write_rows

END = START + 288 * STEP
CHANGED = WEB.replace("above: 1500", "above: 2000").replace("examples/web.csv", "examples/web2.csv").replace("to: [file]", "to: []")
SAID = [
    "web: stored rows give way to those that are read now, and what was made of them is made anew where they differ",
    "  read.path: examples/web.csv -> examples/web2.csv (what is read from now on)",
    "  rules.threshold.above: 1500 -> 2000 (only what comes)",
    "  alerts.to: file -> by default (only who is told)",
    "  288 stored rows of examples/web.csv, which read does not name any more, give way where the times overlap",
]


def run(home: Home, number: int = 0) -> None:
    home.run_stages("web", END + number * STEP, [raw_records, clean_series, incidents])


def plan(home: Home) -> list[str]:
    return str(plan_of("web", home.settings, Catalogue.load(home.settings), home.warehouse, END)).splitlines()


@pytest.fixture
def home(tmp_path) -> Home:
    home = Home(tmp_path)
    home.write_channels("file: {type: file}\n")
    home.write_source("web", WEB)
    write_rows(home.settings.data / "examples" / "web.csv", daily_series(1))
    run(home)
    return home


@pytest.mark.soak
def test_rules_paths_and_alerts_are_in_the_plan_until_a_run_came_through(home):
    assert plan(home) == ["web: nothing has changed since the last run"]
    home.write_source("web", CHANGED)
    assert plan(home) == SAID
    with pytest.raises(SourceError, match=r"web2\.csv"):
        run(home, 1)
    assert plan(home) == SAID, "a run that failed has brought nothing into force"
    (home.settings.data / "examples" / "web.csv").rename(home.settings.data / "examples" / "web2.csv")
    run(home, 2)
    assert plan(home) == ["web: nothing has changed since the last run"]


def test_what_a_yaml_said_is_kept_once_for_each_change(home):
    run(home, 1)
    home.write_source("web", WEB.replace("above: 1500", "above: 2000"))
    run(home, 2)
    kept = home.table("configurations")
    assert [pd.Timestamp(at) for at in kept["held_from"]] == [pd.Timestamp(END), pd.Timestamp(END + 2 * STEP)]
    home.warehouse.commit("prune", [Prune("configurations", "web", END + 100 * STEP)])
    assert list(home.table("configurations")["held_from"]) == [END + 2 * STEP], "the newest stays, however old"


def test_a_home_of_before_says_what_it_does_not_know(home):
    home.warehouse.commit("old", [Delete("configurations", "web")])
    home.write_source("web", CHANGED.replace("every: 5min", "every: 15min"))
    found = plan_of("web", home.settings, Catalogue.load(home.settings), home.warehouse, END)
    assert (found.effect, found.is_all_known) == ("rebuild", False)
    assert [change.key for change in found.changes] == ["time_bucket.every"]


def test_a_source_whose_file_is_gone_is_noted_once_and_comes_back_with_what_it_said(home):
    def look(*names: str) -> tuple[str, ...]:
        return note_files(home.warehouse, names, now=END, run_id="look")

    said = last_configuration(home.warehouse, "web")
    assert (look("web"), look(), look(), look("web"), look("web")) == ((), ("web",), (), (), ())
    assert list(home.table("configurations")["is_gone"]) == [False, True, False]
    assert last_configuration(home.warehouse, "web") == said
    look()
    run(home, 1)
    assert not home.table("configurations")["is_gone"].iloc[-1], "its own run brings it back before it publishes"
