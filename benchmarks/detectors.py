"""Every type of detector alone, with its defaults, on the labelled corpora: speed, quality and memory in one table.

    python benchmarks/detectors.py --corpus-dir DIR --corpora nab,aiops,wsd --out OUT

DIR is as in quality.py, which scores and measures here too. Each detector runs in a process of its own, on one series after the
other: CPU seconds of its training and of everything else in `detect` (baseline, calibration and verdicts among it), AUC-PR as
the mean over series, and the most memory that it held, libraries included, beyond what `moving_average` needs for the longest
series. Compiled code is loaded before the clock runs. Prints a Markdown table and writes OUT/detectors.csv. `auto` is the default
ensemble.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pandas as pd
from quality import measure, read_corpus, score_series
from rich.console import Console
from rich.progress import Progress

from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.core.detectors import DETECTORS, BaseDetector, MovingAverage
from smartflow_assets.core.detectors.base import History
from smartflow_assets.core.model_parts import ModelParts

WARM_UP_ROWS = 1500
MIB = 2**20


@dataclass
class Training:
    """What a detector's trainings cost so far."""

    cpu_s: float = 0.0
    rows: int = 0


def timed(kind: type[BaseDetector], training: Training) -> BaseDetector:
    """The detector with its defaults, whose trainings are counted."""

    class Timed(kind):  # type: ignore[misc, valid-type]
        def fit(self, history: History) -> ModelParts:
            began = cpu_s()
            try:
                return super().fit(history)
            finally:
                training.cpu_s += cpu_s() - began
                training.rows += sum(map(len, history.values.values()))

    return Timed()


def cpu_s() -> float:
    """CPU seconds of this process and of those that it waited for: Prophet fits in one of its own."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def memory(name: str) -> int:
    """A figure of this process in bytes, as Linux tells it: VmRSS (now) or VmHWM (the most)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def run_one(detector: str, corpus_dir: Path, corpora: list[str], every: int) -> None:
    """Measure one detector; prints a line of JSON after each series, with `rows`, and at the end one with all figures."""
    training = Training()
    settings = DetectionSettings() if detector == "auto" else DetectionSettings(detectors=(timed(DETECTORS[detector], training),))
    corpus_rows = {corpus: chosen(read_corpus(corpus_dir / f"{corpus}.parquet"), every) for corpus in corpora}
    warm_up = pd.DataFrame(
        {
            "series": "warm-up",
            "row": range(WARM_UP_ROWS),
            "seconds": 300.0 * np.arange(WARM_UP_ROWS),
            "value": np.sin(np.arange(WARM_UP_ROWS) / 9.0),
            "scored": np.arange(WARM_UP_ROWS) >= 900,
        }
    )
    longest = max((one for rows in corpus_rows.values() for _, one in rows.groupby("series")), key=len)
    score_series(longest, DetectionSettings(detectors=(MovingAverage(),)))
    before = memory("VmRSS")
    score_series(warm_up, settings)
    training.cpu_s, training.rows = 0.0, 0
    total, row_count, most, scores = 0.0, 0, 0, {}
    for corpus, rows in corpus_rows.items():
        parts = []
        for _, one in rows.groupby("series", sort=True):
            Path("/proc/self/clear_refs").write_text("5")  # the most so far is what is held now
            began = cpu_s()
            parts.append(score_series(one, settings))
            total += cpu_s() - began
            most = max(most, memory("VmHWM") - before)
            row_count += len(one)
            before += int(parts[-1].memory_usage().sum())  # kept for the quality, not by the detector
            print(json.dumps({"rows": len(one)}), flush=True)
        scores[corpus] = pd.concat(parts, ignore_index=True)
    figures: dict[str, Any] = {
        "detector": detector,
        "fit_cpu_s": training.cpu_s,
        "fit_rows": training.rows,
        "score_cpu_s": total - training.cpu_s,
        "score_rows": row_count,
        "memory_mib": most / MIB,
    }
    for corpus, rows in corpus_rows.items():
        figures[f"auc_pr_{corpus}"] = float(measure(corpus_dir, corpus, rows, scores[corpus])["auc_pr"])  # type: ignore[arg-type]
    print(json.dumps(figures))


def chosen(rows: pd.DataFrame, every: int) -> pd.DataFrame:
    """Every n-th series."""
    return rows[rows["series"].isin(sorted(rows["series"].unique())[::every])].reset_index(drop=True)


def followed(detector: str, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What the process of one detector prints, line by line."""
    command = [
        sys.executable,
        __file__,
        "--one",
        detector,
        "--corpus-dir",
        str(arguments.corpus_dir),
        "--corpora",
        arguments.corpora,
        "--every",
        str(arguments.every),
        "--out",
        str(arguments.out),
    ]
    with TemporaryFile("w+") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        yield from map(json.loads, process.stdout or ())
        if process.wait():
            errors.seek(0)
            raise SystemExit(f"{detector}: {errors.read().strip().splitlines()[-1]}")


def table(figures: pd.DataFrame, corpora: list[str]) -> str:
    """The figures as Markdown: speeds in rows a CPU second, memory in MiB."""
    lines = [
        "| type | to train, rows/s | to score, rows/s | " + " | ".join(f"AUC-PR {corpus}" for corpus in corpora) + " | memory, MiB |",
        "|---|" + "---|" * (len(corpora) + 3),
    ]
    for row in figures.to_dict("records"):
        fit = _rounded(row["fit_rows"] / row["fit_cpu_s"]) if row["fit_cpu_s"] > 0.001 * row["score_cpu_s"] else ""
        score = _rounded(row["score_rows"] / row["score_cpu_s"])
        auc = " | ".join(f"{row[f'auc_pr_{corpus}']:.3f}" for corpus in corpora)
        lines.append(f"| `{row['detector']}` | {fit} | {score} | {auc} | {row['memory_mib']:.0f} |")
    return "\n".join(lines)


def _rounded(speed: float) -> str:
    """Two digits: more would be noise."""
    return f"{float(f'{speed:.2g}'):,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True)
    parser.add_argument("--corpora", default="nab,aiops,wsd", help="comma-separated names of Parquet files in the folder")
    parser.add_argument("--detectors", help="comma-separated types; default all, and auto; not those that compare metrics")
    parser.add_argument("--every", type=int, default=1, help="take every n-th series of each corpus")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    corpora = arguments.corpora.split(",")
    if arguments.one:
        run_one(arguments.one, arguments.corpus_dir, corpora, arguments.every)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    names = arguments.detectors.split(",") if arguments.detectors else ["auto", *(n for n, kind in DETECTORS.items() if not kind.is_joint)]
    rows = sum(len(chosen(read_corpus(arguments.corpus_dir / f"{corpus}.parquet"), arguments.every)) for corpus in corpora)
    figures = []
    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=rows * len(names))
        for name in names:
            progress.update(bar, description=name)
            for line in followed(name, arguments):
                if "rows" in line:
                    progress.advance(bar, line["rows"])
                else:
                    figures.append(line)
            pd.DataFrame(figures).to_csv(arguments.out / "detectors.csv", index=False)
    print(table(pd.DataFrame(figures), corpora))


if __name__ == "__main__":
    main()
