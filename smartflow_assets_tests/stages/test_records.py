"""Single records through real runs: judged once, the same however runs cut the data, told once, and healed by corrections."""

import json
import re
import shutil
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from smartflow_assets.adapters import model_store
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.source_file import read_source
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.stages import alerting, detection, ingestion, preparation, record_models, records
from smartflow_assets.stages.detection import anomaly_picture
from smartflow_assets.stages.maintenance import retention
from smartflow_assets.stages.run import SourceRun
from smartflow_assets_tests.homes import START, Home, write_rows

DAYS, LEARNT = 18, 7
FRAUD = 15 * 144 + 60  # the row of a strange payment, on the sixteenth day at 10:00
ENCODE = {"merchant": "frequency", "kind": "one_hot"}
TO_JUDGE = (ingestion.raw_records, preparation.clean_series, records.record_anomalies)
TO_TELL = (detection.anomaly_scores, detection.anomalies, alerting.incidents)


def payments(days: int = DAYS) -> pd.DataFrame:
    """A payment each ten minutes: groceries of about 50, electronics of about 2,000, from twenty merchants."""
    rng = np.random.default_rng(4)
    count = days * 144
    kind = rng.choice(["groceries", "electronics"], count, p=[0.8, 0.2])
    rows = pd.DataFrame(
        {
            "at": pd.date_range(START, periods=count, freq="10min").strftime("%Y-%m-%dT%H:%M:%SZ"),
            "kind": kind,
            "merchant": rng.choice([f"m{number:02}" for number in range(20)], count),
            "note": "paid",
            "amount": np.round(np.where(kind == "electronics", 2000, 50) * np.exp(0.4 * rng.standard_normal(count)), 2),
        }
    )
    if len(rows) > FRAUD:
        rows.loc[FRAUD, ["kind", "merchant", "amount"]] = ["groceries", "casino", 18_200.0]
    return rows


def write_source(home: Home, **more: object) -> None:
    home.write_source(
        "pay",
        yaml.safe_dump(
            {
                "name": "pay",
                "read": {"type": "csv", "path": "examples/pay.csv", "time": "at"},
                "encode": ENCODE,
                "time_bucket": {"every": "1h", "settle": "0s"},
                "metrics": [{"name": "payments", "aggregate": "count"}],
                "alerts": {"to": ["file"], "max_age": "3650 days", "min_severity": "critical"},
                "records": {},
            }
            | more
        ),
    )


def make(folder: Path, rows: pd.DataFrame | None = None, **more: object) -> Home:
    home = Home(folder)
    write(home, payments() if rows is None else rows)
    write_source(home, **more)
    return home


def write(home: Home, rows: pd.DataFrame) -> None:
    write_rows(home.settings.data / "examples" / "pay.csv", rows)


def run_of(home: Home, days: float = DAYS, **more) -> SourceRun:
    return home.source_run("pay", START + timedelta(days=days), f"run {days}", **more)


def judge(home: Home, days: float = DAYS) -> records.JudgedRecords:
    """Records alone, for a test that asks nothing of anomalies and incidents."""
    return home.run_stages("pay", START + timedelta(days=days), TO_JUDGE)["record_anomalies"]


def watch(home: Home, days: float = DAYS) -> records.JudgedRecords:
    return home.run_stages("pay", START + timedelta(days=days), TO_JUDGE + TO_TELL)["record_anomalies"]


def made(home: Home) -> dict[str, pd.DataFrame]:
    """What must not depend on the cut of runs, in order and without who and when."""
    hidden = ["run_id", "model_id", "learnt_at", "artefact", "sha256", "versions"]
    incidents = home.warehouse.read("SELECT * FROM incidents WHERE cause = 'anomaly' ORDER BY incident_id")
    return {
        name: home.table(name).drop(columns=hidden, errors="ignore").sort_values(order, ignore_index=True)
        for name, order in {
            "record_scores": ["observed_at"],
            "record_anomalies": ["observed_at", "_row"],
            "record_models": ["learnt_to"],
            "anomalies": ["anomaly_id"],
        }.items()
    } | {"incidents": incidents}


@pytest.fixture(scope="module")
def pay(tmp_path_factory) -> Home:
    home = make(tmp_path_factory.mktemp("pay"))
    watch(home)
    return home


