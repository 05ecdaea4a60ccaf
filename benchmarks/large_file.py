"""Seconds and peak memory of one very large CSV: through `run` in two shapes, and through `detect`.

    python benchmarks/large_file.py [--rows 10000000] [--only seconds,minutes,detect] [--keep FOLDER]

`seconds`: rows at a beat of one second into buckets of five minutes. `minutes`: rows at a beat of one minute and no
`time_bucket` at all, so that every row is a bucket (10 million are 19 years). `detect`: the second file through `smartflow
detect`. Each runs as a user would, in a process of its own on a fresh home; aim: under 2 GiB for the process tree.
"""

import argparse
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from whole_process import measure

START = datetime(2007, 1, 1, tzinfo=UTC)
AIM_MIB = 2048
SHAPES = {"seconds": (timedelta(seconds=1), "time_bucket: {every: 5min}"), "minutes": (timedelta(minutes=1), "")}
SOURCE = """
name: big
read: {{type: csv, path: examples/big.csv, time: timestamp}}
alerts: {{to: [file]}}
{bucket}
"""


def write_rows(path: Path, rows: int, beat: timedelta) -> None:
    """timestamp, value: a daily wave with noise, and a spike of five rows in every hundred thousand."""
    seconds = int(beat.total_seconds())
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SELECT setseed(0.5)").fetchall()
        connection.execute(f"""
            COPY (SELECT strftime(TIMESTAMP '{START:%Y-%m-%d}' + to_seconds(i * {seconds}), '%Y-%m-%dT%H:%M:%SZ') AS timestamp,
                         round((100 + 40 * sin(i * {seconds} / 86400 * 2 * pi()) + 6 * (random() + random() + random() - 1.5))
                               * CASE WHEN i % 100000 BETWEEN 70000 AND 70004 THEN 3 ELSE 1 END, 3) AS value
                  FROM range({rows}) AS numbers(i)) TO '{path}' (HEADER)""").fetchall()


def make_home(folder: Path, shape: str, rows: int) -> datetime:
    """A home with the one source `big`. -> the clock of the run."""
    beat, bucket = SHAPES[shape]
    for part in ("sources", "examples"):
        (folder / "data" / part).mkdir(parents=True)
    write_rows(folder / "data/examples/big.csv", rows, beat)
    (folder / "data/sources/big.yaml").write_text(SOURCE.format(bucket=bucket))
    (folder / "data/channels.yaml").write_text("file: {type: file}\n")
    return START + rows * beat + timedelta(hours=1)


def is_within_aim(folder: Path, *arguments: str) -> bool:
    """Run a command of smartflow, print what it says and what it took."""
    taken = measure(folder, *arguments)
    print("\n".join(f"    {line}" for line in taken.output.strip().splitlines()[-4:]))
    print(
        f"    exit {taken.exit_code}  {taken.wall_seconds:.0f} s wall  {taken.cpu_seconds:.0f} CPU s  {taken.peak_mib:.0f} MiB peak",
        flush=True,
    )
    return taken.exit_code == 0 and taken.peak_mib <= AIM_MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--only", default="seconds,minutes,detect", help="which of seconds, minutes, detect")
    parser.add_argument("--keep", type=Path, help="leave the homes in this folder, to look at")
    arguments = parser.parse_args()
    is_kept = True
    with tempfile.TemporaryDirectory(prefix="smartflow-large-") as temporary:
        for name in arguments.only.split(","):
            folder = (arguments.keep or Path(temporary)) / name
            as_of = make_home(folder, "minutes" if name == "detect" else name, arguments.rows)
            print(f"{name}: {arguments.rows:,} rows", flush=True)
            if name == "detect":
                is_kept &= is_within_aim(folder, "detect", str(folder / "data/examples/big.csv"), "-o", str(folder / "scores.parquet"))
            else:
                is_kept &= is_within_aim(folder, "run", "big", "--as-of", as_of.isoformat())
    raise SystemExit(0 if is_kept else f"above {AIM_MIB} MiB, or failed")


if __name__ == "__main__":
    main()
