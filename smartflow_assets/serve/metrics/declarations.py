"""Every metric that there is: its name, kind, unit, labels and meaning, declared once.

The exposition, the checks of what is read, and docs/metrics.md are made of these. Names follow Prometheus' conventions: base units, a
suffix for the unit, `_total` for counters. Only what this process counts itself is a counter. Whatever comes from a table is a gauge,
since a pruned table shrinks, and `rate()` would take that for a restart and count all that is left as new. Ages are told as the
moment itself (`…_timestamp_seconds`): `time() - x` is right at any time, an age in a file that nobody writes any more is not.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from smartflow_assets.core.severity import SEVERITIES

MOST_SOURCES = 200
"""How many sources have figures of their own: the first by name. What the others have is one more, `_other`."""
MOST_CHANNELS = 50
"""The same of channels."""
OTHER = "_other"
STREAMS = "/api/stream/"
"""Routes below it are open as long as a page is."""
RUN_STATUSES = ("success", "failed", "killed", "canceled")
SEND_STATUSES = ("sent", "failed", "skipped", "claimed", "planned")
WAITS = ("due", "retry", "held")

Folding = Callable[[Iterable[float]], float]
LABEL_VALUES: dict[str, str] = {
    "source": f"a source that has a file, by its name; `*` for incidents of no source; `{OTHER}` for all beyond the first {MOST_SOURCES}",
    "channel": f"a channel of data/channels.yaml; `{OTHER}` for all beyond the first {MOST_CHANNELS}",
    "severity": ", ".join(f"`{one}`" for one in SEVERITIES),
    "status": "said by each metric",
    "wait": "`due` (nothing holds it back), `retry` (it failed and is tried again later), `held` (for a digest or a limit)",
    "state": "`ok`, `broken` (its YAML cannot be used)",
    "file": "`live`, `published`",
    "version": "of SmartFlow",
    "prefix": "what its names in Dagster begin with",
    "route": "the template, such as `/api/data/{source}`, never what was asked; `other` for files and what is refused",
    "method": "of HTTP; `other` for those that nobody serves",
}


@dataclass(frozen=True)
class Metric:
    """One metric. `fold` makes one value of those of several sources where they share the label `_other`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter", "histogram"] = "gauge"
    fold: Folding = sum

    @property
    def unit(self) -> str:
        """The unit that its name says, as OpenMetrics wants it; empty for a plain number."""
        base = self.name.removesuffix("_total")
        return next((unit for unit in ("seconds", "bytes", "ratio") if base.endswith(f"_{unit}")), "")


