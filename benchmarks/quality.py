"""Detection quality on labelled corpora: `detect` with untouched defaults on every series.

    python benchmarks/quality.py --corpus-dir DIR --corpora nab,aiops,wsd --out OUT

DIR holds <corpus>.parquet (series, row, observed_at, value, label, scored), windows.json, and metrics.py with evaluate.py,
which measure. Rows with `scored` False may be learnt from. Writes OUT/<corpus>.parquet (series, row, score, flag) as
evaluate.py reads it, and prints its figures, rows per second and CPU seconds. Times are row x the median step of the series,
because repeated and skipped clock times in some files are part of the recording, not of the series.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import Progress

from smartflow_assets.core.detection import DetectionSettings, detect


def read_corpus(path: Path) -> pd.DataFrame:
    """The corpus in order of series and row; duckdb reads Parquet, so that pyarrow is not needed."""
    return duckdb.sql(f"SELECT series, row, epoch(observed_at) AS seconds, value, label, scored FROM '{path}' ORDER BY series, row").df()


def series_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """One series of a corpus as `detect` takes it."""
    step = max(1, round(float(np.median(np.diff(rows["seconds"])))))
    times = pd.Timestamp(rows["seconds"].iloc[0], unit="s", tz="UTC") + pd.to_timedelta(np.arange(len(rows)) * step, unit="s")
    return pd.DataFrame({"series": rows["series"].iloc[0], "observed_at": times, "value": rows["value"].to_numpy(float)})


def score_series(rows: pd.DataFrame, settings: DetectionSettings | None = None) -> pd.DataFrame:
    """Scores and flags of one series, as evaluate.py wants them; untouched defaults without settings."""
    result = detect(series_frame(rows), train_rows=int((~rows["scored"]).sum()) or None, settings=settings)
    return pd.DataFrame(
        {
            "series": result["series"],
            "row": rows["row"].to_numpy(),
            "score": result["raw_score"].to_numpy(),
            "flag": result["is_anomaly"].to_numpy(),
        }
    )


def measure(corpus_dir: Path, corpus: str, rows: pd.DataFrame, scores: pd.DataFrame) -> dict[str, object]:
    """The figures of the corpus' own evaluate.py, on series read without pyarrow."""
    sys.path.insert(0, str(corpus_dir))
    import evaluate
    from corpus import Series

    windows = json.loads((corpus_dir / "windows.json").read_text())
    series = [
        Series(
            name=str(name),
            ts=one["seconds"].to_numpy().astype("datetime64[s]"),
            v=one["value"].to_numpy(float),
            y=one["label"].to_numpy(),
            n0=int((~one["scored"]).sum()),
            windows=[tuple(window) for window in windows[name]],
            interval_s=float(np.median(np.diff(one["seconds"]))),
        )
        for name, one in rows.groupby("series", sort=True)
    ]
    by = dict(tuple(scores.groupby("series")))
    raw, flags = ([by[s.name][column].to_numpy(kind) for s in series] for column, kind in (("score", float), ("flag", bool)))
    return evaluate.summarise(corpus, series, raw, flags)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True)
    parser.add_argument("--corpora", default="nab,aiops,wsd", help="comma-separated names of Parquet files in the folder")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console(stderr=True)
    times = pd.date_range("2026-01-01", periods=1500, freq="1min", tz="UTC")
    began = time.process_time()
    detect(pd.DataFrame({"series": "warm-up", "observed_at": times, "value": np.sin(np.arange(1500.0))}))
    print(f"{'load_or_compile_cpu_s':32s} {time.process_time() - began:.3g}")
    for corpus in arguments.corpora.split(","):
        rows = read_corpus(arguments.corpus_dir / f"{corpus}.parquet")
        frames, began, wall = [], time.process_time(), time.perf_counter()
        with Progress(console=console) as progress:
            bar = progress.add_task(corpus, total=len(rows))
            for _, one in rows.groupby("series", sort=True):
                frames.append(score_series(one))
                progress.advance(bar, len(one))
        cpu, wall = time.process_time() - began, time.perf_counter() - wall
        scores = pd.concat(frames, ignore_index=True)
        path = arguments.out / f"{corpus}.parquet"
        duckdb.sql(f"COPY (SELECT series, row, score, flag FROM scores) TO '{path}' (FORMAT parquet)")
        figures = measure(arguments.corpus_dir, corpus, rows, scores)
        for name, value in figures.items():
            print(f"{name:32s} {value:.4g}" if isinstance(value, float) else f"{name:32s} {value}")
        print(f"{'rows_per_second':32s} {len(rows) / wall:.0f}\n{'cpu_s':32s} {cpu:.1f}")


if __name__ == "__main__":
    main()
