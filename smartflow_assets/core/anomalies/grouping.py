"""From anomalous rows to anomalies: one interval of rows, one anomaly, whatever said so.

A row is anomalous when the detectors flag it or a rule is broken. Rows of a series that lie close together are one interval;
each interval becomes one row of the table `anomalies` that names its detectors and its rules. Whether somebody is told is the
business of `core.incidents`. An interval is a matter of the rows alone: however runs split the data, the last word is the same.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from math import isfinite
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smartflow_assets.core.anomalies import headline
from smartflow_assets.core.anomalies.explanation import explain
from smartflow_assets.core.anomalies.headline import Seen, Usual
from smartflow_assets.core.anomalies.past import Past, pasts
from smartflow_assets.core.anomalies.recurrence import Interval, last_similar
from smartflow_assets.core.series.intervals import GAP_BUCKETS, interval_numbers
from smartflow_assets.core.series.surprise import to_surprise
from smartflow_assets.core.severity import RANK, SEVERITIES, worst
from smartflow_assets.core.typed_rows import typed_rows

CALM_SHARE = 0.8
"""A row is calm below this share of the threshold, in surprise, or inside its band: what hovers at the threshold keeps an incident
open, what is strange only because its window still holds the anomaly does not."""
POINT_ROWS = 2
"""A spike that straddles two buckets is still a point."""
_NAMED_SHARE = 0.1  # a detector with less of the surprise is kept in the contributions, but not named
AnomalyType = Literal["point", "contextual", "collective", "multivariate", "volume"]
Direction = Literal["spike", "drop"]
"""Above or below what was expected."""
_TYPE_OF: dict[str, AnomalyType] = {  # detectors that tell the type by themselves
    "missing": "volume",
    "flatline": "collective",
    "subsequence_pca": "collective",
    "subsequence_neighbours": "collective",
    "mahalanobis": "multivariate",
    "records": "multivariate",
}

ANOMALY_COLUMNS = [
    "source",
    "anomaly_id",
    "series",
    "metric",
    "dimensions",
    "anomaly_type",
    "started_at",
    "ended_at",
    "peak_at",
    "point_count",
    "value",
    "expected",
    "lower",
    "upper",
    "deviation",
    "deviation_percent",
    "direction",
    "extreme",
    "anomaly_score",
    "severity",
    "detectors",
    "rules",
    "contributions",
    "slices",
    "last_similar_at",
    "last_similar_seconds",
    "explanation",
    "run_id",
]


def affected_window(anomalies: pd.DataFrame, since: datetime, until: datetime, step: timedelta) -> tuple[datetime, datetime]:
    """The window [start, end) whose anomalies may change when rows in [since, until) have: no anomaly lies across its edges,
    so grouping the rows of the window and replacing the anomalies that start in it gives what grouping all rows gives.

    `anomalies`: those of the source (started_at, ended_at).
    """
    reach = (GAP_BUCKETS + 2) * step  # a bucket more than rows may lie apart: a day may have 25 hours
    start, end = pd.Timestamp(since) - reach, pd.Timestamp(until) + reach
    while True:
        across = anomalies[(anomalies["started_at"] < end) & (anomalies["ended_at"] > start)]
        if across.empty or (across["started_at"].min() >= start and across["ended_at"].max() <= end):
            return start, end
        start, end = min(start, across["started_at"].min()), max(end, across["ended_at"].max())


def merge_violations(scores: pd.DataFrame, violations: pd.DataFrame) -> pd.DataFrame:
    """Scores and violations as one verdict for each row: the input of `group` and of `lifecycle.advance`.

    One row for each (series, observed_at) of `scores` (columns of anomaly_scores), with `rules` (rule name to message, the
    worst first), `severity` (the worst of detectors and rules), `is_anomalous`, and `is_calm`: observed, not anomalous, and
    well below the threshold or inside its band (`is_observed` says whether there was anything to judge). A violation of a bucket that
    was not scored is a row as well: a rule needs no model. An `explanation` of a row's own stays, and a `headline`.
    """
    rows = _with_unscored(scores, violations).sort_values(["series", "observed_at"], ignore_index=True)
    ranked = violations.assign(rank=violations["severity"].map(RANK)).sort_values(["rank", "rule"], ascending=[False, True])
    worst_first = ranked.drop_duplicates(["series", "observed_at"])[["series", "observed_at", "rank", "limit_value"]]
    rows = rows.merge(worst_first, on=["series", "observed_at"], how="left")
    is_broken = rows["rank"].notna().to_numpy()
    broken: dict[Any, dict[str, str]] = {key: {} for key in zip(worst_first["series"], worst_first["observed_at"], strict=True)}
    for series, observed_at, rule, message in ranked[["series", "observed_at", "rule", "message"]].itertuples(index=False, name=None):
        broken[series, observed_at][rule] = message
    rules = np.full(len(rows), None, dtype=object)
    rules[:] = [{}] * len(rows)
    hit = rows.loc[is_broken, ["series", "observed_at"]]
    for at, key in zip(np.flatnonzero(is_broken), hit.itertuples(index=False, name=None), strict=True):
        rules[at] = broken[key]
    is_flagged = rows["is_anomaly"].eq(True).fillna(False).to_numpy(dtype=bool)  # a null is not an anomaly
    own = np.where(is_flagged, rows["severity"].map(RANK).fillna(0).to_numpy(), -1).astype(int)
    rank = np.maximum(own, rows.pop("rank").fillna(-1).to_numpy(int))
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise, surprise_threshold = (_surprise_of(rows[name]) for name in ("anomaly_score", "threshold"))
        is_outside = (rows["value"] < rows["lower"]) | (rows["value"] > rows["upper"])
        is_hovering = is_outside.to_numpy() & (surprise > CALM_SHARE * surprise_threshold)
    is_observed = rows["value"].notna().to_numpy() & (rows["state"] != "missing").to_numpy()
    return rows.assign(
        rules=rules,
        severity=np.array(SEVERITIES, dtype=object)[np.maximum(rank, 0)],
        is_flagged=is_flagged,
        is_anomalous=rank >= 0,
        is_observed=is_observed,
        is_calm=is_observed & (rank < 0) & ~is_hovering,
    )


def _surprise_of(score: pd.Series) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = score.to_numpy(float)
    return to_surprise(scores)


def _with_unscored(scores: pd.DataFrame, violations: pd.DataFrame) -> pd.DataFrame:
    if violations.empty:
        return scores
    keys = ["series", "observed_at"]
    extra = violations.drop_duplicates(keys)[[*keys, "value"]].merge(scores[keys], on=keys, how="left", indicator=True)
    extra = extra[extra.pop("_merge") == "left_only"]
    if extra.empty:
        return scores
    known = scores.drop_duplicates("series").set_index("series")
    labels: list[Any] = [known.loc[s, ["metric", "dimensions"]] if s in known.index else (s.partition("{")[0], {}) for s in extra["series"]]
    metrics, dimensions = zip(*labels, strict=True)
    return pd.concat([scores, extra.assign(metric=metrics, dimensions=dimensions, state="warming_up")], ignore_index=True)


def group(
    rows: pd.DataFrame,
    *,
    source: str,
    step: timedelta,
    run_id: str,
    components: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
    timezone: str = "UTC",
    units: Mapping[str, str] | None = None,
    earlier: pd.DataFrame | None = None,
    incidents_apart: timedelta = timedelta(0),
    flat_rules: Mapping[str, float] = MappingProxyType({}),
    special_days: Mapping[date, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """The anomalies among the rows of `merge_violations` in one affected window: a frame with the columns of the table `anomalies`.

    components: rows of detector_scores for the anomalous rows, which say who contributed. history: series, observed_at, value and
    is_filled from `past.RECORD_WINDOW` before the window on, for "highest in 28 days", the usual range, silence and flat runs. units: by
    metric. earlier: anomalies that began before the window (series, started_at, ended_at, direction), of which the last similar one is
    named; without it none is. incidents_apart: how far anomalies of two incidents lie apart at least. flat_rules: rules that find a value
    which no longer moves, with how much it may move all the same. special_days: the holidays and events among the local days of the
    window, as they are said. `ended_at` is the end of the last anomalous bucket. Value, band and
    deviation are those of the peak, the row that is farthest from what was expected.
    """
    found = rows[rows["is_anomalous"]].sort_values(["series", "observed_at"], ignore_index=True)
    if found.empty:
        return no_anomalies()
    interval = interval_numbers(found, step)
    shares = _shares(found.assign(interval=interval), components)
    past = pasts(history)
    members: dict[int, list[dict[str, Any]]] = {}
    for number, row in zip(interval, found.to_dict("records"), strict=True):
        members.setdefault(number, []).append(row)  # pyright: ignore[reportArgumentType]
    before: dict[str, list[Interval]] = {}
    for past_interval in [] if earlier is None else earlier.to_dict("records"):
        direction = past_interval["direction"] if isinstance(past_interval["direction"], str) else None
        before.setdefault(str(past_interval["series"]), []).append(
            Interval(past_interval["started_at"], past_interval["ended_at"], direction)
        )
    anomalies: list[dict[str, Any]] = []
    for number, own in members.items():  # of each series in the order of time
        known = before.setdefault(str(own[0]["series"]), [])
        anomalies.append(
            _anomaly(
                own,
                source=source,
                step=step,
                run_id=run_id,
                shares=shares.get(number, {}),
                timezone=timezone,
                unit=(units or {}).get(own[0]["metric"], ""),
                past=past.get(str(own[0]["series"])),
                flat_rules=flat_rules,
                special_days=special_days,
                before=known,
                apart=None if earlier is None else incidents_apart,
            )
        )
        known.append(Interval(*(anomalies[-1][name] for name in Interval._fields)))
    return _typed(anomalies)


def anomaly_id(source: str, series: str, cause: str, start: datetime) -> str:
    """The id of what began then: `sha256(source|series|cause|start)[:16]`. Nothing is ever matched by it."""
    moment = pd.Timestamp(start).tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return hashlib.sha256(f"{source}|{series}|{cause}|{moment}".encode()).hexdigest()[:16]


def _anomaly(
    rows: list[dict[str, Any]],
    *,
    source: str,
    step: timedelta,
    run_id: str,
    shares: Mapping[str, float],
    timezone: str,
    unit: str,
    past: Past | None,
    flat_rules: Mapping[str, float],
    special_days: Mapping[date, str],
    before: Sequence[Interval],
    apart: timedelta | None,
) -> dict[str, Any]:
    peak = max(rows, key=_strangeness)  # the first of equals
    value, expected, lower, upper = (float(peak[name]) for name in ("value", "expected", "lower", "upper"))
    started_at, last_at = rows[0]["observed_at"], rows[-1]["observed_at"]
    series, contributions = str(peak["series"]), dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    by_detector: dict[str, float] = {}  # without the columns of one that judges several metrics
    for name, share in contributions.items():
        by_detector[name.partition(":")[0]] = by_detector.get(name.partition(":")[0], 0.0) + share
    strongest = sorted(by_detector, key=lambda name: -by_detector[name])
    named = [name for place, name in enumerate(strongest) if place == 0 or by_detector[name] >= _NAMED_SHARE]
    record, is_usual = past.extreme(value, started_at) if past else ("", False)
    rules: dict[str, str] = dict(peak["rules"])  # as broken at the peak, then those broken elsewhere in the interval
    for row in rows:
        rules = {**row["rules"], **rules}
    rules = {name: rules[name] for name in [*peak["rules"], *sorted(set(rules) - set(peak["rules"]))]}
    deviation = value - expected if isfinite(value - expected) else None
    direction: Direction | None = None if not deviation else "spike" if deviation > 0 else "drop"
    detectors = named or (["ensemble"] if any(row["is_flagged"] for row in rows) else [])
    ended_at, note = last_at + step, _text(peak.get("explanation"))
    similar = None if apart is None else last_similar(before, Interval(started_at, ended_at, direction), apart)
    said = headline.said(
        Seen(
            value=value,
            usual=Usual(expected, lower, upper),
            unit=unit,
            started_at=started_at,
            ended_at=ended_at,
            detectors=detectors,
            is_joint=bool(named) and _TYPE_OF.get(named[0]) == "multivariate",
            rules=rules,
            contributions=contributions,
            note=note,
            sentence=_text(peak.get("headline")),
        ),
        past,
        flat_rules=flat_rules,
        step=step,
        timezone=timezone,
    )
    return {
        "source": source,
        "anomaly_id": anomaly_id(source, series, "anomaly", started_at),
        "series": series,
        "metric": peak["metric"],
        "dimensions": peak["dimensions"],
        "started_at": started_at,
        "ended_at": ended_at,
        "peak_at": peak["observed_at"],
        "point_count": len(rows),
        "value": value,
        "expected": expected,
        "lower": lower,
        "upper": upper,
        "contributions": contributions,
        "anomaly_type": _anomaly_type(value, len(rows), named, is_usual),
        "deviation": deviation,
        "deviation_percent": 100 * deviation / abs(expected) if deviation is not None and expected else None,
        "direction": direction,
        "extreme": record or None,
        "slices": {},
        "last_similar_at": similar and similar[0],
        "last_similar_seconds": similar and similar[1].total_seconds(),
        "anomaly_score": np.fmax.reduce([float(row["anomaly_score"]) for row in rows]),
        "severity": worst(row["severity"] for row in rows),
        "rules": list(rules),
        "detectors": detectors,
        "explanation": explain(
            said.text,
            started_at=said.since,
            ended_at=ended_at,
            worst_at=peak["observed_at"],
            point_count=len(rows) if said.since == started_at else 0,
            record=record,
            note=note,
            rules={name: message for name, message in rules.items() if name != said.rule},
            contributions=contributions,
            step=step,
            timezone=timezone,
            similar=similar and (started_at - similar[0], similar[1]),
            special_day=special_days.get(peak["observed_at"].tz_convert(timezone).date(), ""),
        ),
        "run_id": run_id,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _strangeness(row: Mapping[str, Any]) -> tuple[float, float]:
    """How strange a row is beside others of its interval: how far it is from what was expected or allowed, then its surprise, which
    lags by a row since it looks at three."""
    surprise, expected, limit = (float(row[name]) for name in ("raw_score", "expected", "limit_value"))
    distance = abs(float(row["value"]) - (limit if np.isnan(expected) else expected))
    return 0.0 if np.isnan(distance) else distance, -1.0 if np.isnan(surprise) else surprise


def _shares(found: pd.DataFrame, components: pd.DataFrame | None) -> dict[Any, dict[str, float]]:
    """By interval: each detector's share of the surprise over the rows that detectors flagged; they sum to 1."""
    if components is None or components.empty or found.empty:
        return {}
    flagged = found.loc[found["is_flagged"], ["series", "observed_at", "interval"]].merge(components, on=["series", "observed_at"])
    flagged = flagged[flagged["share"] > 0].sort_values(["interval", "observed_at", "detector"])
    sums: dict[Any, dict[str, float]] = {}
    for interval, detector, share in zip(flagged["interval"], flagged["detector"], flagged["share"], strict=True):
        shares = sums.setdefault(interval, {})
        shares[detector] = shares.get(detector, 0.0) + share
    return {
        interval: {detector: round(share / sum(shares.values()), 4) for detector, share in shares.items()}
        for interval, shares in sums.items()
    }


def _anomaly_type(value: float, point_count: int, detectors: list[str], is_usual: bool) -> AnomalyType:
    """Volume where nothing was observed; then what the strongest detector is there to find; contextual when the value is an
    ordinary one at the wrong time; a point when it is short; else collective."""
    if not isfinite(value):
        return "volume"
    if detectors and detectors[0] in _TYPE_OF:
        return _TYPE_OF[detectors[0]]
    return "contextual" if is_usual else "point" if point_count <= POINT_ROWS else "collective"


def no_anomalies() -> pd.DataFrame:
    """The empty frame of anomalies, typed."""
    return _typed([])


def _typed(anomalies: list[dict[str, Any]]) -> pd.DataFrame:
    numbers = ["value", "expected", "lower", "upper", "deviation", "deviation_percent", "anomaly_score", "last_similar_seconds"]
    times = ["started_at", "ended_at", "peak_at", "last_similar_at"]
    types: dict[str, Any] = dict.fromkeys(numbers, float) | dict.fromkeys(times, "datetime64[us, UTC]")
    return typed_rows(anomalies, ANOMALY_COLUMNS, types | {"point_count": "int64"})
