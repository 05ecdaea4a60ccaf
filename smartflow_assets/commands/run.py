"""`smartflow run` and `smartflow train`: Dagster's jobs for one source after the other, in this process.

The runs have their partitions, tags and logs in the history that `smartflow ui` shows. Several sources are watched in one run, and trained
in a run each. What Dagster says meanwhile stays out of the terminal, unless -v asks for it. One source's failure stops no other.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import full_disk, home, process, terminal
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.defs.execute import Outcome
    from smartflow_assets.stages.alerting import Failure

RUN_EXAMPLES = """
smartflow run
smartflow run web_traffic system_metrics
smartflow run web_traffic --as-of 2026-02-17T10:00
smartflow run web_traffic --since 2026-02-01 --until 2026-02-08
smartflow run --dry-run
smartflow run web_traffic --accept-removals
"""
TRAIN_EXAMPLES = """
smartflow train
smartflow train web_traffic --as-of 2026-02-17T10:00
"""
DryRun = Annotated[bool, typer.Option("--dry-run", help="Work on a copy: nothing is written, nothing is sent.")]
Facts = Sequence[tuple[str, str]]
OnStage = Callable[[str, str], None]  # source, stage
OnEnd = Callable[["Outcome"], None]
RUN_FACTS: Facts = (  # what the assets report, and its name in the line of a source
    ("rows_in", "rows in"),
    ("rows_scored", "scored"),
    ("anomaly_count", "anomalies"),
    ("incidents_opened", "opened"),
    ("incidents_resolved", "resolved"),
    ("messages_sent", "messages"),
)
ONLY_WHEN_THERE_ARE: Facts = (
    ("quarantined_rows", "quarantined"),
    ("blocked_rows", "blocked"),
    ("diverted_rows", "diverted"),
    ("withheld_rows", "removals withheld"),
    ("removed_rows", "corrected or removed"),
    ("missing_rows", "not in the file any more"),
    ("messages_failed", "messages failed"),
    ("remedies_done", "remedies"),
    ("remedies_failed", "remedies failed"),
)
BLOCKED = "blocked_loads"
SILENT = "silent_hours"  # reported while the source brings no rows and that is an incident
TRAIN_FACTS: Facts = (("models_trained", "models"), ("training_rows", "rows learnt from"))


def run(
    sources: home.SourceNames = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            show_default=False,
            help="Work again on rows from this time on; from where the last run stopped when not given.",
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Stop before this time.", show_default=False)] = None,
    as_of: home.AsOf = None,
    dry_run: DryRun = False,
    accept_removals: Annotated[
        bool,
        typer.Option(
            "--accept-removals", help="Remove the stored rows that a load wanted to remove and withheld (on_missing_rows: delete)."
        ),
    ] = False,
) -> None:
    """Watch sources: read what is new, score it, open and close incidents, tell people once.

    All sources when none is named, broken ones too, which then fail alone; those of which a look says that there is nothing to do are
    left out, as the schedule does: name a source to run it whatever a look says. Several are one run in Dagster. Messages that are due of
    sources whose file is gone go out as well. Running it again with
    nothing new changes nothing. Prints one line for each source: ok, failed, or silent while it brings no rows; exit code 1 when one
    failed. Looks whether Dagster's daemon still ticks, where one did, and makes an incident of one that is dead.
    """
    if accept_removals and not sources:
        raise typer.BadParameter("--accept-removals needs the name of a source: name those whose rows may go")
    options = {"since": since, "until": until, "as_of": as_of, "dry_run": dry_run, "accept_removals": accept_removals}
    run_all("monitor_source", sources or [], options, RUN_FACTS)


def train(sources: home.SourceNames = None, as_of: home.AsOf = None, dry_run: DryRun = False) -> None:
    """Learn sources anew from their training window, without the windows of incidents.

    Scores that stand keep standing; what comes later is scored by the new models.
    """
    run_all("train_source", sources or [], {"as_of": as_of, "dry_run": dry_run, "retrain": True}, TRAIN_FACTS)


def run_all(job: str, asked: Sequence[str], options: dict[str, Any], facts: Facts) -> None:
    """Run the job for each source, all when none is asked for, and print a line for each with the `facts`. Exit 1 when one failed."""
    settings = home.open_home()
    home.span(options.get("since"), options.get("until"))
    home.clock(options.get("as_of"))
    with process.loading():
        from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    options = {name: value for name, value in options.items() if value}
    is_telling = job == "monitor_source" and not options.get("dry_run")
    if is_telling and not catalogue.names:  # the last source may have left messages
        _send_of_gone(settings, catalogue, home.clock(options.get("as_of")))
    names = home.named(asked, catalogue)
    width, failed, runs, of_all = max(map(len, names)), [], set[str](), tuple["Failure", ...]()
    with ExitStack() as stack:
        stack.enter_context(terminal.quiet())
        watch, stage_count = stack.enter_context(_opened(settings))
        advance = stack.enter_context(terminal.progress(len(names) * stage_count, "starting"))
        done = dict.fromkeys(names, 0)
        resting = {} if job != "monitor_source" or asked or options else _nothing_new(settings, catalogue)
        for name in (name for name in names if name in resting):
            advance(stage_count, name)
            terminal.result(f"{name:<{width}}  {resting[name]}")

        def on_stage(name: str, stage: str) -> None:
            done[name] += 1
            advance(1, f"{name}: {stage}")

        left = [name for name in names if name not in resting]
        is_of_several = job == "monitor_source" and len(left) > 1
        told = [fact for fact in facts if fact[0] != "messages_sent"] if is_of_several else facts  # they go out when all are through

        def on_end(outcome: "Outcome") -> None:
            name = outcome.source
            runs.add(outcome.run_id)
            advance(stage_count - done[name], name)  # a failed stage skips what is below it
            terminal.result(_line(outcome, told, width), style="" if outcome.is_success else "red")
            for note in outcome.notes:
                terminal.note(f"{name}: {note}")
            failed.extend([] if outcome.is_success else [outcome])

        if left:
            of_all = watch(job, left, options, on_stage, on_end)
    if options.get("dry_run"):
        terminal.say("a dry run: nothing was written, nothing was sent")
    else:
        _look_for_daemon(settings, catalogue)
        if is_of_several:
            _tell_of_messages(settings, runs)
        if is_telling:
            _send_of_gone(settings, catalogue, home.clock(options.get("as_of")))
            _tell_of_waiting(settings, catalogue, home.clock(options.get("as_of")) or datetime.now(UTC))
    for outcome in failed:
        for failure in outcome.failures:
            terminal.error(_failure(outcome.source, failure.cause, _told(failure)))
        if not outcome.failures:
            terminal.error(f"{outcome.source}: the run failed without a reason (run again with -v, or see it in `smartflow ui`)")
    for failure in of_all:
        terminal.error(_told(failure))
    if failed or of_all:
        raise typer.Exit(1)


def run_one(settings: "Settings", source: str, reason: str) -> "Outcome":
    """Watch one source as `smartflow run SOURCE` does, without a word on the terminal, for a `reason`: what became of it."""
    ended = list["Outcome"]()
    with terminal.quiet(), _opened(settings, reason) as (watch, _):
        watch("monitor_source", [source], {}, lambda name, stage: None, ended.append)
    return ended[0]


def _look_for_daemon(settings: "Settings", catalogue: "Catalogue") -> None:
    """A dead daemon starts no sensor that could say so. Where none ever ran, or one that ticks, this is one look at a file."""
    from smartflow_assets.stages.heartbeat import needs_a_look

    if not needs_a_look(settings):
        return
    from smartflow_assets.adapters.files.access import private
    from smartflow_assets.defs.ticking import look_for_daemon

    try:
        with private(), terminal.quiet():
            told = look_for_daemon(settings, catalogue)
    except Exception as error:  # the runs are done, and what they came to is not to be lost
        told = f"nobody could look whether it lives: {type(error).__name__}: {error}"
    if told:
        terminal.note(f"Dagster's daemon: {told}")


@contextmanager
def _opened(settings: "Settings", reason: str = "command line") -> Iterator[tuple[Callable[..., tuple["Failure", ...]], int]]:
    """The shared Dagster instance with dead runs failed and closed, and the partitions as the catalogue has them.

    -> what runs a job for sources with options, tells each stage as it begins and each outcome, and gives back what went wrong once all
    sources were through; and how many stages there are.
    """
    with process.loading():
        from smartflow_assets.adapters.files.access import private
        from smartflow_assets.config.catalogue import Catalogue
        from smartflow_assets.defs.build import ASSETS
        from smartflow_assets.defs.dead_runs import fail_dead_runs
        from smartflow_assets.defs.execute import Outcome, execute, execute_many
        from smartflow_assets.defs.instance import open_instance
        from smartflow_assets.defs.jobs import MONITOR_JOB
        from smartflow_assets.defs.kept_connections import kept_connections
        from smartflow_assets.defs.resources import open_warehouse
        from smartflow_assets.defs.run_closing import close_run
        from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in
        from smartflow_assets.defs.source_partitions import match_partitions
        from smartflow_assets.stages.scheduling.turns import in_turn

    with private(), kept_connections(), open_instance(settings.dagster_home, captures_output=terminal.is_verbose()) as instance:
        settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
        now = datetime.now(UTC)
        for run_id in fail_dead_runs(instance, settings, now):
            try:
                close_run(instance, run_id, settings=settings)
            except SmartflowError as error:  # `smartflow ui` comes to it as well
                terminal.note(f"run {run_id} was dead, and could not be closed: {error}")
        match_partitions(instance, Catalogue.load(settings), open_warehouse(settings), now=now)

        def watch_one(job: str, source: str, options: dict[str, Any], on_stage: OnStage) -> "Outcome":
            try:
                return execute(instance, settings, job, source, options, reason=reason, on_stage=lambda stage: on_stage(source, stage))
            except Exception as error:  # before the run began or while it was closed: the other sources are still to run
                return Outcome(source, "", is_success=False, failures=(_unforeseen(error),))

        def watch_all(job: str, sources: Sequence[str], options: dict[str, Any], on_stage: OnStage, on_end: OnEnd) -> tuple["Failure", ...]:
            if job != MONITOR_JOB or len(sources) == 1:
                for source in in_turn(sources, open_warehouse(settings), settings).names:
                    on_end(watch_one(job, source, options, on_stage))
                return ()
            left, of_all = list(sources), tuple["Failure", ...]()

            def ended(outcome: "Outcome") -> None:
                left.remove(outcome.source)
                on_end(outcome)

            try:
                failures = execute_many(instance, settings, sources, options, on_stage=on_stage, on_end=ended)
            except Exception as error:
                failures = (_unforeseen(error),)
                of_all = () if left else failures
            for source in left.copy():  # the run failed before it came to them
                ended(Outcome(source, "", is_success=False, failures=failures))
            return of_all

        yield watch_all, len(ASSETS)


def _tell_of_messages(settings: "Settings", runs: set[str]) -> None:
    """What runs of several sources sent once they were through."""
    from smartflow_assets.defs.resources import open_warehouse

    if not settings.warehouse_file.exists():
        return
    [counts] = (
        open_warehouse(settings)
        .read(
            "SELECT count(*) FILTER (status = 'sent') AS sent, count(*) FILTER (status = 'failed') AS failed FROM alert_sends "
            "WHERE list_contains(?, run_id)",
            [sorted(runs)],
        )
        .to_dict("records")
    )
    if said := ", ".join(f"{int(count)} {what}" for what, count in counts.items() if count):
        terminal.result(f"messages: {said}")


def _send_of_gone(settings: "Settings", catalogue: "Catalogue", clock: datetime | None) -> None:
    """Where no daemon runs nobody else sends what sources have left whose file is gone, and what is of none."""
    from smartflow_assets.adapters.files.access import private
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.defs.sensors import runs_about_to_send
    from smartflow_assets.stages.run_closing import deliver_orphans

    if not settings.warehouse_file.exists():
        return
    now, warehouse = clock or datetime.now(UTC), open_warehouse(settings)
    try:
        with private(), terminal.quiet():
            sources, drained = deliver_orphans(
                "run",
                now=now,
                warehouse=warehouse,
                settings=settings,
                catalogue=catalogue,
                environment=os.environ,
                leaving=runs_about_to_send(settings, warehouse, now),
            )
    except SmartflowError as error:  # the runs are done; the next one sends them
        terminal.note(f"messages of sources that are gone were not sent: {error}")
        return
    if drained.sent or drained.failed:
        terminal.result(f"messages of {', '.join(sources)}: {drained}")


def _tell_of_waiting(settings: "Settings", catalogue: "Catalogue", now: datetime) -> None:
    """What the digests and limits of channels keep, so that nobody misses it."""
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.alerting import waiting_messages

    if not any(channel.pace for channel in catalogue.channels.values()) or not settings.published_file.exists():
        return
    for channel, waits in waiting_messages(open_warehouse(settings), catalogue, now).items():
        terminal.say(f"messages to {channel}: {', '.join(map(str, waits))}")


def _nothing_new(settings: "Settings", catalogue: "Catalogue") -> dict[str, str]:
    """The sources that need no run now, each with what its line says; none where nobody can say."""
    from smartflow_assets.defs.resources import open_warehouse
    from smartflow_assets.stages.scheduling.looks import Standing, look_at_all, publish_looks, standing

    if not settings.warehouse_file.exists():
        return {}
    warehouse = open_warehouse(settings)
    try:
        looked, matters = look_at_all(catalogue, warehouse, datetime.now(UTC)), standing(warehouse)
        publish_looks(warehouse)
    except SmartflowError as error:
        terminal.note(f"all sources are run, since nobody could look whether there is anything new: {error}")
        return {}
    told = dict[str, str]()
    for name in looked.nothing_new:
        matter = matters.get(name, Standing())
        state = "blocked" if matter.is_blocked else "silent" if matter.is_silent else "ok"
        still = f"; {terminal.count(matter.open_incidents, 'incident')} open" if matter.open_incidents else ""
        told[name] = f"{state:<6}  nothing new, so no run{still}"
    return told


def _unforeseen(error: Exception) -> "Failure":
    from smartflow_assets.stages.alerting import Failure

    return Failure("run", str(error) if isinstance(error, SmartflowError) else f"{type(error).__name__}: {error}")


def _line(outcome: "Outcome", facts: Facts, width: int) -> str:
    numbers = [f"{label} {outcome.facts.get(name, 0):,.0f}" for name, label in facts]
    numbers += [f"{label} {outcome.facts[name]:,.0f}" for name, label in ONLY_WHEN_THERE_ARE if outcome.facts.get(name)]
    state = "failed"
    if outcome.is_success:
        state = next((word for word, fact in (("blocked", BLOCKED), ("silent", SILENT)) if outcome.facts.get(fact)), "ok")
    return "  ".join([f"{outcome.source:<{width}}", f"{state:<6}", *numbers, f"{outcome.seconds:.1f} s"])


def _told(failure: "Failure") -> str:
    return full_disk.told_of_history(failure.message) or failure.message


def _failure(source: str, cause: str, message: str) -> str:
    """Our own errors name the source themselves.

    >>> _failure("shop", "raw_records", "shop: there is no file.")
    'shop: raw_records: there is no file.'
    """
    return f"{source}: {cause}: {message.removeprefix(f'{source}: ')}"


COMMANDS = (("run", run, RUN_EXAMPLES), ("train", train, TRAIN_EXAMPLES))
