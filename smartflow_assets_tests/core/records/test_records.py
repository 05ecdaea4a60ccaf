"""Models of single records: what they find, what their surprise means, and that it does not depend on batches or storage."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.generators.examples import END, EXAMPLE_SOURCES
from smartflow_assets.core.model_parts import ModelParts
from smartflow_assets.core.preparation.category_encoding import Counted, LearntEncoding, learn_encoding
from smartflow_assets.core.records import Records, surprise_threshold_for
from smartflow_assets.core.records.columns import learn_columns
from smartflow_assets.core.records.detectors import BUILT_IN, RecordForest, RecordMahalanobis
from smartflow_assets.core.records.explanation import explain_records
from smartflow_assets.core.records.model import RecordModel, learn_records
from smartflow_assets.core.records.tail import Tail
from smartflow_assets.core.temporal.notation import parse_rate

KINDS = ["groceries", "electronics"]


def encoding_of(rows: pd.DataFrame, column: str, kind) -> LearntEncoding:
    counts = rows[column].value_counts()
    return learn_encoding(column, kind, Counted(dict(counts), len(rows), len(counts)))[0]


def as_numbers(rows: pd.DataFrame, numeric: list[str], encodings: list[LearntEncoding]) -> pd.DataFrame:
    numbers = rows[numeric].astype(float)
    for encoding in encodings:
        if encoding.encoding == "one_hot":
            for category in encoding.codes:
                numbers[encoding.column_of(category)] = (rows[encoding.column] == category).astype(float)
            numbers[f"{encoding.column}__other"] = (~rows[encoding.column].isin(list(encoding.codes))).astype(float)
        else:
            numbers[encoding.names[0]] = rows[encoding.column].map(dict(encoding.codes)).fillna(0.0)
    return numbers.reset_index(drop=True)


def shop(rows: int = 4000, seed: int = 0) -> pd.DataFrame:
    """Groceries of about 50, one row in five electronics of about 2,000; a weight that follows the price."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(KINDS, rows, p=[0.8, 0.2])
    price = np.where(kind == "electronics", 2000, 50) * np.exp(0.4 * rng.standard_normal(rows))
    return pd.DataFrame({"kind": kind, "price": price, "tax": 0.19 * price * np.exp(0.05 * rng.standard_normal(rows))})


@pytest.fixture(scope="module")
def kinds() -> list[LearntEncoding]:
    return [encoding_of(shop(), "kind", "one_hot")]


def model_of(kinds, *detectors) -> RecordModel:
    return learn_records(as_numbers(shop(), ["price", "tax"], kinds), ["price", "tax"], kinds, detectors, rows_per_day=1000)


def surprises(model: RecordModel, kinds, **columns) -> np.ndarray:
    return model.surprise(as_numbers(pd.DataFrame(columns), ["price", "tax"], kinds))


@pytest.mark.parametrize("detector", [each() for each in BUILT_IN], ids=lambda each: each.type)
def test_a_price_is_strange_for_its_category(kinds, detector):
    model = model_of(kinds, detector)
    usual, strange = surprises(model, kinds, kind=["electronics", "groceries"], price=[2000.0, 2000.0], tax=[380.0, 380.0])
    assert usual < 1.5 and strange > usual + 1


def test_columns_that_disagree_are_strange_though_each_is_usual(kinds):
    model = model_of(kinds, RecordMahalanobis())
    frame = as_numbers(pd.DataFrame({"kind": ["groceries"] * 2, "price": [50.0, 50.0], "tax": [9.5, 14.0]}), ["price", "tax"], kinds)
    usual, strange = model.surprise(frame)
    assert usual < 1 and strange > 6
    shares = model.contributions(frame).iloc[1]
    assert shares["tax"] > 0.3 and shares.sum() == pytest.approx(1, abs=1e-3) and shares["kind"] < 0.1


def test_surprise_means_how_rare_though_one_training_row_in_a_hundred_is_a_fraud():
    rng = np.random.default_rng(1)
    rows, later = (pd.DataFrame({"price": 50 * np.exp(0.4 * rng.standard_normal(count))}) for count in (20_000, 200_000))
    rows.loc[::100, "price"] = 9000.0
    model = learn_records(rows, ["price"], [], [RecordMahalanobis()], rows_per_day=1000)
    calm = model.surprise(later)
    for surprise in (1.0, 2.0, 3.0):
        assert -0.35 < np.log10((calm >= surprise).mean()) + surprise < 0.2  # from below half to one and a half times as many
    assert model.surprise(rows.iloc[:1])[0] > 6


