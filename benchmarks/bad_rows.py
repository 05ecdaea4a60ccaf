"""How many of the wrong cells of a table a contract keeps aside, and how many of those that it keeps aside are wrong.

    python benchmarks/bad_rows.py FOLDER [--tables beers hospital]

FOLDER has `<table>_clean.csv` and `<table>_dirty.csv`: the same rows and columns, in the same order, under headers of their own. The
contract of a table stands in `bad_rows_contracts/<table>.yaml`; it was written from the first 100 rows of the clean file. The dirty rows
get a time, a minute apart, since these tables have none, and go through `smartflow run` in a fresh home. A cell is wrong if its text is
another than in the clean file (so `12.0 oz` for `12` is, and `N/A` for an empty cell). A cell is kept aside if its row is diverted and its
column is named as a reason. All columns are text here (`explain_by` keeps them so), since what is wrong with a number is how it is written.

Recall and precision by column, and their plain means over the columns that have wrong cells (of precision: over those of which any
cell is kept aside). A column without wrong cells that is kept aside counts with precision 0. The last line counts cells of all columns
together.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas as pd
from homes import make_home
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
TIME = "at"


def texts(path: Path) -> pd.DataFrame:
    """The cells as they are written."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")


def kept_aside(name: str, dirty: pd.DataFrame) -> pd.DataFrame:
    """True for each cell that a run diverts."""
    times = pd.date_range("2026-01-05", periods=len(dirty), freq="1min", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder) / "home")
        dirty.assign(**{TIME: times}).to_csv(home / f"data/examples/{name}.csv", index=False)
        metric = {"name": "rows", "aggregate": "count", "explain_by": list(dirty.columns)}
        (home / f"data/sources/{name}.yaml").write_text(
            f"name: {name}\nread: {{type: csv, path: examples/{name}.csv, time: {TIME}}}\nmetrics: [{json.dumps(metric)}]\n"
            "time_bucket: {every: 1h, settle: 0s}\nfreshness: off\non_bad_rows: {fail_above: 100%}\n"
            + (HERE / f"bad_rows_contracts/{name}.yaml").read_text()
        )
        environment = os.environ | {"SMARTFLOW_HOME": str(home), "PYTHONPATH": str(HERE.parent)}
        command = [sys.executable, "-m", "smartflow_assets.cli", "run", name, "--as-of", "2026-02-01"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as file:
            found = file.execute(
                "SELECT (epoch(observed_at) - epoch(TIMESTAMPTZ '2026-01-05 00:00:00+00')) // 60, unnest(column_names) "
                "FROM diverted_rows WHERE state = 'held'"
            ).fetchall()
    cells = pd.DataFrame(False, index=dirty.index, columns=dirty.columns)
    for place, column in found:
        cells.loc[int(place), column] = True
    return cells


def measured(wrong: pd.DataFrame, aside: pd.DataFrame) -> pd.DataFrame:
    """wrong, aside, hits, recall and precision by column; recall and precision are null where there is nothing to be a share of."""
    found = pd.DataFrame({"wrong": wrong.sum(), "aside": aside.sum(), "hits": (wrong & aside).sum()})
    return found.assign(
        recall=found["hits"] / found["wrong"].where(found["wrong"] > 0), precision=found["hits"] / found["aside"].where(found["aside"] > 0)
    )


def shown(share: float) -> str:
    """A share with three digits; nothing where there is none."""
    return "" if pd.isna(share) else f"{share:.3f}"


def main() -> None:
    """Measure each table and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tables", nargs="+", default=["beers", "hospital"])
    arguments = parser.parse_args()
    for name in arguments.tables:
        clean, dirty = texts(arguments.folder / f"{name}_clean.csv"), texts(arguments.folder / f"{name}_dirty.csv")
        if clean.shape != dirty.shape:
            sys.exit(f"{name}: the clean file has {clean.shape} cells, the dirty one {dirty.shape}")
        wrong = dirty.ne(clean.set_axis(dirty.columns, axis=1))
        aside = kept_aside(name, dirty)
        found = measured(wrong, aside)
        table = Table("column", "wrong cells", "kept aside", "of them wrong", "recall", "precision", title=f"{name}, {len(dirty):,} rows")
        for column, row in found.iterrows():
            table.add_row(
                str(column), *(f"{int(row[key]):,}" for key in ("wrong", "aside", "hits")), shown(row["recall"]), shown(row["precision"])
            )
        table.add_section()
        table.add_row("mean of the columns", "", "", "", shown(found["recall"].mean()), shown(found["precision"].mean()))
        total = found[["wrong", "aside", "hits"]].sum()
        table.add_row(
            "all cells",
            *(f"{int(total[key]):,}" for key in total.index),
            shown(total["hits"] / total["wrong"]),
            shown(total["hits"] / max(1, total["aside"])),
        )
        table.add_row(
            "rows", *(f"{int(n.sum()):,}" for n in (wrong.any(axis=1), aside.any(axis=1), wrong.any(axis=1) & aside.any(axis=1))), "", ""
        )
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
