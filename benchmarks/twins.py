"""False alarms on days on which nothing happened: the anomaly-free twins of the example sources, over many seeds.

    python benchmarks/twins.py [--seeds 20] [--sources web_traffic,system_metrics,...] [--budget "1 per week"]

Each twin goes through the stages, models and rules of its source in a folder of its own, as in `smartflow demo`; everything that
is flagged is a false alarm. Prints them for each series and week, with the source's own settings and with a budget.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from homes import twin_of
from rich.console import Console
from rich.progress import Progress

from smartflow_assets.commands import terminal
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.detection import ThresholdSettings
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.stages.experiments.example_figures import twin_alerts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--sources", default=",".join(EXAMPLE_SOURCES))
    parser.add_argument("--budget", default="1 per week", help="false alarms of a series, beside the source's own settings")
    arguments = parser.parse_args()
    settings = Settings(home=Path(__file__).parents[1])
    catalogue = Catalogue.load(settings)
    print("source           settings      false alarms in series-weeks   each series and week   worst seed")
    with Progress(console=Console(stderr=True)) as progress:
        for name in arguments.sources.split(","):
            source = catalogue.source(name)
            budget = source.model_copy(update={"threshold": ThresholdSettings.model_validate({"false_alerts": arguments.budget})})
            variants = {"own": source, arguments.budget: budget}
            bar = progress.add_task(name, total=arguments.seeds * len(variants))
            for label, variant in variants.items():
                found = []
                for seed in range(1, arguments.seeds + 1):
                    twin = twin_of(name, seed)
                    with tempfile.TemporaryDirectory(prefix="smartflow-twins-") as folder, terminal.quiet():
                        found.append(twin_alerts(variant, twin, settings.with_state_in(Path(folder)), catalogue, END))
                    progress.advance(bar)
                alarms, weeks = sum(alarms for alarms, _ in found), sum(days for _, days in found) / 7
                worst = max(alarms for alarms, _ in found)
                print(f"{name:16s} {label:12s} {alarms:5d} in {weeks:9.0f}   {alarms / weeks:18.3f}   {worst:18d}", flush=True)


if __name__ == "__main__":
    main()
