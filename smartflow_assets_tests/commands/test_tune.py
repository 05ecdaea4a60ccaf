"""`smartflow tune`: it finds what is truly better, proposes only what holds later, and goes on after a kill."""

import difflib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.commands import tune
from smartflow_assets.stages.experiments.tuning import TuningData, near
from smartflow_assets_tests.commands.conftest import Smartflow, in_folder
from smartflow_assets_tests.commands.test_backtest import content

START, STEP, HOURS = datetime(2026, 1, 5, tzinfo=UTC), timedelta(hours=1), 24 * 50
SPIKES = (*range(420, 830, 41), *range(850, 1170, 41))  # ten in the part that is searched, eight later
EARLY = 10
FOREST = """\
name: load   # of one machine
read: {type: csv, path: examples/load.csv, time: at}
metrics: [{name: cpu}]
time_bucket: {every: 1h, settle: 0s}
schedule: manual
detectors:
  - {type: isolation_forest, n_estimators: 20, contamination: 0.3}   # far too many
ensemble: {combine: any}
"""
LABELS = "labels: examples/labels.csv\n"
QUICK = FOREST.partition("detectors:")[0] + "detectors: [{type: seasonal}, {type: mad}]\n" + LABELS  # nothing is learnt by a trial


def make_load(folder: Path) -> Path:
    """A home with fifty days of hours, of which some are strange, and with their labels."""
    for part in ("sources", "examples"):
        (folder / "data" / part).mkdir(parents=True)
    value = 100 + 30 * np.sin(np.arange(HOURS) * 2 * np.pi / 24) + np.random.default_rng(3).normal(0, 3, HOURS)
    value[list(SPIKES)] += 60
    times = pd.date_range(START, periods=HOURS, freq=STEP)
    pd.DataFrame({"at": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "cpu": value}).to_csv(folder / "data/examples/load.csv", index=False)
    labels = [f"cpu,{times[row]:%Y-%m-%dT%H:%M:%SZ},{times[row]:%Y-%m-%dT%H:%M:%SZ}" for row in SPIKES]
    (folder / "data/examples/labels.csv").write_text("\n".join(["series,started_at,ended_at", *labels]) + "\n")
    return folder


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return make_load(tmp_path)


def write(home: Path, text: str) -> Path:
    path = home / "data/sources/load.yaml"
    path.write_text(text)
    return path


def f1(out: str, part: str, settings: str) -> float:
    """The F1 of settings in the table of a part."""
    table = out.split(part)[1].split("\n\n")[0]
    (found,) = re.findall(rf"^{re.escape(settings)}  +(\d\.\d\d) ", table, re.M)
    return float(found)