_STATUS = f"`status`: {', '.join(RUN_STATUSES)}"
GROUPS: dict[str, tuple[Metric, ...]] = {
    "The home": (
        Metric("smartflow_build_info", "1; its labels say which version answers, and for which prefix.", ("version", "prefix")),
        Metric("smartflow_sources", "Sources that have a file.", ("state",)),
        Metric("smartflow_sources_in_other", f"Sources that have no figures of their own and are counted in `{OTHER}`."),
        Metric(
            "smartflow_published_readable",
            "1 where the published copy could be read, else 0: then nothing that it knows is said.",
        ),
        Metric("smartflow_published_timestamp_seconds", "When the published copy was made."),
        Metric("smartflow_warehouse_size_bytes", "Size of the warehouse file.", ("file",)),
        Metric(
            "smartflow_warehouse_free_ratio",
            "Share of the published file that holds nothing, 0 to 1; above .5 `smartflow prune` rewrites it.",
        ),
        Metric("smartflow_disk_size_bytes", "Size of the disk that holds the warehouse."),
        Metric("smartflow_disk_free_bytes", "What is free on it for SmartFlow's user."),
        Metric(
            "smartflow_heartbeat_timestamp_seconds",
            "The last tick of a schedule or a sensor. Missing where no daemon ever ran, and after one was stopped on purpose.",
        ),
    ),
    "Sources": (
        Metric("smartflow_source_last_run_timestamp_seconds", "When its last run ended.", ("source",), fold=min),
        Metric("smartflow_source_last_run_success", "1 where its last run succeeded, 0 where it did not.", ("source",), fold=min),
        Metric("smartflow_source_last_run_duration_seconds", "How long its last run took.", ("source",), fold=max),
        Metric(
            "smartflow_source_last_look_timestamp_seconds",
            "When it was looked at last: by a run, or by the schedule, which found nothing to do. Told up to ten minutes late.",
            ("source",),
            fold=min,
        ),
        Metric(
            "smartflow_source_lag_seconds",
            "From the end of the newest judged bucket to the clock of the last run: how far judging was behind.",
            ("source",),
            fold=max,
        ),
        Metric(
            "smartflow_source_newest_row_timestamp_seconds",
            "The time of the newest row that it brought, no later than it came: how fresh its data is.",
            ("source",),
            fold=min,
        ),
        Metric(
            "smartflow_source_silent",
            "1 while it brings no rows any more, by what is usual of it (an incident of cause freshness).",
            ("source",),
        ),
        Metric("smartflow_source_paused", "1 while a remedy has taken it from its schedule.", ("source",)),
        Metric("smartflow_source_quarantined_rows", "Rows that cannot be read and are held.", ("source",)),
        Metric("smartflow_source_model_trained_timestamp_seconds", "When its newest model was trained.", ("source",), fold=min),
    ),
    "Runs": (
        Metric("smartflow_runs_last_day", f"Runs that began in the last 24 hours. {_STATUS}.", ("source", "status")),
        Metric("smartflow_rows_in_last_day", "Raw rows that were new or changed in these runs.", ("source",)),
        Metric("smartflow_rows_scored_last_day", "Rows that these runs judged.", ("source",)),
        Metric("smartflow_runs_under_way", "Runs whose process is alive and holds its lock."),
        Metric("smartflow_sources_under_way", "Sources that a run has."),
        Metric(
            "smartflow_sources_due",
            "Sources whose newest slot had had no run and no look yet when the published copy was made.",
        ),
        Metric("smartflow_warehouse_locked", "1 while somebody writes the warehouse."),
    ),
    "Anomalies and incidents": (
        Metric(
            "smartflow_anomalies_last_day",
            "Anomalies that began in the newest 24 hours of the data of their source.",
            ("source", "severity"),
        ),
        Metric("smartflow_anomalies", "Anomalies that are stored; fewer after a pruning.", ("severity",)),
        Metric(
            "smartflow_incidents_open",
            "Incidents that are neither resolved nor snoozed; one that people are told of by another one is counted with that.",
            ("source", "severity"),
        ),
        Metric("smartflow_incidents_unacknowledged", "Those of them that nobody has taken on.", ("severity",)),
        Metric("smartflow_incidents_snoozed", "Incidents that somebody has put off.", ("severity",)),
    ),
    "Messages": (
        Metric(
            "smartflow_messages_last_day",
            f"Messages by where they stand, with their last attempt in the last 24 hours. `status`: {', '.join(SEND_STATUSES)}.",
            ("channel", "status"),
        ),
        Metric("smartflow_messages_waiting", "Messages that have not gone out and will be tried.", ("channel", "wait")),
        Metric("smartflow_messages_given_up", "Messages given up, on a channel that has taken none since.", ("channel",)),
    ),
    "The server": (
        Metric(
            "smartflow_http_requests_total",
            "Requests that were answered. `status`: 1xx to 5xx.",
            ("route", "method", "status"),
            "counter",
        ),
        Metric(
            "smartflow_http_request_duration_seconds",
            "How long answers took, without streams.",
            ("route", "method"),
            "histogram",
        ),
        Metric("smartflow_http_stream_clients", "Streams of events that are open."),
        Metric("smartflow_http_stream_events_total", "Events that these were sent, counted for each of them.", (), "counter"),
    ),
}
METRICS: dict[str, Metric] = {metric.name: metric for group in GROUPS.values() for metric in group}
OF_THE_SERVER = frozenset(metric.name for metric in GROUPS["The server"])