@pytest.fixture
def watched(pay: Home, tmp_path: Path) -> Home:
    """A copy of `pay`, for a test to change."""
    return Home(shutil.copytree(pay.folder, tmp_path, dirs_exist_ok=True))


@pytest.fixture(scope="module")
def twelve_days(tmp_path_factory) -> Path:
    """The payments of twelve days, judged by their first model."""
    home = make(tmp_path_factory.mktemp("twelve"), payments().iloc[: 12 * 144])
    watch(home, 12)
    return home.folder


@pytest.fixture
def young(twelve_days: Path, tmp_path: Path) -> Home:
    """A copy of that home; the rest of the payments has come since."""
    home = Home(shutil.copytree(twelve_days, tmp_path, dirs_exist_ok=True))
    write(home, payments())
    return home


def strange(home: Home, where: str = "TRUE") -> pd.DataFrame:
    return home.table("record_anomalies", f"{where} ORDER BY observed_at").reset_index(drop=True)


@pytest.mark.soak
def test_the_strange_payment_is_found_with_its_reasons_and_as_it_was_read(pay):
    found = strange(pay, "severity = 'critical'")
    assert found["_row"].tolist() == [FRAUD + 1] and found["_origin"].tolist() == ["examples/pay.csv"]
    fraud = found.iloc[0]
    assert json.loads(fraud["record"])["amount"] == 18_200.0 and json.loads(fraud["record"])["merchant"] == "casino"
    assert (
        fraud["explanation"] == "amount 18,200 (usually 20.9 to 126 with this kind), merchant casino never seen before; shares 90 %, 10 %"
    )
    assert fraud["contributions"]["amount"] > fraud["contributions"]["merchant"] > 0
    assert sum(fraud["contributions"].values()) == pytest.approx(1, abs=1e-3)
    assert fraud["anomaly_score"] > fraud["threshold"] == pytest.approx(1 - 1 / 144)  # 144 rows a day, one of them may be flagged


def test_rows_that_the_first_model_learnt_from_are_not_judged_and_all_others_are(pay):
    scores = pay.table("record_scores")
    assert scores["observed_at"].min() == pd.Timestamp(START) + pd.Timedelta(days=LEARNT)
    assert scores["record_count"].sum() == (DAYS - LEARNT) * 144
    assert scores["anomalous_count"].sum() == len(strange(pay)) < 4 * (DAYS - LEARNT)
    models = pay.table("record_models").sort_values("learnt_to")
    assert [(end - pd.Timestamp(START)).days for end in models["learnt_to"]] == [7, 14]
    by_model = dict(zip(models["model_id"], models["learnt_to"], strict=True))
    assert (scores["observed_at"] >= scores["model_id"].map(by_model)).all()  # never by a model that has seen it


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param((7.5, 13.99, 16, DAYS), id="four runs"),
        pytest.param((7, 7.5, 9, 13.99, 14, 16, DAYS), id="seven runs"),
        pytest.param((*np.arange(6.5, DAYS, 0.93), DAYS), id="13 runs"),
    ],
)
@pytest.mark.soak
def test_the_cut_of_runs_changes_nothing(tmp_path, pay, cuts):
    home = make(tmp_path)
    for days in cuts:
        write(home, payments().iloc[: int(days * 144)])
        watch(home, float(days))
    for (name, rows), cut in zip(made(pay).items(), made(home).values(), strict=True):
        pd.testing.assert_frame_equal(cut, rows, check_exact=True, obj=name)


