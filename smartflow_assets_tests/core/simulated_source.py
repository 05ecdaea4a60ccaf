"""A source in memory: rows come in by runs of any size, anomalies and incidents are kept as the warehouse keeps them.

Each row of a series is written as one letter, so that a test shows its data: `.` calm, `~` hovering at the threshold, `w` and `c`
flagged as warning or critical, `r` a broken rule that no detector flags, `-` missing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import accumulate

import pandas as pd

from smartflow_assets.core.anomalies import grouping
from smartflow_assets.core.incidents import lifecycle, recovery
from smartflow_assets.core.incidents.alert_planning import SEND_COLUMNS, Advance
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.decisions import Decisions, Said
from smartflow_assets.core.incidents.event_log import EVENT_COLUMNS, fold
from smartflow_assets.core.rules.base import no_violations
from smartflow_assets.core.series.surprise import to_anomaly_score

STEP = timedelta(minutes=5)
START = pd.Timestamp("2026-01-05T00:00Z").as_unit("us")
POLICY = AlertPolicy(to=("file",), resolve_after=timedelta(minutes=15), reopen_within=timedelta(minutes=30))


def at(row: int) -> pd.Timestamp:
    """The start of the bucket of a row."""
    return START + row * STEP


def scores_of(text: str, series: str = "requests") -> pd.DataFrame:
    """Rows of anomaly_scores, one for each letter."""
    flag = pd.Series(list(text)).isin(["w", "c"]).to_numpy()
    surprise = [{"~": 1.15, "e": 5.0, "w": 3.0, "c": 6.0}.get(letter, 0.2) for letter in text]
    return pd.DataFrame(
        {
            "series": series,
            "metric": series,
            "dimensions": [{} for _ in text],
            "observed_at": pd.date_range(START, periods=len(text), freq=STEP).as_unit("us"),
            "value": [{"-": float("nan"), "w": 1500.0, "c": 1600.0, "r": 1550.0, "~": 600.0}.get(letter, 500.0) for letter in text],
            "expected": 500.0,
            "lower": 430.0,
            "upper": 560.0,
            "raw_score": surprise,
            "anomaly_score": [to_anomaly_score(value) for value in surprise],
            "threshold": 0.94,
            "is_anomaly": flag,
            "state": ["missing" if letter == "-" else "scored" for letter in text],
            "severity": [{"w": "warning", "c": "critical"}.get(letter) for letter in text],
        }
    )


def violations_of(text: str, series: str = "requests") -> pd.DataFrame:
    """Rows of rule_violations for the letters `r`."""
    rows = [row for row, letter in enumerate(text) if letter == "r"]
    if not rows:
        return no_violations()
    return pd.DataFrame(
        {
            "series": series,
            "rule": "surge",
            "observed_at": pd.DatetimeIndex([at(row) for row in rows]).as_unit("us"),
            "value": 1550.0,
            "limit_value": 1250.0,
            "severity": "warning",
            "message": "1550 is 3.1 x the median 500",
        }
    )


def bands_of(rows: pd.DataFrame, step: timedelta) -> pd.DataFrame:
    """What the warehouse makes of the bands of judged rows, by series and hour, or bucket where that is longer."""
    width = max(recovery.BAND_WIDTH, step)
    known = rows[rows["lower"].notna() & rows["upper"].notna() & ~rows["is_anomaly"].eq(True)]
    at = known["observed_at"] if width == step else known["observed_at"].dt.floor(width)
    return (
        known.assign(band_at=at)
        .groupby(["series", "band_at"], as_index=False)
        .agg(lower=("lower", "min"), upper=("upper", "max"), expected=("expected", "mean"))
    )


@dataclass
class Source:
    """What stands in the warehouse of one source."""

    policy: AlertPolicy = POLICY
    texts: dict[str, str] = field(default_factory=dict)
    anomalies: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=grouping.ANOMALY_COLUMNS))
    log: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EVENT_COLUMNS))
    sends: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=SEND_COLUMNS))
    runs: int = 0

    @property
    def incidents(self) -> pd.DataFrame:
        return fold(self.log)

    def run(
        self,
        texts: str | dict[str, str],
        *,
        changed_from: int | None = None,
        changed_until: int | None = None,
        now: datetime | None = None,
        **more,
    ) -> Advance:
        """One run that sees the rows of `texts`, all that there are by now; rows that were there before stay as they are unless
        `changed_from` (and `changed_until`) say otherwise."""
        texts = texts if isinstance(texts, dict) else {"requests": texts}
        known = max((len(text) for text in self.texts.values()), default=0)
        newest = max(len(text) for text in texts.values())
        first = min(known if changed_from is None else changed_from, newest)
        self.texts, self.runs = texts, self.runs + 1
        rows = grouping.merge_violations(
            pd.concat([scores_of(text, series) for series, text in texts.items()], ignore_index=True),
            pd.concat([violations_of(text, series) for series, text in texts.items()], ignore_index=True),
        )
        start, end = grouping.affected_window(self.anomalies, at(first), at(changed_until or newest), STEP)
        inside = rows[(rows["observed_at"] >= start) & (rows["observed_at"] < end)]
        found = grouping.group(inside, source="web", step=STEP, run_id=f"run{self.runs}")
        kept = self.anomalies[(self.anomalies["started_at"] < start) | (self.anomalies["started_at"] >= end)]
        self.anomalies = found if kept.empty else pd.concat([kept, found]).sort_values(["series", "started_at"])
        return self.alert(rows, start, now=now or at(newest), **more)

    def alert(self, rows: pd.DataFrame, since: datetime, *, now: datetime, **more) -> Advance:
        """The last step of a run: from anomalies to incidents and messages."""
        scope = lifecycle.scope(self.incidents, since, self.policy)
        news = lifecycle.advance(
            self.log[self.log["incident_id"].isin(scope.incident_ids)],
            self.anomalies[self.anomalies["ended_at"] > scope.anomalies_since],
            rows[rows["observed_at"] >= scope.rows_since],
            sends=self.sends[self.sends["incident_id"].isin(scope.incident_ids)],
            source="web",
            since=since,
            step=STEP,
            policy=self.policy,
            now=now,
            run_id=f"run{self.runs}",
            **{
                "bands": bands_of(rows[rows["observed_at"] >= scope.usual_until - recovery.lookback(STEP)], STEP),
                "past": self.incidents,
            }
            | more,
        )
        self.log = news.events if self.log.empty else pd.concat([self.log, news.events], ignore_index=True)
        self.sends = news.sends if self.sends.empty else pd.concat([self.sends, news.sends], ignore_index=True)
        return news

    def decide(self, what: Callable[[Decisions], None], *, now: datetime, by_whom: str = "ann") -> Sequence[Said]:
        """What a person decides between two runs."""
        run_id = f"person{len(self.log)}"
        decisions = Decisions(self.log, self.sends, self.policy, now=now, by_whom=by_whom, run_id=run_id)
        what(decisions)
        news = decisions.conclude()
        self.log = pd.concat([self.log, news.events], ignore_index=True) if len(news.events) else self.log
        self.sends = pd.concat([self.sends, news.sends], ignore_index=True) if len(news.sends) else self.sends
        return decisions.said

    def said(self) -> list[str]:
        """The messages planned so far, in order, but for those that were taken back."""
        skipped = set(self.sends.loc[self.sends["status"] == "skipped", "idempotency_key"])
        return list(self.sends.loc[(self.sends["status"] == "planned") & ~self.sends["idempotency_key"].isin(skipped), "event"])

    def gone(self, until: datetime) -> pd.DataFrame:
        """The messages that have gone out by a moment, in order: the newest row of each counts."""
        newest = self.sends.drop_duplicates(["idempotency_key", "channel"], keep="last")
        return newest[(newest["status"] == "planned") & (newest["due_at"] <= until)].sort_values("due_at", kind="stable")


def in_runs(texts: str | dict[str, str], sizes: list[int], policy: AlertPolicy = POLICY) -> Source:
    """The rows of `texts`, arriving in runs that end after so many rows each; the last run sees all."""
    texts = texts if isinstance(texts, dict) else {"requests": texts}
    newest = max(map(len, texts.values()))
    ends = [end for end in accumulate(sizes) if end < newest]
    return replace(_after_runs(policy, (*ends, newest), tuple(texts.items())))


@cache
def _after_runs(policy: AlertPolicy, ends: tuple[int, ...], texts: tuple[tuple[str, str], ...]) -> Source:
    """The source after runs that saw so many rows each: made once for all tests whose rows begin alike. No run changes a frame of it."""
    *before, newest = ends
    seen = {series: text[:newest] for series, text in texts}
    source = Source(policy)
    if before:
        source = replace(_after_runs(policy, tuple(before), tuple((series, text[: before[-1]]) for series, text in texts)))
    source.run(seen)
    return source
