"""What judges a series and why: who takes part, where the threshold lies, how much history is needed. In words, for people."""

from datetime import timedelta

from smartflow_assets.core.detection.settings import DetectionSettings
from smartflow_assets.core.detection.training import minimum_rows
from smartflow_assets.core.series.facts import SeriesFacts, season
from smartflow_assets.core.series.surprise import to_anomaly_score
from smartflow_assets.core.temporal.notation import format_duration


def explained(settings: DetectionSettings, step: timedelta) -> list[str]:
    """One line for each matter, for series with a row every `step`.

    >>> for line in explained(DetectionSettings(), timedelta(days=7))[:2]: print(line)
    season: none; a day or a week does not hold four rows
    averaged: forecast, difference, seasonal, subsequence_neighbours, autoregressive, range_excess
    """
    facts = SeriesFacts(period=season(step))
    members = [detector for detector in settings.active() if not detector.is_guard]
    out = {detector.type: why for detector in members if (why := detector.unsuited(facts))}
    taking = [detector.type for detector in members if detector.type not in out] or [detector.type for detector in members]
    length = "a day" if step <= timedelta(hours=6) else "a week"
    least = minimum_rows(settings, step)
    word = {"mean": "averaged", "max": "the strangest of", "any": "any of", "vote": f"{settings.ensemble.votes_needed(len(members))} of"}
    lines = [
        f"season: {facts.period} rows, {length}" if facts.period else "season: none; a day or a week does not hold four rows",
        f"{word[settings.ensemble.combine]}: {', '.join(taking)}",
        *(f"sits out: {kind}, {why}" for kind, why in out.items() if kind not in taking),
        f"always on: {', '.join(detector.type for detector in settings.active() if detector.is_guard)}",
        f"warming up: {least} rows, {format_duration(least * step)}",
    ]
    if settings.ensemble.by_flags:
        return [*lines, "threshold: each detector's own"]
    source = "threshold.score" if settings.threshold and settings.threshold.score is not None else f"sensitivity {settings.sensitivity}"
    budget = f"; raised where a series would alarm more often than {settings.budget}" if settings.budget else ""
    return [*lines, f"threshold: an anomaly score of {to_anomaly_score(settings.surprise_threshold):.4f}, by {source}{budget}"]
