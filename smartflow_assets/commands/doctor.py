"""`smartflow doctor`: everything that can stand in the way, a line each, with what to do about it.

It only looks, with two exceptions: runs whose process is gone are marked as failed and closed, as the housekeeping sensor
does, so that their source goes on; and a dead daemon is told of, which starts no sensor that could. A check that itself breaks is a
failed line, not the end of the list.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from smartflow_assets.commands import home, server_diagnosis, terminal
from smartflow_assets.commands.diagnosis import Diagnoses, Diagnosis
from smartflow_assets.core.errors import SmartflowError

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings

EXAMPLES = """
smartflow doctor
smartflow doctor > doctor.txt
"""
NETWORK_DISKS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afpfs",
    "9p",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.rclone",
    "lustre",
    "ceph",
    "fuse.ceph",
    "glusterfs",
    "fuse.glusterfs",
    "ncpfs",
    "webdav",
    "davfs",
    "fuse.davfs2",
    "drvfs",
    "vboxsf",
}
LITTLE_SPACE, NO_SPACE = 2 * 1024**3, 256 * 1024**2
OLD_COPY = timedelta(days=1)
OLD_NEWS = timedelta(days=7)  # of messages that were lost on a channel that works again
FEWEST_POINTS, FEWEST_RUNS = 100_000, 20  # fewer say nothing of how large a million of them is
LARGE_MILLION, LARGE_HISTORY = 1024**3, 2 * 1024**3  # ten times what a million points of one metric take; runs of a fortnight
MEBIBYTE = 1024**2
STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor() -> None:
    """Look for what stands in the way: locks, dead runs, a dead daemon, broken files, missing secrets, disks, rows in quarantine, runs and
    rows newer than the clock, last runs and remedies that failed, paused sources, the age of the published copy, a server that does not
    answer; and tell what rows and Dagster's history take on the disk, and what is going to be pruned.

    Marks runs whose process is gone as failed, so that their source goes on, and makes an incident of a dead daemon. Exit code 1 when a
    line says fail.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    warehouse = Warehouse(settings.warehouse_file, settings.published_file, lock_timeout=timedelta(seconds=2))
    checks: list[tuple[str, Callable[[], Diagnoses]]] = [
        ("versions", _versions),
        ("folders", lambda: _folders(settings)),
        ("disk", lambda: _disk(settings)),
        ("sources", lambda: _sources(catalogue)),
        ("channels", lambda: _channels(catalogue)),
        ("locks", lambda: _locks(settings)),
        ("runs", lambda: _runs(settings)),
        ("daemon", lambda: _daemon(settings, catalogue)),
        ("warehouse", lambda: _warehouse(settings, warehouse)),
        ("size", lambda: _size(settings, warehouse)),
        ("history", lambda: _history(settings)),
        ("pruning", lambda: _prunings(settings, warehouse)),
        ("quarantine", lambda: _quarantine(settings, warehouse, catalogue)),
        ("clock", lambda: _clock(settings, warehouse, catalogue, datetime.now(UTC))),
        ("last runs", lambda: _last_runs(settings, warehouse, catalogue)),
        ("remedies", lambda: _remedies(settings, warehouse, catalogue, datetime.now(UTC))),
        ("incidents", lambda: _incidents(settings, warehouse)),
        ("published copy", lambda: _published(settings, warehouse, datetime.now(UTC))),
        ("messages", lambda: _messages(settings, warehouse, catalogue, datetime.now(UTC))),
        ("server", lambda: server_diagnosis.server(settings, os.environ)),
    ]
    worst = 0
    for about, check in checks:
        for finding in _looked(about, check):
            worst = max(worst, list(STYLES).index(finding.level))
            text = f"{finding.level:<4}  {finding.about}: {finding.what}" + (f"  {finding.remedy}" if finding.remedy else "")
            terminal.result(text, style=STYLES[finding.level] if finding.level != "ok" else "")
    if worst == 2:
        raise typer.Exit(1)


