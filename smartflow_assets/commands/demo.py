"""`smartflow demo`: the example sources from their history to their incidents, before your eyes, and how well it went.

Loads what lies before the last hours in one run, then replays the rest in steps with the clock of then, so that incidents open,
send and recover. How well it went is measured in stages.experiments.example_figures. Ends with 1 when precision or recall fall short.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from smartflow_assets.commands import process, terminal
from smartflow_assets.commands.home import open_home
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.defs.execute import Outcome
    from smartflow_assets.stages.alerting import Failure
    from smartflow_assets.stages.experiments.example_figures import ExampleFigures

REPLAYED, TICK, AFTERWARDS = timedelta(hours=14), timedelta(hours=4), timedelta(hours=2)  # the promotion is open at 10:00
PRECISION, RECALL = 0.9, 0.8


def demo() -> None:
    """Run the example sources: history first, then the last hours as if they happened now.

    Prints, for each source, what was found, measured on its labels; exits 1 below precision .9 or recall .8.
    """
    with process.loading():
        from smartflow_assets.config.catalogue import Catalogue
        from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
        from smartflow_assets.stages.experiments.example_figures import measure

    settings = open_home()
    catalogue = Catalogue.load(settings)
    for name in EXAMPLE_SOURCES:
        if name in catalogue.broken:
            raise catalogue.broken[name]
        if name not in catalogue.sources:
            raise SmartflowError(
                f"the example source {name} is not in {settings.sources}", remedy="Take it from the project's data folder."
            )
    clocks = [END - REPLAYED + k * TICK for k in range(int((REPLAYED + AFTERWARDS) / TICK) + 1)]
    _replay(settings, list(EXAMPLE_SOURCES), clocks)
    figures = []
    with terminal.progress(len(EXAMPLE_SOURCES), "measuring") as advance:
        for name, example in EXAMPLE_SOURCES.items():
            figures.append(measure(catalogue.source(name), example, settings, catalogue, now=clocks[-1]))
            advance(1, f"measuring {name}")
    _print(figures, settings)
    if not all(figure.precision >= PRECISION and figure.recall >= RECALL for figure in figures):
        raise SmartflowError(
            f"the defaults fell short of precision {PRECISION} or recall {RECALL} on the example sources",
            remedy="Look at the table above; the labels are in data/examples.",
        )


def _replay(settings: "Settings", names: list[str], clocks: list[datetime]) -> None:
    """Run every source at every clock, through Dagster, on the history that the UI shows."""
    with process.loading():
        from smartflow_assets.config.catalogue import Catalogue
        from smartflow_assets.defs.execute import Outcome, execute, execute_many
        from smartflow_assets.defs.instance import open_instance
        from smartflow_assets.defs.jobs import MONITOR_JOB
        from smartflow_assets.defs.kept_connections import kept_connections
        from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in
        from smartflow_assets.defs.source_partitions import add_partitions

    terminal.say(
        f"Replaying {', '.join(names)}: history up to {clocks[0]:%Y-%m-%d %H:%M}, then every four hours to {clocks[-1]:%d %b %H:%M} UTC."
    )
    total = len(clocks) * len(names)
    with (
        terminal.quiet(),
        kept_connections(),
        open_instance(settings.dagster_home, captures_output=terminal.is_verbose()) as instance,
        terminal.progress(total, "loading") as advance,
    ):
        settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
        add_partitions(instance, Catalogue.load(settings))
        tell, failed = _teller(settings), list[Outcome]()
        for clock in clocks[:-1]:

            def on_end(outcome: Outcome, clock: datetime = clock) -> None:
                failed.extend([] if outcome.is_success else [outcome])
                advance(1, f"{clock:%d %b %H:%M}  {outcome.source}")

            failures = execute_many(instance, settings, names, {"as_of": clock.isoformat()}, reason="demo", on_end=on_end)
            _refuse(failed, failures)
            tell()
        for name in names:  # the last time by a run for each, whose steps the UI shows
            outcome = execute(instance, settings, MONITOR_JOB, name, {"as_of": clocks[-1].isoformat()}, reason="demo")
            _refuse([] if outcome.is_success else [outcome])
            advance(1, f"{clocks[-1]:%d %b %H:%M}  {name}")
        tell()


def _refuse(failed: "Sequence[Outcome]", failures: "Sequence[Failure]" = ()) -> None:
    """SmartflowError where a run of the examples has failed."""
    for outcome in failed:
        raise SmartflowError(outcome.failures[0].message if outcome.failures else "the run failed", source=outcome.source)
    for failure in failures:
        raise SmartflowError(failure.message)


def _teller(settings: "Settings") -> Callable[[], None]:
    """A function that says which messages went out since it was called last."""
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.alerting import sent_messages

    warehouse, told = open_warehouse(settings), set[str]()

    def tell() -> None:
        for message in sent_messages(warehouse):
            if message.idempotency_key not in told:
                told.add(message.idempotency_key)
                style = "green" if message.event == "resolved" else terminal.SEVERITY_STYLES.get(message.severity, "")
                terminal.say(f"  {message.happened_at:%d %b %H:%M}  {message.subject}", style)

    return tell


def _print(figures: "list[ExampleFigures]", settings: "Settings") -> None:
    terminal.table(
        [
            "source",
            "buckets",
            "anomalies",
            "incidents",
            "messages",
            "precision",
            "recall",
            "F1",
            "z-score 2.5",
            "forest .08",
            "false alerts on the twin",
        ],
        [
            [
                f.source,
                f.rows,
                f.anomalies,
                f.incidents,
                f.messages,
                f"{f.found.precision:.2f}",
                f"{f.found.recall:.2f}",
                f"{f.found.f1:.2f}",
                *(f"{b.precision:.2f} / {b.recall:.2f}" for b in f.baselines.values()),
                f"{f.twin_alerts} in {f.twin_days:.0f} series-days",
            ]
            for f in figures
        ],
        right=("buckets", "anomalies", "incidents", "messages", "precision", "recall", "F1"),
    )
    terminal.result(
        f"Precision and recall are of labelled events. Messages: {settings.outbox}. Rows: smartflow sql "
        '"select * from marts.open_incidents". The live page: smartflow serve. Lineage and runs: smartflow ui.'
    )


EXAMPLES_OF_USE = """
smartflow demo
SMARTFLOW_HOME=/srv/smartflow smartflow demo
"""
COMMANDS = (("demo", demo, EXAMPLES_OF_USE),)
