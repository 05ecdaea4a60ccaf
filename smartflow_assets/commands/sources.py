"""`smartflow sources` and `smartflow show`: what is watched, how it is doing, and what holds for one source."""

import io
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import home, terminal

if TYPE_CHECKING:
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.config.settings import Settings
    from smartflow_assets.config.source import Source

SOURCES_EXAMPLES = """
smartflow sources
"""
SHOW_EXAMPLES = """
smartflow show web_traffic
smartflow show web_traffic --resolved
"""
HELD_BEFORE = "SELECT source, count(*) AS n FROM quarantined_records WHERE state = 'held' GROUP BY source"  # of an older copy
SILENT = "SELECT source FROM incidents WHERE cause = 'freshness' AND state <> 'resolved'"
_MOST_NOTES = 5
_STYLES = {
    "blocked": "bold red",
    "silent": "bold yellow",
    "broken": "bold red",
    "failed": "red",
    "killed": "red",
    "never run": "yellow",
    **terminal.SEVERITY_STYLES,
}


def sources() -> None:
    """List the sources: when they last ran, when they were looked at last, what is open, how many rows are held in quarantine. `silent` is
    one that brings no rows any more, `blocked` one of which a load breaks a critical part of its contract. A source in which the schedule
    finds nothing new is looked at and not run; one that a remedy has paused is not looked at (`smartflow remediate SOURCE --undo pause`).

    A source whose file is broken is listed as such; `smartflow validate` says why.
    """
    settings = home.open_home()
    from smartflow_assets.adapters.warehouse.blocked_loads import LOADS_NOW
    from smartflow_assets.adapters.warehouse.quarantine import HELD_COUNTS
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    if settings.warehouse_file.exists() and not settings.published_file.exists():
        terminal.note("there is no published copy, which is what this list reads; the next run makes it, also where nothing is new")
    health = {str(row["source"]): row for row in _published(settings, "SELECT * FROM marts.source_health", [])}
    rows, silent = [], {str(row["source"]) for row in _published(settings, SILENT, [])}
    blocked = {
        str(row["source"])
        for row in (_published(settings, f"SELECT source FROM ({LOADS_NOW}) WHERE state = 'blocked'", []) if _is_upgraded(settings) else [])
    }
    counts = _published(settings, HELD_COUNTS if _is_upgraded(settings) else HELD_BEFORE, [])
    held = {str(row["source"]): row["n"] for row in counts}
    for name in home.named([], catalogue):
        source, known = catalogue.sources.get(name), health.get(name, {})
        state = "broken" if source is None else known.get("last_run_status") or "never run"
        if state == "success":
            state = "blocked" if name in blocked else "silent" if name in silent else state
        state = "killed" if source is not None and _was_killed(settings, name) else state
        rows.append(
            [
                name,
                state,
                _time(known.get("last_run_at")),
                _time(known.get("last_looked_at")),
                _time(known.get("last_observed_at")),
                known.get("record_count"),
                known.get("anomaly_count"),
                known.get("open_incidents"),
                held.get(name, 0) if known else None,
                _schedule(source, known),
                source.description if source else "",
            ]
        )
    terminal.table(
        ["source", "last run", "at (UTC)", "looked at", "data up to", "buckets", "anomalies", "open", "held", "schedule", "description"],
        rows,
        right=["buckets", "anomalies", "open", "held"],
        styles=_STYLES,
    )
    for name in home.named([], catalogue):
        if count := health.get(name, {}).get("snoozed_incidents"):
            until = _time(health[name]["snoozed_until"])
            terminal.note(f"{name}: {terminal.count(int(count), 'incident')} snoozed until {until} UTC{' and later' if count > 1 else ''}")
    from smartflow_assets.stages.withheld_removals import LEFT_BEHIND

    for row in _published(settings, LEFT_BEHIND, []) if _is_upgraded(settings) else []:
        waits = "waits" if row["withheld"] == 1 else "wait"
        waiting = f"; {row['withheld']:,} {waits} for `smartflow run {row['source']} --accept-removals`" if row["withheld"] else ""
        left = "1 stored row is" if row["missing"] == 1 else f"{row['missing']:,} stored rows are"
        terminal.note(f"{row['source']}: {left} not in what was read last any more{waiting}")
    others = _published(settings, "SELECT title FROM marts.open_incidents WHERE source = '*'", [])
    for row in others[:_MOST_NOTES]:
        terminal.note(f"of no source: {row['title']}")
    if len(others) > _MOST_NOTES:
        terminal.note(f"of no source: {terminal.count(len(others) - _MOST_NOTES, 'more incident')}")
    for note in _columns_of_text(settings, catalogue):
        terminal.note(note)


