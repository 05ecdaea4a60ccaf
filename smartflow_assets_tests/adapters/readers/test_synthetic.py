"""A synthetic source is alive: each run adds the rows since the last one, and nothing that is stored ever changes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.ingest import Ingested, ingest
from smartflow_assets.adapters.readers import BaseReader, ReadContext, Reader, Wanted
from smartflow_assets.adapters.readers.synthetic import SyntheticReader
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.generators import DOMAINS

NOW = datetime(2026, 3, 2, 10, 2, tzinfo=UTC)
STEP = timedelta(minutes=5)
IOT = {"type": "synthetic", "domain": "iot_sensors", "seed": 4, "history": "2 days"}


class Greenhouse:
    """A warehouse and a clock."""

    def __init__(self, folder: Path, warehouse: Warehouse) -> None:
        self.folder, self.warehouse, self.runs = folder, warehouse, 0

    def take(
        self, now: datetime = NOW, wanted: Wanted = Wanted(), since: datetime | None = None, until: datetime | None = None, **keys: object
    ) -> Ingested:
        self.runs += 1
        return ingest(
            self.warehouse,
            "house",
            reader(**keys),
            wanted=wanted,
            now=now,
            run_id=f"run{self.runs}",
            staging=self.folder / "staging",
            data=self.folder,
            since=since,
            until=until,
        )

    def rows(self, columns: str = "*", time: str = "timestamp") -> pd.DataFrame:
        return self.warehouse.read(f'SELECT {columns} FROM raw."house" ORDER BY {time}')


def reader(**keys: object) -> BaseReader:
    return TypeAdapter(Reader).validate_python(IOT | keys)


def values(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["timestamp", "temperature", "humidity", "battery"]].reset_index(drop=True)


@pytest.fixture
def house(tmp_path: Path, warehouse: Warehouse) -> Greenhouse:
    return Greenhouse(tmp_path, warehouse)


def test_the_first_run_makes_the_history_up_to_the_last_step_that_is_over(house):
    taken = house.take()
    assert (taken.new_rows, taken.row_count) == (576, 576)
    assert (taken.first_at, taken.last_at) == (datetime(2026, 2, 28, 10, 0, tzinfo=UTC), datetime(2026, 3, 2, 9, 55, tzinfo=UTC))
    assert set(house.rows()["timestamp"].diff().dropna()) == {STEP}


def test_two_runs_with_one_clock_add_nothing(house):
    house.take()
    before = house.warehouse.tables()
    assert house.take() == Ingested()
    assert house.take(NOW + timedelta(minutes=2)) == Ingested()
    assert house.warehouse.tables() == before


@pytest.mark.soak
def test_each_later_clock_adds_exactly_the_rows_in_between(house):
    house.take()
    old = house.rows()
    added = [house.take(NOW + timedelta(minutes=minutes)).new_rows for minutes in (5, 10, 25, 26, 60 * 24 * 40)]
    assert added == [1, 1, 3, 0, 12 * 24 * 40 - 5]
    rows = house.rows()
    pd.testing.assert_frame_equal(rows[: len(old)], old)
    assert rows["timestamp"].is_unique
    assert set(rows["timestamp"].diff().dropna()) == {STEP}


@pytest.mark.soak
def test_rows_do_not_depend_on_how_runs_cut_them(house):
    for minutes in (0, 7, 90, 4000, 50_000):
        house.take(NOW + timedelta(minutes=minutes))
    last = house.rows()["timestamp"].iloc[-1]
    made = reader().domain.stretch(NOW - timedelta(days=2, minutes=2), last + STEP, 4)  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(values(house.rows()), values(made.frame), check_dtype=False)
    assert len(made.labels) > 0


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_run_killed_before_or_after_its_commit_leaves_no_hole(house, monkeypatch, point):
    house.take()
    commit = Warehouse.commit

    def killed(self, *arguments):
        if point == "after":
            commit(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            house.take(NOW + timedelta(hours=1))
    house.take(NOW + timedelta(hours=2))
    assert len(house.rows()) == 576 + 24
    assert set(house.rows()["timestamp"].diff().dropna()) == {STEP}


def test_an_earlier_clock_takes_nothing_away(house):
    house.take()
    assert house.take(NOW - timedelta(days=1)) == Ingested()
    assert len(house.rows()) == 576


def test_a_longer_history_later_on_changes_nothing_that_is_stored(house):
    house.take()
    assert house.take(history="5 days") == Ingested()


def test_limits_of_a_run_are_kept_and_the_rest_comes_with_the_next(house):
    taken = house.take(since=NOW - timedelta(hours=3), until=NOW - timedelta(hours=1))
    assert taken.new_rows == 24
    assert house.take().new_rows == 12


@pytest.mark.parametrize(
    "keys",
    [
        {"seed": 5},
        {"anomaly_rate": 0.2},
        {"domain": {"type": "iot_sensors", "swing": 2}},
        {"domain": {"type": "iot_sensors", "step": "15min"}},
        {"domain": {"type": "iot_sensors", "warmth": 3}},
        {"domain": {"type": "iot_sensors", "battery": 40}},
    ],
)
def test_every_key_changes_rows_and_makes_all_anew(house, keys):
    house.take()
    before = values(house.rows())
    assert house.take(**keys).new_rows > 100
    after = values(house.rows())
    assert not after.equals(before)
    assert after["timestamp"].is_unique
    assert after["timestamp"].iloc[[0, -1]].tolist()[0] == before["timestamp"].iloc[0]


def test_history_and_time_change_rows(house):
    house.take(history="1 day", time="measured_at")
    rows = house.rows(time="measured_at")
    assert (len(rows), "timestamp" in rows) == (288, False)


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.soak
def test_every_domain_can_be_a_source(house, name):
    step = DOMAINS[name]().step
    added = [house.take(NOW + k * step * 40, domain=name, history=f"{200 * step.total_seconds()}s").new_rows for k in range(3)]
    per_step = 3 if name == "kpi_sales" else 1
    if name == "fraud":  # payments come when people are awake
        assert sum(added) > 100
    else:
        assert added == [200 * per_step, 40 * per_step, 40 * per_step]
    assert not house.rows().drop(columns="_row").isna().any(axis=None)


def test_text_columns_stay_text(house):
    house.take(domain="fraud", wanted=Wanted(("amount",), ("channel", "category")))
    types = house.warehouse.read("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'house'")
    types = dict(zip(types["column_name"], types["data_type"], strict=True))
    assert {name: types[name] for name in ("timestamp", "account", "channel", "amount")} == {
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "account": "VARCHAR",
        "channel": "VARCHAR",
        "amount": "DOUBLE",
    }


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted(("heat",)), "metrics: the domain iot_sensors has no column 'heat'. It has temperature, humidity, battery."),
        (Wanted(None, ("region",)), "dimensions: the domain iot_sensors has no column 'region'. It has temperature, humidity, battery."),
    ],
)
def test_a_column_that_is_not_there_is_named(house, wanted, said):
    with pytest.raises(SourceError) as error:
        house.take(wanted=wanted)
    assert str(error.value) == f"house: {said}"


def test_a_metric_of_text_is_refused(house):
    with pytest.raises(SourceError, match="the domain kpi_sales has no numbers in the column 'campaign'"):
        house.take(domain="kpi_sales", wanted=Wanted(("campaign",)))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"domain": "weather"}, "there is no domain 'weather'; there are web_traffic, system_metrics, cpu_usage"),
        ({"domain": {"type": "iot_sensors", "cores": 3}}, "cores"),
        ({"time": {"column": "at", "timezone": "Europe/Berlin"}}, "the times are made and not read"),
        ({"time": "humidity"}, "iot_sensors has a column of its own called humidity"),
        ({"history": "2min"}, "history must be at least one step of the domain, 5min"),
        (
            {"history": "36000 days", "domain": {"type": "iot_sensors", "step": "1min"}},
            "a history of 36000 days has more than 20,000,000 rows",
        ),
        ({"history": "40000 days"}, "less than or equal to 36525 days"),
        ({"anomaly_rate": 0.5}, "less than or equal to 0.3"),
    ],
)
def test_keys_that_make_no_sense_are_refused(keys, said):
    with pytest.raises(ValidationError, match=said):
        reader(**keys)


def test_it_needs_the_clock_of_a_run(tmp_path):
    with pytest.raises(SourceError, match="needs the clock of its run"):
        list(SyntheticReader.model_validate(IOT).batches(ReadContext("house", tmp_path, tmp_path / "staging")))
