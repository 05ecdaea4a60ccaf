"""The job that previews other settings: bounded fields, a table and a picture of the op, and nothing written."""

import dagster as dg
import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.jobs import our_job
from smartflow_assets.defs.rule_preview import PreviewOptions, Sensitivity
from smartflow_assets.stages.experiments.rule_preview import previewer
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

OP = "smartflow_preview_rules_op"
RATIO = "  - {type: ratio_to_median, metric: requests, at_least: 2}\n"


@pytest.fixture
def web(home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("SMARTFLOW_HOME", str(home.folder))
    home.write_source("web", WEB.replace("rules: [", "rules:\n  - ").replace("above: 1500}]\n", f"above: 1500}}\n{RATIO}"))
    return home


@pytest.fixture
def watched(web: Home) -> Home:
    web.write_channels("file: {type: file}\n")
    rows = daily_series(5)
    rows.loc[[1200, 1300], "value"] = [1400, 2000]
    write_rows(web.settings.data / "examples/web.csv", rows)
    web.run_stages("web", START.replace(day=START.day + 5))
    web.warehouse.publish("test", is_forced=True)
    return web


def run(home: Home, **config: object) -> dg.ExecuteInProcessResult:
    job = build_definitions().resolve_job_def("smartflow_preview_rules")
    return job.execute_in_process(
        instance=home.instance, partition_key="web", run_config={"ops": {OP: {"config": config}}}, raise_on_error=False
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    (event,) = [each for each in result.all_node_events if each.is_successful_output]
    return {name: each.value for name, each in event.step_output_data.metadata.items()}


@pytest.mark.soak
def test_the_job_shows_what_a_preview_says_and_writes_nothing(watched):
    before = {path: path.stat().st_mtime_ns for path in (*watched.folder.rglob("*.duckdb"), *watched.folder.rglob("*.yaml"))}
    done = run(watched, days=4, times_limits=0.8)
    assert done.success and our_job(done.dagster_run, watched.instance, watched.settings) is None
    shown, catalogue = metadata(done), Catalogue.load(watched.settings)
    assert (
        shown["anomalies_before"]
        == previewer("web", watched.settings, catalogue).preview(catalogue.source("web")).before.counts.anomaly_count
    )
    assert "threshold" in str(shown["anomalies"]) and "requests" in str(shown["anomalies"])
    assert "+  - {type: threshold, metric: requests, above: 1200" in str(shown["change"])
    assert str(shown["plot"]).startswith("![web requests](data:image/png;base64,")
    assert "alerts a week, with the present settings" in str(shown["summary"])
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize(
    "config", [{"days": 0}, {"days": 1000}, {"ratio": 50.0}, {"score": 1.5}, {"times_limits": 0.0}, {"sensitivity": "highest"}]
)
def test_fields_have_bounds(web, config):
    with pytest.raises(Exception, match=next(iter(config))):
        if not (result := run(web, **config)).success:
            (failed,) = [each for each in result.all_events if each.is_step_failure]
            raise ValueError(str(failed.event_specific_data))


def test_fields_are_changes_of_the_yaml(web):
    source = Catalogue.load(web.settings).source("web")
    assert PreviewOptions().changes(source) == {}
    asked = PreviewOptions(sensitivity=Sensitivity.high, score=0.99, ratio=3, times_limits=2)
    assert asked.changes(source) == {
        "sensitivity": "high",
        "threshold.score": 0.99,
        "rules.0.above": 3000,
        "rules.1.at_least": 3,
    }
