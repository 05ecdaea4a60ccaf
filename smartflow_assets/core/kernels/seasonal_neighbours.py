"""Distance of the newest window to the nearest window at about the same time of earlier seasons."""

from smartflow_assets.core.kernels.compile import compiled


@compiled
def walk(values, offset, count, first, period, width, reach, stride, seasons, lookback, is_shape, out):
    """Mean |difference| per row to the nearest of the windows that ended d seasons ago (d = 1 .. seasons), up to `reach` rows
    earlier or later in strides of `stride`; is_shape: each window about its own mean. No window begins more than `lookback` rows
    back. 0 where no earlier season is there."""
    for i in range(count):
        t, p = first + i, offset + i
        out[i] = 0.0
        nearest, own = -1.0, 0.0
        if is_shape:
            for j in range(width):
                own += values[p - j]
            own /= width
        for d in range(1, seasons + 1):
            back = d * period + reach + width
            if t < back or back > lookback:
                break
            for shift in range(-reach, reach + 1, stride):
                q = p - d * period + shift
                other = 0.0
                if is_shape:
                    for j in range(width):
                        other += values[q - j]
                    other /= width
                total = 0.0
                for j in range(width):
                    total += abs((values[p - j] - own) - (values[q - j] - other))
                    if nearest >= 0.0 and total >= nearest:
                        break
                if nearest < 0.0 or total < nearest:
                    nearest = total
        if nearest > 0.0:
            out[i] = nearest / width