def _looked(about: str, check: Callable[[], Diagnoses]) -> Iterator[Diagnosis]:
    try:
        with terminal.quiet():
            found = list(check())
    except SmartflowError as error:
        found = [Diagnosis("fail", about, error.what + (f" ({error.where})" if error.where else ""), error.remedy)]
    except Exception as error:
        if terminal.is_verbose():
            raise
        found = [
            Diagnosis(
                "fail",
                about,
                f"this could not be looked at: {type(error).__name__}: {str(error).partition(chr(10))[0][:200]}",
                "-v says more.",
            )
        ]
    yield from found


def _versions() -> Diagnoses:
    dagster, duckdb, python = version("dagster"), version("duckdb"), ".".join(map(str, sys.version_info[:3]))
    if dagster.split(".")[:2] != ["1", "13"]:
        yield Diagnosis(
            "fail", "dagster", f"{dagster} is installed; partitioned checks are held to 1.13", "pip install 'dagster>=1.13,<1.14'"
        )
    else:
        yield Diagnosis("ok", "versions", f"smartflow {version('smartflow')}, dagster {dagster}, duckdb {duckdb}, Python {python}")
    if os.name != "posix":
        yield Diagnosis("fail", "system", "locks need Linux or macOS", "On Windows use WSL.")


def _folders(settings: "Settings") -> Diagnoses:
    found = []
    folders = (
        settings.data,
        settings.warehouse_file.parent,
        settings.models,
        settings.locks,
        settings.inbox,
        settings.outbox,
        settings.dagster_home,
    )
    for folder in folders:
        if not folder.exists():
            continue  # made when it is needed, below one that is checked
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            found.append(
                Diagnosis(
                    "fail",
                    "folder",
                    f"{folder} cannot be written: {error.strerror}",
                    f"Give this user the right to write it: sudo chown -R $USER {folder}",
                )
            )
    unreadable = [path for path in settings.sources.iterdir() if path.suffix in (".yaml", ".yml") and not os.access(path, os.R_OK)]
    found += [Diagnosis("fail", "folder", f"{path} cannot be read", "Give this user the right to read it.") for path in unreadable]
    return found or [Diagnosis("ok", "folders", f"{settings.data} can be written")]


def _disk(settings: "Settings") -> Diagnoses:
    for folder in dict.fromkeys((_existing(settings.warehouse_file.parent), _existing(settings.dagster_home))):
        kind = disk_type(folder, _mounts())
        if kind in NETWORK_DISKS:
            yield Diagnosis(
                "fail", "disk", f"{folder} is on a network disk ({kind}); locks do not hold there", "Move the home to a local disk."
            )
    usage = shutil.disk_usage(_existing(settings.warehouse_file.parent))
    needed = 2 * settings.warehouse_file.stat().st_size if settings.warehouse_file.exists() else 0
    free = f"{usage.free / 1024**3:,.1f} GiB of {usage.total / 1024**3:,.0f} GiB free"
    if usage.free < max(NO_SPACE, needed):
        yield Diagnosis(
            "fail",
            "disk",
            f"nearly full: {free}, a run needs {max(NO_SPACE, needed) / 1024**3:,.1f}",
            "Free some space; data/warehouse/models and data/dagster grow.",
        )
    elif usage.free < LITTLE_SPACE + needed:
        yield Diagnosis("warn", "disk", f"{free}", "Free some space soon.")
    else:
        yield Diagnosis("ok", "disk", free)


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _mounts() -> str:
    mounts = Path("/proc/mounts")
    return mounts.read_text() if mounts.exists() else ""


