from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from smartflow_assets.core.reports.series_plot import series_plot

pytestmark = pytest.mark.integration  # draws pictures

TIMES = pd.date_range("2026-01-05", periods=864, freq="5min", tz="UTC")


def picture(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).reshape(-1, 3)


def has_colour(png: bytes, colour: str) -> bool:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((np.abs(picture(png).astype(int) - wanted).sum(axis=1) < 20).any())


def calm(rows: int = 864) -> pd.DataFrame:
    expected = 480 + 170 * np.sin(2 * np.pi * np.arange(rows) / 288)
    return pd.DataFrame(
        {"observed_at": TIMES[:rows], "value": expected + 5, "expected": expected, "lower": expected - 60, "upper": expected + 60}
    )


def test_a_small_plot_fits_into_metadata_even_when_the_series_is_noise():
    noise = calm().assign(value=np.random.default_rng(0).uniform(0, 1000, 864), severity="critical")
    png = series_plot(noise, noise, title="web_traffic requests", unit="requests", training_cut=TIMES[200])
    assert Image.open(BytesIO(png)).size == (720, 208)
    assert len(png) <= 45_000


@pytest.mark.parametrize(("severity", "colour"), [("info", "#2f6fb0"), ("warning", "#e08600"), ("critical", "#c62828")])
def test_each_severity_has_its_colour(severity, colour):
    rows = calm()
    mark = rows.iloc[[300]].assign(value=1600.0, severity=severity)
    assert has_colour(series_plot(rows, mark, title="t"), colour)
    assert not has_colour(series_plot(rows, None, title="t"), colour)


def test_the_training_cut_is_drawn():
    rows = calm()
    assert has_colour(series_plot(rows, None, title="t", training_cut=TIMES[400]), "#7b5ea7")
    assert not has_colour(series_plot(rows, None, title="t"), "#7b5ea7")


def test_times_are_those_of_the_zone():
    rows = calm(48)
    assert series_plot(rows, None, title="t", timezone="UTC") != series_plot(rows, None, title="t", timezone="Asia/Kolkata")


def test_an_anomaly_where_nothing_was_observed_stands_on_what_was_expected():
    rows = calm().assign(value=lambda frame: frame["value"].where(frame.index != 300))
    mark = rows.iloc[[300]].assign(severity="critical")
    assert has_colour(series_plot(rows, mark, title="t"), "#c62828")


def test_rows_of_the_table_anomalies_are_marked_at_their_peak():
    mark = pd.DataFrame({"peak_at": [TIMES[300]], "value": [1600.0], "expected": [500.0], "severity": ["critical"]})
    assert has_colour(series_plot(calm(), mark, title="t"), "#c62828")


@pytest.mark.parametrize("rows", [calm(1), calm().assign(value=np.nan), calm()[["observed_at", "value"]], calm().assign(value=1e9)])
def test_odd_series_are_drawn(rows):
    assert series_plot(rows, rows.iloc[:0].assign(severity=[]), title="t", size="large").startswith(b"\x89PNG")


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="no rows"):
        series_plot(calm(0), None, title="web_traffic requests")


def test_labelled_spells_are_shaded_where_they_lie_in_the_picture():
    rows = calm()
    inside = pd.DataFrame({"started_at": [TIMES[300]], "ended_at": [TIMES[300]]})
    outside = inside - pd.Timedelta("30D")
    assert has_colour(series_plot(rows, None, title="t", known=inside), "#f5c6c2")
    assert not has_colour(series_plot(rows, None, title="t", known=outside), "#f5c6c2")
    assert series_plot(rows, None, title="t", known=inside[:0]) == series_plot(rows, None, title="t")


def test_a_caption_stands_below_the_picture_in_three_lines_at_most_and_still_fits_into_metadata():
    rows, said = calm(), "1,600 requests, usually 430 to 560 (1,040 above). Tue 09:35 UTC; highest in 28 days. "
    plain = Image.open(BytesIO(series_plot(rows, None, title="t"))).size
    heights = [Image.open(BytesIO(series_plot(rows, None, title="t", caption=said * times))).size[1] for times in (1, 2, 9)]
    assert [height - plain[1] for height in heights] == [14, 28, 42]
    noise = calm().assign(value=np.random.default_rng(0).uniform(0, 1000, 864), severity="critical")
    assert len(series_plot(noise, noise, title="t", caption=said * 9)) <= 60_000


@pytest.mark.parametrize(
    "words", [{"title": "cost{offer=$5 % off $10}"}, {"title": "t", "unit": "$_$"}, {"title": "t", "caption": "$5 % off $10"}]
)
def test_words_of_the_data_are_no_formulas(words):
    assert series_plot(calm(), None, **words) != series_plot(calm(), None, title="t")


def test_what_the_font_lacks_is_a_box_and_no_warning(recwarn: pytest.WarningsRecorder):
    names = {"title": "shop 🛒", "unit": "🛒", "caption": "中 more 🛒"}
    assert series_plot(calm(), None, **names) == series_plot(
        calm(), None, **{name: text.replace("🛒", "□").replace("中", "□") for name, text in names.items()}
    )
    assert [str(each.message) for each in recwarn if "Glyph" in str(each.message)] == []
