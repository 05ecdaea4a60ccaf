"""What a contract costs beside Great Expectations and beside SQL written by hand, and whether both engines find the same.

    python benchmarks/contracts.py [--rows 1000000] [--repeat 3] [--frames 200]

Cost: a contract of 25 expectations on a table of that many rows, on two threads. Each of the three runs in a process of its own, in
turn: ours (`evaluate`), Great Expectations on a pandas frame that is read from the table, and one aggregate statement that a person
would write for the same figures, with the same answers to NaN and to what is unique. CPU seconds (user and system) are of the work
after the imports, and again with them; the memory is the peak of the process.

Conformance: random frames of nulls, NaN, infinities, empty texts, mixed texts, duplicates and times; for each type how often SQL
judged it, how often values made it leave the judgement to Great Expectations, and on how many of the former the two differ in verdict
or unexpected count. `--frames 0` leaves it out, `--rows 0` the cost.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from smartflow_assets.adapters.expectations.evaluation import evaluate, rows_of
from smartflow_assets.core.contracts.contract import Contract

CONTRACT = Contract.model_validate(
    {
        "columns": {
            "at": {"type": "timestamp", "not_null": True, "min": "2026-01-01"},
            "id": {"type": "integer", "not_null": True, "unique": True},
            "amount": {"type": "number", "max_null_percent": 5, "min": 0, "max": 900},
            "rate": {"type": "number", "min": -5},
            "kind": {"type": "text", "allowed": ["card", "cash", "upi", "wire"]},
            "code": {"pattern": "^[A-Z]{2}-[0-9]+$", "max_length": 9},
        },
        "conditions": ["amount >= rate", "kind != 'cash' or amount <= 800"],
        "row_count": {"min": 1},
        "expectations": [{"type": "expect_column_mean_to_be_between", "column": "amount", "min_value": 40, "max_value": 60}],
    }
)
BY_HAND = """
SELECT count(*), count("at"), count(*) FILTER ("at" < TIMESTAMPTZ '2026-01-01 00:00:00+00'), count(id),
  (SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM orders WHERE id IS NOT NULL GROUP BY id) WHERE n > 1),
  count(amount) FILTER (NOT isnan(amount)), count(*) FILTER ((amount < 0 OR amount > 900) AND NOT isnan(amount)),
  count(rate) FILTER (NOT isnan(rate)), count(*) FILTER (rate < -5),
  count(kind), count(*) FILTER (kind NOT IN ('card', 'cash', 'upi', 'wire')),
  count(code), count(*) FILTER (NOT regexp_matches(code, '^[A-Z]{2}-[0-9]+$')), count(*) FILTER (length(code) > 9),
  count(*) FILTER (amount < rate AND NOT isnan(amount) AND NOT isnan(rate)),
  count(*) FILTER (kind = 'cash' AND amount > 800 AND NOT isnan(amount)),
  avg(amount) FILTER (NOT isnan(amount))
FROM orders
"""
ENGINES = ("ours", "by hand", "Great Expectations")


def make_table(path: Path, rows: int) -> None:
    """Orders with a few nulls, a NaN, and some of everything that the contract forbids."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            f"CREATE TABLE orders AS SELECT TIMESTAMPTZ '2026-01-01 00:00:00+00' + INTERVAL (n) SECOND AS \"at\", n AS id, "
            f"CASE WHEN n % 1000 = 0 THEN NULL WHEN n % 5003 = 0 THEN 'nan'::DOUBLE WHEN n % 3001 = 0 THEN -1 ELSE random() * 100 END "
            f"AS amount, random() - 0.5 AS rate, "
            f"['card', 'cash', 'upi', 'wire'][1 + n % 4] AS kind, CASE WHEN n % 4001 = 0 THEN 'bad' ELSE 'AB-' || (n % 100000) END AS code "
            f"FROM range({rows}) AS numbers(n)"
        )


def work(engine: str, path: Path) -> None:
    """One engine in this process; its figures go to stdout as JSON."""
    warnings.simplefilter("ignore")
    connection = duckdb.connect(str(path), read_only=True)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET threads = 2")

    def read(sql: str, params: Sequence[Any]) -> pd.DataFrame:
        return connection.execute(sql, list(params)).df()

    expectations = CONTRACT.expectations()
    where: dict[str, Any] = {"all_rows": "orders", "time_column": "at", "references": {}}
    tasks: dict[str, Callable[[], int]] = {
        "ours": lambda: sum(not each.is_passed for each in evaluate(read, "orders", expectations, **where)),
        "by hand": lambda: len(connection.execute(BY_HAND).fetchall()),
    }
    if engine == "Great Expectations":
        import great_expectations  # noqa: F401 (its import is stated apart)

        from smartflow_assets.adapters.expectations.great_expectations_engine import judge

        asked = [each for each in expectations if "condition" not in each.arguments]  # it has no word for a condition on a frame
        tasks[engine] = lambda: sum(not each.is_passed for each, _ in judge(read, rows_of(read, "orders", **where), asked))
    before = _cpu()
    answer = tasks[engine]()
    print(
        json.dumps(
            {"cpu": _cpu() - before, "all": _cpu(), "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "answer": answer}
        )
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cost(rows: int, repeat: int, console: Console) -> None:
    """Print CPU seconds and memory of the three."""
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "orders.duckdb"
        make_table(path, rows)
        for _ in range(repeat):
            for engine in ENGINES:
                done = subprocess.run([sys.executable, __file__, "--work", engine, str(path)], check=True, capture_output=True, text=True)
                found[engine].append(json.loads(done.stdout.splitlines()[-1]))
    table = Table(
        "engine",
        "CPU s",
        "times by hand",
        "CPU s with imports",
        "peak MiB",
        title=f"{len(CONTRACT.expectations())} expectations, {rows:,} rows",
    )
    hand = statistics.median(each["cpu"] for each in found["by hand"])
    for engine, taken in found.items():
        cpu, whole, peak = (statistics.median(each[key] for each in taken) for key in ("cpu", "all", "peak"))
        table.add_row(engine, f"{cpu:.2f}", f"{cpu / hand:.2f}", f"{whole:.2f}", f"{peak:.0f}")
    console.print(table)


def conformance(frames: int, console: Console) -> bool:
    """Print the table of types; True when nothing differs."""
    from hypothesis import HealthCheck, Phase, given, settings

    from smartflow_assets_tests.adapters.expectations import conformance as both

    tally = both.Tally()

    @settings(
        max_examples=frames,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(both.frames(), both.promises())
    def ask(rows: Any, expectations: Any) -> None:
        both.compare(rows, expectations, tally)

    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ask()
    table = Table("type", "judged by SQL", "of these passed", "broken checks", "left to GX", "differ", title=f"{frames} random frames")
    for kind in tally.by_sql | tally.left:
        counts = (
            tally.by_sql[kind],
            tally.passed[kind],
            tally.broken[kind],
            tally.left[kind],
            sum(kind in each for each in tally.differences),
        )
        table.add_row(kind, *map(str, counts))
    console.print(table, f"{time.process_time() - began:.0f} CPU s", *tally.differences[:5])
    return not tally.differences


def main() -> None:
    """Print both tables; 1 when the engines differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work[0], Path(given.work[1]))
        return
    console = Console(width=150)
    if given.rows:
        cost(given.rows, given.repeat, console)
    if given.frames and not conformance(given.frames, console):
        sys.exit(1)


if __name__ == "__main__":
    main()
