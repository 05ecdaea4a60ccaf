"""Tables in the UI: small, but for the sentences that they are there for."""

from collections.abc import Callable
from types import SimpleNamespace

import dagster as dg
import pandas as pd
import pytest

from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.defs.metadata import LONGEST_SENTENCE, small_table, stage_asset
from smartflow_assets.defs.names import OPTIONS


def rows_of(**cells: object) -> list[str]:
    frame = pd.DataFrame([{"started_at": pd.Timestamp("2026-03-01 09:35", tz="UTC"), **cells}])
    return small_table(frame, list(frame)).value.splitlines()[2].strip("| ").split(" | ")


def test_an_explanation_is_not_cut_and_other_cells_are():
    explanation = "1,600 requests, usually 374 to 630 (970 above). " * 8
    cells = rows_of(series="requests{" + "x" * 100 + "}", severity="critical", explanation=explanation.strip())
    assert cells[0] == "2026-03-01 09:35"
    assert (len(cells[1].replace("\\", "")), cells[1][-1]) == (80, "…")
    assert cells[3] == explanation.strip()


def test_a_message_of_any_length_does_not_fill_the_event_log():
    assert len(rows_of(message="x" * 5_000)[1]) == LONGEST_SENTENCE


def raising(error: BaseException) -> Callable[[], dg.MaterializeResult]:
    def clean_series(options: object) -> dg.MaterializeResult:
        raise error

    step = stage_asset("clean_series", "preparation", [])(clean_series).op.compute_fn.decorated_fn  # pyright: ignore
    return lambda: step(SimpleNamespace(resources=SimpleNamespace(**{OPTIONS: None}), partition_key="shop"))


def test_what_a_stage_raises_is_kept_without_secrets(monkeypatch):
    monkeypatch.setenv("SHOP_PASSWORD", "hunter2")
    with pytest.raises(SmartflowError) as told:
        raising(BaseException("no hunter2"))()
    assert (str(told.value), told.value.__suppress_context__) == ("shop: BaseException: no ${SHOP_PASSWORD}.", True)


def test_an_interrupt_of_a_stage_stays_one():
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())()


def test_a_query_that_a_signal_ended_is_an_interrupt():
    """DuckDB raises an error of its own in the place of what the handler of the signal raised."""
    with pytest.raises(KeyboardInterrupt):
        raising(RuntimeError("Query interrupted"))()