SHAPES = {
    "normal": lambda rng, rows: rng.normal(size=(rows, 2)),
    "lognormal": lambda rng, rows: rng.lognormal(size=(rows, 1)),
    "heavy": lambda rng, rows: rng.standard_t(3, size=(rows, 2)),
    "exponential": lambda rng, rows: rng.exponential(size=(rows, 2)),
    "mostly zero": lambda rng, rows: np.where(rng.random((rows, 1)) < 0.7, 0.0, rng.lognormal(size=(rows, 1))),
    "uniform": lambda rng, rows: rng.random((rows, 3)),
    "counts": lambda rng, rows: rng.poisson(2, (rows, 2)),
    "two heaps": lambda rng, rows: rng.normal(size=(rows, 1)) + 20 * (rng.random((rows, 1)) < 0.5),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_budget_of_false_alerts_holds_on_calm_rows_of_any_shape(shape):
    rng = np.random.default_rng(0)
    rows, later = (pd.DataFrame(np.asarray(SHAPES[shape](rng, count), float)).add_prefix("x") for count in (5000, 72_000))
    model = learn_records(rows, [str(name) for name in rows], [], [RecordMahalanobis()], rows_per_day=720)
    flagged = (model.surprise(later) >= surprise_threshold_for(720, Records().false_alerts)).sum()
    assert flagged < (3.5 if shape == "mostly zero" else 2) * 100  # days, one a day


def test_labelled_frauds_are_found_by_the_default_and_better_than_by_a_plain_forest():
    example = EXAMPLE_SOURCES["payments"]
    made = example.domain.generate(END - example.length, example.length // example.domain.step, 3, 0.01)
    rows = made.frame
    is_fraud = (rows["amount"] != made.twin["amount"]).to_numpy()
    is_week = (rows["timestamp"] < rows["timestamp"].iloc[0].floor("1D") + pd.Timedelta(days=7)).to_numpy()
    encodings = [
        encoding_of(rows[is_week], column, kind)
        for column, kind in {"account": "frequency", "category": "one_hot", "channel": "one_hot"}.items()
    ]
    numbers = as_numbers(rows, ["amount"], encodings)
    settings = Records()
    model = learn_records(numbers[is_week].reset_index(drop=True), ["amount"], encodings, settings.detectors, rows_per_day=720)
    later, truth = numbers[~is_week], is_fraud[~is_week]
    surprise = model.surprise(later)
    flagged = surprise >= surprise_threshold_for(720, settings.false_alerts)
    assert (flagged & truth).sum() / flagged.sum() > 0.85 and (flagged & truth).sum() / truth.sum() > 0.6
    forest = IsolationForest(random_state=0).fit(numbers[is_week].to_numpy())
    assert average_precision_score(truth, surprise) > 0.9 > 0.5 > average_precision_score(truth, -forest.score_samples(later.to_numpy()))


@pytest.mark.parametrize(
    "detectors",
    [
        pytest.param((RecordMahalanobis(),), id="mahalanobis"),
        pytest.param((RecordForest(n_estimators=20),), id="forest", marks=pytest.mark.integration),  # stored by skops, which imports torch
        pytest.param((RecordMahalanobis(), RecordForest(n_estimators=20)), id="both", marks=pytest.mark.integration),
    ],
)
def test_batches_and_storage_change_no_bit(kinds, detectors, tmp_path):
    model = model_of(kinds, *detectors)
    frame = as_numbers(shop(300, seed=5), ["price", "tax"], kinds)
    whole = model.surprise(frame)
    assert np.concatenate([model.surprise(frame.iloc[at : at + 7]) for at in range(0, 300, 7)]).tolist() == whole.tolist()
    store = ModelStore(tmp_path)
    artefact = store.save("shop.records", "records", "m1", model.parts())
    loaded = RecordModel.from_parts(store.load(artefact))
    assert loaded.surprise(frame).tolist() == whole.tolist() and loaded.rows_per_day == 1000
    pd.testing.assert_frame_equal(loaded.contributions(frame), model.contributions(frame))


def test_a_model_of_another_version_is_refused():
    with pytest.raises(ModelError, match="form 0, this version reads form 1"):
        RecordModel.from_parts(ModelParts({"form": 0}))


@pytest.mark.parametrize("detector", [each() for each in BUILT_IN], ids=lambda each: each.type)
@pytest.mark.parametrize(
    "values",
    [
        np.full(2000, 5.0),
        np.zeros(2000),
        np.r_[np.zeros(1900), np.ones(100)],
        np.full(2000, np.nan),
        np.geomspace(1e-300, 1e300, 2000),
        np.r_[np.nan, np.arange(1999.0)],
    ],
    ids=["constant", "zero", "mostly zero", "empty", "huge", "one empty"],
)
def test_odd_columns_give_finite_surprise(detector, values):
    frame = pd.DataFrame({"x": values, "y": np.arange(2000.0) % 97})
    model = learn_records(frame, ["x", "y"], [], [detector], rows_per_day=1000)
    later = pd.DataFrame({"x": [np.nan, -1e300, 1e300, 0.0], "y": [1.0, 2.0, np.nan, 3.0]})
    assert np.isfinite(model.surprise(later)).all() and (model.surprise(later) >= 0).all()
    assert np.isfinite(model.contributions(later).to_numpy()).all()


def test_a_constant_that_changes_and_a_cell_that_is_never_empty_are_strange():
    frame = pd.DataFrame({"version": np.full(2000, 3.0), "y": np.random.default_rng(0).normal(size=2000)})
    model = learn_records(frame, ["version", "y"], [], [RecordMahalanobis()], rows_per_day=1000)
    usual, changed, empty = model.surprise(pd.DataFrame({"version": [3.0, 4.0, np.nan], "y": [0.1, 0.1, 0.1]}))
    assert usual < 1 and changed > 10 and empty > 2.5


def test_a_category_that_nobody_has_seen_is_strange_and_said_so():
    rows = pd.DataFrame({"merchant": np.random.default_rng(0).choice([f"m{n}" for n in range(30)], 5000)})
    merchants = [encoding_of(rows, "merchant", "frequency")]
    model = learn_records(as_numbers(rows, [], merchants), [], merchants, [RecordMahalanobis()], rows_per_day=1000)
    later = pd.DataFrame({"merchant": ["m3", "casino"]})
    frame = as_numbers(later, [], merchants)
    usual, unseen = model.surprise(frame)
    assert usual < 2 < unseen
    said = explain_records(model.columns, frame, [{"merchant": "m3"}, {"merchant": "casino"}], [{"merchant": 1.0}] * 2)
    share = 100 * (rows["merchant"] == "m3").mean()
    assert said == [f"merchant m3 seen in {share:.2g} % of records", "merchant casino never seen before"]


def test_the_explanation_names_what_is_usual_with_the_categories(kinds):
    model = model_of(kinds, RecordMahalanobis())
    later = pd.DataFrame({"kind": ["groceries"], "price": [18_200.0], "tax": [3458.0]})
    frame = as_numbers(later, ["price", "tax"], kinds)
    shares = {str(name): share for name, share in model.contributions(frame).iloc[0].sort_values(ascending=False).items()}
    said = explain_records(model.columns, frame, [{"price": 18_200.0, "tax": 3458.0}], [shares])[0]
    low, high = (ends[0] for ends in model.columns.usual(frame)["price"])
    usual = shop().query("kind == 'groceries'")["price"]
    assert usual.quantile(0.01) == pytest.approx(low, rel=0.1) and usual.quantile(0.99) == pytest.approx(high, rel=0.1)
    assert f"price 18,200 (usually {low:.2f} to {high:.0f} with this kind)" in said and re.search(r"\); shares 5\d %, 4\d %$", said)
    nothing = explain_records(model.columns, frame, [{}], [{}])
    assert nothing == ["its columns are usual one by one, and strange together"]


def test_amounts_are_measured_on_the_logarithmic_ruler_and_even_columns_on_the_straight_one():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": rng.lognormal(3, 1, 5000),
            "count": rng.poisson(0.7, 5000) * rng.lognormal(3, 1, 5000),
            "degrees": rng.normal(0, 8, 5000),
        }
    )
    columns = learn_columns(frame, ["amount", "count", "degrees"], [])
    assert [number.is_log for number in columns.numbers] == [True, True, False]
    assert columns.numbers[1].shift == frame["count"][frame["count"] > 0].min()


def test_the_budget_sets_the_threshold_by_how_many_rows_a_day_has():
    assert surprise_threshold_for(7000, parse_rate("1 per week")) == pytest.approx(np.log10(49_000))
    assert surprise_threshold_for(7000, parse_rate("700 per week")) == 2.0 == surprise_threshold_for(0.0, parse_rate("1 per day"))
    tail = Tail.learn(np.random.default_rng(0).normal(size=5000) ** 2)
    assert (np.diff(tail.surprise(np.linspace(0, 60, 500))) >= 0).all()
    for text in ("often", "0 per day", "1 per fortnight", 7):
        with pytest.raises(ValueError, match="is no rate; write a number and a span, such as 1 per week"):
            parse_rate(text)
