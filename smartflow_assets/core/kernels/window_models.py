"""When the models of whole windows are fitted: at rows 4m, 8m, ... below 1,000, later at every 1,000th row."""

from smartflow_assets.core.kernels.compile import compiled

EVERY_ROWS = 1000
TRAINING_ROWS = 6000


@compiled
def is_due(row, width):
    if row >= EVERY_ROWS:
        return row % EVERY_ROWS == 0
    k = 4 * width
    while k < row:
        k *= 2
    return k == row
