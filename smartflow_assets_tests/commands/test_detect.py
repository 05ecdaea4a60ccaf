"""`smartflow detect` on real files."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.detection import detect
from smartflow_assets_tests.commands.conftest import Smartflow

ROWS = 600
SPIKE = 450


@pytest.fixture
def rows() -> pd.DataFrame:
    """Five-minute values with one spike."""
    times = pd.date_range("2026-03-01", periods=ROWS, freq="5min")
    values = 100 + 10 * np.sin(np.arange(ROWS) / 20) + np.random.default_rng(1).normal(0, 1, ROWS)
    values[SPIKE] = 300
    return pd.DataFrame({"ts": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "load": values.round(3)})


@pytest.fixture
def file(rows: pd.DataFrame, tmp_path: Path) -> Path:
    rows.to_csv(tmp_path / "load.csv", index=False)
    return tmp_path / "load.csv"


def test_a_spike_is_a_line_with_time_series_and_reason(smartflow: Smartflow, file: Path) -> None:
    answer = smartflow("detect", str(file), "--train-rows", "300")
    assert answer.code == 0
    header, *lines = answer.out.splitlines()
    assert header.split()[:3] == ["when", "(UTC)", "series"]
    assert ["2026-03-02", "13:30", "load", "critical"] in [line.split()[:4] for line in lines]
    assert "300, usually" in answer.out
    assert "time: ts; values: load" in answer.err
    assert "in 300 judged rows of 600 (300 learnt from, 0 missing)" in answer.err


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_every_row_is_written_as_the_library_scores_it(smartflow: Smartflow, file: Path, rows: pd.DataFrame, ending: str) -> None:
    output = file.with_name(f"out.{ending}")
    assert smartflow("detect", str(file), "--train-rows", "300", "-o", str(output)).code == 0
    columns = ("raw_score", "is_anomaly", "state")
    written = duckdb.execute(f"SELECT * FROM '{output}' ORDER BY observed_at")
    names, values = [column[0] for column in written.description], written.fetchall()
    frame = pd.DataFrame({"series": "load", "observed_at": pd.to_datetime(rows["ts"]), "value": rows["load"]})
    expected = detect(frame, train_rows=300)
    assert names == list(expected.columns)
    for column in columns:
        assert [row[names.index(column)] for row in values] == list(expected[column])
    assert [path.name for path in file.parent.iterdir() if path.name.startswith(".")] == []


def test_a_german_export_is_read_as_it_is_written_and_the_error_says_how(smartflow: Smartflow, rows: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "last.csv"
    german = rows.assign(load=rows["load"].map(lambda value: f"{value:.3f}".replace(".", ",")), ort="Süd")
    german.to_csv(file, index=False, sep=";", encoding="cp1252")
    answer = smartflow("detect", str(file))
    assert answer.code == 1 and "the text is not utf-8" in answer.err and "--encoding cp1252" in answer.err
    answer = smartflow("detect", str(file), "--encoding", "cp1252")
    assert answer.code == 1 and "is a number with --decimal ," in answer.err
    answer = smartflow("detect", str(file), "--encoding", "cp1252", "--decimal", ",", "--train-rows", "300")
    assert answer.code == 0 and "300, usually" in answer.out
    assert smartflow("detect", str(file), "--encoding", "cp9999").code == 2


def test_every_row_opens_in_excel(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    output = file.with_name("out.xlsx")
    assert smartflow("detect", str(file), "--train-rows", "300", "-o", str(output)).code == 0
    read = pd.read_excel(output, engine="openpyxl")
    assert read["value"].tolist() == rows["load"].tolist()
    assert read.loc[read["is_anomaly"], "observed_at"].tolist() == [pd.Timestamp("2026-03-02 13:30")]


def test_times_in_a_csv_are_iso_8601(smartflow: Smartflow, file: Path) -> None:
    output = file.with_name("out.csv")
    smartflow("detect", str(file), "-o", str(output))
    assert output.read_text().splitlines()[1].startswith("load,2026-03-01T00:00:00Z,")


def test_rows_in_any_order_give_the_same_answer(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    sorted_answer = smartflow("detect", str(file))
    rows.sample(frac=1, random_state=1).to_csv(file, index=False)
    shuffled = smartflow("detect", str(file))
    assert shuffled.out == sorted_answer.out
    assert "the times are out of order; the rows are sorted by time" in shuffled.err


def test_gzip_and_parquet_are_read_as_csv_is(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    plain = smartflow("detect", str(file)).out
    zipped = file.with_name("load.csv.gz")
    zipped.write_bytes(gzip.compress(file.read_bytes()))
    parquet = file.with_name("load.parquet")
    duckdb.execute(f"COPY (SELECT CAST(ts AS TIMESTAMP) AS ts, load FROM '{file}') TO '{parquet}'")
    assert smartflow("detect", str(zipped)).out == plain
    assert smartflow("detect", str(parquet)).out == plain


@pytest.mark.parametrize(
    ("written", "said"),
    [("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"), ("%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M"), ("%s", "s")],
)
def test_times_as_people_write_them_are_recognised(smartflow: Smartflow, file: Path, rows: pd.DataFrame, written: str, said: str) -> None:
    times = pd.to_datetime(rows["ts"])
    texts = (
        (times.dt.tz_localize(None).astype("datetime64[s]").astype("int64").astype(str)) if written == "%s" else times.dt.strftime(written)
    )
    rows.assign(ts=texts).to_csv(file, index=False)
    answer = smartflow("detect", str(file), "--train-rows", "300")
    assert f"read as {said}" in answer.err
    assert "2026-03-02 13:30" in answer.out


def test_day_first_and_month_first_are_told_apart_or_asked_about(smartflow: Smartflow, file: Path) -> None:
    lines = [f"{1 + day:02}/03/2026,{100 + day}" for day in range(8)]
    file.write_text("date,n\n" + "\n".join(lines) + "\n")
    answer = smartflow("detect", str(file))
    assert "date can be read as day first or month first" in answer.err


def test_several_series_are_judged_one_by_one(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    rows.assign(other=2 * rows["load"], id=range(ROWS), note="x").to_csv(file, index=False)
    answer = smartflow("detect", str(file), "--train-rows", "300")
    assert "values: load, other; left out: id, note" in answer.err
    assert {line.split()[2] for line in answer.out.splitlines()[1:]} == {"load", "other"}


@pytest.mark.parametrize("form", ["list", "lines", "nested", "gzip"])
def test_json_is_read_as_csv_is(smartflow: Smartflow, file: Path, rows: pd.DataFrame, form: str) -> None:
    plain, records = smartflow("detect", str(file)).out, rows.to_dict("records")
    written, options, name = json.dumps(records).encode(), list[str](), "load.json"
    if form == "lines":
        written, name = "\n".join(map(json.dumps, records)).encode(), "load.jsonl"
    elif form == "nested":
        written, options = (
            json.dumps({"data": {"items": [{"at": {"ts": row["ts"]}, "load": row["load"]} for row in records]}}).encode(),
            [
                "--records",
                "data.items",
            ],
        )
    elif form == "gzip":
        written, name = gzip.compress(written), "load.json.gz"
    file.with_name(name).write_bytes(written)
    answer = smartflow("detect", str(file.with_name(name)), *options)
    assert (answer.code, answer.out) == (0, plain), answer.err
    assert ("at.ts" if form == "nested" else "time: ts") in answer.err


def test_json_that_is_no_list_of_records_is_answered_with_the_option(smartflow: Smartflow, file: Path) -> None:
    file.with_name("a.json").write_text('{"data": {"items": [{"ts": "2026-03-01", "n": 1}]}}')
    answer = smartflow("detect", str(file.with_name("a.json")), "--records", "data.rows")
    assert answer.code == 1
    assert "--records" in answer.err and "read.records" not in answer.err
    file.with_name("b.jsonl").write_text('{"ts": "2026-03-01", "n": 1}\n17\n{"ts": "2026-03-02", "n": 2}\n')
    answer = smartflow("detect", str(file.with_name("b.jsonl")))
    assert "left out 1 record that is no object, such as line 2" in answer.err


@pytest.fixture
def regions(rows: pd.DataFrame, file: Path) -> Path:
    """The same rows for ten regions below each other; the spike is in one of them."""
    calm = rows.assign(load=rows["load"].mask(rows["load"] > 200, 100.0))
    several = pd.concat([(rows if number == 3 else calm).assign(region=f"r{number}") for number in range(10)])
    several.sort_values("ts", kind="stable").to_csv(file, index=False)
    return file


def test_rows_that_share_a_time_are_said_with_what_to_do(smartflow: Smartflow, regions: Path) -> None:
    answer = smartflow("detect", str(regions), "--train-rows", "300")
    assert "5,400 of 6,000 rows share their time with a later one and are left out" in answer.err
    assert "--by region makes a series of each region" in answer.err
    assert "5,400 more share a time and were left out" in answer.err


def test_each_value_of_a_column_makes_a_series(smartflow: Smartflow, regions: Path) -> None:
    answer = smartflow("detect", str(regions), "--train-rows", "300", "--by", "region")
    assert [line.split()[2] for line in answer.out.splitlines() if line.startswith("2026-03-02 13:30")] == ["load{region=r3}"]
    assert "in 3,000 judged rows of 6,000" in answer.err
    assert "share" not in answer.err


def test_rows_of_one_time_become_one_value(smartflow: Smartflow, regions: Path) -> None:
    output = regions.with_name("out.json")
    answer = smartflow("detect", str(regions), "--train-rows", "300", "--aggregate", "sum", "-o", str(output))
    assert "share" not in answer.err and "in 300 judged rows of 600" in answer.err
    values = [row["value"] for row in json.loads(output.read_text())]
    expected = pd.read_csv(regions).groupby("ts")["load"].sum()
    assert values == pytest.approx(list(expected))
    assert "2026-03-02 13:30" in answer.out


@pytest.mark.soak
def test_a_training_file_has_the_same_series(smartflow: Smartflow, regions: Path) -> None:
    both = pd.read_csv(regions)
    past, today = regions.with_name("past.csv"), regions.with_name("today.csv")
    both[both["ts"] < "2026-03-02T09"].query("region != 'r0'").to_csv(past, index=False)
    both[both["ts"] >= "2026-03-02T09"].to_csv(today, index=False)
    answer = smartflow("detect", str(today), "--train", str(past), "--by", "region")
    assert "load{region=r3}" in answer.out
    assert "has no rows of load{region=r0}: it learns from its own first third" in answer.err


def test_a_column_of_single_things_makes_no_series(smartflow: Smartflow, file: Path) -> None:
    lines = [f"2026-03-01T00:00:00Z,{number},1" for number in range(10_001)]
    file.write_text("ts,order,load\n" + "\n".join(lines) + "\n")
    answer = smartflow("detect", str(file), "--by", "order", "--value", "load")
    assert answer.code == 1
    assert "order makes more than 10,000 series" in answer.err


def test_a_training_file_is_learnt_from_and_not_judged(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    past, today = file.with_name("past.csv"), file.with_name("today.csv")
    rows[:400].to_csv(past, index=False)
    rows[400:].to_csv(today, index=False)
    answer = smartflow("detect", str(today), "--train", str(past))
    assert "in 200 judged rows of 200" in answer.err
    assert "2026-03-02 13:30" in answer.out


def test_text_among_numbers_counts_as_missing_and_is_said(smartflow: Smartflow, file: Path, rows: pd.DataFrame) -> None:
    rows.astype({"load": object}).assign(load=rows["load"].astype(object).where(rows.index != 500, "n/a")).to_csv(file, index=False)
    answer = smartflow("detect", str(file), "--train-rows", "300")
    assert "1 value of load cannot be read as a number, such as 'n/a'; they count as missing" in answer.err
    assert "1 missing" in answer.err


def test_lines_and_times_that_cannot_be_read_are_counted_and_shown(smartflow: Smartflow, file: Path) -> None:
    file.write_text(file.read_text() + "2026-03-09T00:00:00Z,1,2,3\nyesterday,1\n")
    answer = smartflow("detect", str(file))
    assert "left out 1 line without the columns of the header, such as line 602: 2026-03-09T00:00:00Z,1,2,3" in answer.err
    assert "left out 1 row whose time cannot be read, such as 'yesterday'" in answer.err


def test_of_rows_with_the_same_time_the_last_counts(smartflow: Smartflow, file: Path) -> None:
    file.write_text(file.read_text() + "2026-03-02T13:30:00Z,101.5\n")
    answer = smartflow("detect", str(file), "--train-rows", "300")
    assert "1 of 601 rows shares its time with a later one and is left out; --aggregate sum (or mean, count, …)" in answer.err
    assert "missing; 1 more share a time and were left out)" in answer.err
    assert "300," not in answer.out


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty"),
        ("ts,load\n", "holds a header and no row"),
        ("ts,load\n2026-03-01,many\n2026-03-02,few\n", "no column holds numbers"),
        ("n,load\n1.5,2\n2.5,3\n", "no column looks like a time"),
        (
            "ts,load\n" + "".join(f"2026-03-01T00:{minute:02}:00Z,5\n" for minute in range(9)),
            "too short to judge any row: 9 rows, 288 are needed",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_exit_code_1(smartflow: Smartflow, file: Path, content: str, problem: str) -> None:
    file.write_text(content)
    answer = smartflow("detect", str(file))
    errors = [line for line in answer.err.splitlines() if line.startswith("error:")]
    assert (answer.code, len(errors)) == (1, 1)
    assert problem in errors[0]
    assert "Traceback" not in answer.err


def test_a_missing_file_is_named(smartflow: Smartflow, tmp_path: Path) -> None:
    answer = smartflow("detect", str(tmp_path / "nowhere.csv"))
    assert (answer.code, answer.err) == (1, f"error: {tmp_path}/nowhere.csv: no such file.\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--value", "laod"], "Did you mean load?"),
        (["--time", "tss"], "Did you mean ts?"),
        (["--detectors", "seasonnal"], "Did you mean seasonal?"),
        (["--by", "laod"], "Did you mean load?"),
        (["-o", "out.xls"], "the ending names no format"),
        (["--train", "x.csv", "--train-rows", "3"], "exclude each other"),
    ],
)
def test_a_wrong_option_is_exit_code_2_with_what_was_meant(smartflow: Smartflow, file: Path, arguments: list[str], problem: str) -> None:
    answer = smartflow("detect", str(file), *arguments)
    assert answer.code == 2
    assert problem in answer.err


@pytest.mark.soak
def test_chosen_detectors_are_the_ones_that_speak(smartflow: Smartflow, file: Path) -> None:
    output = file.with_name("out.json")
    smartflow("detect", str(file), "--train-rows", "300", "--detectors", "zscore", "-o", str(output))
    flagged = [row for row in json.loads(output.read_text()) if row["is_anomaly"]]
    assert flagged
    assert all("zscore" in row["explanation"] for row in flagged)


def test_a_failed_run_leaves_no_output(smartflow: Smartflow, file: Path) -> None:
    file.write_text("ts,load\n2026-03-01,many\n")
    smartflow("detect", str(file), "-o", str(file.with_name("out.csv")))
    assert sorted(path.name for path in file.parent.iterdir()) == ["load.csv"]


@pytest.mark.soak
def test_a_disk_that_takes_no_more_is_said_and_nothing_is_left(file: Path) -> None:
    call = f"ulimit -f 8; exec {sys.executable} -m smartflow_assets.cli detect {file} -o {file.with_name('out.csv')}"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: the disk is full ({file.parent}, ")
    assert [path.name for path in file.parent.iterdir()] == ["load.csv"]
