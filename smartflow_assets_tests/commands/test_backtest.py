"""`smartflow backtest`: what would have been alerted, as if live, and nothing of the home is touched."""

import hashlib
import re
from datetime import timedelta
from pathlib import Path

import pytest

from smartflow_assets_tests.commands.conftest import Smartflow
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, write_rows

STEP, SPIKES = timedelta(minutes=15), (700, 766, 833)
DAYS = 10
YAML = WEB.replace("every: 5min", "every: 15min").replace("above: 1500", "above: 5000") + "labels: examples/web_labels.csv\n"


@pytest.fixture
def web(home: Path) -> Path:
    """A home with ten days in which there are three spikes, the last small; two of them are labelled."""
    rows = daily_series(DAYS, step=STEP)
    for row, factor in zip(SPIKES, (4, 3, 1.7), strict=True):
        rows.loc[row : row + 2, "value"] *= factor
    write_rows(home / "data" / "examples" / "web.csv", rows)
    labels = [f"requests,{START + row * STEP:%Y-%m-%dT%H:%M:%SZ},{START + (row + 2) * STEP:%Y-%m-%dT%H:%M:%SZ}" for row in SPIKES[:2]]
    (home / "data" / "examples" / "web_labels.csv").write_text("\n".join(["series,started_at,ended_at", *labels]) + "\n")
    (home / "data" / "sources" / "web.yaml").write_text(YAML)
    return home


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def listed(out: str) -> list[list[str]]:
    """opened, resolved and severity of the incidents of the first table."""
    table = out.split("incidents only")[0].split("\n\n")[0] if "incidents only" in out else out
    found = re.findall(r"^(\d{4}-\d\d-\d\d \d\d:\d\d) +(open|\d{4}-\d\d-\d\d \d\d:\d\d) +(\w+)", table, re.M)
    return [list(each) for each in found]


@pytest.mark.soak
def test_what_it_prints_is_what_live_runs_did_and_nothing_is_touched(smartflow: Smartflow, web: Path) -> None:
    since = START + timedelta(days=6)
    clocks = [since, since + timedelta(hours=33), START + timedelta(days=DAYS, hours=1)]
    for clock in clocks:
        Home(web).run_stages("web", clock)
    live = Home(web).warehouse.read(
        "SELECT strftime(opened_at, '%Y-%m-%d %H:%M') AS opened, strftime(resolved_at, '%Y-%m-%d %H:%M') AS resolved, severity "
        "FROM incidents WHERE cause = 'anomaly' ORDER BY opened_at"
    )
    assert len(live) >= 2
    before = content(web)
    answer = smartflow("backtest", "web", "--from", since.isoformat())
    assert answer.code == 0, answer.err
    assert listed(answer.out) == live.to_numpy().tolist()
    assert re.search(r"labelled intervals found +2 of 2", answer.out)
    assert content(web) == before


@pytest.mark.soak
def test_before_the_first_run_the_reader_gives_the_rows_and_the_home_stays_empty(smartflow: Smartflow, web: Path) -> None:
    before = content(web)
    answer = smartflow("backtest", "web")
    assert answer.code == 0, answer.err
    assert len(listed(answer.out)) >= 2
    assert content(web) == before


@pytest.mark.soak
def test_two_settings_stand_side_by_side_and_in_the_report(smartflow: Smartflow, web: Path) -> None:
    rule = "rules=[{type: threshold, name: low, metric: requests, below: 350, severity: info}]"
    answer = smartflow("backtest", "web", "--set", "threshold.score=0.9999999", "--against", rule, "-o", "report.html")
    assert answer.code == 0, answer.err
    only = answer.out.split("incidents only with rules")[1]
    assert "info" in only and re.search(r"incidents only with threshold.score=0.9999999: (none|\d)", answer.out)
    counts = re.search(r"^incidents +(\d+) +(\d+)$", answer.out, re.M)
    assert counts and int(counts[1]) < int(counts[2])
    assert re.search(r"^event F1 +\d\.\d\d +\d\.\d\d$", answer.out, re.M)
    page = (web / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 4  # a plot and the curves, for each side
    assert "Backtest of web: threshold.score=0.9999999 and rules=[" in page
    assert "the report is report.html" in answer.err


@pytest.mark.soak
def test_a_file_is_compared_and_the_end_of_the_time_holds(smartflow: Smartflow, web: Path) -> None:
    (web / "next.yaml").write_text(YAML.replace("5000", "1"))  # everything breaks the rule
    end = START + SPIKES[1] * STEP - timedelta(hours=1)
    answer = smartflow("backtest", "web", "--to", end.isoformat(), "--against", "next.yaml")
    assert answer.code == 0, answer.err
    assert all(opened < f"{end:%Y-%m-%d %H:%M}" for opened, *_ in listed(answer.out))
    assert re.search(r"labelled intervals found +1 of 1 +1 of 1", answer.out)
    assert "next.yaml" in answer.out


@pytest.mark.soak
def test_learning_anew_uses_newer_models(smartflow: Smartflow, web: Path) -> None:
    yaml = web / "data/sources/web.yaml"
    yaml.write_text(YAML + "training: {every: 2 days}\n")
    answer = smartflow("backtest", "web", "--retrain", "-o", "report.html")
    assert answer.code == 0, answer.err
    assert "learnt anew" in (web / "report.html").read_text()
    assert len(listed(answer.out)) >= 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["backtest", "wbe"], 2, "there is no source 'wbe'. Did you mean web?"),
        (["backtest", "web", "--from", "soon"], 2, "--from: 'soon' is not a time"),
        (["backtest", "web", "--from", "2026-03-05", "--to", "2026-03-04"], 2, "--from 2026-03-05 is not before --to 2026-03-04"),
        (["backtest", "web", "--set", "sensitivity"], 2, "web: 'sensitivity' is not key=value"),
        (["backtest", "web", "--against", "sensitivity=extreme"], 2, "sensitivity=extreme"),
        (["backtest", "web", "--against", "no.yaml"], 2, "'no.yaml' is neither a file nor key=value"),
        (["backtest", "web", "-o", "nowhere/report.html"], 1, "nowhere: no such folder"),
        (["backtest", "web", "--from", "2026-03-02T01:00"], 0, ""),
        (["backtest", "web", "--to", "2026-03-02T01:00"], 1, "web: no row of that time could be judged"),
    ],
)
@pytest.mark.soak
def test_what_cannot_be_is_said_in_one_line(smartflow: Smartflow, web: Path, arguments: list[str], code: int, message: str) -> None:
    answer = smartflow(*arguments)
    assert answer.code == code and message in answer.err, answer.err
    assert "Traceback" not in answer.err and len(answer.err.splitlines()) <= 1
