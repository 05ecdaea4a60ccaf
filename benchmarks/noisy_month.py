"""A month of the examples in which twenty things go wrong: how many messages that makes, and of how many faults somebody would have known.

    python benchmarks/noisy_month.py [--seed 1] [--hours 6]

The feeds are the examples' twins without anomalies, watched for as long as there is history and then for 28 days, run by run as `smartflow
run --as-of`, on defaults. Twenty faults, drawn by the seed, are spread over the month, one of them in three sources at once. A fault is
known when a message tells that an incident of its source began, whose beginning lies in the time of the fault or up to a day after it.
Beside what was sent stands what the same month would have sent without grouping and noise control: a message for each event of each
incident of severity warning or worse, those of members of a group too.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from bad_week import DATA, FILES
from homes import twin_of
from rich.console import Console
from rich.progress import Progress
from whole_process import measure

from smartflow_assets.config.settings import Settings
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.defs.resources import open_warehouse

MONTH, HISTORY, DAY, HOUR = timedelta(days=28), timedelta(days=42), timedelta(days=1), timedelta(hours=1)
BEGIN = END - MONTH
Spoil = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def _times(column: str, factor: float) -> Spoil:
    return lambda rows, _: rows.assign(**{column: rows[column] * factor})


def _plus(column: str, amount: float) -> Spoil:
    return lambda rows, _: rows.assign(**{column: rows[column] + amount})


def _share(column: str, share: float, value: object) -> Spoil:
    return lambda rows, rng: rows.assign(**{column: rows[column].astype(object).mask(rng.random(len(rows)) < share, value)})


def _sample(share: float) -> Spoil:
    return lambda rows, rng: rows[rng.random(len(rows)) < share]


KINDS: dict[str, dict[str, tuple[Spoil, timedelta]]] = {
    "web_traffic": {
        "three times the requests": (_times("value", 3.0), HOUR),
        "no requests": (_times("value", 0.0), HOUR),
        "half the requests": (_times("value", 0.5), 6 * HOUR),
        "no rows": (lambda rows, _: rows[:0], 9 * HOUR),
        "a third missing": (_share("value", 0.33, None), DAY),
        "text for numbers": (_share("value", 0.5, "n/a"), 6 * HOUR),
    },
    "system_metrics": {
        "cpu 45 % higher": (_plus("cpu", 45), 2 * HOUR),
        "network three times": (_times("network", 3.0), HOUR),
        "memory stuck": (lambda rows, _: rows.assign(memory=rows["memory"].iloc[0] if len(rows) else 0.0), 12 * HOUR),
        "no rows": (lambda rows, _: rows[:0], 9 * HOUR),
        "io a third": (_times("io", 0.33), 6 * HOUR),
    },
    "payments": {
        "half the rows": (_sample(0.5), DAY),
        "a quarter without amount": (_share("amount", 0.25, None), DAY),
        "an unknown channel": (_share("channel", 0.2, "crypto"), DAY),
        "each row twice": (lambda rows, _: pd.concat([rows, rows.assign(amount=rows["amount"] + 0.01)]).sort_index(), DAY),
    },
    "kpi_sales": {
        "sales a third": (_times("sales", 0.33), DAY),
        "a region missing": (lambda rows, _: rows[rows["region"] != "south"], DAY),
        "negative orders": (lambda rows, _: rows.assign(orders=-rows["orders"]), DAY),
    },
}


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong, in one source or in several at once."""

    name: str
    parts: tuple[tuple[str, Spoil], ...]
    begins: datetime
    lasts: timedelta

    @property
    def sources(self) -> list[str]:
        return [source for source, _ in self.parts]


def drawn(seed: int, count: int = 20) -> list[Fault]:
    """The faults of a month, in order, those of one source at least a day apart."""
    rng, faults = np.random.default_rng(seed), list[Fault]()
    outage = tuple((source, _sample(0.0)) for source in ("web_traffic", "system_metrics", "payments"))
    faults.append(Fault("an outage of three sources", outage, BEGIN + 13 * DAY + 10 * HOUR, 5 * HOUR))
    while len(faults) < count:
        source = str(rng.choice(list(KINDS)))
        name = str(rng.choice(list(KINDS[source])))
        spoil, lasts = KINDS[source][name]
        begins = BEGIN + DAY + int(rng.integers(0, 25 * 24)) * HOUR
        begins = begins.replace(hour=0) if source == "kpi_sales" else begins
        near = [fault for fault in faults if source in fault.sources]
        if all(begins + lasts + DAY <= fault.begins or fault.begins + fault.lasts + DAY <= begins for fault in near):
            faults.append(Fault(f"{name} ({source})", ((source, spoil),), begins, lasts))
    return sorted(faults, key=lambda fault: fault.begins)


