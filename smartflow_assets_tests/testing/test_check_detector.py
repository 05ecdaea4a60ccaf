"""check_detector: a detector that keeps its promises passes, and one that breaks a promise hears which, by what, and what to do."""

import re
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import ConfigDict, Field

from smartflow_assets.api import BaseDetector, History, ModelParts, Result, Rows, SeriesFacts, State
from smartflow_assets.testing import check_detector


class Distance(BaseDetector, frozen=True):
    """What is far from the running mean is strange; each broken detector below changes one thing."""

    type: Literal["distance"] = "distance"
    weight: float = Field(default=0.1, gt=0, lt=1, description="Weight of the newest row in the mean.")

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"mean": np.zeros(1)}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        raw = np.zeros(rows.count)
        for at, value in enumerate(rows.values):
            raw[at] = abs(value - state["mean"][0])
            state["mean"] += self.weight * (value - state["mean"])
        return Result(raw)


class Learner(Distance, frozen=True):
    """Knows the level of each series from its history, as docs/extending.md shows it."""

    def fit(self, history: History) -> ModelParts:
        levels = {name: float(np.nanmedian(values)) for name, values in history.values.items() if np.isfinite(values).any()}
        return ModelParts(parameters={"levels": levels})

    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return {"level": np.array([fitted.parameters.get("levels", {}).get(facts.name, 0.0)])}

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.abs(rows.values - state["level"]))


class Untyped(Distance, frozen=True):
    type: str = "distance"


class Careless(Distance, frozen=True):
    model_config = ConfigDict(extra="ignore")


class Silent(Distance, frozen=True):
    weight: float = 0.1