def differing(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


@pytest.mark.soak
def test_a_contamination_that_is_far_off_is_found_and_written(smartflow: Smartflow, load: Path) -> None:
    path = write(load, FOREST + LABELS)
    answer = smartflow("tune", "load", "--parameters", "contamination", "--trials", "12")
    assert answer.code == 0, answer.err
    (found,) = re.findall(r"^\+.*contamination: ([\d.]+)", answer.out, re.M)
    assert float(found) <= 0.02
    settings = re.findall(r"^(contamination .*?)  ", answer.out.split("on the later part")[1], re.M)[0]
    for part in ("on the part that was searched", "on the later part"):
        assert f1(answer.out, part, "as they are") < 0.6 < 0.8 < f1(answer.out, part, settings)
    assert path.read_text() == FOREST + LABELS  # nothing is written unasked
    written = smartflow("tune", "load", "--parameters", "contamination", "--trials", "12", "--write")
    assert written.code == 0 and "9 trials of an earlier run are taken over" in written.err
    change = differing(FOREST + LABELS, path.read_text())
    assert [line[0] for line in change if line[0] in "+-"] == ["-", "+"] and f"contamination: {found}" in change[1]
    assert change[1].endswith("# far too many")
    again = smartflow("tune", "load", "--parameters", "contamination", "--trials", "3")
    assert again.code == 0 and "nothing is proposed" in again.out and "taken over" not in again.err


@pytest.mark.soak
def test_a_threshold_that_is_too_high_is_found_with_planted_anomalies(smartflow: Smartflow, load: Path) -> None:
    path = write(load, FOREST.partition("detectors:")[0] + "detectors: [{type: seasonal}, {type: mad}]\nthreshold: {score: 0.9999999}\n")
    answer = smartflow("tune", "load", "--parameters", "threshold", "--trials", "6", "--plant", "spike,level", "--sizes", "1", "--write")
    assert answer.code == 0, answer.err
    assert re.search(r"by \d+ planted anomalies", answer.err) and "anomalies are planted" in answer.err
    assert re.search(r"^-threshold: \{score: 0.9999999\}$", answer.out, re.M)
    assert re.search(r"^(threshold: \{score: 0.9\d+\}|sensitivity: \w+)$", path.read_text(), re.M)
    better = re.findall(r"^((?:threshold|sensitivity) .*?)  ", answer.out.split("on the later part")[1], re.M)[0]
    assert f1(answer.out, "on the later part", "as they are") + 0.2 < f1(answer.out, "on the later part", better)


@pytest.mark.soak
def test_what_the_defaults_flag_without_a_label_is_no_false_alert(smartflow: Smartflow, load: Path) -> None:
    write(load, FOREST.partition("detectors:")[0])
    answer = smartflow("tune", "load", "--parameters", "threshold", "--trials", "8", "--plant", "level,dropout")
    assert answer.code == 0, answer.err
    table = answer.out.split("\n\n")[0].splitlines()
    alerts = {line.split("  ")[0]: float(line.split()[-1]) for line in table[2:]}
    assert alerts["as they are"] == 0.0  # although the spikes of this source are flagged
    assert max(alerts.values()) < 0.5


def test_rows_near_a_spell_are_those_of_its_series_within_reach() -> None:
    times = pd.date_range(START, periods=6, freq=STEP)
    rows = pd.DataFrame({"series": ["a", "b"] * 6, "observed_at": times.repeat(2)}).sample(frac=1, random_state=0)
    intervals = pd.DataFrame({"series": ["a", "a", "c"], "started_at": times[[0, 4, 2]], "ended_at": times[[1, 4, 2]]})
    for reach, expected in ((timedelta(0), [0, 1, 4]), (STEP, [0, 1, 2, 3, 4, 5])):
        found = rows[near(rows, intervals, reach)]
        assert set(found["series"]) == {"a"} and sorted(found["observed_at"]) == [times[place] for place in expected]


@pytest.mark.soak
def test_what_is_not_better_later_is_not_proposed(smartflow: Smartflow, load: Path) -> None:
    """Small changes that were labelled once are none later: who looks for them has false alerts."""
    rows = pd.read_csv(load / "data/examples/load.csv")
    rows.loc[list(SPIKES[:EARLY]), "cpu"] -= 35  # of 60
    rows.loc[list(SPIKES[EARLY:]), "cpu"] += 140
    rows.loc[[row for row in range(850, HOURS, 31) if min(abs(row - spike) for spike in SPIKES) > 12], "cpu"] += 25
    rows.to_csv(load / "data/examples/load.csv", index=False)
    path = write(load, QUICK)
    answer = smartflow("tune", "load", "--parameters", "threshold", "--trials", "9", "--write")
    assert answer.code == 0, answer.err
    later = answer.out.split("on the later part")[1]
    better = re.findall(r"^((?:threshold|sensitivity) .*?)  ", later, re.M)[0]
    assert f1(answer.out, "on the part that was searched", better) > f1(answer.out, "on the part that was searched", "as they are")
    assert f1(answer.out, "on the later part", better) < f1(answer.out, "on the later part", "as they are")
    assert "there the best is no better than the settings that stand: nothing is proposed" in later
    assert path.read_text() == QUICK


@pytest.mark.soak
def test_the_search_does_not_see_the_later_part(smartflow: Smartflow, load: Path) -> None:
    write(load, QUICK)
    arguments = ["tune", "load", "--parameters", "threshold", "--trials", "4"]
    before = smartflow(*arguments)
    rows = pd.read_csv(load / "data/examples/load.csv")
    rows.loc[845:, "cpu"] = rows.loc[845:, "cpu"].to_numpy()[::-1]
    rows.to_csv(load / "data/examples/load.csv", index=False)
    after = smartflow(*arguments)
    assert before.code == after.code == 0 and "taken over" not in after.err
    searched, later = zip(*(answer.out.split("on the later part") for answer in (before, after)), strict=True)
    assert searched[0] == searched[1] and later[0] != later[1]


@pytest.mark.soak
def test_nothing_of_the_home_but_the_trials_is_touched(smartflow: Smartflow, load: Path) -> None:
    write(load, QUICK)
    before = content(load)
    assert smartflow("tune", "load", "--parameters", "threshold", "--trials", "3").code == 0
    after = content(load)
    assert {name: after[name] for name in before} == before
    assert [name.partition("-")[0] for name in set(after) - set(before)] == ["data/tuning/load"]


@pytest.mark.soak
def test_after_a_kill_it_goes_on_and_ends_as_if_it_had_not_been(smartflow: Smartflow, load: Path) -> None:
    write(load, FOREST + LABELS)
    arguments = ["tune", "load", "--parameters", "contamination,detectors", "--trials", "8"]
    folder = load / "data/tuning"
    process = subprocess.Popen(
        [sys.executable, "-m", "smartflow_assets.cli", *arguments],
        cwd=load,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"SMARTFLOW_HOME": str(load)},
    )
    while not (files := list(folder.glob("load-*.jsonl"))) or files[0].read_text().count("\n") < 3:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = files[0].read_text().count("\n")
    assert 3 <= done < 8
    went_on = smartflow(*arguments)
    assert went_on.code == 0 and f"{done} trials of an earlier run are taken over" in went_on.err
    whole = smartflow(*arguments, "--restart")
    assert whole.code == 0 and "taken over" not in whole.err
    assert whole.out == went_on.out


