"""The picture of a message: small, the same each time, and drawn of whatever there is."""

from datetime import UTC, datetime, timedelta
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from smartflow_assets.core.reports.incident_plot import Panel, incident_plot

START = datetime(2026, 3, 4, 9, tzinfo=UTC)
STEP = timedelta(minutes=5)


def panel(count: int = 300, *, seed: int = 0, title: str = "shop revenue", **columns: object) -> Panel:
    values = np.random.default_rng(seed).normal(500, 100, count)
    rows = pd.DataFrame({"observed_at": [START + STEP * place for place in range(count)], "value": values})
    return Panel(title, "EUR", rows.assign(expected=500.0, lower=300.0, upper=700.0, **columns), limits=[900.0])


def drawn(*panels: Panel, start: int = 200, end: int = 240) -> bytes:
    return incident_plot(panels, started_at=START + start * STEP, ended_at=START + end * STEP, timezone="Europe/Berlin")


def test_noise_in_four_series_is_small_enough_for_a_mail_and_the_same_each_time() -> None:
    panels = [panel(seed=seed, title=f"$x_{seed} & R% \u0645\u0631 {'long ' * 30}") for seed in range(4)]
    first = drawn(*panels)
    assert first == drawn(*panels) and len(first) <= 60_000
    assert Image.open(BytesIO(first)).format == "PNG"


def test_of_a_group_the_worst_four_are_shown() -> None:
    panels = [panel(seed=seed) for seed in range(6)]
    assert drawn(*panels) == drawn(*panels[:4]) != drawn(*panels[1:5])


def test_the_incident_is_shaded_where_it_is() -> None:
    width, height = Image.open(BytesIO(drawn(panel(), start=150, end=299))).size
    image = Image.open(BytesIO(drawn(panel(), start=150, end=299))).convert("RGB")
    shaded = [column for column in range(width) if image.getpixel((column, height // 6)) == (251, 227, 225)]
    assert len(shaded) > width * 0.3 and min(shaded) > width * 0.45


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"observed_at": [START], "value": [1.0]}),
        pd.DataFrame({"observed_at": [START, START + STEP], "value": [np.nan, 0.0], "expected": np.nan, "lower": np.nan, "upper": np.nan}),
        pd.DataFrame({"observed_at": [START, START + STEP], "value": [1e300, -1e300], "lower": [-np.inf, 0.0], "upper": [np.inf, 1.0]}),
        pd.DataFrame({"observed_at": [START, START + STEP], "value": pd.array([None, 5.0], dtype="Float64").astype(float)}),
    ],
    ids=["one point", "a hole", "huge", "nullable"],
)
def test_hardly_anything_is_drawn_as_well(rows: pd.DataFrame) -> None:
    assert Image.open(BytesIO(drawn(Panel("s", "", rows), start=0, end=1))).format == "PNG"


def test_nothing_is_no_picture() -> None:
    with pytest.raises(ValueError, match="no value"):
        drawn(Panel("s", "", pd.DataFrame({"observed_at": [START], "value": [np.nan]})))
