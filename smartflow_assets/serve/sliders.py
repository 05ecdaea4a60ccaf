"""What the page lets people slide, and how far: the limits and windows of rules, the threshold, how many buckets people wait for.

A limit on values reaches over the values that there are and some way beyond; ratios and windows over what is sensible. A value is written
into the YAML as `written` says, such as `{}s` for a window in seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from math import floor, log10
from typing import Any

from smartflow_assets.config.source import Source
from smartflow_assets.core.rules import BaseRule, RateOfChange, RatioToMedian, Threshold
from smartflow_assets.core.series.surprise import to_anomaly_score
from smartflow_assets.serve.queries.ranges import ValueRange

_STEPS = 200
_WINDOWS = (timedelta(hours=1), timedelta(days=28))
_DURATIONS = ("for", "within")


@dataclass(frozen=True)
class Slider:
    """One value that can be slid: where it stands in the YAML, what it is called, between what and in what steps."""

    path: str
    title: str
    value: float
    least: float
    largest: float
    step: float
    unit: str
    written: str = "{}"


def sliders(source: Source, ranges: Mapping[str, ValueRange]) -> list[dict[str, Any]]:
    """All of a source, in the order of its YAML."""
    return [asdict(each) for each in _sliders(source, ranges)]


def _sliders(source: Source, ranges: Mapping[str, ValueRange]) -> Iterator[Slider]:
    if source.threshold is None or source.threshold.false_alerts is None:
        usual = to_anomaly_score(source.surprise_threshold)
        yield Slider("threshold.score", "Anomaly score from which a row is anomalous", round(usual, 5), 0.9, 0.9999, 0.0001, "")
    for place, rule in enumerate(source.rules):
        yield from _of_rule(f"rules.{place}", rule, rule.metric, source, ranges)
    for at, metric in enumerate(source.metrics):
        for place, rule in enumerate(metric.rules):
            yield from _of_rule(f"metrics.{at}.rules.{place}", rule, metric.name, source, ranges)
    yield Slider("alerts.min_points", "Buckets in a row before people are told", source.alerts.min_points, 1, 48, 1, "buckets")


def _of_rule(path: str, rule: BaseRule, metric: str | None, source: Source, ranges: Mapping[str, ValueRange]) -> Iterator[Slider]:
    if isinstance(rule, Threshold):
        own = [ranges[name] for name in ([metric] if metric else ranges) if name in ranges]
        for key in ("below", "above"):
            value = getattr(rule, key)
            if value is not None:
                yield _limit(f"{path}.{key}", f"{rule.name}: {key}", value, own, source.unit(metric or ""))
    elif isinstance(rule, RatioToMedian):
        for key, most in (("at_least", 10.0), ("at_most", 1.0)):
            value = getattr(rule, key)
            if value is not None:
                yield Slider(f"{path}.{key}", f"{rule.name}: times the median", value, 0.05, max(most, value), 0.05, "x")
        yield _duration(f"{path}.window", f"{rule.name}: window", rule.window, *_WINDOWS)
    elif isinstance(rule, RateOfChange) and rule.within is not None:
        yield _duration(f"{path}.within", f"{rule.name}: within", rule.within, source.time_bucket.every, timedelta(days=7))
    lasting = getattr(rule, "lasting", None)
    if isinstance(lasting, timedelta) and lasting:
        yield _duration(f"{path}.for", f"{rule.name}: for", lasting, source.time_bucket.every, timedelta(days=1))


def _limit(path: str, title: str, value: float, own: list[ValueRange], unit: str) -> Slider:
    """Between the 1st and the 99.9th percentile and half of that beyond, all values and the limit itself within."""
    low, high = (min(each.low for each in own), max(each.high for each in own)) if own else (0.0, 2 * abs(value) or 1.0)
    beyond = (high - low) / 2 or abs(high) / 2 or 1.0
    least = min(value, low - beyond, *(each.least for each in own))
    if own and min(each.least for each in own) >= 0:
        least = min(value, 0.0)
    largest = max(value, high + beyond, *(each.largest for each in own))
    step = _round_step((largest - least) / _STEPS)
    return Slider(path, title, value, floor(least / step) * step, -floor(-largest / step) * step, step, unit)


def _duration(path: str, title: str, value: timedelta, least: timedelta, largest: timedelta) -> Slider:
    step = min(least, value).total_seconds() or 1.0
    return Slider(
        path,
        title,
        value.total_seconds(),
        min(least, value).total_seconds(),
        max(largest, value).total_seconds(),
        step,
        "seconds",
        "{}s",
    )


def _round_step(size: float) -> float:
    """A step that people read easily, no larger: 1, 2 or 5 times a power of ten.

    >>> _round_step(7.3), _round_step(0.034), _round_step(1.0)
    (5.0, 0.02, 1.0)
    """
    power = 10.0 ** floor(log10(size))
    return next(float(f"{each * power:.3g}") for each in (5, 2, 1) if each * power <= size * (1 + 1e-9))
