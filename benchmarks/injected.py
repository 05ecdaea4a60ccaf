"""Recall of untouched defaults by type of anomaly, on real series into which anomalies of a declared size were planted.

    python benchmarks/injected.py --corpus-dir DIR [--size 1.0] [--seeds 1,2,3,4,5]

DIR holds inject.py, which plants, and what quality.py reads. An event is found when a row from its first to two after its last is
flagged; flags elsewhere, joined when at most ten rows apart, are false alarms. Precision is found / (found + false alarms).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
from quality import read_corpus, score_series
from rich.console import Console
from rich.progress import track


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus-dir", type=Path, required=True)
    parser.add_argument("--size", type=float, default=1.0, help="of the 1 to 99 %% range of a series")
    parser.add_argument("--seeds", default="1,2,3,4,5", help="comma-separated")
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.corpus_dir))
    import inject
    import metrics
    from corpus import Series

    def load(corpus: str) -> list[Series]:  # without pyarrow
        rows = read_corpus(arguments.corpus_dir / f"{corpus}.parquet")
        return [
            Series(
                str(name),
                one["seconds"].to_numpy().astype("datetime64[s]"),
                one["value"].to_numpy(float),
                one["label"].to_numpy(),
                int((~one["scored"]).sum()),
                [],
                float(one["seconds"].diff().median()),
            )
            for name, one in rows.groupby("series", sort=True)
        ]

    inject.load = load
    planted, found, counts = Counter[str](), Counter[str](), []
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    cases = [case for seed in seeds for case in inject.injected(size=arguments.size, seed=seed)]
    for series, events in track(cases, "planted series", console=Console(stderr=True)):
        rows = pd.DataFrame(
            {
                "series": series.name,
                "row": range(len(series.v)),
                "seconds": series.ts.astype(int),
                "value": series.v,
                "scored": [row >= series.n0 for row in range(len(series.v))],
            }
        )
        flags = score_series(rows)["flag"].to_numpy()
        windows = [(first - series.n0, last - series.n0) for _, first, last in events]
        counts.append(metrics.event_counts(series.y[series.n0 :], flags[series.n0 :], windows=windows))
        for kind, first, last in events:
            planted[kind] += 1
            found[kind] += bool(flags[first : last + 3].any())
    precision, recall, f1 = metrics.event_prf(counts)
    print(f"size {arguments.size:g}, seeds {arguments.seeds}: {len(cases)} series, {sum(planted.values())} events")
    for kind in sorted(planted):
        print(f"{kind:12s} {found[kind]:4d} of {planted[kind]:4d}  recall {found[kind] / planted[kind]:.2f}")
    together = f"{'together':12s} {sum(found.values()):4d} of {sum(planted.values()):4d}"
    print(f"{together}  recall {recall:.2f}  precision {precision:.2f}  F1 {f1:.2f}")


if __name__ == "__main__":
    main()
