"""Write the example files anew: `python data/examples/regenerate.py`. A test holds them equal to the generators."""

import gzip
from pathlib import Path

import pandas as pd

from smartflow_assets.core.generators.examples import EXAMPLE_SOURCES

ZIPPED = ("payments",)  # too long for a repository otherwise; readers look into it by themselves


def example_files() -> dict[str, str]:
    """File name to text: the rows of each example as a collector would have written them, and their labels."""
    files = {}
    for name, example in EXAMPLE_SOURCES.items():
        if example.is_alive:
            continue
        made = example.make()
        files[f"{name}.csv.gz" if name in ZIPPED else f"{name}.csv"] = _as_collected(name, _csv(made.frame))
        files[f"{name}_labels.csv"] = _csv(made.labels)
    return files


def _as_collected(name: str, text: str) -> str:
    """Real files are not clean: one damaged line and one line written twice in web_traffic, four lines that a restarting
    collector lost in system_metrics. All lie in calm hours, so that cleaning shows its work and no event is touched."""
    lines = text.splitlines(keepends=True)
    if name == "web_traffic":
        damaged = _line_at(lines, "2026-01-22T03:10:00Z")
        lines[damaged] = lines[damaged].replace("T03:10", "T03:1?")
        twice = _line_at(lines, "2026-02-05T04:25:00Z")
        lines.insert(twice, lines[twice])
    elif name == "system_metrics":
        lost = _line_at(lines, "2026-02-05T04:00:00Z")
        del lines[lost : lost + 4]
    return "".join(lines)


def _line_at(lines: list[str], timestamp: str) -> int:
    return next(number for number, line in enumerate(lines) if line.startswith(timestamp))


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.6g", date_format="%Y-%m-%dT%H:%M:%SZ", lineterminator="\n")


if __name__ == "__main__":
    for file, content in example_files().items():
        data = content.encode()
        (Path(__file__).parent / file).write_bytes(gzip.compress(data, mtime=0) if file.endswith(".gz") else data)
