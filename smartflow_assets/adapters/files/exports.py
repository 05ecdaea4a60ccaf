"""Tables that people and other programs take out of the warehouse as files: scores, anomalies, incidents.

The names of the columns are part of what others build on: `timestamp`, `value`, `anomaly_score` and `is_anomaly` of every
score. A score row is anomalous when the detectors flag it or a rule holds, as in `anomalies`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smartflow_assets.adapters.sql_quoting import quoted_text


@dataclass(frozen=True)
class Export:
    """A table to take out: its rows as SQL, the column that dates them, and which of them are anomalies."""

    name: str
    description: str
    sql: str
    time_column: str
    anomalous: str = "TRUE"


_ALL = (
    Export(
        "scores",
        "Every judged bucket with its value, the expected band, the score and the decision.",
        """SELECT source, series, metric, dimensions, observed_at AS timestamp, value, expected, lower, upper, raw_score, anomaly_score,
                  threshold, severity, coalesce(rules, []) AS rules, is_anomaly,
                  state, repair, model_id
           FROM marts.series_with_bands""",
        "timestamp",
        "is_anomaly",
    ),
    Export("anomalies", "Intervals of anomalous buckets, with who flagged them and why.", "SELECT * FROM anomalies", "started_at"),
    Export("incidents", "Incidents and where they stand.", "SELECT * FROM incidents", "opened_at", "cause = 'anomaly'"),
)
EXPORTS: dict[str, Export] = {export.name: export for export in _ALL}


def statement(
    export: Export,
    *,
    source: str = "",
    series: Sequence[str] = (),
    text: str = "",
    only_anomalies: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
) -> str:
    """The query of an export, in order of time; `since` is included, `until` is not. `series`: only these; `text`: a part of their name."""
    conditions = [
        *([f"source = {quoted_text(source)}"] if source else []),
        *([f"series IN ({', '.join(map(quoted_text, series))})"] if series else []),
        *([f"contains(lower(series), lower({quoted_text(text)}))"] if text else []),
        *([export.anomalous] if only_anomalies else []),
        *([f"{export.time_column} >= TIMESTAMPTZ {quoted_text(since.isoformat())}"] if since else []),
        *([f"{export.time_column} < TIMESTAMPTZ {quoted_text(until.isoformat())}"] if until else []),
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    series = "" if export.name == "incidents" else ", series"
    return f"SELECT * FROM ({export.sql}){where} ORDER BY source{series}, {export.time_column}"
