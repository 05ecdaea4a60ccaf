"""A week in which the feeds of the examples go wrong, fault by fault: what is told of it, what is blocked, and that the others go on.

    python benchmarks/bad_week.py [--only renamed,half]

The home is that of `smartflow demo`, on rows without anomalies, and has run up to a week before its end. Each fault begins then, in a copy
of that home and in one source; the home runs after a day and at the end of the week. Printed is what the line of that source says, which
checks failed, what was blocked, which incidents opened, and the same of the other sources. The first week is without a fault.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from homes import twin_of
from rich.console import Console
from rich.progress import Progress
from whole_process import measure

from smartflow_assets.config.settings import Settings
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.defs.resources import open_warehouse

DATA = Path(__file__).parents[1] / "data"
BEGIN = END - timedelta(days=7)
LENGTHS = {"payments": timedelta(weeks=20)}  # drift of what depends on the time is judged once five past weeks are known
DAY = timedelta(days=1)
FILES = {"payments": "payments.csv.gz"}
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Fault:
    """What happens to the rows of a source from BEGIN on, for so long."""

    name: str
    source: str
    spoil: Spoil
    lasts: timedelta = DAY


def _some(column: str, share: float, value: object) -> Spoil:
    """A share of the values of a column becomes `value`."""
    return lambda rows: rows.assign(**{column: rows[column].mask(np.random.default_rng(1).random(len(rows)) < share, value)})


def _shuffled(column: str) -> Spoil:
    return lambda rows: rows.assign(**{column: np.random.default_rng(1).permutation(rows[column].to_numpy())})


WEEK = timedelta(days=7)
FAULTS = (
    Fault("no fault", "web_traffic", lambda rows: rows),
    Fault("renamed column (campaign)", "kpi_sales", lambda rows: rows.rename(columns={"campaign": "promotion"}), WEEK),
    Fault("renamed column (a metric's)", "web_traffic", lambda rows: rows.rename(columns={"value": "hits"}), WEEK),
    Fault("half the rows", "payments", lambda rows: rows.sample(frac=0.5, random_state=1).sort_index()),
    Fault("null burst", "payments", _some("amount", 0.25, None)),
    Fault("type change", "system_metrics", lambda rows: rows.assign(network=rows["network"].astype(str) + " MB/s")),
    Fault("late feed", "web_traffic", lambda rows: rows[:0], WEEK),
    Fault("duplicated load", "kpi_sales", lambda rows: pd.concat([rows, rows.assign(orders=rows["orders"] + 1)])),
    Fault("shifted distribution", "payments", lambda rows: rows.assign(amount=rows["amount"] * 1.5), WEEK),
    Fault("broken correlation", "payments", _shuffled("category"), WEEK),
    Fault("unknown category", "payments", _some("channel", 0.1, "crypto")),
)


def write(home: Path, source: str, until: datetime, spoil: Spoil | None = None, lasts: timedelta = DAY) -> None:
    """The file of a source up to `until`: its twin without anomalies, and the fault from BEGIN on. A column that is renamed is
    renamed in the whole file, as a collector does that writes its file anew."""
    rows = twin_of(source, 7, LENGTHS.get(source))
    at = pd.to_datetime(rows["timestamp"], utc=True)
    rows, at = rows[at < until], at[at < until]
    if spoil is not None:
        if set(spoil(rows[:3]).columns) != set(rows.columns):
            rows = spoil(rows)
        else:
            rows = pd.concat([rows[at < BEGIN], spoil(rows[(at >= BEGIN) & (at < BEGIN + lasts)]), rows[at >= BEGIN + lasts]])
    rows = rows.assign(timestamp=pd.to_datetime(rows["timestamp"], utc=True).dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    rows.to_csv(home / "data/examples" / FILES.get(source, f"{source}.csv"), index=False, float_format="%.6g")


def make_home(home: Path) -> None:
    """The examples, watched up to BEGIN, with messages to a file and with silence an incident."""
    shutil.copytree(DATA / "sources", home / "data/sources")
    (home / "data/examples").mkdir()
    (home / "data/channels.yaml").write_text("file: {type: file}\n")
    (home / "data/defaults.yaml").write_text("alerts: {to: [file], max_age: 3650 days}\n")
    for file in (home / "data/sources").iterdir():
        kept = [line for line in file.read_text().splitlines() if not line.startswith(("freshness: off", "labels:"))]
        file.write_text("\n".join([*kept, f"freshness: {{warn_after: {'2 days' if file.stem == 'kpi_sales' else '2h'}}}", ""]))
    for source in EXAMPLE_SOURCES:
        if not EXAMPLE_SOURCES[source].is_alive:
            write(home, source, BEGIN)
    taken = measure(home, "run", "--as-of", (BEGIN + timedelta(minutes=20)).isoformat())
    if taken.exit_code:
        raise SystemExit(taken.output)


def played(calm: Path, fault: Fault, folder: Path) -> list[str]:
    """What is said of a week with the fault, in a copy of the home."""
    home = folder / "home"
    shutil.copytree(calm, home)
    warehouse = open_warehouse(Settings(home=home))
    before = set(warehouse.read("SELECT incident_id FROM incidents")["incident_id"])
    said: list[str] = []
    for clock in (BEGIN + DAY, END):
        for source in EXAMPLE_SOURCES:
            if not EXAMPLE_SOURCES[source].is_alive:
                spoilt = source == fault.source
                write(home, source, clock, fault.spoil if spoilt else None, fault.lasts)
        taken = measure(home, "run", "--as-of", (clock + timedelta(minutes=20)).isoformat())
        words = [line.split() for line in taken.output.splitlines()]
        lines = {line[0]: line[1] for line in words if line and line[0] in EXAMPLE_SOURCES}
        others = [f"{name} {state}" for name, state in lines.items() if name != fault.source and state != "ok"]
        said.append(f"  {clock:%a}: {fault.source} {lines.get(fault.source, '?')}; others {', '.join(others) or 'all ok'}")
    since = [fault.source, BEGIN + timedelta(hours=1)]
    broken = "SELECT check_name, any_value(message) AS message FROM schema_checks WHERE source = ? AND checked_at > ? AND NOT is_passed"
    for row in warehouse.read(f"{broken} GROUP BY check_name", since).itertuples():
        said.append(f"  check {row.check_name}: {row.message}")
    for row in warehouse.read(
        "SELECT DISTINCT column_name FROM drift_checks WHERE source = ? AND checked_at > ? AND is_drifted", since
    ).itertuples():
        said.append(f"  drift of {row.column_name}")
    for row in warehouse.read("SELECT source, state, reason FROM blocked_loads").itertuples():
        said.append(f"  load of {row.source} {row.state}: {row.reason[:140]}")
    opened = warehouse.read("SELECT * FROM incidents ORDER BY opened_at")
    opened = opened[~opened["incident_id"].isin(before)]
    for row in opened[opened["source"] == fault.source].itertuples():
        joined = " (told with another)" if isinstance(row.group_id, str) and row.group_id not in ("", row.incident_id) else ""
        cause = "load" if row.cause.startswith("load:") else row.cause
        said.append(f"  incident {cause}, {row.severity}, {row.state}{joined}: {row.title[:140]}")
    rest = opened[opened["source"] != fault.source]
    said.append(f"  incidents of the other sources: {len(rest)} {rest.groupby(['source', 'cause']).size().to_dict() if len(rest) else ''}")
    shutil.rmtree(home)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose names begin so, with commas between")
    wanted = tuple(parser.parse_args().only.split(","))
    faults = [fault for fault in FAULTS if fault.name.startswith(wanted)]
    with tempfile.TemporaryDirectory(prefix="smartflow-week-") as folder, Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("a calm month", total=len(faults) + 1)
        calm = Path(folder) / "calm"
        (calm / "data").mkdir(parents=True)
        make_home(calm)
        for fault in faults:
            progress.update(bar, advance=1, description=fault.name)
            print("\n".join([f"{fault.name}: {fault.source}", *played(calm, fault, Path(folder))]), flush=True)
        progress.advance(bar)


if __name__ == "__main__":
    main()