def disk_type(path: Path, mounts: str) -> str:
    """The type of the file system that holds `path`, by a table as in /proc/mounts; empty when it cannot be told.

    >>> disk_type(Path("/srv/data/x"), "/dev/sda1 / ext4 rw 0 0\\nserver:/data /srv/data nfs4 rw 0 0")
    'nfs4'
    """
    best = ("", "")
    for line in mounts.splitlines():
        _, point, kind, *_ = [*line.split(), "", "", ""]
        point = point.replace("\\040", " ")
        if (path == Path(point) or Path(point) in path.parents) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def _sources(catalogue: "Catalogue") -> Diagnoses:
    from smartflow_assets.adapters.secret_references import references

    if not catalogue.names:
        remedy = "Add a file such as data/sources/orders.yaml; docs/own-source.md shows how."
        yield Diagnosis("warn", "sources", "data/sources holds no source", remedy)
    for name, error in catalogue.broken.items():
        yield Diagnosis("fail", "source", f"{name}: {error.what}" + (f" ({error.where})" if error.where else ""), error.remedy)
    for name, source in catalogue.sources.items():
        named = dict.fromkeys(references(source.read.model_dump(mode="json")))
        if missing := [variable for variable in named if not os.environ.get(variable)]:
            yield Diagnosis("fail", "source", f"{name} lacks {', '.join(missing)}", "Set it in the environment where SmartFlow runs.")
    if catalogue.sources:
        yield Diagnosis("ok", "sources", f"{len(catalogue.sources)} can be used")


def _channels(catalogue: "Catalogue") -> Diagnoses:
    from smartflow_assets.config.catalogue import unknown_channels_of_home

    used = {channel for source in catalogue.sources.values() for channel in source.alert_policy.all_channels}
    used |= {*catalogue.alert_policy("*").all_channels}
    for error in unknown_channels_of_home(catalogue):
        yield Diagnosis("fail", "channel", f"{error.what} ({error.where})", error.remedy)
    silent = sorted(name for name, source in catalogue.sources.items() if not source.alert_policy.all_channels)
    if silent:
        yield Diagnosis(
            "warn", "alerts", f"{', '.join(silent)}: nobody is told of incidents", "Set alerts.to, there or in data/defaults.yaml."
        )
    for error in catalogue.channel_errors.values():
        yield Diagnosis("fail", "channel", f"{error.what}" + (f" ({error.where})" if error.where else ""), error.remedy)
    for name, channel in catalogue.channels.items():
        missing = channel.missing(os.environ)
        if missing:
            yield Diagnosis(
                "fail" if name in used else "warn",
                "channel",
                f"{name} lacks {', '.join(missing)}" + ("" if name in used else "; no source uses it"),
                "Set it in the environment where SmartFlow runs; messages wait and are then sent.",
            )
        else:
            yield Diagnosis("ok", "channel", f"{name} ({getattr(channel, 'type', '')}) has what it needs")


def _locks(settings: "Settings") -> Diagnoses:
    from smartflow_assets.adapters.warehouse.locks import AdvisoryLock

    paths = [settings.warehouse_file.with_name(f"{settings.warehouse_file.name}.lock")]
    paths += sorted(settings.locks.glob("*.lock")) if settings.locks.exists() else []
    held = [(path, holder) for path in paths if not path.name.startswith("run-") and (holder := AdvisoryLock(path).holder()) is not None]
    for path, holder in held:
        yield Diagnosis("ok", "lock", f"{path.stem} is held by {holder}", f"Wait for it to end; kill {holder.pid} ends it.")
    if not held:
        yield Diagnosis("ok", "locks", "nobody holds one")


