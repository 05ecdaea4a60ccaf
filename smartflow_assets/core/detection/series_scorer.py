"""One series from values to verdicts: baseline, detectors, calibration, combination, guards, row by row in blocks.

`SeriesScorer` holds what does not change (detectors, what they learnt, facts of the series), its state what does. Scoring is
a pure function of the rows since the state was started: how they were split makes no difference, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from smartflow_assets.core.detection.calendar_effects import CalendarEffects
from smartflow_assets.core.detection.calibration import calibrate, empty_calibration
from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.blocks import State
from smartflow_assets.core.series.facts import SeriesFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1e9
"""Scaled values beyond this are clipped: no square of a sum of them leaves the range of doubles."""
USUAL = 2.0
"""Times the change that 95 % of the rows stay below (about four standard deviations of normal noise): what people are shown as the
usual range. A row within it is never flagged by a mean or maximum of surprises, so a flagged value lies outside of what the message
calls expected. Event F1 .421, .709, .859 on NAB, AIOPS, WSD; with half of the 99.5 % quantile instead .412, .689, .866."""


@dataclass(frozen=True)
class ScoredBlock:
    """Verdicts on the rows of one series, in the unit of the series.

    raw_score: combined surprise, 0 for missing rows; is_flagged: at or above the threshold, outside of the band; is_guarded: the flag of
    a guard that nothing lets pass.
    detector_raw and surprise are detectors x rows, guards included. column_shares: columns x rows, what each column has in the
    raw score of its detector, one detector that has columns after the other.
    """

    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    raw_score: NDArray[np.float64]
    is_flagged: NDArray[np.bool_]
    is_guarded: NDArray[np.bool_]
    is_missing: NDArray[np.bool_]
    detector_raw: NDArray[np.float64]
    surprise: NDArray[np.float64]
    column_shares: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> ScoredBlock:
        """The verdicts on these rows only."""
        return ScoredBlock(*(getattr(self, part.name)[..., rows] for part in fields(self)))


@dataclass
class SeriesProgress:
    """How far a series has been scored: the state after `row_count` rows of its grid, the newest of them at `last_at`."""

    state: State
    row_count: int = 0
    last_at: np.datetime64 | None = None


@dataclass(frozen=True)
class SeriesScorer:
    """Scores one series with `detectors` (guards among them), fitted in the same order."""

    detectors: tuple[BaseDetector, ...]
    fitted: tuple[ModelParts, ...]
    ensemble: Ensemble
    surprise_threshold: float
    facts: SeriesFacts
    calendar_effects: CalendarEffects | None = None

    def start(self) -> State:
        """The state before the first row: one dict for the baseline, each detector, its calibration and the combination."""
        return {
            "baseline": baseline.start(
                self.facts, has_ranges=not self.ensemble.by_flags or any(detector.reads_ranges for detector in self.detectors)
            ),
            "detectors": [d.start(f, self.facts) for d, f in zip(self.detectors, self.fitted, strict=True)],
            "calibrations": [{} if d.is_guard and not d.is_joint else empty_calibration() for d in self.detectors],
            "ensemble": self.ensemble.start(),
        }

    def score(
        self,
        state: State,
        values: NDArray[np.float64],
        features: NDArray[np.float64] | None = None,
        times: NDArray[np.datetime64] | None = None,
    ) -> ScoredBlock:
        """Verdicts on up to `baseline.BLOCK` further values (NaN or infinite = missing); the state is changed in place."""
        facts, scaler = self.facts, self.facts.scaler
        scaled = np.clip(scaler.transform(values), -LARGEST, LARGEST)
        scaled[~np.isfinite(values)] = np.nan
        days = self.calendar_effects.of_rows(facts, times) if self.calendar_effects else None
        rows, normal = baseline.score(state["baseline"], facts, scaled, features, times, days)
        raw, surprise = np.empty((2, len(self.detectors), rows.count))
        flags = np.zeros((len(self.detectors), rows.count), np.bool_)
        members, guards = self._members, self._guards
        own_band: Result | None = None
        least = np.full(rows.count, np.nan)
        column_shares = [np.zeros((0, rows.count))]
        joint = np.zeros(rows.count)
        for j, (detector, fitted) in enumerate(zip(self.detectors, self.fitted, strict=True)):
            result = detector.score(fitted, state["detectors"][j], rows)
            raw[j] = result.raw_score
            if detector.is_guard and not detector.is_joint:
                surprise[j] = result.raw_score
            else:
                surprise[j] = calibrate(state["calibrations"][j], raw[j], rows.is_missing, rows.first)
                own_band = result if members.sum() == 1 and result.expected is not None else own_band
            if detector.is_guard and result.lower is not None:
                least = np.fmax(least, result.lower)
            limit = getattr(detector, "surprise", 3.0)
            flags[j] = result.flag if result.flag is not None else surprise[j] > limit
            if detector.is_joint:
                joint = np.maximum(joint, np.where(flags[j], surprise[j] * self.surprise_threshold / limit, 0.0))
                flags[j] &= surprise[j] > limit
            if result.contributions is not None:
                column_shares.append(result.contributions.T)
        if members.any():
            combined = self.ensemble.combine_rows(
                state["ensemble"], surprise[members], flags[members], self.surprise_threshold, rows, normal
            )
            combined *= self._share_of_threshold
        else:
            combined = np.where(rows.is_missing, 0.0, joint)
        guarded = np.asarray(flags[self._regardless].any(axis=0))
        lifted = np.where(flags, np.maximum(surprise, self.surprise_threshold), 0.0)[guards].max(axis=0, initial=0.0)
        combined = np.maximum(combined, lifted)
        flagged = combined >= self.surprise_threshold
        expected = rows.expected
        lower, upper = self._off_zero(expected - USUAL * normal.usual_fall, expected + USUAL * normal.usual_rise, least)
        if not self.ensemble.by_flags:  # the windows that still hold an anomaly are strange, the calm rows in them are not
            flagged &= (rows.values < lower) | (rows.values > upper)
        if own_band is not None and own_band.expected is not None and own_band.lower is not None and own_band.upper is not None:
            known = np.isfinite(own_band.lower)
            expected = np.where(known, own_band.expected, expected)
            lower, upper = self._off_zero(np.where(known, own_band.lower, lower), np.where(known, own_band.upper, upper), least)
        if days is not None:  # what detectors see is without it
            down, up = baseline.widened(expected - lower, normal.below), baseline.widened(upper - expected, normal.above)
            expected = expected + normal.effect
            lower, upper = expected - down, expected + up
        expected, lower, upper = (scaler.inverse(part) for part in (expected, lower, upper))
        if facts.is_never_negative:
            expected, lower, upper = (np.maximum(part, 0.0) for part in (expected, lower, upper))
        return ScoredBlock(
            expected, lower, upper, combined, flagged, guarded, rows.is_missing, raw, surprise, np.concatenate(column_shares)
        )

    def of_band(self) -> SeriesScorer:
        """A scorer that says the same of expected, lower and upper, for a quarter of the time: with the guards, and the one member whose
        own band people are shown, if it is alone. What detectors read of features is no part of a band."""
        alone = self._members.sum() == 1
        kept = [
            (detector, fitted)
            for detector, fitted, is_member in zip(self.detectors, self.fitted, self._members, strict=True)
            if (alone and is_member and not detector.needs_features) or (detector.is_guard and not detector.is_joint)
        ]
        return replace(self, detectors=tuple(each for each, _ in kept), fitted=tuple(each for _, each in kept))

    def _off_zero(
        self, lower: NDArray[np.float64], upper: NDArray[np.float64], least: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The band, which ends at `least` (NaN: zero is usual) where it would hold zero; all scaled."""
        (zero,) = self.facts.scaler.transform(np.zeros(1))
        is_in = (lower <= zero) & np.isfinite(least)
        return np.where(is_in, least, lower), np.where(is_in, np.maximum(upper, least), upper)

    @cached_property
    def _guards(self) -> NDArray[np.bool_]:
        return np.array([d.is_guard for d in self.detectors])

    @cached_property
    def _regardless(self) -> NDArray[np.bool_]:
        """The guards that what a series lets pass does not hold back."""
        return np.array([d.is_guard and not d.has_direction for d in self.detectors])

    @cached_property
    def _members(self) -> NDArray[np.bool_]:
        """Which detectors are averaged: no guards, and none that cannot judge such a series unless it is the only one."""
        members = ~self._guards
        suited = members & np.array([not d.unsuited(self.facts) for d in self.detectors])
        return suited if suited.any() else members

    @cached_property
    def _share_of_threshold(self) -> float:
        """What the mean of fewer members than were listed is worth, so that one threshold serves every series."""
        if self.ensemble.by_flags:
            return 1.0
        listed, members = int((~self._guards).sum()), int(self._members.sum())
        return self.ensemble.surprise_threshold(listed, "medium") / self.ensemble.surprise_threshold(members, "medium")

    def score_next(
        self,
        progress: SeriesProgress,
        grid: NDArray[np.int64],
        values: NDArray[np.float64],
        features: NDArray[np.float64] | None = None,
        times: NDArray[np.datetime64] | None = None,
    ) -> Iterator[tuple[slice[int, int, None], ScoredBlock]]:
        """Score the next values of a series block by block; grid[i] is the row number of values[i], gaps are missing rows."""
        done, a = progress.row_count, 0
        while a < len(values):
            b = int(np.searchsorted(grid, done + baseline.BLOCK))
            size = int(grid[b - 1]) + 1 - done if b > a else baseline.BLOCK
            block, matrix, moments = np.full(size, np.nan), None, None
            place = grid[a:b] - done
            block[place] = values[a:b]
            if features is not None:
                matrix = np.full((size, features.shape[1]), np.nan)
                matrix[place] = features[a:b]
            if times is not None:
                moments = np.full(size, np.datetime64("NaT", "us"))
                moments[place] = times[a:b]
            scored = self.score(progress.state, block, matrix, moments)
            if b > a:
                yield slice(a, b), scored if size == b - a else scored.take(place)
            done, a = done + size, b
            progress.row_count = done
