"""What a message says beside its incident: who answers for the source, where to read on, and the picture of the series.

The outbox asks for it when it delivers. A picture is of rows up to the end of what the message tells, so that a repeat shows the same; it
is read in at most a few hundred buckets, and one that cannot be drawn keeps no message back.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pandas as pd

from smartflow_assets.adapters.files.link_key import link_key
from smartflow_assets.adapters.warehouse.readable import Readable
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.name_prefix import prefix_of
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.incidents.event_log import FRESHNESS, GROUP, OF_PROFILE, OF_SERIES
from smartflow_assets.core.incidents.messages import Message
from smartflow_assets.core.incidents.signed_link import sign
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.profiles.figures import Figure
from smartflow_assets.core.reports.incident_plot import MOST_PANELS, Panel, incident_plot
from smartflow_assets.core.rules.threshold import Threshold
from smartflow_assets.core.series.series_id import RECORDS_METRIC

UI_VARIABLE = "SMARTFLOW_UI_URL"
PAGES_VARIABLE = "SMARTFLOW_PAGES_URL"
"""Where a web server shows data/reports."""
SERVE_VARIABLE = "SMARTFLOW_SERVE_URL"
"""Where people reach `smartflow serve`."""
MOST_BUCKETS = 300
"""So many points of a series are drawn; where an incident is longer, each is the strangest of several buckets."""
BUCKETS_BEFORE = 60
MOST_KEPT = 64
"""So many pictures of up to 60 KB are kept in memory."""
_DRAWN = (*OF_SERIES, GROUP, FRESHNESS)
_drawn_lately: dict[str, bytes] = {}
_log = logging.getLogger(__name__)

_IN = "WHERE source = $1 AND series = $2 AND observed_at >= $3 AND observed_at < $4"
_NOTHING = "NULL AS expected, NULL AS lower, NULL AS upper"
_OF_PROFILE = f"SELECT series, observed_at, value, expected, lower, upper, raw_score FROM profile_series {_IN}"
_OF_DATA = f"""
    SELECT series, observed_at, value, expected, lower, upper, raw_score FROM anomaly_scores {_IN}
    UNION ALL SELECT series, observed_at, value, {_NOTHING}, NULL FROM clean_series {_IN}
    AND series NOT IN (SELECT series FROM anomaly_scores {_IN})
    UNION ALL SELECT series, observed_at, value, {_NOTHING}, raw_score
    FROM (SELECT *, '{RECORDS_METRIC}' AS series, anomalous_count::DOUBLE AS value FROM record_scores) {_IN}
"""
_STRANGEST = """
    SELECT * EXCLUDE (raw_score) FROM ({rows})
    QUALIFY row_number() OVER (
        PARTITION BY floor(epoch(observed_at) / $5) ORDER BY coalesce(raw_score, 0) DESC, observed_at) = 1
    ORDER BY observed_at