def _runs(settings: "Settings") -> Diagnoses:
    if not settings.dagster_home.exists() and not os.environ.get("DAGSTER_HOME"):
        yield Diagnosis("ok", "runs", "none yet", "`smartflow run` makes the first.")
        return
    import dagster as dg

    from smartflow_assets.defs.dead_runs import fail_dead_runs
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.jobs import our_job
    from smartflow_assets.defs.run_closing import close_run
    from smartflow_assets.defs.settling_in import AS_LONG_AS_IT_TAKES, settle_in

    with open_instance(settings.dagster_home) as instance:
        settle_in(instance, settings, patience=AS_LONG_AS_IT_TAKES)
        dead = fail_dead_runs(instance, settings, datetime.now(UTC))
        for run_id in dead:
            close_run(instance, run_id, settings=settings)
            yield Diagnosis(
                "warn",
                "run",
                f"{run_id} was dead; it is marked as failed and its pool slots are free",
                "Its source goes on with its next run.",
            )
        finished = 0
        for pool in sorted(instance.event_log_storage.get_concurrency_keys()):
            for slot in instance.event_log_storage.get_concurrency_info(pool).claimed_slots:
                run = instance.get_run_by_id(slot.run_id)
                if run is None or (run.is_finished and our_job(run, instance, settings)):
                    instance.event_log_storage.free_concurrency_slots_for_run(slot.run_id)
                    finished += 1
        if finished:
            yield Diagnosis("warn", "pools", f"freed {terminal.count(finished, 'slot')} of runs that are over")
        live = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.QUEUED]))
        under_way = sum(our_job(run, instance, settings) is not None for run in live)
        yield Diagnosis("ok", "runs", f"{under_way} under way or queued" + ("" if dead else ", none dead"))


def _daemon(settings: "Settings", catalogue: "Catalogue") -> Diagnoses:
    from smartflow_assets.adapters.secret_references import references
    from smartflow_assets.commands.sql import ago
    from smartflow_assets.stages.heartbeat import last_beat, needs_a_look

    heartbeat, told = last_beat(settings), ""
    if needs_a_look(settings):
        from smartflow_assets.defs.ticking import ON_PURPOSE, look_for_daemon

        if told := look_for_daemon(settings, catalogue):
            remedy = f"Start it again: smartflow ui, or the service that runs it. {ON_PURPOSE.format(path=settings.heartbeat)}"
            yield Diagnosis("fail", "daemon", told, remedy)
    if heartbeat is None:
        yield Diagnosis("ok", "daemon", "no heartbeat: none runs here, or it was stopped on purpose")
    elif not told:
        off = ", and no schedule or sensor of ours is on" if heartbeat.is_dead else ""
        yield Diagnosis("ok", "daemon", f"the last tick was {ago(heartbeat.age)} ago{off}")
    missing = [name for name in references(catalogue.home.heartbeat_url or "") if not os.environ.get(name)]
    if missing:
        remedy = "Set it in the environment where the daemon runs; here it may be missing."
        yield Diagnosis("warn", "heartbeat_url", f"{', '.join(missing)} is not set", remedy)
    if catalogue.home.heartbeat_url and settings.failed_call.exists():
        file = settings.failed_call
        what, at = file.read_text().strip(), datetime.fromtimestamp(file.stat().st_mtime, UTC)
        yield Diagnosis(
            "fail", "heartbeat_url", f"the last call, of {at:%Y-%m-%d %H:%M} UTC, failed: {what}", "See to the address and the way to it."
        )


def _warehouse(settings: "Settings", warehouse: "Warehouse") -> Diagnoses:
    if not (settings.warehouse_file.exists() or settings.published_file.exists()):
        yield Diagnosis("ok", "warehouse", "none yet", "`smartflow run` makes it.")
        return
    warehouse.require_sound()
    rows = sum(warehouse.tables().values())
    size = settings.warehouse_file.stat().st_size / 1024**2
    yield Diagnosis("ok", "warehouse", f"{size:,.0f} MiB, {rows:,} rows, schema version {warehouse.schema_version}")