@pytest.mark.soak
def test_strange_records_of_a_bucket_open_one_incident_that_is_told_once_and_recovers(young):
    rows = payments()
    rows.loc[FRAUD : FRAUD + 4, ["merchant", "amount"]] = ["casino", 18_200.0]
    home = young
    write(home, rows.iloc[: FRAUD + 6])
    watch(home, (FRAUD + 6) / 144)
    anomaly = home.table("anomalies", "series = 'records' ORDER BY started_at").iloc[-1]
    assert anomaly["value"] == 5 and anomaly["anomaly_type"] == "multivariate" and anomaly["detectors"] == ["records"]
    assert anomaly["explanation"].startswith("5 strange records: amount, merchant. Tue 10:00 UTC. Last similar incident ")
    assert " The strangest: amount 18,200 (usually " in anomaly["explanation"]
    assert set(anomaly["contributions"]) <= {"records:amount", "records:merchant", "records:kind"}
    incident = home.table("incidents", "severity = 'critical'")
    assert incident["state"].tolist() == ["open"] and incident["series"].tolist() == ["records"]
    write(home, rows)
    for days in (16, DAYS):
        watch(home, days)
    incident_id = incident["incident_id"].iloc[0]
    assert home.table("incidents", f"incident_id = '{incident_id}'")["state"].tolist() == ["resolved"]
    told = home.table("alert_sends", f"incident_id = '{incident_id}'")
    assert sorted(told["event"]) == ["opened", "resolved"]


def test_nothing_new_writes_nothing(watched):
    before = made(watched), watched.count("writes")
    judged = watch(watched)
    assert judged.judged_count == 0 and watched.count("writes") == before[1]
    for name, rows in made(watched).items():
        pd.testing.assert_frame_equal(rows, before[0][name])


@pytest.mark.soak
def test_late_rows_corrections_and_removed_rows_touch_their_own_bucket(watched):
    home, rows = watched, payments()
    calm = home.table("record_scores", "anomalous_count = 0").sort_values("observed_at").iloc[5]["observed_at"]
    at = (calm + pd.Timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    late = rows.iloc[[0]].assign(at=at, merchant="casino", amount=20_000.0)
    write(home, pd.concat([rows, late]))
    judged = watch(home)
    assert judged.judged_count == 7 and judged.anomalous_count == 1  # the six of that hour and the late one
    write(home, pd.concat([rows, late.assign(amount=50.0, merchant="m01", kind="groceries")]))
    watch(home)
    assert home.count("record_scores", f"observed_at = '{calm}' AND record_count = 7 AND anomalous_count = 0") == 1
    write_source(home, read={"type": "csv", "path": "examples/pay.csv", "time": "at", "on_missing_rows": "delete"})
    write(home, rows.drop(index=FRAUD))
    watch(home)
    assert strange(home, "severity = 'critical'").empty
    assert home.count("anomalies", "severity = 'critical' AND series = 'records'") == 0


@pytest.mark.soak
def test_an_origin_that_goes_takes_its_records_with_it(tmp_path):
    home, rows = make(tmp_path), payments()
    write_source(home, read={"type": "csv", "path": "examples/pay*.csv", "time": "at"})
    fraud = rows.iloc[FRAUD - 1 : FRAUD + 2].copy()  # a file speaks for the times between its first and its last
    fraud.loc[fraud.index[1], "amount"] = 19_000.0
    write_rows(home.settings.data / "examples" / "pay_more.csv", fraud)
    judge(home)
    assert set(strange(home, "severity = 'critical'")["_origin"]) == {"examples/pay.csv", "examples/pay_more.csv"}
    fraud.loc[fraud.index[1], ["amount", "merchant"]] = [51.0, "m02"]
    write_rows(home.settings.data / "examples" / "pay_more.csv", fraud)
    judge(home)
    assert set(strange(home, "severity = 'critical'")["_origin"]) == {"examples/pay.csv"}


@pytest.mark.soak
def test_a_training_on_demand_judges_what_comes_after_it(young):
    home = young
    before = strange(home)
    said = records.learn_records_anew(run_of(home, 12, is_retraining=True))
    assert said.startswith("; records: learnt from 1,7") and records.learn_records_anew(run_of(home, 12)) == ""
    judge(home)
    models = home.table("record_models").sort_values("learnt_to")
    assert [(end - pd.Timestamp(START)).days for end in models["learnt_to"]] == [7, 12]  # the next is due when there is twice as much
    pd.testing.assert_frame_equal(strange(home, f"observed_at < '{START + timedelta(days=12)}'"), before)
    assert set(strange(home, f"observed_at >= '{START + timedelta(days=12)}'")["model_id"]) == {models["model_id"].iloc[1]}


@pytest.mark.soak
def test_what_was_flagged_is_not_learnt_from(tmp_path):
    rows = payments()
    rows.loc[8 * 144 : 8 * 144 + 60, ["merchant", "amount"]] = ["casino", 18_200.0]
    home = make(tmp_path, rows)
    judge(home)
    later = home.table("record_models").sort_values("learnt_to").iloc[-1]
    flagged = len(strange(home, f"observed_at < '{START + timedelta(days=14)}'"))
    assert flagged >= 61 and later["row_count"] == 14 * 144 - flagged


def test_a_model_that_was_changed_on_disk_is_learnt_anew(young):
    home = young
    folder = home.settings.models / home.table("record_models")["artefact"].iloc[0]
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"form": 1', '"form": 9'))
    judge(home, 13)
    assert home.count("record_models") == 2 and home.count("record_scores") == (13 - LEARNT) * 24


def test_a_model_that_another_version_wrote_otherwise_is_learnt_anew_and_the_run_says_so(young):
    home = young
    folder = home.settings.models / home.table("record_models")["artefact"].iloc[0]
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["parameters"]["rows_per_day"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    home.warehouse.release()
    with duckdb.connect(str(home.settings.warehouse_file)) as file:
        file.execute("UPDATE record_models SET sha256 = ?", [model_store._hash(folder)])
    answers = home.run_stages("pay", START + timedelta(days=13), TO_JUDGE)
    assert "(artefact unusable: the stored model cannot be read (KeyError: 'rows_per_day'))" in answers["record_anomalies"].summary
    assert home.count("record_models") == 2 and home.count("record_scores") == (13 - LEARNT) * 24


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"false_alerts": "1 per month"}, lambda found, usual: len(found) < len(usual)),
        ({"columns": ["merchant"]}, lambda found, usual: set().union(*found["contributions"]) == {"merchant"}),
        ({"detectors": ["isolation_forest"]}, lambda found, usual: not found["raw_score"].isin(usual["raw_score"]).any()),
        ({"detectors": [{"type": "isolation_forest", "n_estimators": 10, "seed": 3}]}, lambda found, usual: len(found) > 0),
    ],
    ids=["false_alerts", "columns", "detectors", "parameters"],
)
@pytest.mark.soak
def test_every_key_changes_what_is_found(tmp_path, twelve_days, settings, expected):
    rows = payments().iloc[: 12 * 144]
    rows.loc[9 * 144, "merchant"] = "casino"
    home = make(tmp_path, rows, records=settings)
    judge(home, 12)
    assert expected(strange(home), strange(Home(twelve_days)))


