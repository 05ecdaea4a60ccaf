"""From the members' surprises to one: average or maximum of capped surprises, weighted by how quiet the series usually is."""

from smartflow_assets.core.kernels.compile import compiled


@compiled
def quietness(usual, noise, noise_share, ranges, count, power, out):
    """(max(usual, noise_share x noise) / range / .1)^-power, from 1.8 (power .25: changes of 1 % of the range) down to .56.

    usual, noise: what 95 % of the changes and 99 % of the residuals of the last 2,000 rows stay below; range: the .5 to 99.5 % range
    of the last 8,000 rows.
    """
    for i in range(count):
        width = ranges[4, i] - ranges[1, i]
        if not width > 0:
            width = 1.0
        share = max(usual[i], noise_share * noise[i]) / width
        out[i] = (min(max(share, 0.01), 1.0) / 0.1) ** -power


@compiled
def persist(score, is_missing, count, last, share, out):
    """The larger of the score and its exponential mean: what stays, stays strange. A missing row scores 0."""
    for i in range(count):
        value = 0.0 if is_missing[i] else score[i]
        last[0] += share * (value - last[0])
        out[i] = 0.0 if is_missing[i] else max(value, last[0])


@compiled
def average(surprises, count, cap, out):
    """Mean over the members (rows of `surprises`), each capped, in one order of operations."""
    for i in range(count):
        total = 0.0
        for j in range(len(surprises)):
            total += min(surprises[j, i], cap)
        out[i] = total / len(surprises)
