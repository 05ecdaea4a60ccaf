"""Mean of the last w rows against the median of the 6w rows before them, over the usual size of that difference."""

from smartflow_assets.core.kernels.compile import compiled
from smartflow_assets.core.kernels.sorted_window import fading_mean, quantile, replace

LONG_RUN = 4000
RENEW_ROWS = 512


@compiled
def walk(values, offset, count, first, width, counts, ordered, total, mean, out):
    """Lift out[i] to the difference at this width, if that is larger."""
    for i in range(count):
        t, p = first + i, offset + i
        if t % RENEW_ROWS == 0 or t < width:  # the running sum is renewed at fixed rows, so that rounding cannot pile up
            fresh = 0.0
            for q in range(min(t + 1, width)):
                fresh += values[p - q]
            total[0] = fresh
        else:
            total[0] += values[p] - values[p - width]
        shift = abs(total[0] / width - quantile(ordered, counts[0], 0.5)) if counts[0] >= width else 0.0
        if t >= 50:
            out[i] = max(out[i], shift / (mean[0] + 1e-9))
        mean[0] = fading_mean(mean[0], t, LONG_RUN, shift)
        if t >= width:
            counts[0] = replace(ordered, counts[0], 6 * width, values[p - width], values[p - 7 * width])
