"""Who did what over HTTP is kept, without secrets, and costs no run; views are one for each token and name."""

import json
from datetime import timedelta

import pytest

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.adapters.warehouse.writes import Rewrite
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.stages.audit import Audited, audit_rows, note
from smartflow_assets.stages.maintenance.resetting import forget
from smartflow_assets.stages.saved_views import LONGEST_VALUE, OF_OWNER, removed, saved
from smartflow_assets.stages.scheduling.appearance import NEWEST_WRITES
from smartflow_assets_tests.homes import START, Home

DONE = Audited(
    "web", "configure", "ann", "admin", "done", "r1", START, before={"rules.0.above": 100}, after={"rules.0.above": 90, "tags": ["a"]}
)


def test_a_row_says_who_what_before_and_after(home: Home):
    note(
        home.warehouse,
        DONE,
        Audited("", "test_channel", "", None, "failed", "r2", START + timedelta(seconds=1), target="ops", detail="no answer"),
    )
    first, second = home.table("api_audit", "TRUE ORDER BY happened_at").to_dict("records")
    assert (first["source"], first["done_by"], first["role"], first["action"], first["outcome"]) == (
        "web",
        "ann",
        "admin",
        "configure",
        "done",
    )
    assert json.loads(first["before"]) == {"rules.0.above": 100} and json.loads(first["after"]) == {"rules.0.above": 90, "tags": ["a"]}
    assert (second["source"], second["done_by"], second["target"], second["detail"]) == ("*", "*", "ops", "no answer")
    assert home.warehouse.read(NEWEST_WRITES).empty, "an audit is no reason to run a source"


def test_secrets_are_in_no_row(home: Home, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPS_PASSWORD", "hunter2-hunter2")
    values = {"password": "plain", "url": "https://me:plain@host/x", "said": ["so: hunter2-hunter2"], "kept": "${OPS_PASSWORD}"}
    note(
        home.warehouse,
        Audited("web", "configure", "ann", "admin", "refused", "r", START, "hunter2-hunter2", values, values, "hunter2-hunter2"),
    )
    (row,) = home.table("api_audit").to_dict("records")
    assert "hunter2" not in str(row) and "plain" not in str(row)
    assert json.loads(row["after"])["kept"] == "${OPS_PASSWORD}" and row["detail"] == "${OPS_PASSWORD}"


def test_it_outlives_a_reset(home: Home):
    note(home.warehouse, DONE)
    forget(home.warehouse, ModelStore(home.settings.models), "web")
    assert home.count("api_audit") == 1


def test_a_view_takes_the_place_of_the_one_of_its_name_and_can_go_with_its_audit_in_one_commit(home: Home):
    for owner, name, value in (("t1", "mine", {"a": 1}), ("t1", "mine", {"a": 2}), ("t1", "other", {}), ("t2", "mine", {"b": 1})):
        home.warehouse.commit("serve", [saved(owner, name, value, START), audit_rows([DONE])])
    found = home.warehouse.read(OF_OWNER, ["t1"])
    assert [(row["name"], json.loads(row["value"])) for row in found.to_dict("records")] == [("mine", {"a": 2}), ("other", {})]
    home.warehouse.commit("serve", [removed("t1", "mine"), removed("t1", "never there")])
    assert list(home.warehouse.read(OF_OWNER, ["t1"])["name"]) == ["other"] and home.count("saved_views") == 2
    assert home.count("api_audit") == 4 and home.count("writes") == 0


@pytest.mark.parametrize(("name", "value"), [("", {}), (" x", {}), ("a\nb", {}), ("x" * 81, {}), ("x", {"a": "y" * LONGEST_VALUE})])
def test_a_view_that_cannot_be_kept_says_so(name, value):
    with pytest.raises(SmartflowError, match="a view"):
        saved("t1", name, value, START)


def test_a_view_is_nobody_elses(home: Home):
    home.warehouse.commit("serve", [saved("t1", "a", {}, START)])
    home.warehouse.commit("serve", [removed("t2", "a")])
    assert home.count("saved_views") == 1 and isinstance(removed("t2", "a"), Rewrite)
