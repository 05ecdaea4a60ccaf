"""`smartflow models`: what is stored of a source's trainings, which one judges, and how a person changes that."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import home, run, terminal
from smartflow_assets.commands.caller import caller

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.stages.model_ledger import Switched
    from smartflow_assets.stages.run import SourceRun

HELP = "The trained models of a source: list them, make another one current, go back, or have it learnt anew."
LIST_EXAMPLES = """
smartflow models list web_traffic
"""
PROMOTE_EXAMPLES = """
smartflow models promote web_traffic 3f2a90c1d4e5b677 --reason "the one of before the sale"
"""
ROLLBACK_EXAMPLES = """
smartflow models rollback web_traffic --reason "flags every backup"
smartflow models rollback web_traffic --rescore-from 2026-03-01
"""
TRAIN_EXAMPLES = """
smartflow models train web_traffic --reason "the sale is over"
smartflow models train web_traffic --since 2026-03-01 --reason "new level since the migration" --now
smartflow models train web_traffic --reason "to compare with" --candidate
"""
COLUMNS = ["series", "model", "status", "trained at", "learnt from", "up to", "rows", "detectors", "size", "usable", "because"]
STYLES = {"current": "green", "candidate": "cyan"}
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; stands in the history of the models.", show_default=False)]
RescoreFrom = Annotated[
    str | None,
    typer.Option(
        "--rescore-from",
        metavar="TIME",
        show_default=False,
        help="Then run the source and score its rows from this time on again, as `smartflow run --since` does.",
    ),
]


def list_models(name: home.SourceName) -> None:
    """List the trainings of a source that are stored, for each group of metrics: which one is current, and why it was trained.

    `usable` says whether the files are there, unchanged and of this version, and whether the settings are those of the YAML. Times are
    in UTC. All changes: the view marts.model_history.
    """
    from smartflow_assets.stages.metric_groups import metric_groups
    from smartflow_assets.stages.model_ledger import stored_models, unusable_because

    source = _source(name)
    models = stored_models(source.warehouse, name).sort_values(["series", "trained_at"])
    if models.empty:
        terminal.result(f"{name} has no model yet: the first one is trained by a run, when there is enough history")
        return
    groups = metric_groups(source)
    rows = [
        [
            row["series"],
            row["model_id"],
            row["status"],
            *(_time(row[column]) for column in ("trained_at", "trained_from", "trained_to")),
            f"{row['row_count']:,}",
            row["detector"],
            _size(source.settings.models / row["artefact"]),
            unusable_because(source, row, groups) or "yes",
            _because(row),
        ]
        for _, row in models.iterrows()
    ]
    terminal.table(COLUMNS, rows, right=["rows", "size"], styles=STYLES)


def promote(
    name: home.SourceName,
    model_id: Annotated[str, typer.Argument(metavar="MODEL", help="Id of a stored model, as `models list` shows it.", show_default=False)],
    reason: Reason = "",
    rescore_from: RescoreFrom = None,
) -> None:
    """Make a stored model the current one of its metrics, from the next run on.

    Rows that have a score keep it. The next training by `training.every` makes a new model current, as ever.
    """
    from smartflow_assets.stages import model_ledger

    home.moment(rescore_from, "--rescore-from")
    with _writing(name) as source:
        done = model_ledger.promote(source, model_id, reason=reason, by_whom=caller())
    _tell(name, [done], rescore_from)


def rollback(
    name: home.SourceName,
    series: Annotated[
        str | None,
        typer.Option("--series", metavar="LABEL", show_default=False, help="Only this group of metrics, as `models list` names it."),
    ] = None,
    reason: Reason = "",
    rescore_from: RescoreFrom = None,
) -> None:
    """Go back to the model that was current before, from the next run on; once more goes back further.

    Rows that have a score keep it; scored again, they get the scores of that model to the bit. Refused when there is no model to go back
    to, when its files are gone, or when the YAML has other settings now. The next training by `training.every` makes a new model
    current, as ever.
    """
    from smartflow_assets.stages import model_ledger

    home.moment(rescore_from, "--rescore-from")
    with _writing(name) as source:
        done = model_ledger.rollback(source, series, reason=reason, by_whom=caller())
    _tell(name, done, rescore_from)


def train(
    name: home.SourceName,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; will stand beside the model.", show_default=False)],
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            show_default=False,
            help="A new level is accepted: rows before this time are not learnt from, in this and all later trainings.",
        ),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Train in this process, not by the daemon.")] = False,
    candidate: Annotated[
        bool, typer.Option("--candidate", help="Train in this process, and let it judge nothing until `models promote` makes it current.")
    ] = False,
) -> None:
    """Ask for a source to be learnt anew. The daemon starts the training within a minute; if it is down, when it is back.

    Without a daemon, `--now` or the next `smartflow train` does it. With --since the request stays open until there are enough rows of
    the new level; `smartflow run --since` scores rows of it again.
    """
    if candidate and since:
        raise terminal.UsageError("a candidate takes no --since", remedy="Accept the new level, or train a candidate; not both.")
    if not reason.strip():
        raise terminal.UsageError("--reason is empty", remedy="Say why, in a few words: it will stand beside the model.")
    source = _source(name)
    from smartflow_assets.stages.scheduling.training_requests import open_requests, request_training

    if candidate:
        run.run_all("train_source", [name], {"retrain": True, "candidate": reason}, run.TRAIN_FACTS)
        return
    baseline, clock = home.moment(since, "--since"), datetime.now(UTC)
    if baseline and baseline >= clock:
        raise terminal.UsageError(f"--since {since} is not in the past", remedy="Name the time from which the new level has been there.")
    request = request_training(name, reason, warehouse=source.warehouse, now=clock, requested_by=caller(), baseline_from=baseline)
    source.warehouse.publish("models", is_forced=True)
    if not now:
        terminal.result(f"{name}: asked for; a running `smartflow ui` or daemon trains it, else `smartflow train {name}`")
        return
    run.run_all("train_source", [name], {"retrain": True}, run.TRAIN_FACTS)
    if request.request_id in {each.request_id for each in open_requests(source.warehouse, name)}:
        terminal.note(
            f"{name}: there is too little history to learn from{f' since {since}' if since else ''}; the request stays open, and "
            "each later training tries again"
        )


def _source(name: str) -> "SourceRun":
    """The source at hand, without a run of Dagster."""
    settings = home.open_home()
    from smartflow_assets.adapters.model_store import ModelStore
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.stages.bucket_resolution import with_bucket
    from smartflow_assets.stages.run import SourceRun

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    models, now = ModelStore(settings.models), datetime.now(UTC)
    return with_bucket(SourceRun(catalogue.source(name), settings, catalogue, warehouse, models, now, "models"))


@contextmanager
def _writing(name: str) -> "Iterator[SourceRun]":
    """The source while no run works on it; what was written is published."""
    source = _source(name)
    from smartflow_assets.defs.resources import SOURCE_LOCK_PATIENCE, source_lock

    with source_lock(source.settings, name).exclusive(SOURCE_LOCK_PATIENCE, holder="models"):
        yield source
    source.warehouse.publish("models", is_forced=True)


def _tell(name: str, done: "list[Switched]", rescore_from: str | None) -> None:
    for each in done:
        metrics = "all metrics" if each.label == "*" else each.label
        before = f" in place of {each.replaced_model_id}" if each.replaced_model_id else ""
        terminal.result(f"{name}: {each.model_id} of {each.trained_at:%Y-%m-%d %H:%M} judges {metrics} from now on{before}")
    if rescore_from:
        run.run([name], since=rescore_from)
    else:
        terminal.say(f"rows that have a score keep it; `smartflow run {name} --since TIME` scores them again")


def _because(row: "pd.Series") -> str:
    trained = row["trained_because"] if isinstance(row["trained_because"], str) else ""
    if row["change"] not in ("promoted", "rolled_back"):
        return trained
    reason = f": {row['reason']}" if row["reason"] else ""
    return f"{trained}; {row['change'].replace('_', ' ')} by {row['changed_by']}{reason}"


def _size(folder: Path) -> str:
    """The size of all files in KiB; empty when they are gone.

    >>> _size(Path("/nowhere"))
    ''
    """
    if not folder.is_dir():
        return ""
    return f"{sum(path.stat().st_size for path in folder.rglob('*')) / 1024:,.0f} KiB"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


COMMANDS = (
    ("list", list_models, LIST_EXAMPLES),
    ("promote", promote, PROMOTE_EXAMPLES),
    ("rollback", rollback, ROLLBACK_EXAMPLES),
    ("train", train, TRAIN_EXAMPLES),
)