def feeds(faults: list[Fault], seed: int) -> dict[str, pd.DataFrame]:
    """The rows of each source with its faults."""
    found = {}
    for source in KINDS:
        rows = twin_of(source, seed, max(EXAMPLE_SOURCES[source].length, HISTORY + MONTH))
        rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True)
        for number, fault in enumerate(faults):
            for name, spoil in fault.parts:
                if name == source:
                    at, end = rows["timestamp"], fault.begins + fault.lasts
                    inside = spoil(rows[(at >= fault.begins) & (at < end)], np.random.default_rng(1000 * seed + number))
                    rows = pd.concat([rows[at < fault.begins], inside, rows[at >= end]], ignore_index=True)
        found[source] = rows
    return found


def write(home: Path, rows: dict[str, pd.DataFrame], until: datetime) -> None:
    """The files as they are at a moment."""
    for source, frame in rows.items():
        known = frame[frame["timestamp"] < until]
        text = known.assign(timestamp=known["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        text.to_csv(home / "data/examples" / FILES.get(source, f"{source}.csv"), index=False, float_format="%.6g")


def make_home(home: Path) -> None:
    """The examples with two channels: all goes by mail, what is critical to a pager as well."""
    (home / "data/sources").mkdir(parents=True)
    (home / "data/examples").mkdir()
    (home / "data/channels.yaml").write_text("mail: {type: file}\npager: {type: file}\n")
    routes = "routes: [{severity: critical, to: [mail, pager]}]"
    (home / "data/defaults.yaml").write_text(f"alerts: {{to: [mail], {routes}}}\n")
    for source in KINDS:
        lines = (DATA / "sources" / f"{source}.yaml").read_text().splitlines()
        kept = [line for line in lines if not line.startswith(("freshness: off", "labels:"))]
        late = "2 days" if source == "kpi_sales" else "2h"
        (home / f"data/sources/{source}.yaml").write_text("\n".join([*kept, f"freshness: {{warn_after: {late}}}", ""]))


_SENT = """
SELECT send.source, send.channel, send.event, send.happened_at, incident.opened_at, incident.incident_id, incident.cause, incident.title
FROM alert_sends AS send JOIN incidents AS incident USING (incident_id) WHERE send.status = 'sent' AND send.happened_at >= ?
"""
_BY_MEMBER = "SELECT incident_id, source, group_id FROM incidents"
_EVENTS = """
SELECT count(*) AS n FROM incident_events WHERE happened_at >= ? AND severity <> 'info'
AND event IN ('opened', 'reopened', 'escalated', 'resolved') AND NOT contains(coalesce(payload::VARCHAR, ''), '"cause": "group"')
"""


def report(home: Path, faults: list[Fault]) -> None:
    """Which faults somebody would have known of and when, and what was sent."""
    warehouse = open_warehouse(Settings(home=home))
    sent, members = warehouse.read(_SENT, [BEGIN + HOUR]), warehouse.read(_BY_MEMBER)
    tells_of = {row.incident_id: {row.source} for row in members.itertuples()}
    for row in members[members["group_id"].notna()].itertuples():
        tells_of.setdefault(str(row.group_id), set()).add(row.source)
    begun = sent[sent["event"].isin(["opened", "escalated"])].sort_values("happened_at")
    known = 0
    for fault in faults:
        end = fault.begins + fault.lasts
        first = next(
            (
                row
                for row in begun.itertuples()
                if tells_of[row.incident_id] & set(fault.sources)
                and fault.begins - HOUR <= row.opened_at <= end + DAY
                and fault.begins <= row.happened_at <= end + 2 * DAY
            ),
            None,
        )
        known += first is not None
        told = "NOT KNOWN"
        if first is not None:
            told = f"after {(first.happened_at - fault.begins) / HOUR:5.1f} h: {first.cause.split(':')[0]}, {first.title[:90]}"
        print(f"{fault.begins:%d %b %H:%M}  {fault.name:44s} {told}")
    print(f"\nknown: {known} of {len(faults)}")
    by = sent.groupby(["channel", "event"]).size().unstack(fill_value=0)
    print(f"sent\n{by.to_string()}")
    alone = int(warehouse.read(_EVENTS, [BEGIN + HOUR])["n"].iloc[0])
    print(f"by mail: {int((sent['channel'] == 'mail').sum())}; without grouping and noise control: {alone}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=6, help="from run to run")
    arguments = parser.parse_args()
    faults = drawn(arguments.seed)
    rows = feeds(faults, arguments.seed)
    with tempfile.TemporaryDirectory(prefix="smartflow-month-") as folder, Progress(console=Console(stderr=True)) as progress:
        home, clock = Path(folder), BEGIN
        make_home(home)
        bar = progress.add_task("a month", total=MONTH / HOUR)
        while clock <= END:
            write(home, rows, clock)
            taken = measure(home, "run", *KINDS, "--as-of", (clock + timedelta(minutes=20)).isoformat())
            if taken.exit_code not in (0, 1):
                raise SystemExit(taken.output)
            clock += arguments.hours * HOUR
            progress.advance(bar, arguments.hours)
        report(home, faults)


if __name__ == "__main__":
    main()
