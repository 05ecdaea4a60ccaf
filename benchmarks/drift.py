"""Drift checks on ordinary and on changed windows: how often they flag, and which rule did.

    python benchmarks/drift.py --data elec2_nsw.parquet [--trials 100] [--evidently /tmp/evidently/bin/python]

The file has the columns nswprice and nswdemand, a row each half hour, in order of `row`. Three regimes, with defaults but for what is said:

- in time order: each week that begins on one of the seven weekdays, against the 28 days before it; nothing is known to be wrong with
  any of them. Beside it every fourth week with the price raised, or shuffled against the demand;
- shuffled: rows of the file by lot, 500 in each window, beside twelve columns of mixed shapes; nothing changed, or one of the two
  columns of the file raised by .4 of its standard deviations. Once with one window of reference and no past, once with four and 26;
- broken correlation: two columns of correlation .8 (one of them then lognormal), 500 rows in each window, one of them shuffled.

With `--evidently`, the Python of an environment that has Evidently, its default drift preset judges every fifth of the same windows
(peers/evidently_drift.py). Prints how many checks flag what was changed, the rules that fired, and CPU seconds for each check.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from smartflow_assets.core.drift.find_drift import find_drift
from smartflow_assets.core.drift.settings import DriftSettings

START, WEEK, PER_WEEK, WINDOW_ROWS = pd.Timestamp("1996-05-07", tz="UTC"), pd.Timedelta(weeks=1), 336, 500
ALONE = DriftSettings(reference="7 days", past_windows=0)  # type: ignore[arg-type]


Trials = Callable[[], Iterator["Trial"]]


class Trial(NamedTuple):
    """Rows up to the end of the current window, and the columns that were changed in it (`*`: their relation)."""

    rows: pd.DataFrame
    until: pd.Timestamp
    changed: frozenset[str]


def stamped(rows: pd.DataFrame, per_week: int) -> pd.DataFrame:
    """Rows with made-up times, so many in each week."""
    return rows.assign(observed_at=START + pd.to_timedelta(np.arange(len(rows)) * (WEEK.total_seconds() / per_week), unit="s"))


def mixed_shapes(rng: np.random.Generator, rows: int) -> dict[str, object]:
    """Twelve columns that never change."""
    draw = rng.normal(size=(4, rows))
    return {
        "normal": draw[0],
        "uniform": rng.uniform(size=rows),
        "lognormal": np.exp(draw[1]),
        "heavy_tails": rng.standard_t(3, rows),
        "exponential": rng.exponential(size=rows),
        "two_heaps": draw[2] + 4 * rng.integers(0, 2, rows),
        "counts": rng.poisson(2, rows),
        "mostly_zero": np.where(rng.random(rows) < 0.6, 0, rng.gamma(2, 50, rows)),
        "rare_flag": rng.random(rows) < 0.1,
        "shop": rng.choice(list("abcdef"), rows, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01]),
        "many_names": ["c" + str(kind) for kind in np.minimum(rng.zipf(1.6, rows), 300)],
        "with_gaps": np.where(rng.random(rows) < 0.08, np.nan, draw[3]),
    }


def in_time_order(data: pd.DataFrame, change: str = "", size: float = 0.0, every: int = 1) -> Iterator[Trial]:
    """Weeks from the sixth on; of each weekday, or every so many weeks of one of them."""
    rows = stamped(data, PER_WEEK)
    for end in range(PER_WEEK * 5, len(rows) + 1, PER_WEEK * every if every > 1 else 48):
        seen = rows.iloc[max(0, end - 31 * PER_WEEK) : end].copy()  # what the defaults look back on
        now = seen.index[-PER_WEEK:]
        if change == "raised":
            seen.loc[now, "nswprice"] += size * seen["nswprice"].iloc[-5 * PER_WEEK : -PER_WEEK].std()
        elif change == "shuffled":
            seen.loc[now, "nswprice"] = np.random.default_rng(end).permutation(seen.loc[now, "nswprice"].to_numpy())
        yield Trial(seen, START + WEEK * end / PER_WEEK, frozenset({"nswprice"} if change == "raised" else {"*"} if change else ()))


def shuffled(data: pd.DataFrame, trials: int, windows: int, raised: str | None = None) -> Iterator[Trial]:
    """Rows by lot, the last window being the current one."""
    for seed in range(trials):
        rng = np.random.default_rng([seed, windows])
        rows = data.iloc[rng.permutation(len(data))[: windows * WINDOW_ROWS]].reset_index(drop=True)
        rows = stamped(rows.assign(**mixed_shapes(rng, len(rows))), WINDOW_ROWS)
        if raised:
            rows.loc[rows.index[-WINDOW_ROWS:], raised] += 0.4 * data[raised].std()
        yield Trial(rows, START + WEEK * windows, frozenset({raised} if raised else ()))


def broken_correlation(trials: int, windows: int, *, is_broken: bool) -> Iterator[Trial]:
    """Two columns of correlation .8."""
    for seed in range(trials):
        rng = np.random.default_rng([seed, windows])
        first = rng.normal(size=windows * WINDOW_ROWS)
        second = np.exp(0.8 * first + 0.6 * rng.normal(size=len(first)))
        if is_broken:
            second[-WINDOW_ROWS:] = rng.permutation(second[-WINDOW_ROWS:])
        yield Trial(
            stamped(pd.DataFrame({"first": first, "second": second}), WINDOW_ROWS),
            START + WEEK * windows,
            frozenset("*" if is_broken else ""),
        )


def judged(name: str, trials: Trials, settings: DriftSettings) -> str:
    """A row of the table of our own figures."""
    flagged, count, cost, rules, columns = 0, 0, 0.0, Counter[str](), Counter[str]()
    for trial in track(trials(), name, console=Console(stderr=True)):
        began = time.process_time()
        report = find_drift(trial.rows, until=trial.until, settings=settings)
        cost, count = cost + time.process_time() - began, count + 1
        fired = [check for check in report.checks if check.is_drifted]
        flagged += any(check.column_name in trial.changed for check in fired) if trial.changed else bool(fired)
        rules.update({f"{check.test}, {check.rule}" for check in fired if not trial.changed or check.column_name in trial.changed})
        columns.update({check.column_name for check in fired} - trial.changed)
    said = "; ".join(f"{rule} {times}" for rule, times in rules.most_common()) or "none"
    return f"| {name} | {count} | {100 * flagged / count:.1f} % | {said} | {dict(columns) or ''} | {cost / count:.3f} |"


def judge_by_evidently(python: Path, named: dict[str, tuple[Trials, DriftSettings]], every: int) -> None:
    """Each so many of the same windows judged by its default preset, whose program prints a table of its own."""
    with TemporaryDirectory() as folder:
        asked = []
        for number, (name, (trials, settings)) in enumerate(named.items()):
            parts, changed = [], []
            for at, trial in enumerate(islice(trials(), 0, None, every)):
                changed.append(sorted(trial.changed))
                begin = trial.until - settings.current
                seen = trial.rows[trial.rows["observed_at"] >= begin - settings.reference]
                parts.append(seen.drop(columns="observed_at").assign(_trial=at, _is_current=(seen["observed_at"] >= begin).to_numpy()))
            windows = pd.concat(parts, ignore_index=True)  # noqa: F841  # read by DuckDB, so that pyarrow is not needed
            file = f"{folder}/{number}.parquet"
            duckdb.sql(f"COPY windows TO '{file}' (FORMAT parquet)")
            asked.append({"name": name, "file": file, "changed": changed})
        peer = Path(__file__).parent / "peers" / "evidently_drift.py"
        subprocess.run([python, peer], input=json.dumps(asked), text=True, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--evidently", type=Path, help="the Python of an environment with Evidently")
    parser.add_argument("--evidently-every", type=int, default=5, help="it judges each so many of the windows of a regime")
    arguments = parser.parse_args()
    data = duckdb.sql(f"SELECT nswprice, nswdemand FROM '{arguments.data}' ORDER BY row").df()
    usual, trials = DriftSettings(), arguments.trials
    regimes: dict[str, tuple[Trials, DriftSettings]] = {
        "in time order, ordinary weeks": (partial(in_time_order, data), usual),
        **{
            f"in time order, price raised by {size} sd": (partial(in_time_order, data, "raised", size, every=4), usual)
            for size in (0.4, 1, 2, 4)
        },
        "in time order, price shuffled against demand": (partial(in_time_order, data, "shuffled", every=4), usual),
    }
    for windows, settings, how in ((2, ALONE, "500 against 500, no past"), (31, usual, "500 against 2,000, 26 past windows")):
        regimes[f"shuffled, nothing changed, {how}"] = partial(shuffled, data, trials, windows), settings
        for column in ("nswprice", "nswdemand"):
            regimes[f"shuffled, {column} raised by .4 sd, {how}"] = partial(shuffled, data, trials, windows, column), settings
        regimes[f"correlation .8 unbroken, {how}"] = partial(broken_correlation, trials, windows, is_broken=False), settings
        regimes[f"correlation .8 broken, {how}"] = partial(broken_correlation, trials, windows, is_broken=True), settings
    print("| regime | checks | flagged | checks in which a rule fired | other columns flagged | CPU s a check |\n|---|---|---|---|---|---|")
    for name, (chosen, settings) in regimes.items():
        print(judged(name, chosen, settings), flush=True)
    if arguments.evidently:
        print(flush=True)
        judge_by_evidently(arguments.evidently, regimes, arguments.evidently_every)


if __name__ == "__main__":
    main()