def _size(settings: "Settings", warehouse: "Warehouse") -> Diagnoses:
    if not settings.warehouse_file.exists():
        return
    use, points = warehouse.file_use(), int(warehouse.read("SELECT count(*) AS n FROM anomaly_scores")["n"].iloc[0])
    text = f"{use.used / MEBIBYTE:,.0f} MiB in use, {use.free / MEBIBYTE:,.0f} MiB in free blocks"
    per_million = use.used / points * 1e6 if points >= FEWEST_POINTS else 0.0
    text += f"; {per_million / MEBIBYTE:,.0f} MiB for a million points" if per_million else ""
    if use.is_worth_rewriting:
        yield Diagnosis("warn", "size", f"{text}: more than half of the file is free", "`smartflow prune` rewrites it.")
    elif per_million > LARGE_MILLION:
        remedy = "`smartflow prune --dry-run` says what is old; a shorter `retention: {raw: …}` keeps fewer rows."
        yield Diagnosis("warn", "size", f"{text}, which is much: most of it is rows as they were read", remedy)
    else:
        yield Diagnosis("ok", "size", text)


def _history(settings: "Settings") -> Diagnoses:
    if not settings.dagster_home.exists() and not os.environ.get("DAGSTER_HOME"):
        return
    from smartflow_assets.defs.instance import open_instance
    from smartflow_assets.defs.run_history import history_use

    with open_instance(settings.dagster_home) as instance:
        use = history_use(instance)
    text = f"{use.size / MEBIBYTE:,.0f} MiB in Dagster for {terminal.count(use.runs, 'run')} and {terminal.count(use.ticks, 'tick')}"
    if use.runs >= FEWEST_RUNS:
        text += f"; a run adds {use.of_runs / use.runs / 1024:,.0f} KiB"
    if use.ticks >= FEWEST_RUNS:
        text += f", 1,000 idle ticks {1000 * use.of_ticks / use.ticks / MEBIBYTE:,.1f} MiB"
    if use.size > LARGE_HISTORY:
        remedy = "`retention: {runs: 7 days}` in data/defaults.yaml keeps fewer runs; `smartflow prune` lets the others go now."
        yield Diagnosis("warn", "history", text, remedy)
    else:
        yield Diagnosis("ok", "history", text)


def _prunings(settings: "Settings", warehouse: "Warehouse") -> Diagnoses:
    from smartflow_assets.stages.maintenance.announcements import coming_prunings

    if not settings.warehouse_file.exists():
        return
    for coming in coming_prunings(warehouse):
        yield Diagnosis("warn", "pruning", str(coming), "`retention: {raw: 3 years}`, there or in data/defaults.yaml, keeps rows longer.")
    done = warehouse.read("SELECT max(happened_at) AS at FROM prunings WHERE state = 'done'")["at"].iloc[0]
    yield Diagnosis(
        "ok", "pruning", "none yet" if done is None or done != done else f"the last one that took rows was on {done:%Y-%m-%d %H:%M}"
    )


def _quarantine(settings: "Settings", warehouse: "Warehouse", catalogue: "Catalogue") -> Diagnoses:
    from smartflow_assets.stages.readability import held_counts, of_source, told_together

    if not settings.warehouse_file.exists():
        return
    counts = {name: count for name, count in held_counts(warehouse).items() if name in catalogue.names}
    for name, count in counts.items():
        found = of_source(warehouse, catalogue.sources[name]) if name in catalogue.sources else []
        what = f"{name} has {terminal.count(count, 'row')} in quarantine" + (f"; {told_together(found)}" if found else "")
        yield Diagnosis("warn", "quarantine", what, f"`smartflow quarantine {name}` lists them, and drops what nobody needs.")
    if not counts:
        yield Diagnosis("ok", "quarantine", "no row is held")


