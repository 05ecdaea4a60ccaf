"""Alerting: anomalies to incidents, incidents to messages, messages to channels.

Events, incidents and planned messages are one commit, so that a killed run has either told nobody or will. Delivering is a
step of its own: whatever stays undelivered is due again at the next run, at the outbox sensor, or when the run is closed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import pandas as pd

from smartflow_assets.adapters import outbox, send_ledger
from smartflow_assets.adapters.message_stories import of_incidents, sent_messages
from smartflow_assets.adapters.outbox import Drained
from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import MarkProcessed
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents import freshness, recovery, run_failures
from smartflow_assets.core.incidents.alert_planning import Advance, untold
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.bundling import Wait
from smartflow_assets.core.incidents.event_log import DELIVERY, FRESHNESS, OF_PROFILE, OF_SERIES, READABILITY, row_dicts
from smartflow_assets.core.incidents.holds import Telling
from smartflow_assets.core.incidents.lifecycle import Silence, advance, scope
from smartflow_assets.core.incidents.run_failures import Failure
from smartflow_assets.core.incidents.series_track import cause_of
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.series.series_id import metric_and_dimensions, series_id
from smartflow_assets.stages import profile, readability, withheld_removals
from smartflow_assets.stages.arrivals import SourceArrivals, arrivals_of
from smartflow_assets.stages.clock_turns import turned
from smartflow_assets.stages.configuration_log import note_configuration
from smartflow_assets.stages.contracts import blocking_news
from smartflow_assets.stages.detection import judged_rows
from smartflow_assets.stages.feedback_effects import expectations_of
from smartflow_assets.stages.incident_writes import committed, writes_of
from smartflow_assets.stages.message_background import MessageBackground
from smartflow_assets.stages.metric_groups import metric_groups
from smartflow_assets.stages.preparation import bucket_plan
from smartflow_assets.stages.run import SourceRun
from smartflow_assets.stages.source_groups import group_sources, over_sources
from smartflow_assets.stages.windows import batches, leave_pending, pending_windows, table_rows

__all__ = [
    "Drained",
    "Failure",
    "Moved",
    "alert_sends",
    "bands_of",
    "blocked_times",
    "close_incidents_of",
    "committed",
    "drain_outbox",
    "end_lost_deliveries",
    "incidents",
    "profiled_series",
    "record_failures",
    "sent_messages",
    "silences_since",
    "undelivered_messages",
    "waiting_messages",
    "writes_of",
]


MOST_LATE_BUCKETS = 12
"""So long after a level began its incident may have opened, or a day."""


@dataclass(frozen=True)
class Moved:
    """What `incidents` did; `rows` are the touched incidents, newest first, `silent_for` how long the source has brought no rows, if that
    is an incident. What people are told of by another incident is counted with that one, what is expected not at all."""

    rows: pd.DataFrame
    opened: int
    resolved: int
    still_open: int
    planned: int
    skipped: int
    summary: str
    table_rows: int
    silent_for: timedelta | None


def incidents(run: SourceRun) -> Moved:
    """Bring the incidents of the source up to its anomalies and plan what people must be told."""
    run.report("incidents")
    with run.warehouse.reading():
        arrived = arrivals_of(run, bucket_plan(run)) if run.source.is_bucket_given else None
        steps = [] if arrived is None else _watch_arrivals(run, arrived)
        unreadable = readability.watch(run.warehouse, run.source, now=run.now, run_id=run.run_id)
        steps += committed(run.warehouse, run.run_id, unreadable)
        steps += _watch_removals(run)
        steps += _watch_blocked_loads(run)
        pending, accepted = pending_windows(run, "incidents", ["anomalies"]), _accepted(run)
    if accepted:
        steps += _end(run, accepted)
    if pending:
        newest, quiet_before = _newest_scored(run), _rebuilt_until(run)
        end = max(pending[-1][1], newest) if not pd.isna(newest) else pending[-1][1]
        for (window,), rest in batches(run, [(pending[0][0], end)]):  # without holes: an incident may span them
            steps.append(_advance(run, *window, quiet_before, arrived.delay if arrived else timedelta(0)))
            seen = MarkProcessed("incidents", run.name, *window)
            run.warehouse.commit(run.run_id, [*writes_of(steps[-1]), seen, *leave_pending(run, "incidents", rest)])
    with run.warehouse.reading():
        if retired := _retired(run):
            steps += _end(run, retired)
        by_clock = turned(run.warehouse, run.name, run.source.alert_policy, run.source.calendar.timezone, now=run.now, run_id=run.run_id)
        steps += committed(run.warehouse, run.run_id, by_clock)
        note_configuration(run)
        return _moved(run, steps)


def _accepted(run: SourceRun) -> dict[str, str]:
    """The open incidents that a person has ended by accepting a new level (`smartflow models train --since`) of their metrics since they
    last opened, with the reason. What began well after that level is another matter."""
    levels = run.warehouse.read(
        "SELECT series, baseline_from, min(changed_at) AS accepted_at, arg_min(changed_by, changed_at) AS by_whom FROM trained_models "
        "WHERE source = ? AND status = 'current' AND baseline_from IS NOT NULL GROUP BY ALL ORDER BY accepted_at",
        [run.name],
    )
    if levels.empty:
        return {}
    opened = _open_incidents(run)
    labels = {series_id(metric): group.label for group in metric_groups(run) for metric in group.metrics}
    found = dict[str, str]()
    for level in row_dicts(levels):
        reason = recovery.accepted(level["baseline_from"], level["by_whom"], run.source.calendar.timezone)
        of_metrics = opened["series"].map(lambda series: labels.get(metric_and_dimensions(series)[0])) == level["series"]
        is_of_it = opened["began_at"] <= level["baseline_from"] + max(MOST_LATE_BUCKETS * run.source.time_bucket.every, timedelta(days=1))
        found |= dict.fromkeys(opened.loc[of_metrics & is_of_it & (opened["opened_at"] <= level["accepted_at"]), "incident_id"], reason)
    return found


def _retired(run: SourceRun) -> dict[str, str]:
    """The open incidents of series that are over while others of their metric go on, with the reason."""
    opened = _open_incidents(run)
    if opened.empty:
        return {}
    newest = run.warehouse.read(
        "SELECT series, max(observed_at) AS at, max(max(observed_at)) OVER (PARTITION BY metric) AS metric_at FROM clean_series "
        "WHERE source = $1 GROUP BY series, metric UNION ALL "
        "SELECT series, max(observed_at), (SELECT max(observed_at) FROM profile_series WHERE source = $1 AND metric = 'row_count') - $2 "
        "FROM profile_series WHERE source = $1 AND list_contains($3, series) GROUP BY series",
        [run.name, profile.GONE_AFTER, opened.loc[opened["cause"].isin(OF_PROFILE), "series"].tolist()],
    )
    is_over = opened["series"].isin(newest.loc[newest["at"] < newest["metric_at"], "series"])
    return dict.fromkeys(opened.loc[is_over, "incident_id"], recovery.RETIRED)


def _open_incidents(run: SourceRun) -> pd.DataFrame:
    """incident_id, series, cause, began_at and opened_at (by the clock, last) of what series have open that have not recovered."""
    return run.warehouse.read(
        "SELECT incident_id, incident.series, incident.cause, incident.opened_at AS began_at, max(event.happened_at) AS opened_at "
        "FROM incidents AS incident JOIN incident_events AS event USING (incident_id) "
        f"WHERE incident.source = ? AND incident.cause IN {OF_SERIES} AND {GOING_ON} "
        "AND incident.recovered_at IS NULL AND event.event IN ('opened', 'reopened') GROUP BY ALL",
        [run.name],
    )


def _newest_scored(run: SourceRun) -> pd.Timestamp:
    """The newest bucket that was scored; NaT when none was."""
    return run.warehouse.read("SELECT max(observed_at) AS at FROM anomaly_scores WHERE source = ?", [run.name])["at"].iloc[0]


def _end(run: SourceRun, ended: Mapping[str, str]) -> list[Advance]:
    """End these incidents whatever their values say."""
    newest = _newest_scored(run)
    if pd.isna(newest):
        return []
    end = newest.to_pydatetime() + run.source.time_bucket.every
    step = _advance(run, end, end, None, timedelta(0), ended)
    run.warehouse.commit(run.run_id, writes_of(step))
    return [step]


def _watch_arrivals(run: SourceRun, arrived: SourceArrivals) -> list[Advance]:
    """Open, escalate or end the incident of a source without rows, before what its silence set off is looked at."""
    if run.until is not None or arrived.newest_at is None:
        return []
    history = run.warehouse.read("SELECT * FROM incident_events WHERE source = ? AND cause = ?", [run.name, FRESHNESS])
    if len(history) and run.now < history["happened_at"].max():  # a replay of the past says nothing of a silence of today
        return []
    silent_since = run.warehouse.read(
        f"SELECT max(opened_at) AS at FROM incidents WHERE source = ? AND cause = ? AND {GOING_ON}", [run.name, FRESHNESS]
    )["at"].iloc[0]
    step = freshness.watch(
        history,
        newest_at=arrived.newest_at.to_pydatetime(),
        came_again_at=None if pd.isna(silent_since) else arrived.first_after(silent_since),
        severity=arrived.severity,
        distance=arrived.known.distance,
        sends=of_incidents(run.warehouse, "alert_sends", history["incident_id"].unique()),
        source=run.name,
        policy=run.source.alert_policy,
        timezone=run.source.calendar.timezone,
        now=run.now,
        run_id=run.run_id,
    )
    return committed(run.warehouse, run.run_id, step)


def _watch_removals(run: SourceRun) -> list[Advance]:
    """Open or end the incident of a removal that waits for somebody to accept it."""
    failures, ended, because = withheld_removals.news_of(run)
    if not failures and not ended:
        return []
    policy = run.source.alert_policy
    step = record_failures(run.warehouse, run.name, failures, ended, policy=policy, now=run.now, run_id=run.run_id, because=because)
    return committed(run.warehouse, run.run_id, step)


def _watch_blocked_loads(run: SourceRun) -> list[Advance]:
    """Open or end the incidents of loads that the contract blocks, one for each."""
    failures, ended, because = blocking_news(run)
    if not failures and not ended:
        return []
    step = record_failures(
        run.warehouse, run.name, failures, ended, policy=run.source.alert_policy, now=run.now, run_id=run.run_id, because=because
    )
    return committed(run.warehouse, run.run_id, step)


def silences_since(run: SourceRun, since: datetime) -> list[Silence]:
    """When the whole source was silent, from the last bucket that had rows on."""
    found = run.warehouse.read(
        "SELECT incident_id, opened_at, CASE WHEN resolved_by IS NULL THEN resolved_at ELSE recovered_at END AS over_at FROM incidents "
        "WHERE source = ? AND cause = ? AND (over_at IS NULL OR over_at > ?)",
        [run.name, FRESHNESS, since],
    )
    step = run.source.time_bucket.every
    return [Silence(str(row["incident_id"]), row["opened_at"] - step, row["over_at"]) for row in row_dicts(found)]


def blocked_times(run: SourceRun) -> list[Silence]:
    """The times of the loads that are or were blocked, of which people are told already."""
    step = run.source.profile_bucket
    found = run.warehouse.read(
        """
        SELECT incident_id, min(first_at) AS since, max(last_at) AS until FROM blocked_loads JOIN incidents
        ON incidents.source = blocked_loads.source AND cause = 'load:' || load_id
        WHERE blocked_loads.source = ? AND first_at IS NOT NULL GROUP BY incident_id
        """,
        [run.name],
    )
    return [Silence(str(row["incident_id"]), row["since"] - step, row["until"] + step, is_of_profile=True) for row in row_dicts(found)]


def _advance(
    run: SourceRun,
    since: datetime,
    until: datetime,
    quiet_before: datetime | None,
    delay: timedelta,
    ended: Mapping[str, str] = MappingProxyType({}),
) -> Advance:
    """What becomes of the incidents by the anomalies of [since, until); later ones are looked at as far as they may belong to
    the same incidents."""
    policy, horizon = run.source.alert_policy, until + run.source.alerts.longest_patience
    with run.warehouse.reading():
        standing = run.warehouse.read(
            f"SELECT * FROM incidents WHERE source = ? AND cause IN {OF_SERIES} AND opened_at < ?", [run.name, horizon]
        )
        needed = scope(standing, since, policy)
        anomalies = run.warehouse.read(
            "SELECT * FROM anomalies WHERE source = ? AND ended_at > ? AND started_at < ?", [run.name, needed.anomalies_since, horizon]
        )
        concerned = sorted({*anomalies["series"], *standing.loc[standing["incident_id"].isin(needed.incident_ids), "series"]})
        events = of_incidents(run.warehouse, "incident_events", needed.incident_ids)
        rows = judged_rows(run, needed.rows_since, horizon, of_series=concerned)
        sends = of_incidents(run.warehouse, "alert_sends", needed.incident_ids)
        silences = [*silences_since(run, needed.rows_since), *blocked_times(run)]
        bands = bands_of(run, needed.usual_until, horizon, concerned)
        recently, expectations = _told_lately(run), expectations_of(run)
        across = over_sources(run.warehouse, needed.incident_ids) if standing["group_id"].notna().any() else {}
    return advance(
        events,
        anomalies,
        rows,
        sends=sends,
        source=run.name,
        since=since,
        step=run.source.time_bucket.every,
        policy=policy,
        now=run.now,
        run_id=run.run_id,
        units=run.source.units,
        timezone=run.source.calendar.timezone,
        quiet_before=quiet_before,
        delay=delay,
        silences=silences,
        bands=bands,
        past=standing[standing["series"].isin(concerned)],
        ended=ended,
        steps=dict.fromkeys(profiled_series(standing, anomalies), run.source.profile_bucket),
        recently=recently,
        across=across,
        expectations=expectations,
    )


def _told_lately(run: SourceRun) -> list[Telling]:
    """Beginnings that people were told of no longer ago than `suppress_for`, of a series by itself or with others."""
    quiet = run.source.alerts.suppress_for
    if quiet is None:
        return []
    told = run.warehouse.read(
        """
        WITH own AS (
            SELECT source, series, cause, severity, unnest([incident_id, group_id]) AS incident_id FROM incidents WHERE source = ?)
        SELECT own.source, series, cause, channel, happened_at AS at, severity FROM alert_sends AS send JOIN own USING (incident_id)
        WHERE event = 'opened' AND status IN ('sent', 'claimed') AND happened_at > ?
        """,
        [run.name, run.now - quiet],
    )
    return [Telling(**row) for row in row_dicts(told)]


def profiled_series(incidents: pd.DataFrame, anomalies: pd.DataFrame) -> set[str]:
    """The series of the profile among them."""
    own = incidents.loc[incidents["cause"].isin(OF_PROFILE), "series"]
    return {*own, *(str(row["series"]) for row in row_dicts(anomalies) if cause_of(row) in OF_PROFILE)}


def bands_of(run: SourceRun, since: datetime, until: datetime, series: Sequence[str]) -> pd.DataFrame:
    """The bands of these series, as `recovery.Calm` takes them; by the warehouse, since a month of buckets of seconds does not fit into
    memory."""
    step = run.source.time_bucket.every
    seconds = recovery.BAND_WIDTH.total_seconds()
    at = "observed_at" if step >= recovery.BAND_WIDTH else f"to_timestamp(floor(epoch(observed_at) / {seconds}) * {seconds})"
    return run.warehouse.read(
        f"""
        SELECT series, {at} AS band_at, min(lower) AS lower, max(upper) AS upper, avg(expected) AS expected FROM anomaly_scores
        WHERE source = ? AND observed_at >= ? AND observed_at < ? AND list_contains(?, series) AND NOT coalesce(is_anomaly, false)
        AND isfinite(lower) AND isfinite(upper) GROUP BY ALL ORDER BY ALL
        """,
        [run.name, since - recovery.lookback(step), until, list(series)],
    )


def _moved(run: SourceRun, steps: Sequence[Advance]) -> Moved:
    still_open = run.warehouse.read("SELECT count(*) AS n FROM marts.open_incidents WHERE source = ?", [run.name])["n"].iloc[0]
    silences = [silence for silence in silences_since(run, run.now) if silence.until is None]
    silent_for = run.now - silences[0].since if silences else None
    if not steps:
        return Moved(pd.DataFrame(), 0, 0, int(still_open), 0, 0, "", table_rows(run, "incidents"), silent_for)
    rows = pd.concat([step.incidents for step in steps]).drop_duplicates("incident_id", keep="last")
    rows = rows[rows["group_id"].isna() & rows["suppressed_by"].isna()]
    kinds = pd.concat([step.events.loc[step.events["incident_id"].isin(rows["incident_id"]), "event"] for step in steps])
    sends = pd.concat([step.sends for step in steps])
    if summary := untold(sends):
        run.warn(summary)
    return Moved(
        rows=rows.sort_values("opened_at", ascending=False),
        opened=int(kinds.isin(["opened", "reopened"]).sum()),
        resolved=int((kinds == "resolved").sum()),
        still_open=int(still_open),
        planned=int((sends["status"] == "planned").sum()),
        skipped=int((sends["status"] == "skipped").sum()),
        summary=summary,
        table_rows=table_rows(run, "incidents"),
        silent_for=silent_for,
    )


def _rebuilt_until(run: SourceRun) -> datetime | None:
    """Up to where the source had been scored when its series were last rebuilt from raw records: people have been told of all
    that lies before, under the configuration of then."""
    row = run.warehouse.read(
        """
        SELECT max(to_at) AS told_until FROM writes
        WHERE source = ? AND table_name = 'anomaly_scores' AND operation = 'replace' AND written_at < (
            SELECT max(written_at) FROM writes WHERE source = ? AND table_name = 'clean_series' AND operation = 'delete')
        """,
        [run.name, run.name],
    )["told_until"].iloc[0]
    return None if pd.isna(row) else row.to_pydatetime()


def alert_sends(run: SourceRun, *, environment: Mapping[str, str]) -> Drained:
    """Deliver what is due of this source, and of the groups over several. A run of several sources does so when all are through."""
    run.report("alert_sends")
    if not run.is_sending:
        return Drained()
    group_sources(run.warehouse, run.catalogue, now=run.now, run_id=run.run_id, holding={run.name})
    return drain_outbox(
        run.warehouse,
        run.catalogue,
        run.settings,
        now=run.now,
        run_id=run.run_id,
        environment=environment,
        sources=(run.name, OF_NO_SOURCE),
    )


def drain_outbox(
    warehouse: Warehouse,
    catalogue: Catalogue,
    settings: Settings,
    *,
    now: datetime,
    run_id: str,
    environment: Mapping[str, str],
    sources: Collection[str] | None = None,
    leaving: Collection[str] = (),
) -> Drained:
    """Deliver what is due, of some sources or of all, but for what the runs `leaving` have planned; what was given up on one channel is an
    incident that the others tell of."""

    background = MessageBackground(warehouse, catalogue, environment)

    def drain() -> Drained:
        return outbox.drain(
            warehouse,
            catalogue.channels,
            now=now,
            run_id=run_id,
            sources=sources,
            leaving=leaving,
            environment=environment,
            outbox_folder=settings.outbox,
            background=background,
        )

    drained = latest = drain()
    while latest.dead_letters or latest.reached:
        if not _record_deliveries(warehouse, catalogue, latest, now=now, run_id=run_id):
            break
        latest = drain()
        drained += latest
    return drained


def end_lost_deliveries(warehouse: Warehouse, catalogue: Catalogue, channel: str, *, now: datetime, run_id: str, because: str) -> bool:
    """A channel works, by something else than a message of the outbox: the incidents of those that it lost are over.
    -> whether there were any."""
    if warehouse.read(f"SELECT 1 FROM incidents WHERE cause = ? AND {GOING_ON}", [f"{DELIVERY}:{channel}"]).empty:
        return False
    _record_deliveries(warehouse, catalogue, Drained(reached=frozenset({channel})), now=now, run_id=run_id, because=because)
    return True


def _record_deliveries(
    warehouse: Warehouse, catalogue: Catalogue, drained: Drained, *, now: datetime, run_id: str, because: str = ""
) -> bool:
    """Open an incident for each source and channel that lost a message, and end those whose channel takes messages again;
    whether there is anything new to tell."""
    failures = {
        (letter.source, letter.channel): Failure(
            f"{DELIVERY}:{letter.channel}",
            letter.error,
            next_step=f"Mend the channel. This ends with the next message it takes, or a test: smartflow channels test {letter.channel}",
        )
        for letter in drained.dead_letters
    }
    standing = warehouse.read(f"SELECT source, cause FROM incidents WHERE starts_with(cause, ?) AND {GOING_ON}", [f"{DELIVERY}:"])
    reached = {(str(row["source"]), str(row["cause"]).partition(":")[2]) for _, row in standing.iterrows()}
    is_new = False
    for source, channel in sorted({*failures, *((source, channel) for source, channel in reached if channel in drained.reached)}):
        failure = failures.get((source, channel))
        policy = catalogue.alert_policy(source)
        policy = policy.without(channel)
        step = record_failures(
            warehouse,
            source,
            [failure] if failure else [],
            frozenset() if failure else frozenset({f"{DELIVERY}:{channel}"}),
            policy=policy,
            now=now,
            run_id=f"{run_id} {now.isoformat()}",  # a sensor is no run: it may speak of one cause again
            because=because,
        )
        is_new |= any(not each.sends.empty for each in committed(warehouse, run_id, step))
    return is_new


def record_failures(
    warehouse: Warehouse,
    source: str,
    failures: Sequence[Failure],
    succeeded: frozenset[str],
    *,
    policy: AlertPolicy,
    now: datetime,
    run_id: str,
    because: str = "",
) -> Advance:
    """What a finished run says of the machinery: failures open incidents or go on, what succeeded again recovers, `because` says why."""
    history = warehouse.read(
        f"SELECT * FROM incident_events WHERE source = ? AND cause NOT IN {(*OF_SERIES, FRESHNESS, READABILITY)}", [source]
    )
    sends = of_incidents(warehouse, "alert_sends", history["incident_id"].unique())
    return run_failures.record_run(
        history, failures, succeeded, sends=sends, source=source, policy=policy, now=now, run_id=run_id, because=because
    )


def close_incidents_of(warehouse: Warehouse, source: str, *, now: datetime, reason: str, policy: AlertPolicy) -> None:
    """Resolve every incident of a source that is not over."""
    history = warehouse.read(
        "SELECT event.* FROM incident_events AS event JOIN incidents AS incident ON incident.incident_id = event.incident_id "
        f"WHERE event.source = ? AND {GOING_ON}",
        [source],
    )
    if history.empty:
        return
    sends = of_incidents(warehouse, "alert_sends", history["incident_id"].unique())
    step = run_failures.close(history, reason=reason, sends=sends, policy=policy, now=now, run_id="catalogue")
    warehouse.commit("catalogue", writes_of(step))


def waiting_messages(warehouse: Warehouse, catalogue: Catalogue, now: datetime) -> dict[str, tuple[Wait, ...]]:
    """How many messages wait for the digest or the limit of a channel, by channel, by the published copy."""
    return send_ledger.waits_by_channel(warehouse, catalogue.channels, now)


UNDELIVERED = f"""
WITH works AS (
    SELECT channel, max(taken_at) AS worked_at FROM (
        SELECT channel, happened_at AS taken_at FROM marts.alert_log WHERE status = 'sent' UNION ALL
        SELECT substr(cause, {len(DELIVERY) + 2}), resolved_at FROM incidents WHERE starts_with(cause, '{DELIVERY}:') AND state = 'resolved'
    ) GROUP BY channel
)
SELECT channel, CASE WHEN status <> 'failed' OR due_at IS NOT NULL THEN status
                     WHEN worked_at > happened_at THEN 'made up for' ELSE 'given up' END AS standing,
       count(*) AS n, arg_max(error, happened_at) AS error, max(happened_at) AS newest_at, min(due_at) AS due_at
FROM marts.alert_log LEFT JOIN works USING (channel)
WHERE is_newest AND status IN ('failed', 'claimed', 'planned') GROUP BY channel, standing ORDER BY channel, standing
"""
"""What `undelivered_messages` answers."""


def undelivered_messages(warehouse: Warehouse) -> pd.DataFrame:
    """channel, standing, n, the newest error, newest_at (of the last attempt) and due_at of what has not been sent, by the published copy.

    `standing`: planned, claimed, failed (it is tried again), given up, or made up for: given up, and the channel has worked since.
    """
    return warehouse.published_read(UNDELIVERED)
