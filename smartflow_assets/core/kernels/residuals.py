"""Residuals from the shared forecasts, measured by their own usual size."""

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import fading_mean, quantile, replace

WINDOW = 288
LONG_RUN = 4000
LEAST_ROWS = 20


@compiled
def forecast(residual, count, first, counts, ordered, ring, mean, out):
    """|residual| over a mix of its trailing median, its 90 % quantile and its long-run mean."""
    for i in range(count):
        t, size = first + i, abs(residual[i])
        out[i] = 0.0
        if t >= LEAST_ROWS:
            usual = 1.48 * quantile(ordered, counts[0], 0.5) + 0.5 * quantile(ordered, counts[0], 0.9) + 0.5 * mean[0]
            out[i] = size / (usual + 1e-9)
        counts[0] = replace(ordered, counts[0], WINDOW, size, ring[t % WINDOW])
        ring[t % WINDOW] = size
        mean[0] = fading_mean(mean[0], t, LONG_RUN, size)


@compiled
def seasonal(deviation, count, first, mean, out, usual):
    """Three-row seasonal deviation over its long-run mean, which `usual` holds as of the row before."""
    for i in range(count):
        t = first + i
        usual[i] = mean[0]
        out[i] = deviation[i] / (mean[0] + 1e-9) if t >= LEAST_ROWS else 0.0
        mean[0] = fading_mean(mean[0], t, LONG_RUN, deviation[i])