class Pair(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Any:
        return super().score(fitted, state, rows), state


class Short(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(super().score(fitted, state, rows).raw_score[1:])


class Meddler(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        result = super().score(fitted, state, rows)
        rows.residual[:] = 0
        return result


class BlockFlags(Distance, frozen=True):
    """Its scores are right, its own flags depend on where a block ends."""

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(super().score(fitted, state, rows).raw_score, flag=np.arange(rows.count) == rows.count - 1)


class Divider(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        with np.errstate(all="ignore"):
            return Result(np.abs(rows.values) / (rows.values - rows.values))


class Negative(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(rows.values.copy())


class Blunt(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        if rows.is_missing.all():
            raise IndexError("list index out of range")
        return super().score(fitted, state, rows)


class Random(Distance, frozen=True):
    def fit(self, history: History) -> ModelParts:
        return ModelParts(arrays={"direction": np.random.default_rng().normal(size=3)})


SHARED: State = {"mean": np.zeros(1)}


class Shared(Distance, frozen=True):
    def start(self, fitted: ModelParts, facts: SeriesFacts) -> State:
        return SHARED


class Forgetful(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return super().score(fitted, {"mean": state["mean"].copy()}, rows)


class Whole(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.abs(rows.values - rows.values.mean()))


class Boaster(Distance, frozen=True):
    anomalies = ("point",)

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.zeros(rows.count))


class Dreamer(Distance, frozen=True):
    anomalies = ("collective",)

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.zeros(rows.count))


class Hoarder(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        state["seen"] = np.concatenate([state.get("seen", np.zeros(0)), rows.values])
        return super().score(fitted, state, rows)


class Keeper(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        state["names"] = {"a", "b"}
        return super().score(fitted, state, rows)


class Lister(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        state.setdefault("past", []).extend(rows.values.tolist())
        return super().score(fitted, state, rows)


class Indexer(Distance, frozen=True):
    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        past: dict[str, float] = state.setdefault("past", {})
        past.update({str(rows.first + at): float(value) for at, value in enumerate(rows.values)})
        return super().score(fitted, state, rows)


class Mixer(Distance, frozen=True):
    """What it learnt of the last series is taken for the level of all."""

    def fit(self, history: History) -> ModelParts:
        *_, last = history.values.values()
        return ModelParts(arrays={"level": np.array([last[np.isfinite(last)].mean() if np.isfinite(last).any() else 0.0])})

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.abs(rows.values - fitted.arrays["level"]))


class Sorter(Distance, frozen=True):
    def fit(self, history: History) -> ModelParts:
        for values in history.values.values():
            values.sort()
        return ModelParts()


class Fantast(Distance, frozen=True):
    anomalies = ("flat", "nonsense")


class Numbered(Distance, frozen=True):
    def fit(self, history: History) -> ModelParts:
        return ModelParts(parameters={5: 1.0})  # pyright: ignore[reportArgumentType]


class Boxed(Distance, frozen=True):
    def fit(self, history: History) -> ModelParts:
        return ModelParts(parameters={"level": np.zeros(1)})


class Loose(Distance, frozen=True):
    def fit(self, history: History) -> Any:
        return {"level": 1.0}


class Stateless(Distance, frozen=True):
    def start(self, fitted: ModelParts, facts: SeriesFacts) -> Any:
        return None


class Unstarted(BaseDetector, frozen=True):
    type: Literal["unstarted"] = "unstarted"

    def score(self, fitted: ModelParts, state: State, rows: Rows) -> Result:
        return Result(np.abs(rows.values))


BROKEN: dict[type[BaseDetector], str] = {
    BlockFlags: "blocks of 1 row gave other flags than one block",
    Untyped: "distance: Untyped.type is not a literal whose default is itself, so no YAML can name it. Write: type: Literal",
    Careless: "distance: Careless takes unknown keys, so that a mistyped key in a YAML goes unseen. Leave model_config",
    Silent: "distance: no description for weight. Write Field(description=…)",
    Pair: "distance: score returned a tuple, not a Result. Return Result(raw_score) alone: the state is changed in place.",
    Short: "distance: raw_score has shape (299,) for 300 rows. Give one score for each row of the block.",
    Meddler: "distance: score changed rows.residual. Copy before you change: other detectors see the same rows.",
    Divider: "distance: detector_raw is not finite in row 0 of the series 'constant'. Divide by what cannot be 0",
    Negative: "distance: a score is below 0 for the series 'short'. 0 is usual and higher is stranger: take the distance.",
    Blunt: "distance: score raised IndexError: list index out of range, for the series 'all_missing'. Score what cannot be judged with 0.",
    Random: "distance: two fits on the same history gave other arrays: direction of row 0 is",
    Shared: "distance: a second series was scored otherwise than the first, though both hold the same rows: ",
    Forgetful: "distance: blocks of 1 row gave other scores than one block: ",
    Whole: "distance: blocks of 1 row gave other scores than one block: ",
    Boaster: "distance: row 300 ranks above a spike of ten times the season in row 900. Score by the distance",
    Dreamer: "ranks above a flat run of two days in rows 800 to 847. Leave 'contextual' and 'collective' out of `anomalies`.",
    Hoarder: "distance: state['seen'] grew from 4800 to 7200 bytes between row 600 and row 900. Keep arrays of a fixed size",
    Lister: "distance: state['past'] grew from 9600 to 14400 bytes between row 600 and row 900. Keep arrays of a fixed size",
    Indexer: "distance: state['past'] grew from ",
    Mixer: "when another does. Store what fit learns of a series under its name",
    Sorter: "distance: fit changed history.values. Copy before you sort or change: other detectors learn from the same rows.",
    Fantast: "distance: anomalies holds 'flat', 'nonsense'. Write a tuple of kinds that there are ('point', 'contextual'",
    Numbered: "distance: parameters has the key 5, which JSON turns into text. Use text as keys: str(key).",
    Boxed: "distance: parameters['level'] holds a ndarray, which JSON cannot hold. Put arrays into arrays",
    Loose: "distance: fit returned a dict, not ModelParts. Return ModelParts(",
    Stateless: "distance: start returned None, not a dict. Return a new dict",
    Unstarted: "unstarted: Unstarted has no start. Write start; its parent BaseDetector does not.",
    Keeper: "distance: the state holds a set. Keep arrays of numbers or truth values, and plain values.",
}


@pytest.mark.parametrize("detector", [Distance, Learner], ids=lambda detector: detector.__name__)
def test_a_detector_that_keeps_its_promises_passes(detector: type[Distance]) -> None:
    check_detector(detector())


@pytest.mark.parametrize("detector", BROKEN, ids=lambda detector: detector.__name__)
def test_a_broken_promise_is_told_in_a_sentence(detector: type[BaseDetector]) -> None:
    with pytest.raises(AssertionError, match=re.escape(BROKEN[detector])):
        check_detector(detector())  # pyright: ignore[reportCallIssue]


def test_a_class_is_not_a_detector() -> None:
    given: Any = Distance
    with pytest.raises(AssertionError, match=r"check_detector: Distance is a class. Hand over a plug-in with its settings"):
        check_detector(given)
