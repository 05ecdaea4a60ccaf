"""What may be tried otherwise, and that each point of it is a source that its YAML can say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from smartflow_assets.config.search_space import NAMES, put, search_space
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import read_source
from smartflow_assets.config.variant import changed
from smartflow_assets.config.yaml_file import edit_yaml, read_yaml
from smartflow_assets.core.detection.ensemble import SENSITIVITY
from smartflow_assets.core.detectors import AUTO
from smartflow_assets.core.errors import SourceError
from smartflow_assets.core.evaluation.settings_search import Point

HEAD = """\
name: web
read: {type: csv, path: web.csv, time: at}
metrics: [{name: requests}, {name: errors}]
"""
FOREST = "detectors:\n  - {type: isolation_forest, contamination: 0.3}   # far too high\n  - {type: mad}\nensemble: {combine: any}\n"
PROPHET = "detectors: [{type: prophet, changepoint_prior_scale: 0.002}]\nthreshold: {score: 0.9999999}\n"
METRICS = ("requests", "errors")
Made = Callable[..., Source]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path)
    made.sources.mkdir(parents=True)
    return made


@pytest.fixture
def made(settings: Settings) -> Made:
    def source(more: str = "", defaults: str = "") -> Source:
        (settings.sources / "web.yaml").write_text(HEAD + more)
        settings.defaults_file.write_text(defaults or "{}\n")
        return read_source(settings.sources / "web.yaml", defaults=read_yaml(settings.defaults_file))

    return source


def tried(source: Source, settings: Settings, point: Point) -> Source:
    return changed(source, settings, lambda values: put(values, source, point), asked="a trial")


def types(source: Source) -> list[str]:
    return [detector.type for detector in source.detectors] if source.detectors != "auto" else ["auto"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", {"detectors", "threshold"}),
        (FOREST, {"detectors", "contamination", "n_estimators", "max_samples"}),  # with any, flags decide and no threshold
        (FOREST.replace("any", "mean"), {"detectors", "n_estimators", "max_samples", "threshold"}),
        (PROPHET, {"detectors", "changepoint_prior_scale", "threshold"}),
        (FOREST + "sensitivity: low\n", {"detectors", "contamination", "n_estimators", "max_samples"}),
    ],
)
def test_what_has_an_effect_is_offered(made: Made, more: str, expected: set[str]) -> None:
    found = search_space(made(more), METRICS)
    assert {parameter.name for parameter in found} == expected <= set(NAMES)
    assert all(parameter.present in parameter.values and parameter.default in parameter.values for parameter in found)
    assert all(list(parameter.values) == sorted(parameter.values) for parameter in found if parameter.name != "detectors")


def test_the_present_values_are_those_of_the_yaml(made: Made) -> None:
    forest = {parameter.key: parameter for parameter in search_space(made(FOREST), METRICS)}
    assert forest["detectors.isolation_forest.contamination"].present == 0.3
    assert forest["detectors.mad"].present is True and forest["detectors.seasonal"].present is False
    (threshold,) = search_space(made(PROPHET), METRICS, ["threshold"])
    usual = made(PROPHET.partition("threshold")[0]).surprise_threshold
    assert threshold.present == pytest.approx(7 / usual, abs=1e-3)  # seven nines
    assert search_space(made("sensitivity: low\n"), METRICS, ["threshold"])[0].present == SENSITIVITY["low"]


def test_joint_detectors_are_offered_where_there_is_something_to_join(made: Made) -> None:
    assert "detectors.mahalanobis" in {parameter.key for parameter in search_space(made(), METRICS)}
    assert "detectors.mahalanobis" not in {parameter.key for parameter in search_space(made(), ("requests",))}


@pytest.mark.parametrize(
    ("more", "name", "message"),
    [
        ("", "contamination", "it belongs to isolation_forest, which is not among the detectors"),
        (FOREST.replace("any", "mean"), "contamination", "counts with combine: any or vote only; here it is mean"),
        (FOREST, "threshold", "with combine: any the detectors' own flags decide"),
        ("detectors: [{type: mad}, {type: seasonal}]\nensemble: {members: [mad]}\n", "detectors", "ensemble.members names those"),
        ("threshold: {false_alerts: 1 per week}\n", "threshold", "it is a budget of false alerts, which is learnt"),
    ],
)
def test_what_has_no_effect_is_refused_by_name(made: Made, more: str, name: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        search_space(made(more), METRICS, [name])
    assert caught.value.source == "web"


@pytest.mark.parametrize("more", ["", FOREST, PROPHET, "sensitivity: low\n"])
def test_each_value_alone_is_a_source_that_differs_in_it_alone(made: Made, settings: Settings, more: str) -> None:
    source = made(more)
    assert tried(source, settings, {}) == source
    for parameter in search_space(source, METRICS):
        for value in parameter.values:
            if value != parameter.present and not (len(types(source)) == 1 and value is False):  # of one alone nothing is left
                other = tried(source, settings, {parameter.key: value})
                differing = {key for key in Source.model_fields if getattr(other, key) != getattr(source, key)}
                assert differing and differing <= ({"threshold", "sensitivity"} if parameter.name == "threshold" else {"detectors"})


def test_a_point_is_put_where_the_yaml_says_it(made: Made, settings: Settings) -> None:
    source = made(FOREST)
    point = {"detectors.isolation_forest.contamination": 0.01, "detectors.mad": False, "detectors.seasonal": True}
    other = tried(source, settings, point)
    assert types(other) == ["isolation_forest", "seasonal"] and other.detectors[0].contamination == 0.01
    edit_yaml(Path(source.file), lambda tree: put(tree, source, point))
    assert read_source(Path(source.file)).detectors == other.detectors
    text = Path(source.file).read_text()
    assert text.startswith(HEAD) and "contamination: 0.01}  # far too high" in text and "ensemble: {combine: any}" in text


def test_a_component_of_auto_goes_by_listing_the_others(made: Made, settings: Settings) -> None:
    gone = AUTO[2].type
    assert types(tried(made(), settings, {f"detectors.{gone}": False})) == [each.type for each in AUTO if each.type != gone]
    assert types(tried(made(), settings, {"detectors.mad": True})) == [*(each.type for each in AUTO), "mad"]


@pytest.mark.parametrize(("factor", "word"), [*((times, word) for word, times in SENSITIVITY.items()), (2.0, None), (0.6, None)])
def test_a_threshold_is_said_in_words_where_there_is_one(made: Made, settings: Settings, factor: float, word: str | None) -> None:
    other = tried(made("sensitivity: low\nthreshold: {score: 0.9}\n"), settings, {"threshold": factor})
    assert (other.threshold is None) == (word is not None) and other.sensitivity == (word or "low")
    assert other.surprise_threshold == pytest.approx(factor * made().surprise_threshold, rel=0.02)


def test_the_threshold_is_that_of_as_many_detectors(made: Made, settings: Settings) -> None:
    alone = tried(made("detectors: [{type: mad}, {type: seasonal}]\n"), settings, {"threshold": 1.5, "detectors.mad": False})
    assert alone.surprise_threshold == pytest.approx(1.5 * made("detectors: [{type: seasonal}]\n").surprise_threshold, rel=0.02)


def test_what_the_defaults_say_is_overridden(made: Made, settings: Settings) -> None:
    source = made(defaults="threshold: {score: 0.999}\ndetectors: [{type: isolation_forest, n_estimators: 20}]\n")
    other = tried(source, settings, {"threshold": 1.0, "detectors.isolation_forest.n_estimators": 200})
    assert other.threshold is None and other.detectors[0].n_estimators == 200


def test_a_threshold_that_is_already_said_is_not_said_again(made: Made) -> None:
    source = made("threshold: {score: 0.9999999}\n")
    for factor, written in ((1.0, {}), (SENSITIVITY["low"], {"sensitivity": "low"})):
        values = {"threshold": {"score": 0.9999999}}
        put(values, source, {"threshold": factor})
        assert values == written


def test_what_cannot_be_is_an_error_of_the_trial(made: Made, settings: Settings) -> None:
    with pytest.raises(SourceError, match="detectors is empty"):
        tried(made("detectors: [{type: mad}]\n"), settings, {"detectors.mad": False})