def _was_killed(settings: "Settings", name: str) -> bool:
    """Whether the process of its last run is gone, also before anybody has closed that run."""
    from smartflow_assets.adapters.warehouse.locks import AdvisoryLock

    try:
        return AdvisoryLock(settings.source_lock(name)).abandoned_at() is not None
    except PermissionError:  # somebody else's home: what is published has to do
        return False


def _schedule(source: "Source | None", known: dict[str, Any]) -> str:
    """When it is run by itself, or that it is not now."""
    if source is None or not known.get("is_paused"):
        return source.schedule if source else ""
    until = known.get("paused_until")
    return f"paused until {_time(until)}" if until is not None else "paused"


def _is_upgraded(settings: "Settings") -> bool:
    """Whether what is published has the tables of today."""
    from smartflow_assets.adapters.warehouse.tables import SCHEMA_VERSION

    info = _published(settings, "SELECT max(schema_version) AS version FROM snapshot_info", [])
    return bool(info) and info[0]["version"] >= SCHEMA_VERSION


def _columns_of_text(settings: "Settings", catalogue: "Catalogue") -> Iterator[str]:
    """Columns into which numbers came and that are text all the same, unless the source says what they are."""
    from smartflow_assets.adapters.warehouse.column_types import TEXT_COLUMNS, told

    for row in _published(settings, TEXT_COLUMNS, []):
        source = catalogue.sources.get(str(row["source"]))
        declared = {name.lower() for name, _ in source.wanted.declared} if source else set[str]()
        if source is not None and str(row["column"]).lower() not in declared:
            yield f"{row['source']}: {told(str(row['column']), str(row['since']))}"


def show(
    name: home.SourceName,
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the YAML with every key and the value that holds, and who judges each metric and why.")
    ] = False,
) -> None:
    """Show one source: its settings in short, its models, open incidents, newest anomalies and runs."""
    settings = home.open_home()
    from smartflow_assets.config.catalogue import Catalogue

    catalogue = Catalogue.load(settings)
    home.named([name], catalogue)
    source = catalogue.source(name)
    if resolved:
        terminal.result(_yaml(source.resolved()).rstrip())
        _choices(settings, source)
        return
    _settings(source)
    _state(settings, source)


def _settings(source: "Source") -> None:
    from smartflow_assets.core.temporal.notation import format_duration

    zone = source.read.time.reading(source.calendar.timezone).zone
    facts = {
        "source": f"{source.name}: {source.description}" if source.description else source.name,
        "owner": source.owner or "",
        "file": source.file,
        "reads": f"{source.read.type} {source.read.describe()}, time in {' and '.join(source.read.time.parts)}"
        + (f", {zone} where it names no zone" if zone != "UTC" else ""),
        "metrics": ", ".join(metric.name for metric in source.metrics) or "every numeric column",
        "dimensions": ", ".join(source.dimensions),
        "buckets": f"{format_duration(source.time_bucket.every)}" if source.is_bucket_given else "as the rows come",
        "detectors": source.detectors if isinstance(source.detectors, str) else ", ".join(detector.type for detector in source.detectors),
        "records": ""
        if source.records is None
        else f"each judged by {', '.join(source.records.columns) or 'every number and category'}; "
        f"{source.records.false_alerts} may be flagged wrongly",
        "rules": ", ".join(str(rule.name) for rule in source.all_rules),
        "schedule": source.schedule,
        "alerts": f"{', '.join(source.alerts.to) or 'nobody'}, from {source.alerts.min_severity} on",
    }
    width = max(map(len, facts))
    for label, text in facts.items():
        if text:
            terminal.result(f"{label:<{width}}  {text}")


def _choices(settings: "Settings", source: "Source") -> None:
    """What judges each metric and why, as comments of the YAML; metrics that are judged alike stand together."""
    from smartflow_assets.core.detection.settings_summary import explained
    from smartflow_assets.core.temporal.notation import format_duration

    step, alike = source.time_bucket.every, dict[str, list[str]]()
    known = _published(settings, "SELECT DISTINCT metric FROM clean_series WHERE source = ? ORDER BY metric", [source.name])
    for metric in [each.name for each in source.metrics] or [str(row["metric"]) for row in known] or ["every metric"]:
        alike.setdefault("\n".join(f"#   {line}" for line in explained(source.detection(metric), step)), []).append(metric)
    for lines, metrics in alike.items():
        terminal.result(f"# {', '.join(metrics)}, a row every {format_duration(step)}:\n{lines}")


