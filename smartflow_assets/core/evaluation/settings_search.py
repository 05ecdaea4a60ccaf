"""The search for better settings: which point to try next, and which of those that were tried is the best.

Parameters have a few readable values each, so that what is proposed can be written down and no point is tried twice. A proposal
is a function of the trials before it and of the seed: a search that was cut off goes on as if it had not been. A library
would bring samplers for wide, smooth spaces and a store of its own; here a trial takes a second and a space a hundred values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np

Value = float | int | bool | str
Point = Mapping[str, Value]
"""The parameters that differ from the present settings, by key."""
ELITE = 3  # of the best, one is changed into the next trial
DRAWS = 200  # points drawn near the best, and then anywhere, before all are counted as tried
RESET, CROSSED, NEIGHBOUR = 0.2, 0.3, 0.6  # how often a change is taken back, two points are joined, a value moves one place


@dataclass(frozen=True)
class Parameter:
    """Something that may be changed: `name` is what people call it, several keys may share one; `values` are in order."""

    key: str
    name: str
    values: tuple[Value, ...]
    present: Value
    default: Value

    def distance(self, value: Value) -> float:
        """How far a value is from the default, from 0 to 1."""
        return abs(self.values.index(value) - self.values.index(self.default)) / max(len(self.values) - 1, 1)


@dataclass(frozen=True)
class TrialFigures:
    """How settings did: events that were found, missed and wrong, and how well the scores rank."""

    precision: float
    recall: float
    f1: float
    pr_auc: float | None
    false_alerts: int
    false_alerts_per_day: float

    @property
    def rank(self) -> tuple[float, float, int]:
        """The higher the better: event F1, then the area under the precision-recall curve, then fewer false alerts. Areas count in
        steps of .05: with some dozens of events a smaller difference is chance, and no reason to list other detectors."""
        return round(self.f1, 3), round(20 * (self.pr_auc or 0.0)) / 20, -self.false_alerts


@dataclass(frozen=True)
class Trial:
    """A point and how it did; `error` says why it could not be tried."""

    point: Point
    figures: TrialFigures | None = None
    error: str = ""
    key: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", point_key(self.point))


def point_key(point: Point) -> str:
    """A point as text; equal for equal points."""
    return ", ".join(f"{key}={point[key]}" for key in sorted(point))


def best(trials: Sequence[Trial], parameters: Sequence[Parameter], count: int = 1) -> list[Trial]:
    """The best trials, the first the best: by their figures, then nearer to the defaults, then with fewer changes."""
    known = {parameter.key: parameter for parameter in parameters}
    apart = sum(parameter.distance(parameter.present) for parameter in parameters)

    def order(trial: Trial) -> tuple[Any, ...]:
        moved = sum(known[key].distance(value) - known[key].distance(known[key].present) for key, value in trial.point.items())
        return (*(trial.figures.rank if trial.figures else ()), -round(apart + moved, 6), -len(trial.point))

    return sorted((trial for trial in trials if trial.figures), key=order, reverse=True)[:count]


def propose(parameters: Sequence[Parameter], trials: Sequence[Trial], seed: int) -> Point | None:
    """What to try next; None when all has been tried. First the present settings, then each value alone, then changes of the best,
    and when these are known, anything."""
    tried = {trial.key for trial in trials}
    nothing: Point = {}
    for point in (nothing, *_alone(parameters)):
        if point_key(point) not in tried:
            return point
    rng = np.random.default_rng([seed, len(trials)])
    parents = [trial.point for trial in best(trials, parameters, ELITE)] or [{}]
    for draw in range(2 * DRAWS):
        near = _changed(parents[rng.integers(len(parents))], parents, parameters, rng)
        point = near if draw < DRAWS else _anywhere(parameters, rng)
        if point_key(point) not in tried:
            return point
    return None


def _alone(parameters: Sequence[Parameter]) -> list[Point]:
    """Points with one change, in turns: the first value of each parameter, then the second; the middle of the values first."""
    turns = (
        [{parameter.key: value} for value in _from_the_middle(parameter.values) if value != parameter.present] for parameter in parameters
    )
    return [point for turn in zip_longest(*turns) for point in turn if point is not None]


def _from_the_middle(values: Sequence[Value]) -> list[Value]:
    """Values in an order of which every beginning is spread over all of them.

    >>> _from_the_middle([1, 2, 3, 4, 5, 6, 7])
    [4, 2, 6, 1, 3, 5, 7]
    """
    order, spans = list[Value](), [(0, len(values))]
    while spans:
        low, high = spans.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(values[middle])
            spans += [(low, middle), (middle + 1, high)]
    return order


def _changed(parent: Point, parents: Sequence[Point], parameters: Sequence[Parameter], rng: np.random.Generator) -> Point:
    """The parent with one or two changes more, one less, or joined with another of the best."""
    point = dict(parent)
    if point and rng.random() < RESET:
        del point[sorted(point)[int(rng.integers(len(point)))]]
        return point
    if len(parents) > 1 and rng.random() < CROSSED:
        other = parents[int(rng.integers(len(parents)))]
        point |= {key: other[key] for key in sorted(other) if rng.random() < 0.5}
    for parameter in [parameters[int(place)] for place in rng.permutation(len(parameters))[: rng.integers(1, 3)]]:
        at = parameter.values.index(point.get(parameter.key, parameter.present))
        step = int(rng.choice([-1, 1]))
        if rng.random() >= NEIGHBOUR or not 0 <= at + step < len(parameter.values):
            at, step = int(rng.integers(len(parameter.values))), 0
        point[parameter.key] = parameter.values[at + step]
    return _differing(point, parameters)


def _anywhere(parameters: Sequence[Parameter], rng: np.random.Generator) -> Point:
    return _differing({each.key: each.values[int(rng.integers(len(each.values)))] for each in parameters}, parameters)


def _differing(point: Point, parameters: Sequence[Parameter]) -> Point:
    """The point without what is as it stands."""
    present = {parameter.key: parameter.present for parameter in parameters}
    return {key: value for key, value in sorted(point.items()) if value != present[key]}
