"""`smartflow compare`: detectors over each other, from a source and from a file."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from smartflow_assets_tests.commands.conftest import Smartflow
from smartflow_assets_tests.commands.test_backtest import content, web

__all__ = ["web"]


@pytest.mark.soak
def test_a_source_is_compared_and_nothing_is_touched(smartflow: Smartflow, web: Path) -> None:
    before = content(web / "data")
    answer = smartflow("compare", "web", "--detectors", "auto,seasonal,mad", "-o", "web.html")
    assert answer.code == 0, answer.err
    rows = {line.split()[0]: line.split() for line in answer.out.partition("\n\n")[0].splitlines()}
    assert rows["auto"][5] == "1.00"  # both labelled spikes are found
    assert int(rows["auto"][1]) >= int(rows["mad"][1])
    assert re.search(r"^auto and seasonal +\d\.\d\d +\d\.\d\d +-?\d\.\d\d$", answer.out, re.M)
    page = (web / "web.html").read_text()
    assert page.count("data:image/png;base64,") == 1 and "auto and seasonal" in page and "F1" in page
    assert content(web / "data") == before


@pytest.mark.soak
def test_a_file_becomes_a_picture_of_the_series_asked_for(smartflow: Smartflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{100 + hour % 24},{7 * (hour % 5)}" for hour in range(480)]
    rows[400] = rows[400].split(",")[0] + ",900,7"
    Path("load.csv").write_text("ts,cpu,memory\n" + "\n".join(rows) + "\n")
    Path("known.csv").write_text("series,started_at,ended_at\ncpu,2026-03-17T16:00:00Z,2026-03-17T16:00:00Z\n")
    asked = ["--detectors", "seasonal,zscore", "--series", "memory", "--labels", "known.csv"]
    answer = smartflow("compare", "load.csv", *asked, "-o", "x.png")
    assert answer.code == 0, answer.err
    assert re.search(r"^seasonal +\d+ +\d+ +\d+ +\d\.\d\d +1\.00", answer.out, re.M)
    assert Image.open(BytesIO(Path("x.png").read_bytes())).width > 1500
    assert smartflow("compare", "load.csv", "--value", "cpu", "--detectors", "mad").code == 0
    assert "alone" in Path("compare_load.html").read_text()


@pytest.mark.soak
def test_the_parameters_of_the_source_hold(smartflow: Smartflow, web: Path) -> None:
    said, yaml = [], web / "data/sources/web.yaml"
    given = yaml.read_text()
    for window in (20, 200):
        yaml.write_text(f"{given}detectors: [{{type: seasonal}}, {{type: zscore, window: {window}}}]\n")
        answer = smartflow("compare", "web", "--detectors", "zscore,seasonal")
        assert answer.code == 0, answer.err
        said.append([line.split() for line in answer.out.splitlines()[1:3]])
    (before, seasonal), (after, seasonal_again) = said
    assert before[:3] != after[:3] and seasonal[:3] == seasonal_again[:3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["web", "--detectors", "seasonl"], "there is no detector 'seasonl'. Did you mean seasonal?"),
        (["web", "--detectors", "xyz"], "There are auto, zscore"),
        (["web", "--detectors", ","], "--detectors names 0 detectors"),
        (["wbe"], "there is no source 'wbe'. Did you mean web?"),
        (["no.csv"], "no.csv: there is no such file"),
        (["web", "--series", "request"], "web has no series 'request'. Did you mean requests?"),
        (["web", "--detectors", "mahalanobis"], "mahalanobis compares metrics with each other, and web has only requests"),
        (["web", "-o", "web.pdf"], "its name ends neither in .png nor in .html"),
        (["web", "--time", "at"], "--time, --value and --time-format are for a file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(smartflow: Smartflow, web: Path, arguments: list[str], message: str) -> None:
    answer = smartflow("compare", *arguments)
    assert answer.code == 2 and message in answer.err, answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_history_that_is_too_short_says_how_much_is_missing(smartflow: Smartflow, tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("ts,n\n" + "".join(f"2026-03-01T{hour:02}:00:00Z,{hour}\n" for hour in range(20)))
    answer = smartflow("compare", str(file), "--detectors", "mad")
    assert answer.code == 1 and "20 rows are too few: mad learn from 36 and judge what follows" in answer.err