def test_other_columns_learn_a_model_for_what_comes_and_leave_verdicts(young):
    home = young
    before = strange(home)
    write_source(home, records={"columns": ["amount"]})
    judge(home)
    found = strange(home)
    pd.testing.assert_frame_equal(found[found["observed_at"] < START + timedelta(days=12)], before)
    assert set().union(*found[found["observed_at"] >= START + timedelta(days=12)]["contributions"]) == {"amount"}


def test_without_the_key_nothing_is_judged_and_what_was_found_goes(watched):
    home = watched
    assert len(strange(home)) and home.count("anomalies", "series = 'records'")
    write_source(home, records=None)
    judged = watch(home)
    assert "`records:` in the YAML asks for it" in judged.summary and strange(home).empty
    assert home.count("record_scores") == 0 == home.count("anomalies", "series = 'records'")
    assert home.count("incidents", "state <> 'resolved'") == 0


def test_too_little_history_says_so_and_judges_nothing(tmp_path):
    home = make(tmp_path)
    judged = judge(home, 6)
    assert judged.summary == "the categories of encode are not learnt yet" and home.count("record_scores") == 0
    (tmp_path / "few").mkdir()
    few = make(tmp_path / "few", payments().iloc[::40], encode={})
    assert judge(few).summary == "too little history: a week and 1,000 rows are needed"


def test_pruning_leaves_the_models_that_are_needed(watched):
    home = watched
    catalogue, models = Catalogue.load(home.settings), ModelStore(home.settings.models)
    list(retention.prune(home.warehouse, models, catalogue, before=START + timedelta(days=16)))
    assert home.table("record_scores")["observed_at"].min() == pd.Timestamp(START + timedelta(days=16))
    assert home.count("record_models") == 2
    (home.settings.sources / "pay.yaml").unlink()
    list(retention.prune(home.warehouse, models, Catalogue.load(home.settings), before=START + timedelta(days=4000)))
    assert home.count("record_models") == 0 and not (home.settings.models / "pay.records").exists()