def _state(settings: "Settings", source: "Source") -> None:
    """What the published copy knows, a table for each matter that has rows."""
    if settings.published_file.exists() and not _is_upgraded(settings):
        terminal.note("what is published is of before the upgrade; the next run publishes it anew")
        return
    asked = (
        (
            "models",
            "SELECT series, detector, trained_at, trained_to AS learnt_up_to, row_count AS rows, reason AS because "
            "FROM marts.model_history WHERE source = ? AND current_until IS NULL ORDER BY series LIMIT 20",
        ),
        (
            "open incidents",
            "SELECT opened_at, series, severity, state, title, nullif(member_count, 0) AS others FROM marts.open_incidents "
            "WHERE source = ?",
        ),
        (
            "snoozed incidents",
            "SELECT snoozed_until, opened_at, series, severity, title FROM incidents WHERE source = ? AND snoozed_until IS NOT NULL "
            "ORDER BY snoozed_until",
        ),
        (
            "open with them",
            "SELECT leader.title AS incident, member.series, member.severity, member.title FROM incidents AS member "
            "JOIN marts.open_incidents AS leader ON leader.incident_id = member.group_id WHERE leader.source = ? "
            "AND member.state <> 'resolved' "
            "ORDER BY leader.opened_at, list_position(['critical', 'warning', 'info'], member.severity), member.series LIMIT 20",
        ),
        (
            "newest anomalies",
            "SELECT started_at, series, severity, explanation FROM anomalies WHERE source = ? ORDER BY started_at DESC LIMIT 10",
        ),
        (
            "newest strange records",
            "SELECT observed_at, severity, explanation FROM record_anomalies WHERE source = ? ORDER BY observed_at DESC LIMIT 10",
        ),
        (
            "newest remedies",
            "SELECT remediation_id AS id, happened_at, action, status, message, reason FROM remediations WHERE source = ? "
            "ORDER BY happened_at DESC, id LIMIT 5",
        ),
        (
            "newest runs",
            "SELECT started_at, job, status, reason, rows_in, rows_scored, anomaly_count AS anomalies, error FROM run_log "
            "WHERE source = ? ORDER BY started_at DESC LIMIT 5",
        ),
        (
            "newest looks without a run",
            "SELECT looked_at, reason, decision_at AS run_at_the_latest, decision AS because FROM source_looks "
            "WHERE source = ? AND outcome = 'nothing_new' ORDER BY looked_at DESC LIMIT 3",
        ),
    )
    if waiting := _waiting(settings, source):
        terminal.result(f"\nwarming up: {waiting}")
    for title, statement in asked:
        rows = _published(settings, statement, [source.name])
        if rows:
            terminal.result(f"\n{title}", style="bold")
            numbers = [column for column in rows[0] if column in ("rows", "rows_in", "rows_scored", "anomalies")]
            terminal.table(list(rows[0]), ([_time(value) for value in row.values()] for row in rows), right=numbers, styles=_STYLES)


def _waiting(settings: "Settings", source: "Source") -> str:
    """Which series are not judged yet, and what they lack."""
    from smartflow_assets.stages.bucket_resolution import MADE_UNDER, stored_bucket
    from smartflow_assets.stages.warming import UNJUDGED, warming_up

    made_under = _published(settings, MADE_UNDER, [source.name])
    every = stored_bucket(str(made_under[0]["fingerprint"])) if made_under else None
    return "" if every is None else warming_up(source, every, _published(settings, UNJUDGED, [source.name, source.name]))


def _published(settings: "Settings", statement: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """Rows of the published copy, null as None; none when nothing is published yet."""
    if not settings.published_file.exists():
        return []
    import pandas as pd

    from smartflow_assets.adapters.warehouse.warehouse import Warehouse

    rows = Warehouse(settings.warehouse_file, settings.published_file).published_read(statement, parameters)
    return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in rows.to_dict("records")]


def _time(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _yaml(values: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml, text = YAML(), io.StringIO()
    yaml.width = 130
    yaml.dump(values, text)
    return text.getvalue()


COMMANDS = (("sources", sources, SOURCES_EXAMPLES), ("show", show, SHOW_EXAMPLES))