def _clock(settings: "Settings", warehouse: "Warehouse", catalogue: "Catalogue", now: datetime) -> Diagnoses:
    from smartflow_assets.stages.clock_check import rows_ahead, runs_ahead

    if not settings.warehouse_file.exists():
        return
    runs, rows = runs_ahead(warehouse, now), rows_ahead(warehouse, catalogue.sources.values(), now)
    for name, found, remedy in (
        ("run", runs, "They count for no schedule. If it is now that the clock is wrong, set it."),
        ("row", rows, "They are judged when their time comes. See to the clock of the feed, and to read.time.timezone."),
    ):
        for ahead in found:
            newest = f"{ahead.newest_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            what = f"{ahead.source} has {terminal.count(ahead.count, name)} newer than the clock of this machine, up to {newest}"
            yield Diagnosis("warn", "clock", what, remedy)
    if not runs and not rows:
        yield Diagnosis("ok", "clock", f"{now:%Y-%m-%d %H:%M} UTC, and no run or row is newer")


def _last_runs(settings: "Settings", warehouse: "Warehouse", catalogue: "Catalogue") -> Diagnoses:
    if not settings.warehouse_file.exists():
        return
    rows = warehouse.read(
        "SELECT source, status, coalesce(error, 'no reason is known') AS error, coalesce(ended_at, started_at) AS at FROM run_log "
        "WHERE job = 'monitor_source' QUALIFY row_number() OVER (PARTITION BY source ORDER BY started_at DESC) = 1 ORDER BY source"
    )
    rows = rows[rows["source"].isin(catalogue.names)]
    words = {"failed": "failed", "killed": "was killed", "canceled": "was ended by somebody"}
    wrong = rows[rows["status"].isin(words)]
    for row in wrong.to_dict("records"):
        level = "warn" if row["status"] == "canceled" else "fail"
        why = "" if row["status"] == "canceled" else f": {shortened(' '.join(row['error'].split()))}"
        what = f"{row['source']}: its last run, of {row['at'].astimezone(UTC):%Y-%m-%d %H:%M} UTC, {words[row['status']]}{why}"
        yield Diagnosis(level, "last run", what, f"Mend what it names; smartflow run {row['source']}")
    if wrong.empty:
        yield Diagnosis("ok", "last runs", f"the last run of {terminal.count(len(rows), 'source')} succeeded" if len(rows) else "none yet")


def shortened(text: str, most: int = 200) -> str:
    """The text, cut where it is longer than a line should be.

    >>> shortened("a long story", 6)
    'a long…'
    """
    return text if len(text) <= most else f"{text[:most]}…"


def _remedies(settings: "Settings", warehouse: "Warehouse", catalogue: "Catalogue", now: datetime) -> Diagnoses:
    from smartflow_assets.core.remediation.matter import OWN
    from smartflow_assets.stages.scheduling.interventions import interventions

    if not settings.warehouse_file.exists():
        return
    failed = warehouse.read(
        "SELECT source, title FROM incidents WHERE starts_with(cause, ?) AND state <> 'resolved' ORDER BY source, opened_at", [OWN]
    )
    failed = failed[failed["source"].isin(catalogue.names)]
    for row in failed.to_dict("records"):
        remedy = f"It is not tried again by itself: smartflow remediate {row['source']} ACTION does it by hand, once that is mended."
        yield Diagnosis("fail", "remedy", f"{row['source']}: {row['title']}", remedy)
    paused = {name: until for name, until in interventions(warehouse, now).paused.items() if name in catalogue.names}
    for name, until in sorted(paused.items()):
        held = f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until somebody undoes it"
        yield Diagnosis("warn", "paused", f"{name} is not run by its schedule {held}", f"smartflow remediate {name} --undo pause")
    if failed.empty and not paused:
        yield Diagnosis("ok", "remedies", "none failed, no source is paused")


