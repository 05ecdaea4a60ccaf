"""Evidently's default drift preset on the windows of drift.py.

python benchmarks/peers/evidently_drift.py < windows.json

The input is a list of {name, file, changed}; each file is Parquet with the columns _trial and _is_current beside those of the windows.
In an environment of its own: pip install evidently==0.7.23 'pandas<3'
"""

import json
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

warnings.filterwarnings("ignore")
print(f"evidently {version('evidently')}, DataDriftPreset()\n")
print("| regime | checks | a column flagged | half of the columns flagged | tests that fired | CPU s a check |\n|---|---|---|---|---|---|")
for asked in json.load(sys.stdin):
    windows, changed = pd.read_parquet(asked["file"]), asked["changed"]
    fired, by_column, by_half, began = Counter(), 0, 0, time.process_time()
    for trial, rows in windows.groupby("_trial"):
        rows, is_current = rows.drop(columns=["_trial", "_is_current"]), rows["_is_current"]
        found = Report([DataDriftPreset()]).run(rows[is_current], rows[~is_current]).dict()["metrics"]
        drifted = set()
        for metric in found[1:]:
            config, value = metric["config"], metric["value"]
            if value < config["threshold"] if "p_value" in config["method"] else value >= config["threshold"]:
                drifted.add(config["column"])
                fired[config["method"]] += 1
        wanted = set(changed[trial]) - {"*"}
        by_column += bool(drifted & wanted) if wanted else bool(drifted)
        by_half += found[0]["value"]["share"] >= 0.5
    cost = (time.process_time() - began) / len(changed)
    said = "; ".join(f"{method} {count}" for method, count in fired.most_common()) or "none"
    shares = " | ".join(f"{100 * flagged / len(changed):.1f} %" for flagged in (by_column, by_half))
    print(f"| {asked['name']} | {len(changed)} | {shares} | {said} | {cost:.3f} |", flush=True)
