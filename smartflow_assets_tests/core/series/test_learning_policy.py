"""What may be learnt from: a third of what is new, and not what was flagged, unless it is so much that it is normal now."""

import numpy as np
import pandas as pd
import pytest

from smartflow_assets.core.series.learning_policy import LEARN_SHARE, NEW_NORMAL_SHARE, first_rows, is_new_normal, without_flagged


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 299, 300])
def test_a_third_of_the_rows_is_counted_as_their_share_says(count):
    assert first_rows(count) == count // 3 == int(count * LEARN_SHARE)


def test_rows_that_were_flagged_are_not_learnt_from():
    values, series = pd.Series(np.arange(10.0), index=range(5, 15)), pd.Series(["a"] * 5 + ["b"] * 5, index=range(5, 15))
    is_flagged = pd.Series([True, False, False, False, False, True, True, False, False, False], index=range(5, 15))
    learnt = without_flagged(values, is_flagged, series)
    assert learnt.index[learnt.isna()].tolist() == [5]  # a fifth of a; two fifths of b are its new normal
    assert learnt.drop(5).equals(values.drop(5))


@pytest.mark.parametrize(("flagged", "rows"), [(0, 5), (1, 5), (2, 5), (199, 1000), (200, 1000), (201, 1000), (0, 0)])
def test_more_than_a_fifth_is_a_new_normal(flagged, rows):
    is_flagged = np.arange(rows) < flagged
    assert is_new_normal(is_flagged) == (flagged > NEW_NORMAL_SHARE * rows)
