"""Tables in the UI: small, but for the sentences that they are there for."""

import pandas as pd

from smartflow_assets.defs.metadata import LONGEST_SENTENCE, small_table


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
