"""What people have said of incidents, as a run of their source reads it: what is expected, thresholds that are raised, what may be learnt.

Of each incident the newest word acts, until it is taken back. What a word does is in `core/feedback`, how it is given in `feedback`.
"""

from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from smartflow_assets.adapters.warehouse.going_on import GOING_ON
from smartflow_assets.core.feedback.expectations import Expectation
from smartflow_assets.core.feedback.raised_thresholds import Raise
from smartflow_assets.core.incidents.event_log import OF_SERIES, row_dicts
from smartflow_assets.core.temporal.recurring_time import RecurringTime
from smartflow_assets.stages.run import SourceRun

ACTING = """
SELECT * FROM feedback AS said WHERE list_contains(?, source) AND verdict IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM feedback AS later WHERE later.undoes = said.feedback_id AND later.incident_id = said.incident_id)
"""
MEASURED = timedelta(days=90)
"""Of so long before the newest word precision is measured."""
_JUDGED_TIMES = f"""
SELECT said.series, said.opened_at AS started_at, said.verdict = 'false_positive' AS is_normal,
       CASE WHEN {GOING_ON} THEN NULL ELSE coalesce(incident.last_seen_at, said.last_seen_at) END AS ended_at
FROM ({ACTING}) AS said LEFT JOIN (SELECT incident_id, last_seen_at, state, resolved_by, recovered_at FROM incidents) AS incident
  USING (incident_id)
WHERE cause = 'anomaly'
"""
_COUNTS = f"""
WITH said AS (SELECT * FROM ({ACTING}) WHERE verdict <> 'expected' AND cause IN {OF_SERIES}),
     newest AS (SELECT max(given_at) AS at FROM said)
SELECT newest.at AS to_at, count(*) FILTER (verdict = 'true_positive') AS true_positives,
       count(*) FILTER (verdict = 'false_positive') AS false_positives
FROM said, newest WHERE given_at >= newest.at - INTERVAL {MEASURED.days} DAY GROUP BY ALL
"""


def expectations_of(run: SourceRun) -> list[Expectation]:
    """What people expect of the series of a source."""
    found = run.warehouse.read(f"{ACTING} AND verdict = 'expected'", [[run.name]])
    return [
        Expectation(
            row["feedback_id"],
            row["series"],
            row["cause"],
            row["direction"],
            row["deviation"],
            RecurringTime.parse(row["recurs"]),
            row["timezone"],
            row["until_at"],
        )
        for row in row_dicts(found)
    ]


def raises_of(run: SourceRun) -> dict[str, list[Raise]]:
    """By how much thresholds of series are raised for false alarms, none above what a true alarm of its series had."""
    found = row_dicts(run.warehouse.read(f"{ACTING} AND cause = 'anomaly' AND raw_score IS NOT NULL", [[run.name]]))
    least, raises = dict[str, float](), dict[str, list[Raise]]()
    for row in found:
        if row["verdict"] == "true_positive":
            least[row["series"]] = min(row["raw_score"], least.get(row["series"], float("inf")))
    for row in found:
        if row["verdict"] == "false_positive" and row["until_at"] is not None:
            at_most = least.get(row["series"], float("inf"))
            each = Raise(row["direction"], row["raw_score"], row["deviation"], row["until_at"], at_most)
            raises.setdefault(row["series"], []).append(each)
    return raises


def judged_times(run: SourceRun) -> pd.DataFrame:
    """series, started_at, ended_at (null while it goes on) and is_normal of the incidents that people have judged: what was a false
    alarm is learnt, what was right or expected is not, for good."""
    return run.warehouse.read(_JUDGED_TIMES, [[run.name]])


@dataclass(frozen=True)
class Counted:
    """How many incidents of a source people called right and false, of those that they judged in the 90 days up to `to_at`."""

    to_at: pd.Timestamp
    true_positives: int
    false_positives: int

    @property
    def precision(self) -> float:
        """The share that was right."""
        return self.true_positives / (self.true_positives + self.false_positives)


def counted(run: SourceRun) -> Counted | None:
    """None where nobody has called any right or false."""
    rows = row_dicts(run.warehouse.read(_COUNTS, [[run.name]]))
    return Counted(rows[0]["to_at"], int(rows[0]["true_positives"]), int(rows[0]["false_positives"])) if rows else None
