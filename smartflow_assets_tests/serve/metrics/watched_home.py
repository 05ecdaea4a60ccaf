"""A home of which every metric has something to say: a few rows by hand in the ledgers of its published copy."""

import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from smartflow_assets.adapters.warehouse.published_copy import PublishedCopy
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.settings import Settings
from smartflow_assets.serve.metrics.exposition import HomeCollector
from smartflow_assets.serve.metrics.readings import Readings
from smartflow_assets.serve.service import Access, Service
from smartflow_assets_tests.empty_warehouse import empty_warehouse

SOURCE = """
name: {name}
read: {{type: csv, path: feeds/{name}.csv, time: at}}
schedule: 5min
alerts: {{to: [file]}}
"""
CHANNELS = "file: {type: file}\npager: {type: file}\n"


def make_home(folder: Path, *sources: str) -> Settings:
    """A home with these sources, and a published copy without rows."""
    settings = Settings(folder)
    settings.sources.mkdir(parents=True)
    settings.channels_file.write_text(CHANNELS)
    for name in sources:
        (settings.sources / f"{name}.yaml").write_text(SOURCE.format(name=name))
    settings.published_file.parent.mkdir(parents=True)
    shutil.copyfile(empty_warehouse(), settings.published_file)
    shutil.copyfile(empty_warehouse(), settings.warehouse_file)
    insert(settings, "UPDATE snapshot_info SET published_at = now(), run_id = 'r'")
    return settings


def insert(settings: Settings, statement: str, *rows: Mapping[str, Any]) -> None:
    """Publish a copy that has these rows in a table, or in which this statement was done."""
    part = settings.published_file.with_suffix(".part")
    shutil.copyfile(settings.published_file, part)
    with duckdb.connect(str(part)) as connection:
        if not rows:
            connection.execute(statement)
        for row in rows:
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {statement} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    part.replace(settings.published_file)


def run(source: str, started_at: datetime, status: str = "success", **more: Any) -> dict[str, Any]:
    """A row of run_log: two seconds, ten rows in and eight judged."""
    facts = {"rows_in": 10, "rows_scored": 8, "lag_seconds": 90.0, "ended_at": started_at + timedelta(seconds=2)}
    return {
        "source": source,
        "run_id": f"{status}-{started_at:%H%M}",
        "job": "monitor_source",
        "status": status,
        "started_at": started_at,
        **facts,
        **more,
    }


def incident(source: str, number: int, severity: str = "critical", state: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "source": source, "incident_id": f"{source}-{number}", "cause": "anomaly", "series": "orders", "severity": severity, "state": state,
        "opened_at": datetime(2026, 3, 1, tzinfo=UTC), **more,
    }  # fmt: skip


def send(channel: str, key: str, status: str, happened_at: datetime, **more: Any) -> dict[str, Any]:
    return {
        "source": "shop", "incident_id": key, "event": "opened", "channel": channel, "attempt": 1, "status": status, "due_at": happened_at,
        "happened_at": happened_at, "idempotency_key": key, **more,
    }  # fmt: skip


def busy_home(folder: Path, now: datetime) -> Settings:
    """Two sources, one of which is silent and failed last; incidents, anomalies, messages, and a daemon that has just ticked."""
    settings = make_home(folder, "shop", "web")
    ago = lambda **span: now - timedelta(**span)  # noqa: E731
    insert(
        settings,
        "run_log",
        run("shop", ago(hours=2)),
        run("shop", ago(hours=1), "failed"),
        run("web", ago(hours=1)),
        run("web", ago(days=3)),
    )
    insert(settings, "source_looks", {"source": "web", "looked_at": ago(minutes=5), "outcome": "nothing_new"})
    insert(
        settings,
        "ingestions",
        *({"source": name, "origin": "f", "content_hash": "h", "row_count": 10, "duplicate_count": 0, "last_at": at, "ingested_at": now}
          for name, at in (("shop", ago(hours=9)), ("web", ago(minutes=10)))),
    )  # fmt: skip
    insert(
        settings,
        "anomalies",
        *({"source": "web", "anomaly_id": f"a{hours}", "series": "hits", "metric": "hits", "severity": "warning",
           "started_at": ago(hours=hours), "ended_at": ago(hours=hours - 1)} for hours in (2, 3, 50)),
    )  # fmt: skip
    insert(
        settings,
        "incidents",
        incident("shop", 1),
        incident("shop", 2, state="acknowledged"),
        incident("shop", 3, "warning", cause="freshness"),
        incident("web", 4, "warning", state="snoozed", snoozed_until=now + timedelta(days=1)),
        incident("web", 5, state="resolved"),
        incident("*", 6, "info"),
    )
    insert(
        settings,
        "alert_sends",
        send("file", "m1", "planned", ago(hours=1)), send("file", "m1", "claimed", ago(hours=1)), send("file", "m1", "sent", ago(hours=1)),
        send("file", "m2", "planned", ago(hours=1)), send("pager", "m3", "failed", ago(hours=1), due_at=now + timedelta(hours=1)),
        send("pager", "m4", "failed", ago(hours=2), due_at=None),
    )  # fmt: skip
    of_model = {
        "series": "hits",
        "detector": "mad",
        "model_id": "m",
        "status": "current",
        "trained_at": ago(days=2),
        "changed_at": ago(days=2),
    }
    insert(settings, "trained_models", {"source": "web", **of_model})
    settings.heartbeat.write_text(f"{time.monotonic():.3f}\n")
    return settings


def service_of(settings: Settings, **access: Any) -> Service:
    """A service of it, as `smartflow serve` makes one."""
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    hosts = frozenset({"127.0.0.1", "localhost"})
    return Service(settings, warehouse, Access(hosts, **{"requests_per_second": 0.0, **access}), lambda home, source: {})


def collector(settings: Settings) -> HomeCollector:
    return HomeCollector(settings, {}, lambda: Catalogue.load(settings), PublishedCopy(settings.published_file).snapshot)


def read(settings: Settings, now: datetime) -> dict[str, dict[tuple[str, ...], float]]:
    """All figures of a home, by metric and labels."""
    return by_name(collector(settings).read(now))


def by_name(readings: Readings) -> dict[str, dict[tuple[str, ...], float]]:
    return {metric.name: dict(values) for metric, values in readings}