@pytest.mark.soak
def test_ctrl_c_says_what_is_kept(smartflow: Smartflow, load: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(load, QUICK)
    try_out, count = TuningData.try_out, iter(range(9))

    def interrupted(self: TuningData, settings, point):
        if next(count) == 2:
            raise KeyboardInterrupt
        return try_out(self, settings, point)

    monkeypatch.setattr(TuningData, "try_out", interrupted)
    answer = smartflow("tune", "load", "--parameters", "threshold", "--trials", "5")
    assert answer.code == 130 and "2 trials are kept: the same command goes on from there" in answer.err
    assert "2 trials of an earlier run are taken over" in smartflow("tune", "load", "--parameters", "threshold", "--trials", "3").err


TWO_TRIALS = ["tune", "load", "--parameters", "threshold", "--trials", "2"]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two trials."""
    home = make_load(tmp_path_factory.mktemp("tried"))
    write(home, QUICK)
    with in_folder(home) as smartflow:
        assert smartflow(*TWO_TRIALS).code == 0
        assert "taken over" in smartflow(*TWO_TRIALS).err
    return home


@pytest.mark.parametrize(
    "change",
    [
        lambda home: (home / "data/examples/load.csv").open("a").write("2026-02-24T02:00:00Z,100\n2026-02-24T03:00:00Z,90\n"),
        lambda home: write(home, QUICK.replace(", {type: mad}", "")),
        lambda home: (home / "data/examples/labels.csv").open("a").write("cpu,2026-02-20T02:00:00Z,2026-02-20T02:00:00Z\n"),
    ],
)
@pytest.mark.soak
def test_trials_of_other_rows_settings_or_labels_are_not_taken_over(
    smartflow: Smartflow, tried: Path, copied: Callable[[Path], Path], change
) -> None:
    change(copied(tried))
    answer = smartflow(*TWO_TRIALS)
    assert answer.code == 0 and "taken over" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["laod"], 2, "there is no source 'laod'. Did you mean load?"),
        (["load", "--parameters", "contaminaton"], 2, "--parameters: there is no 'contaminaton'. Did you mean contamination?"),
        (["load", "--parameters", "changepoint_prior_scale"], 2, "load: changepoint_prior_scale cannot be tuned: it belongs to prophet"),
        (["load", "--parameters", "threshold"], 2, "threshold cannot be tuned: with combine: any"),
        (["load", "--plant", "spikes"], 2, "--plant: there is no 'spikes'. Did you mean spike?"),
        (["load", "--sizes", "big"], 2, "--sizes: 'big' are no sizes"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(smartflow: Smartflow, load: Path, arguments: list[str], code: int, message: str) -> None:
    write(load, FOREST + LABELS)
    answer = smartflow("tune", *arguments)
    assert answer.code == code and message in answer.err, answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_history_that_is_too_short_says_how_much_is_missing(smartflow: Smartflow, load: Path) -> None:
    write(load, FOREST)
    rows = (load / "data/examples/load.csv").read_text().splitlines()
    (load / "data/examples/load.csv").write_text("\n".join(rows[:200]) + "\n")
    answer = smartflow("tune", "load")
    assert answer.code == 1
    assert re.search(r"load: the history is too short to tune on: about \d+ more buckets are needed", answer.err)


def test_names_of_parameters_in_the_help_are_those_that_there_are() -> None:
    from smartflow_assets.config.search_space import NAMES
    from smartflow_assets.core.evaluation.anomaly_injection import PLANTED

    text = Path(tune.__file__).read_text()
    said = re.sub(r'"\s+f?"', "", text)
    assert all(name in said.partition("def tune")[2].partition('"""')[0] for name in (*NAMES, *PLANTED))
