from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from smartflow_assets.core.drift.find_drift import find_drift
from smartflow_assets.core.drift.settings import DriftSettings
from smartflow_assets.core.reports.drift_plot import drift_plot

pytestmark = pytest.mark.integration  # draws pictures

UNTIL = pd.Timestamp("2026-01-19", tz="UTC")
TIMES = pd.date_range("2026-01-05", periods=672, freq="30min", tz="UTC")
NOW = np.arange(672) >= 336


def picture(columns, **words) -> bytes:
    rows = pd.DataFrame(columns).assign(observed_at=TIMES)
    return drift_plot(
        find_drift(rows, until=UNTIL, settings=DriftSettings(reference="7 days", past_windows=0)), **{"title": "orders", **words}
    )


def colours(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).reshape(-1, 3).astype(int)


def has_colour(png: bytes, colour: str) -> bool:
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return bool((np.abs(colours(png) - wanted).sum(axis=1) < 20).any())


def test_both_windows_are_drawn_and_what_has_drifted_is_red():
    value = np.random.default_rng(0).normal(size=672)
    calm, moved = picture({"value": value}), picture({"value": value + NOW})
    for png in (calm, moved):
        assert has_colour(png, "#b9cddd") and has_colour(png, "#c4570a")
        assert len(png) <= 45_000
    assert has_colour(moved, "#c62828") and not has_colour(calm, "#c62828")


def test_three_columns_at_most_stand_side_by_side():
    rng = np.random.default_rng(0)
    widths = [Image.open(BytesIO(picture({f"c{at}": rng.normal(size=672) for at in range(count)}))).size[0] for count in (1, 5)]
    assert widths == [748, 1122]


@pytest.mark.parametrize(
    "values",
    [
        np.where(NOW, "a long name of a category, longer than any axis", "$b$"),
        [f"id{at}" for at in range(672)],
        np.arange(672) % 3,
        np.where(NOW, 5.0, 5.0),
        np.where(NOW, 1e12, -1e-9) * np.random.default_rng(0).random(672),
    ],
)
def test_odd_columns_are_drawn(values):
    assert picture({"value": values}).startswith(b"\x89PNG")


def test_nothing_to_draw_is_said():
    with pytest.raises(ValueError, match="no values"):
        picture({"value": np.full(672, np.nan)})


def test_a_category_that_the_font_lacks_is_a_box_and_no_warning(recwarn: pytest.WarningsRecorder):
    assert picture({"c": np.where(NOW, "🛒", "b")}) == picture({"c": np.where(NOW, "□", "b")})
    assert [str(each.message) for each in recwarn if "Glyph" in str(each.message)] == []
