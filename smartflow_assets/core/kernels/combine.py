"""From the members' surprises to one: average or maximum of capped surprises, weighted by how large the change is."""
from smartflow_assets.core.kernels.compile import compiled


@compiled
def materiality(residual, seasonal_deviation, ranges, noise, count, power, noise_power, out):
    """(change / range)^power x (noise / range / .2)^-noise_power; the change is the larger of the one-row residual and the
    three-row seasonal deviation, the range that of 99 % of the last 8,000 rows."""
    for i in range(count):
        width = ranges[4, i] - ranges[1, i]
        if not width > 0:
            width = 1.0
        change = min(max(abs(residual[i]), seasonal_deviation[i]) / width, 3.0)
        usual = min(max(noise[i] / width, 0.02), 1.0) / 0.2
        out[i] = (change + 1e-3) ** power * usual**-noise_power


@compiled
def persist(score, is_missing, count, last, share, out):
    """(1 - share) x score + share x its mean over three rows: what stays is stranger than what goes."""
    for i in range(count):
        value = 0.0 if is_missing[i] else score[i]
        out[i] = (1 - share) * value + share * (value + last[0] + last[1]) / 3
        last[0], last[1] = last[1], value


@compiled
def average(surprises, count, cap, out):
    """Mean over the members (rows of `surprises`), each capped, in one order of operations."""
    for i in range(count):
        total = 0.0
        for j in range(len(surprises)):
            total += min(surprises[j, i], cap)
        out[i] = total / len(surprises)