def test_the_newest_anomaly_is_drawn_with_its_explanation_below(pay):
    png = anomaly_picture(run_of(pay), pay.table("anomalies"))
    assert png is not None and Image.open(BytesIO(png)).size[1] > 208  # the height without a caption
    assert anomaly_picture(run_of(pay), pay.table("anomalies").iloc[:0]) is None


def test_the_view_names_the_incident_of_each_record(pay):
    pay.warehouse.publish("test")
    row = pay.warehouse.published_read("SELECT incident_id, incident_state FROM marts.strange_records WHERE severity = 'critical'").iloc[0]
    incident = pay.table("incidents", "severity = 'critical' AND series = 'records'").iloc[0]
    assert re.fullmatch(r"\d+ strange records?: \w+(, \w+)?", incident["title"])
    assert row.tolist() == [incident["incident_id"], "resolved"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"metrics": [{"name": "records", "aggregate": "count"}]}, "metrics: records is what the series of strange records is called"),
        ({"records": {"columns": ["at"]}}, "records: at is the time column; a record is not judged by it"),
        ({"records": {"false_alerts": "seldom"}}, "'seldom' is no rate; write a number and a span, such as 1 per week"),
        ({"records": {"detectors": ["prophet"]}}, "prophet"),
        ({"records": {"detectors": []}}, "name at least one of the detectors mahalanobis and isolation_forest"),
    ],
    ids=["metric", "time", "rate", "detector", "no detector"],
)
def test_what_cannot_be_meant_is_refused_when_the_file_is_read(tmp_path, more, sentence):
    home = make(tmp_path, **more)
    with pytest.raises(InvalidFileError, match=sentence):
        read_source(home.settings.sources / "pay.yaml")


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (["note"], r"records: column 'note' holds no numbers.*Name it in `encode`, such as \{note: frequency\}"),
        (["amuont"], "column 'amuont' is not in the rows.*[Dd]id you mean 'amount'"),
    ],
)
def test_a_column_that_cannot_be_judged_by_is_named_with_its_remedy(tmp_path, columns, sentence):
    home = make(tmp_path, records={"columns": columns})
    with pytest.raises(SourceError, match=sentence):
        judge(home)


@pytest.mark.soak
def test_large_windows_are_learnt_from_by_a_share_of_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(record_models, "TRAINING_ROWS", 600)  # so every second, then every fourth row
    home = make(tmp_path)
    judge(home)
    learnt = home.table("record_models").sort_values("learnt_to")["row_count"]
    assert 450 < learnt.iloc[0] < 560 and 450 < learnt.iloc[1] < 560
    assert strange(home, "severity = 'critical'")["_row"].tolist() == [FRAUD + 1]


@pytest.mark.soak
def test_the_bundled_payments_are_judged_well_by_the_untouched_default(tmp_path):
    home = Home(tmp_path)
    data = Path(__file__).parents[2] / "data"
    shutil.copy(data / "examples" / "payments.csv.gz", home.settings.data / "examples")
    shutil.copy(data / "sources" / "payments.yaml", home.settings.sources)
    catalogue = Catalogue.load(home.settings)
    run = SourceRun(
        catalogue.source("payments"),
        home.settings,
        catalogue,
        home.warehouse,
        ModelStore(home.settings.models),
        END + timedelta(hours=1),
        "run",
    )
    ingestion.raw_records(run)
    preparation.clean_series(run)
    judged = records.record_anomalies(run)
    made = EXAMPLE_SOURCES["payments"].make()
    is_fraud = (made.frame["amount"] != made.twin["amount"]).to_numpy()
    found = home.table("record_anomalies")
    first = home.table("record_models")["first_to"].min()
    frauds, hits = is_fraud[(made.frame["timestamp"] >= first).to_numpy()].sum(), is_fraud[found["_row"].to_numpy() - 1].sum()
    assert judged.judged_count == (made.frame["timestamp"] >= first).sum() and frauds > 200
    assert hits / len(found) > 0.8 and hits / frauds > 0.9
