"""A window in blocks holds at every rank what one array would hold, to the bit."""

import numpy as np
import pytest

from smartflow_assets.core.kernels import blocked_window, sorted_window

VALUES = {
    "noise": lambda rng, rows: rng.normal(size=rows),
    "equal values and both zeros": lambda rng, rows: np.round(rng.normal(size=rows)) * rng.choice([-0.0, 1.0], rows),
    "a level that rises": lambda rng, rows: np.cumsum(rng.normal(0.2, 1, size=rows)),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 300])
def test_every_rank_is_as_in_one_array(kind, size):
    values = VALUES[kind](np.random.default_rng(size), 3 * size + 200)
    window, count = np.zeros(size), 0
    blocks, heads = blocked_window.room(size)
    for row, value in enumerate(values):
        leaving = values[row - size] if row >= size else 0.0
        new_count = sorted_window.replace(window, count, size, value, leaving)
        assert blocked_window.replace(blocks, heads, count, size, value, leaving) == new_count
        count = new_count
        if row % 7 == 0 or row > len(values) - 5:
            held = np.array([blocked_window.at(blocks, heads, rank) for rank in range(count)])
            assert held.tobytes() == window[:count].tobytes(), row
            for share in (0.0, 0.002, 0.5, 0.975, 1.0):
                found = blocked_window.quantile(blocks, heads, count, share)
                assert found == sorted_window.quantile(window, count, share)
