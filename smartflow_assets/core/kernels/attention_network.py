"""One block of a transformer over the last rows (Vaswani et al., 2017), whose keys and values are kept: a row costs one query."""

import math

import numpy as np

from smartflow_assets.core.kernels.compile import compiled


@compiled
def walk(
    inputs, first, embed, embed_bias, project, nearness, mix, mix_bias, up, up_bias, down, down_bias, head, head_bias, keys, values, out,
):  # fmt: skip
    """What the network says of each row; keys and values (window x size) are rings over the rows, changed in place.

    embed (size x inputs); project (3 size x size): query, key, value, each heads after heads; nearness (heads x window): added to
    the likeness, by how many rows ago; mix (size x size); up and down: the two layers after it, with max(0, x) between; head (size).
    """
    size, width, (heads, window) = len(embed), inputs.shape[1], nearness.shape
    part = size // heads
    row, query, seen, inner, likeness = np.empty(size), np.empty(size), np.empty(size), np.empty(len(up)), np.empty(window)
    for i in range(len(inputs)):
        t = first + i
        for a in range(size):
            row[a] = embed_bias[a]
            for k in range(width):
                row[a] += embed[a, k] * inputs[i, k]
        for a in range(size):
            q, key, value = 0.0, 0.0, 0.0
            for k in range(size):
                q += project[a, k] * row[k]
                key += project[size + a, k] * row[k]
                value += project[2 * size + a, k] * row[k]
            query[a], keys[t % window, a], values[t % window, a] = q, key, value
        known = min(window, t + 1)
        for h in range(heads):
            largest, total = -np.inf, 0.0
            for lag in range(known):
                like = 0.0
                for a in range(h * part, (h + 1) * part):
                    like += query[a] * keys[(t - lag) % window, a]
                likeness[lag] = like / math.sqrt(part) + nearness[h, lag]
                largest = max(largest, likeness[lag])
            for a in range(h * part, (h + 1) * part):
                seen[a] = 0.0
            for lag in range(known):
                share = math.exp(likeness[lag] - largest)
                total += share
                for a in range(h * part, (h + 1) * part):
                    seen[a] += share * values[(t - lag) % window, a]
            for a in range(h * part, (h + 1) * part):
                seen[a] /= total
        for a in range(size):
            row[a] += mix_bias[a]
            for k in range(size):
                row[a] += mix[a, k] * seen[k]
        for b in range(len(up)):
            total = up_bias[b]
            for k in range(size):
                total += up[b, k] * row[k]
            inner[b] = max(total, 0.0)
        out[i] = head_bias
        for a in range(size):
            total = row[a] + down_bias[a]
            for b in range(len(up)):
                total += down[a, b] * inner[b]
            out[i] += head[a] * total
