"""Homes that the benchmarks run on: rows, a YAML for each source, a channel that writes to a file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

START = datetime(2026, 1, 5, tzinfo=UTC)


def make_home(folder: Path) -> Path:
    """The folders of a home without sources."""
    for part in ("sources", "examples"):
        (folder / "data" / part).mkdir(parents=True)
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    return folder


def usual(row: Any) -> Any:
    """The value that a row of `small_sources` has but for its noise: a daily wave."""
    return 100 + 20 * np.sin(row * 2 * np.pi / 288)


def small_sources(folder: Path, count: int, rows: int = 500) -> datetime:
    """`count` sources s0, s1, … of one series with a value each five minutes. -> the clock at which all of it is closed."""
    make_home(folder)
    times, rng = pd.date_range(START, periods=rows, freq="5min"), np.random.default_rng(0)
    for k in range(count):
        values = usual(np.arange(rows)) + rng.normal(size=rows)
        frame = pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": values.round(3)})
        frame.to_csv(folder / f"data/examples/s{k}.csv", index=False)
        (folder / f"data/sources/s{k}.yaml").write_text(
            f"name: s{k}\nread: {{type: csv, path: examples/s{k}.csv, time: timestamp}}\n"
            "time_bucket: {every: 5min, settle: 0s}\nalerts: {to: [file]}\n"
        )
    return START + rows * timedelta(minutes=5) + timedelta(minutes=1)


def many_series(folder: Path, series: int, length: int, source: str = "wide") -> datetime:
    """One source of `series` series of `length` points each, by the dimension host. -> the clock at which all of it is closed."""
    make_home(folder)
    rng, times = np.random.default_rng(0), pd.date_range(START, periods=length, freq="5min")
    values = 100 + 20 * np.sin(np.arange(length) * 2 * np.pi / 288) + rng.normal(size=(series, length))
    values[rng.random((series, length)) < 0.001] += 40
    pd.DataFrame(
        {
            "timestamp": np.tile(times.strftime("%Y-%m-%dT%H:%M:%SZ"), series),
            "host": np.repeat([f"h{k}" for k in range(series)], length),
            "value": values.ravel().round(3),
        }
    ).to_csv(folder / f"data/examples/{source}.csv", index=False)
    (folder / f"data/sources/{source}.yaml").write_text(
        f"name: {source}\nread: {{type: csv, path: examples/{source}.csv, time: timestamp}}\ndimensions: [host]\n"
        "metrics: [{name: load, column: value}]\ntime_bucket: {every: 5min, settle: 0s}\nalerts: {to: [file], max_age: 3650 days}\n"
        f"max_series: {series + 1}\n"
    )
    return START + length * timedelta(minutes=5) + timedelta(minutes=1)


def minutes(folder: Path, length: timedelta, source: str = "minutes") -> datetime:
    """One source with a value each minute, and one more hour in `later.csv` beside its file. -> the clock after the first part."""
    make_home(folder)
    rows = int(length / timedelta(minutes=1)) + 60
    times, rng = pd.date_range(START - length, periods=rows, freq="1min"), np.random.default_rng(0)
    values = 100 + 20 * np.sin(np.arange(rows) * 2 * np.pi / 1440) + rng.normal(size=rows)
    frame = pd.DataFrame({"timestamp": times.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": values.round(3)})
    frame[:-60].to_csv(folder / f"data/examples/{source}.csv", index=False)
    frame[-60:].to_csv(folder / "data/later.csv", index=False, header=False)
    (folder / f"data/sources/{source}.yaml").write_text(
        f"name: {source}\nread: {{type: csv, path: examples/{source}.csv, time: timestamp}}\n"
        "time_bucket: {every: 1min, settle: 0s}\nalerts: {to: [file], max_age: 3650 days}\n"
    )
    return START + timedelta(minutes=1)  # a year ends in the past as well


def append_hour(folder: Path, source: str = "minutes") -> None:
    """Add the hour that `minutes` put aside to the file of its source."""
    with (folder / f"data/examples/{source}.csv").open("a") as file:
        file.write((folder / "data/later.csv").read_text())


def parquet_rows(path: Path, rows: int) -> None:
    """timestamp, value: a row a second with a daily wave and noise."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SELECT setseed(0.5)").fetchall()
        connection.execute(f"""
            COPY (SELECT TIMESTAMPTZ '{START.isoformat()}' + to_seconds(i) AS timestamp,
                         100 + 40 * sin(i / 86400 * 2 * pi()) + 6 * (random() + random() + random() - 1.5) AS value
                  FROM range({rows}) AS numbers(i)) TO '{path}' (FORMAT parquet)""").fetchall()


def large_parquet(folder: Path, rows: int, source: str = "large") -> datetime:
    """One source of `rows` rows a second apart in Parquet, in buckets of ten seconds. -> the clock at which all of it is closed."""
    make_home(folder)
    parquet_rows(folder / f"data/examples/{source}.parquet", rows)
    (folder / f"data/sources/{source}.yaml").write_text(
        f"name: {source}\nread: {{type: parquet, path: examples/{source}.parquet, time: timestamp}}\n"
        "metrics: [{name: value, column: value}]\ntime_bucket: {every: 10s, settle: 0s}\nalerts: {to: [file], max_age: 3650 days}\n"
    )
    return START + timedelta(seconds=rows) + timedelta(minutes=1)


def twin_of(source: str, seed: int, length: timedelta | None = None) -> pd.DataFrame:
    """The rows of an example source without anomalies, up to `END` of the examples; as long as the example if no length is given."""
    from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES

    example = EXAMPLE_SOURCES[source]
    length = length or example.length
    return example.domain.generate(END - length, length // example.domain.step, seed, 0.0).twin
