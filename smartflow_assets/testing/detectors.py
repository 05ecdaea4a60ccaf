"""`check_detector`: what every detector must do, whatever it computes.

Each check takes one detector and scores series whose answer is known, as a run does: shared baseline, detector, calibration,
ensemble. What a single detector finds that others do not is for tests of its own.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection.ensemble import Ensemble
from smartflow_assets.core.detection.series_scorer import SeriesScorer
from smartflow_assets.core.detectors.base import BaseDetector, Result
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.series import baseline
from smartflow_assets.core.series.blocks import Rows
from smartflow_assets.testing.promises import (
    BrokenPromiseError,
    broken,
    check_instance,
    check_settings,
    counted,
    kind_of,
    promised,
    raised,
    run_all,
)
from smartflow_assets.testing.series import ROWS, SPIKE, TIMES, daily, features_of, history_of, scored_in_chunks, scorer_of, with_spike

Values = NDArray[np.float64]
WHOLE = 4096  # more rows than any of the series has: one block
KINDS = ("point", "contextual", "collective", "multivariate")
MIXED_UP = 5.0  # scores of a model that learns from all series together move less than so many times with their order
OWN_FLAGS = frozenset(("raw_score", "is_flagged", "is_guarded"))  # what hangs on them where a member's own flag decides
_GAPPY = np.where(np.random.default_rng(1).random(ROWS) < 0.3, np.nan, daily())
INPUTS: dict[str, Values] = {
    "constant": np.full(ROWS, 42.0),
    "zero": np.zeros(ROWS),
    "short": daily()[:3],
    "single": daily()[:1],
    "gappy": _GAPPY,
    "all_missing": np.full(ROWS, np.nan),
    "infinite": np.where(np.isnan(_GAPPY), np.inf, _GAPPY),
    "huge": daily() * 1e298,
    "large": daily() * 1e140,
    "tiny": daily() * 1e-302,
    "both_signs_huge": (daily() - 100) * 1e298,
    "far_from_zero": daily() + 1e9,
    "jump_from_constant": np.where(np.arange(ROWS) < 600, 0.0, 1e12),
}
"""Series that data brings and nobody thinks of: every detector gives finite scores for each."""


def check_detector(detector: BaseDetector) -> None:
    """Run every check of `DETECTOR_CHECKS`; AssertionError says which promise is broken, by which series, and what to do.

    Takes some seconds: each check fits the detector on 300 rows and scores 1,100.
    """
    check_instance(detector, BaseDetector, "check_detector")
    run_all(DETECTOR_CHECKS, detector, detector, detector.type)


def check_detector_settings(detector: BaseDetector) -> None:
    """Its settings are a frozen model, as those of every plug-in, and `anomalies` holds kinds of anomaly that there are."""
    check_settings(detector)
    kinds: object = detector.anomalies
    strangers = [kinds] if not isinstance(kinds, tuple) else [kind for kind in kinds if kind not in KINDS]
    remedy = f"Write a tuple of kinds that there are ({', '.join(map(repr, KINDS))}), or leave it out"
    promised(not strangers, detector.type, f"anomalies holds {', '.join(map(repr, strangers))}", remedy)


def check_what_fit_and_start_return(detector: BaseDetector) -> None:
    """fit returns ModelParts that can be stored and leaves the history as it is; start returns a dict."""
    who = detector.type
    known, history = history_of(with_spike())
    before = deepcopy(history)
    fitted: object = detector.fit(history)
    if not isinstance(fitted, ModelParts):
        broken(who, f"fit returned {kind_of(fitted)}, not ModelParts", "Return ModelParts(parameters={…}, arrays={…}), or leave fit out")
    for name in ("values", "features", "times"):
        held, now = getattr(before, name), getattr(history, name)
        is_same = held.keys() == now.keys() and all(_is_equal(held[series], now[series]) for series in held)
        promised(is_same, who, f"fit changed history.{name}", "Copy before you sort or change: other detectors learn from the same rows")
    _check_is_json(fitted.parameters, who, "parameters")
    for name, array in fitted.arrays.items():
        promised(isinstance(array, np.ndarray), who, f"arrays[{name!r}] is {kind_of(array)}, not an array", "Wrap it: np.array(…)")
    state: object = detector.start(fitted, known)
    promised(isinstance(state, dict), who, f"start returned {kind_of(state)}, not a dict", 'Return a new dict: {"mean": np.zeros(1)}')


def check_series_are_told_apart(detector: BaseDetector) -> None:
    """A series is scored by what was learnt of it, whatever other series there were and in whatever order they came."""
    values = with_spike()
    known, alone = history_of(values)
    calm = slice(300, SPIKE)
    usual: dict[str, float] = {}
    for order in (("load", "other"), ("other", "load")):
        history = replace(
            alone,
            values={name: _of(name, alone.values["load"]) for name in order},
            features={name: alone.features["load"].copy() for name in order},
            times=dict.fromkeys(order, alone.times["load"]),
        )
        scorer = SeriesScorer((detector,), (detector.fit(history),), Ensemble(), 3.0, known)
        usual[order[-1]] = float(np.median(scored_in_chunks(scorer, values, WHOLE)["detector_raw"][0, calm]))
    most, least = max(usual.values()), min(usual.values())
    what = f"calm rows score {usual['load']:.3g} when their series comes last in history, and {usual['other']:.3g} when another does"
    remedy = "Store what fit learns of a series under its name, and let start pick the part of facts.name"
    promised(most <= MIXED_UP * least + 1e-9, detector.type, what, remedy)


def check_what_a_score_is(detector: BaseDetector) -> None:
    """score returns a Result, one finite number >= 0 for each row, and leaves the rows as they are."""
    who, count = detector.type, 300
    rows, fitted, state = _block(detector, with_spike()[:count])
    before = deepcopy(rows)
    result: object = detector.score(fitted, state, rows)
    if not isinstance(result, Result):
        broken(who, f"score returned {kind_of(result)}, not a Result", "Return Result(raw_score) alone: the state is changed in place")
    shape = np.shape(result.raw_score)
    promised(shape == (count,), who, f"raw_score has shape {shape} for {count} rows", "Give one score for each row of the block")
    for name in ("flag", "expected", "lower", "upper"):
        part = getattr(result, name)
        if part is not None and np.shape(part) != (count,):
            broken(who, f"{name} has shape {np.shape(part)} for {count} rows", "Give one for each row")
    promised(result.flag is None or result.flag.dtype == np.bool_, who, "flag is not an array of truth values", "Compare: flag=raw > limit")
    for field in fields(Rows):
        held, now = getattr(before, field.name), getattr(rows, field.name)
        promised(_is_equal(held, now), who, f"score changed rows.{field.name}", "Copy before you change: other detectors see the same rows")


def check_scores_are_finite(detector: BaseDetector) -> None:
    """Any series gives finite scores >= 0 and a band whose lower end is not above its upper one."""
    for given, values in INPUTS.items():
        try:
            scored = scored_in_chunks(scorer_of(detector, values), values, WHOLE)
        except (BrokenPromiseError, NotImplementedError):
            raise
        except Exception as error:
            broken(detector.type, f"{raised(error, detector)}, for the series {given!r}", "Score what cannot be judged with 0", error)
        for name in ("raw_score", "detector_raw", "surprise", "expected", "lower", "upper"):
            row = int(np.argmin(np.isfinite(scored[name]).reshape(-1, len(values)).all(axis=0)))
            promised(
                np.isfinite(scored[name]).all(),
                detector.type,
                f"{name} is not finite in row {row} of the series {given!r}",
                "Divide by what cannot be 0, and score what cannot be judged with 0",
            )
        promised(
            min(scored["raw_score"].min(), scored["detector_raw"].min()) >= 0,
            detector.type,
            f"a score is below 0 for the series {given!r}",
            "0 is usual and higher is stranger: take the distance",
        )
        promised((scored["lower"] <= scored["upper"]).all(), detector.type, f"lower > upper for the series {given!r}", "Swap the two")


def check_a_constant_series_is_calm(detector: BaseDetector) -> None:
    """Nothing is strange in a constant series."""
    scored = scored_in_chunks(scorer_of(detector, INPUTS["constant"]), INPUTS["constant"], WHOLE)
    for name in ("is_flagged", "is_guarded"):
        promised(not scored[name].any(), detector.type, f"{name} in a constant series", "Score 0 where a value equals all before it")


def check_fit_is_repeatable(detector: BaseDetector) -> None:
    """Two fits on the same history give the same model and the same scores, to the bit."""
    values = with_spike()
    one, other = scorer_of(detector, values), scorer_of(detector, values)
    remedy = "Seed every generator, and use neither clock nor hash order"
    first, second = one.fitted[0], other.fitted[0]
    promised(dict(first.parameters) == dict(second.parameters), detector.type, "two fits gave other parameters", remedy)
    _same(first.arrays, second.arrays, detector.type, "two fits on the same history gave other arrays", remedy)
    before, after = (scored_in_chunks(scorer, values, WHOLE) for scorer in (one, other))
    _same(before, after, detector.type, "two runs over the same series gave other scores", remedy)


def check_start_is_fresh(detector: BaseDetector) -> None:
    """start gives a state that no other series shares."""
    values = with_spike()
    scorer = scorer_of(detector, values)
    one, other = scorer.start(), scorer.start()
    first, second = (scorer.score(state, values, features_of(values), TIMES[: len(values)]) for state in (one, other))
    _same(
        vars(first),
        vars(second),
        detector.type,
        "a second series was scored otherwise than the first, though both hold the same rows",
        "Make new arrays in each call of start, and keep nothing on the class or in the module",
    )


def check_cutting_changes_nothing(detector: BaseDetector) -> None:
    """The same rows give the same scores and flags, to the bit, however runs split them; values are missing among them."""
    values = with_spike()
    values[[50, 400, 401, 402]] = np.nan
    scorer = scorer_of(detector, values, Ensemble(combine="any"))  # in which the detector's own flags decide, not its scores alone
    whole = scored_in_chunks(scorer, values, WHOLE)
    for size in (1, 7):
        pieces = scored_in_chunks(scorer, values, size)
        for names, what in ((whole.keys() - OWN_FLAGS, "scores"), (OWN_FLAGS, "flags")):
            _same(
                {name: whole[name] for name in whole if name in names},
                {name: pieces[name] for name in pieces if name in names},
                detector.type,
                f"blocks of {counted(size, 'row')} gave other {what} than one block",
                "Keep all memory in `state`, change it in place, and let no row of a block see a later one",
            )


def check_the_future_changes_nothing(detector: BaseDetector) -> None:
    """What was said of a row does not change with what comes after it."""
    values = with_spike()
    scorer = scorer_of(detector, values)
    other = np.concatenate([values[:1000], values[1000:] * 7 - 300])
    before, after = (scored_in_chunks(scorer, series, WHOLE) for series in (values, other))
    _same(
        {name: value[..., :1000] for name, value in before.items()},
        {name: value[..., :1000] for name, value in after.items()},
        detector.type,
        "scores of the first 1,000 rows changed with the rows after them",
        "Compute each score from the row and those before it, not from the whole block",
    )


def check_a_spike_ranks_first(detector: BaseDetector) -> None:
    """A spike ranks first where `anomalies` claims points; otherwise nothing before it is flagged."""
    scored = scored_in_chunks(scorer_of(detector, with_spike()), with_spike(), WHOLE)
    who = detector.type
    if "point" not in detector.anomalies:
        promised(not scored["is_flagged"][300:SPIKE].any(), who, "a calm row was flagged", "Score rows without anything strange alike")
        return
    remedy = "Score by the distance from what is usual, or leave 'point' out of `anomalies`"
    highest = int(scored["detector_raw"][0, 300:].argmax()) + 300
    promised(highest in range(SPIKE, SPIKE + 3), who, f"row {highest} ranks above a spike of ten times the season in row {SPIKE}", remedy)
    promised(scored["surprise"][0, SPIKE] > 3, who, f"the surprise of a spike is {scored['surprise'][0, SPIKE]:.2f}, not above 3", remedy)
    promised(scored["is_flagged"][SPIKE], who, "a spike is not flagged", remedy)


def check_a_flat_run_ranks_first(detector: BaseDetector) -> None:
    """Two days without any change rank first where `anomalies` claims runs or context; nothing before them is flagged."""
    values = daily()
    values[800:848] = values[800]  # two days as at one hour of the first
    scored = scored_in_chunks(scorer_of(detector, values), values, WHOLE)
    flagged = (scored["is_flagged"] | scored["is_guarded"])[300:800]
    promised(not flagged.any(), detector.type, "a calm row was flagged", "Score rows without anything strange alike")
    if {"contextual", "collective"} & set(detector.anomalies):
        highest = int(scored["surprise"][0, 300:].argmax()) + 300
        what = f"row {highest} ranks above a flat run of two days in rows 800 to 847"
        promised(highest in range(801, 872), detector.type, what, "Leave 'contextual' and 'collective' out of `anomalies`")


def check_the_unit_changes_nothing(detector: BaseDetector) -> None:
    """A series in another unit of measurement has the same scores."""
    values = with_spike()
    one, other = (scored_in_chunks(scorer_of(detector, series), series, WHOLE) for series in (values, values * 1024))
    remedy = "Compare scaled values with scaled values; no limit in the unit of a series"
    _same({"raw_score": one["raw_score"]}, {"raw_score": other["raw_score"]}, detector.type, "values times 1,024 scored otherwise", remedy)
    _same(
        {"expected": one["expected"] * 1024},
        {"expected": other["expected"]},
        detector.type,
        "of values times 1,024 something else was expected",
        remedy,
    )


def check_the_level_changes_nothing(detector: BaseDetector) -> None:
    """A series on another level has the same scores."""
    values = np.round(with_spike() * 1024) / 1024  # so that neither the sums nor the quartiles are rounded
    one, other = (scored_in_chunks(scorer_of(detector, series), series, WHOLE) for series in (values, values + 4096))
    remedy = "Score differences from what is usual, not values"
    _same({"raw_score": one["raw_score"]}, {"raw_score": other["raw_score"]}, detector.type, "values plus 4,096 scored otherwise", remedy)
    is_close = np.allclose(one["expected"] + 4096, other["expected"], rtol=1e-12, atol=0)
    promised(is_close, detector.type, "of values plus 4,096 something else was expected", remedy)


def check_storage_changes_nothing(detector: BaseDetector) -> None:
    """What was learnt scores alike after it was written to a model store and read again."""
    values = with_spike()
    scorer = scorer_of(detector, values)
    fitted = scorer.fitted[0]
    parts = ModelParts(fitted.parameters, fitted.arrays, fitted.estimators)
    with TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        read = store.load(store.save("web", detector.type, "m1", parts))
    rebuilt = replace(scorer, fitted=(ModelParts(dict(read.parameters), dict(read.arrays), dict(read.estimators)),))
    first, second = (scored_in_chunks(one, values, WHOLE) for one in (scorer, rebuilt))
    remedy = "Put all that fit learns into ModelParts: parameters as JSON, numbers as arrays, nothing on the detector"
    _same(first, second, detector.type, "a model that was stored and read again gave other scores", remedy)


def check_the_state_is_bounded(detector: BaseDetector) -> None:
    """The state is made of arrays and plain values, does not grow, and goes on from a copy."""
    values = with_spike()
    scorer = scorer_of(detector, values)
    state, sizes = scorer.start(), list[dict[str, int]]()
    for a in (0, 300, 600):
        scorer.score(state, values[a : a + 300], *_beside(values, a, a + 300))
        rest = {name: part for name, part in state.items() if name != "detectors"}
        sizes.append(_sizes(state["detectors"][0], detector.type) | _sizes(rest, detector.type, "baseline and calibration"))
    for key, size in sizes[2].items():
        before = sizes[1].get(key, 0)
        what = f"{key} grew from {before} to {size} bytes between row 600 and row 900"
        promised(size == before, detector.type, what, "Keep arrays of a fixed size: a series may go on for years")
    copy = _copied(state)
    one, other = (scorer.score(start, values[900:], *_beside(values, 900, ROWS)) for start in (state, copy))
    first, second = ({name: getattr(part, name) for name in ("raw_score", "detector_raw")} for part in (one, other))
    _same(first, second, detector.type, "a copy of the state went on otherwise", "Keep all memory in `state`, none on the detector")


DETECTOR_CHECKS: tuple[Callable[[BaseDetector], None], ...] = (
    check_detector_settings,
    check_what_fit_and_start_return,
    check_what_a_score_is,
    check_scores_are_finite,
    check_a_constant_series_is_calm,
    check_start_is_fresh,
    check_fit_is_repeatable,
    check_series_are_told_apart,
    check_cutting_changes_nothing,
    check_the_future_changes_nothing,
    check_a_spike_ranks_first,
    check_a_flat_run_ranks_first,
    check_the_unit_changes_nothing,
    check_the_level_changes_nothing,
    check_storage_changes_nothing,
    check_the_state_is_bounded,
)
"""Every promise of a detector, one function each."""


def _block(detector: BaseDetector, values: Values) -> tuple[Rows, ModelParts, dict[str, Any]]:
    """The rows of a series as the detector sees them, what it learnt of the series, and the state before the first row."""
    scorer = scorer_of(detector, values)
    scaled = scorer.facts.scaler.transform(values)
    rows, _ = baseline.score(baseline.start(scorer.facts), scorer.facts, scaled, features_of(values), TIMES[: len(values)])
    return rows, scorer.fitted[0], detector.start(scorer.fitted[0], scorer.facts)


def _same(one: Mapping[str, Any], other: Mapping[str, Any], who: str, what: str, remedy: str) -> None:
    """Equal to the bit, or the first row of the first array that differs is named."""
    promised(one.keys() == other.keys(), who, what, remedy)
    for name, value in one.items():
        left, right = np.asarray(value), np.asarray(other[name])
        if left.shape != right.shape:
            broken(who, f"{what}: {name} has shape {left.shape} and {right.shape}", remedy)
        differs = (left != right) & ~((left != left) & (right != right))
        if differs.any():
            row = int(np.argwhere(differs)[0][-1])
            broken(who, f"{what}: {name} of row {row} is {_plain(left[differs][0])} and {_plain(right[differs][0])}", remedy)


def _is_equal(one: Any, other: Any) -> bool:
    return (
        np.array_equal(one, other, equal_nan=True) if isinstance(one, np.ndarray) and one.dtype.kind == "f" else np.array_equal(one, other)
    )


def _beside(values: Values, a: int, b: int) -> tuple[Values, NDArray[np.datetime64]]:
    return features_of(values)[a:b], TIMES[a:b]


def _sizes(state: dict[str, Any], who: str, name: str = "state") -> dict[str, int]:
    """The bytes of each entry of a state."""
    return {f"{name}[{key!r}]": _size(part, who) for key, part in state.items()}


def _size(part: Any, who: str) -> int:
    """Its bytes, about; a value that is neither an array nor plain breaks the promise."""
    remedy = "Keep arrays of numbers or truth values, and plain values"
    if isinstance(part, np.ndarray):
        promised(part.dtype.kind in "biuf", who, f"the state holds an array of {part.dtype}", remedy)
        return part.nbytes
    if isinstance(part, dict | list | tuple):
        return sum(8 + _size(each, who) for each in (part.values() if isinstance(part, dict) else part))
    try:
        json.dumps(part if not isinstance(part, np.generic) else part.item())
    except TypeError:
        broken(who, f"the state holds {kind_of(part)}", remedy)
    return len(part) if isinstance(part, str) else 8


def _of(name: str, values: Values) -> Values:
    """The scaled values of `load`; `other` has the same with peaks, which put its mean and its spread elsewhere."""
    return values.copy() if name == "load" else np.where(np.arange(len(values)) % 5 < 2, values + 50, values)


def _check_is_json(value: Any, who: str, name: str) -> None:
    """JSON gives the value back as it was: plain values, lists, and dicts with text as keys."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            promised(isinstance(key, str), who, f"{name} has the key {key!r}, which JSON turns into text", "Use text as keys: str(key)")
            _check_is_json(part, who, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        for part in value:
            _check_is_json(part, who, name)
    else:
        is_plain = value is None or isinstance(value, str | int | float)
        promised(is_plain, who, f"{name} holds {kind_of(value)}, which JSON cannot hold", "Put arrays into arrays, and plain values here")


def _plain(value: Any) -> str:
    return repr(value.item()) if isinstance(value, np.generic) else repr(value)


def _copied(state: Any) -> Any:
    if isinstance(state, np.ndarray):
        return np.frombuffer(bytearray(state.tobytes()), state.dtype).reshape(state.shape)
    if isinstance(state, dict):
        return {name: _copied(part) for name, part in state.items()}
    return [_copied(part) for part in state] if isinstance(state, list) else state