"""
_SOURCES = """
SELECT from_json(payload->'sources', '["VARCHAR"]') AS sources FROM incident_events
WHERE incident_id = ? AND json_array_length(payload->'sources') > 0
ORDER BY (payload->>'sequence')::BIGINT DESC LIMIT 1
"""


@dataclass(frozen=True)
class MessageBackground:
    """`outbox.Background` by the catalogue and the warehouse of a home."""

    warehouse: Readable
    catalogue: Catalogue
    environment: Mapping[str, str]

    def facts(self, source: str, incident_id: str) -> Mapping[str, Any]:
        """owner, owners, runbook, link, page and act; of a group over sources those of the likely root, and the owners of all."""
        names, settings = (self._sources_of(incident_id) if source == OF_NO_SOURCE else [source]), self.catalogue.settings
        known = self.catalogue.sources.get(names[0]) if names else None
        owners = {name: each.owner for name in names if (each := self.catalogue.sources.get(name)) and each.owner}
        return {
            "page": report_address(page_path(settings, incident_id), settings, self.environment)
            or served_page(incident_id, self.environment),
            "act": self._act(incident_id),
            "owner": known.owner if known else None,
            "owners": owners,
            "runbook": known.runbook if known else None,
            "link": page_of(names[0], self.environment) if names else None,
        }

    def _act(self, incident_id: str) -> str | None:
        """Where the incident can be acknowledged without a login; None where nobody has said where the server is."""
        served = _address(self.environment, SERVE_VARIABLE)
        if served is None:
            return None
        return f"{served}/a/{sign(link_key(self.catalogue.settings.link_key), incident_id, datetime.now(UTC))}"

    def _sources_of(self, incident_id: str) -> list[str]:
        """The sources of a group, the likely root first, as was last said of it; none of what is of no source."""
        told = self.warehouse.read(_SOURCES, [incident_id])["sources"]
        return list(told.iloc[0]) if len(told) else []

    def picture(self, message: Message) -> bytes | None:
        """The series of the message, or the first four of its group; of a silence the rows before it."""
        try:
            return self._drawn(message)
        except Exception as error:  # whatever it is: people must be told all the same
            _log.warning("message %s of %s goes without a picture: %s: %s", message.event, message.source, type(error).__name__, error)
            return None

    def _drawn(self, message: Message) -> bytes | None:
        facts = message.facts
        start, end = _moment(facts["opened_at"] or facts["started_at"]), _moment(facts["ended_at"] or facts["resolved_at"])
        if facts["cause"] not in _DRAWN or start is None:
            return None
        end = end or datetime.fromisoformat(facts["happened_at"])
        until = max(end, _moment(facts["resolved_at"]) or end)  # a recovery shows the calm as well
        shown: Sequence[dict[str, Any]] = _shown_first(facts["members"])[:MOST_PANELS] or [dict(facts)]
        own = {"source": message.source, "cause": facts["cause"]}  # members that an older version told of have neither
        panels = [self._panel(own | each, message.content.step, start, until) for each in shown]
        drawable = [panel for panel in panels if panel is not None and panel.rows["value"].notna().any()]
        if not drawable:
            return None
        return _drawn_once(drawable, start, end, message.content.timezone, message.content.tone)

    def _panel(self, shown: Mapping[str, Any], step: timedelta, start: datetime, until: datetime) -> Panel | None:
        """The series of an incident; of a silence how many rows there were until then."""
        source, cause = self.catalogue.sources.get(shown["source"]), shown["cause"]
        series, unit = str(shown["series"]), str(shown["unit"] or "")
        if source is None or cause not in _DRAWN:
            return None
        if cause == FRESHNESS:
            series, unit, step = str(Figure("row_count")), "rows", source.profile_bucket
        elif source.is_bucket_given:  # the sources of a group may have different ones
            step = source.time_bucket.every
        limits = {
            rule.name: [limit for limit in (rule.below, rule.above) if limit is not None]
            for rule in source.rules
            if isinstance(rule, Threshold)
        }
        return Panel(
            title=f"{source.name} {unit if cause == FRESHNESS else series}",
            unit=unit,
            rows=self._rows(source.name, series, step, start, until, _OF_PROFILE if cause in (FRESHNESS, *OF_PROFILE) else _OF_DATA),
            limits=[limit for rule in shown["rules"] or () for limit in limits.get(rule, ())],
        )

    def _rows(self, source: str, series: str, step: timedelta, start: datetime, end: datetime, of_table: str) -> pd.DataFrame:
        end = max(end, start + step)
        since = start - max(BUCKETS_BEFORE * step, (end - start) / 2)
        width = max(step, (end - since) / MOST_BUCKETS)
        return self.warehouse.read(_STRANGEST.format(rows=of_table), [source, series, since, end, width.total_seconds()])


def _shown_first(members: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """The members of a group, the first of each source before the others: they tell how it went on from source to source."""
    first = {member.get("source"): number for number, member in reversed(list(enumerate(members)))}
    return sorted(members, key=lambda member: members[first[member.get("source")]] is not member)


def _drawn_once(panels: Sequence[Panel], start: datetime, end: datetime, timezone: str, tone: str) -> bytes:
    """The picture of these rows: one that was drawn lately is not drawn again, since several channels and the page of the incident
    show the same."""
    digest = hashlib.sha256(repr((start, end, timezone, tone, [(each.title, each.unit, each.limits) for each in panels])).encode())
    for each in panels:
        digest.update(pd.util.hash_pandas_object(each.rows, index=False).to_numpy().tobytes())
    key = digest.hexdigest()
    if key not in _drawn_lately:
        drawn = incident_plot(panels, started_at=start, ended_at=end, timezone=timezone, tone=tone)
        for oldest in list(_drawn_lately)[: 1 - MOST_KEPT]:
            _drawn_lately.pop(oldest, None)
        _drawn_lately[key] = drawn
        return drawn
    return _drawn_lately[key]


def page_of(source: str, environment: Mapping[str, str]) -> str | None:
    """Where Dagster's UI shows the incidents of a source; None where nobody has said where the UI is."""
    ui = ui_address(environment)
    if ui is None:
        return None
    return f"{ui}/assets/{prefix_of(environment)}/incidents?view=partitions&partition={quote(source, safe='')}"


def ui_address(environment: Mapping[str, str]) -> str | None:
    """Where Dagster's UI is, without a slash at its end; None where nobody has said so."""
    return _address(environment, UI_VARIABLE)


def served_page(incident_id: str, environment: Mapping[str, str]) -> str | None:
    """Where `smartflow serve` shows an incident; None where nobody has said where it is."""
    served = _address(environment, SERVE_VARIABLE)
    return f"{served}/#/incident/{incident_id}" if served else None


def served_source(source: str, environment: Mapping[str, str]) -> str | None:
    """Where `smartflow serve` shows a source; None where nobody has said where it is."""
    served = _address(environment, SERVE_VARIABLE)
    return f"{served}/#/source/{quote(source, safe='')}" if served else None


def page_path(settings: Settings, incident_id: str) -> Path:
    """Where the page of an incident is written."""
    return settings.reports / "incidents" / f"{incident_id}.html"


def report_address(report: Path, settings: Settings, environment: Mapping[str, str]) -> str | None:
    """Where a web server shows a file of data/reports; None where nobody has said that one does."""
    pages = _address(environment, PAGES_VARIABLE)
    return (
        f"{pages}/{quote(report.relative_to(settings.reports).as_posix())}" if pages and report.is_relative_to(settings.reports) else None
    )


def _address(environment: Mapping[str, str], variable: str) -> str | None:
    address = environment.get(variable, "").strip().rstrip("/")
    return address if urlsplit(address).scheme in ("http", "https") else None


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