def _incidents(settings: "Settings", warehouse: "Warehouse") -> Diagnoses:
    from smartflow_assets.core.incidents.event_log import row_dicts

    if not settings.warehouse_file.exists():
        return
    count = int(warehouse.read("SELECT count(*) AS n FROM marts.open_incidents")["n"].iloc[0])
    snoozed = row_dicts(warehouse.read("SELECT * FROM incidents WHERE snoozed_until IS NOT NULL ORDER BY snoozed_until"))
    held = [f"{row['source']} {row['series'] or row['cause']} snoozed until {row['snoozed_until']:%Y-%m-%d %H:%M} UTC" for row in snoozed]
    told = f"{terminal.count(count, 'incident')} open" if count else "none is open"
    yield Diagnosis("ok", "incidents", "; ".join([told, *held]))


def _published(settings: "Settings", warehouse: "Warehouse", now: datetime) -> Diagnoses:
    from smartflow_assets.commands.sql import ago

    info = warehouse.snapshot_info()
    if info is None:
        level = "warn" if settings.warehouse_file.exists() else "ok"
        yield Diagnosis(level, "published copy", "none yet", "`smartflow run` makes it.")
    elif now - info.published_at > OLD_COPY:
        yield Diagnosis(
            "warn",
            "published copy",
            f"{ago(now - info.published_at)} old",
            "Nothing has run since: open `smartflow ui` or call `smartflow run`.",
        )
    else:
        yield Diagnosis("ok", "published copy", f"{ago(now - info.published_at)} old")


def _messages(settings: "Settings", warehouse: "Warehouse", catalogue: "Catalogue", now: datetime) -> Diagnoses:
    from smartflow_assets.core.incidents.event_log import row_dicts
    from smartflow_assets.stages.alerting import undelivered_messages, waiting_messages

    if not settings.published_file.exists():
        return
    rows, waits = undelivered_messages(warehouse), waiting_messages(warehouse, catalogue, now)
    for channel, each in waits.items():
        yield Diagnosis("ok", "messages", f"to {channel}, {', '.join(map(str, each))}")
        is_planned = (rows["channel"] == channel) & (rows["standing"] == "planned")
        rows.loc[is_planned, "n"] -= sum(wait.count for wait in each)
    made_up_for = rows["standing"] == "made up for"
    rows = rows[(rows["n"] > 0) & ~(made_up_for & (rows["newest_at"] < now - OLD_NEWS))]
    for row in row_dicts(rows):
        yield _undelivered(row)
    if rows.empty and not waits:
        yield Diagnosis("ok", "messages", "none failed, none waits")


def _undelivered(row: Mapping[Any, Any]) -> Diagnosis:
    """Messages of one channel that have not been sent, and what becomes of them."""
    from smartflow_assets.adapters.send_ledger import NOT_TRIED

    why = f": {row['error']}" if isinstance(row["error"], str) and row["error"] else ""
    told, channel = f"{row['n']} to {row['channel']}", row["channel"]
    last = f"{row['newest_at']:%Y-%m-%d %H:%M} UTC"
    if row["standing"] == "given up":
        remedy = (
            f"They are not sent again; `smartflow incidents` lists what they were about. Once the channel is mended, `smartflow channels "
            f"test {channel}`, or the next message that it takes, ends this."
        )
        return Diagnosis("fail", "messages", f"{told} given up, the last at {last}{why}", remedy)
    if row["standing"] == "made up for":
        return Diagnosis("ok", "messages", f"{told} given up, the last at {last}; the channel has worked since")
    if row["standing"] == "failed":
        when = f"from {row['due_at']:%Y-%m-%d %H:%M} UTC on"
        remedy = f"They are tried again by `smartflow run` or `smartflow ui`, the first {when}."
        return Diagnosis("fail", "messages", f"{told} {'wait' if str(row['error']).startswith(NOT_TRIED) else 'failed'}{why}", remedy)
    words = {"claimed": "were begun and not ended", "planned": "wait to be sent"}
    remedy = "They are sent by the next `smartflow run` or by `smartflow ui`; those whose incident has one that failed, after that one."
    return Diagnosis("warn", "messages", f"{told} {words[row['standing']]}{why}", remedy)


COMMANDS = (("doctor", doctor, EXAMPLES),)
