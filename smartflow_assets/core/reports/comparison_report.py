"""Detectors beside each other as one HTML page: pictures by series, what each flags, how far each pair agrees."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from smartflow_assets.core.evaluation.detector_agreement import (
    PAIR_COLUMNS,
    DetectorResult,
    agreements,
    detector_columns,
    detector_rows,
    pair_rows,
)
from smartflow_assets.core.reports import html_page


def comparison_page(
    title: str, summary: Sequence[str], results: Sequence[DetectorResult], guarded: np.ndarray, step: timedelta, pictures: dict[str, bytes]
) -> str:
    """The whole page: pictures by series, what each detector flags, how far each pair agrees."""
    columns = detector_columns(results)
    parts = list(map(html_page.paragraph, summary))
    for series, picture in pictures.items():
        parts += [html_page.heading(series), html_page.image(picture, f"{series} with the score of each detector below it")]
    parts += [
        html_page.heading("What each flags"),
        html_page.paragraph("Flags at most three buckets apart are one interval; alone are those in which no other one has a part."),
        html_page.table(columns, detector_rows(results, guarded, step), numbers=range(1, len(columns))),
    ]
    if len(results) > 1:
        parts += [
            html_page.heading("How far they agree"),
            html_page.paragraph(
                "The share of what either flags that both flag, and Spearman's rank correlation of their scores: "
                "1 is the same, 0 has nothing in common."
            ),
            html_page.table(PAIR_COLUMNS, pair_rows(agreements(results, guarded, step)), numbers=range(1, len(PAIR_COLUMNS))),
        ]
    return html_page.page(title, parts)
