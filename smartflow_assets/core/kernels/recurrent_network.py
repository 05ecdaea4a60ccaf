"""One step of a recurrent network (LSTM; Hochreiter and Schmidhuber, 1997) a row: two small products, in a fixed order of sums."""

import math

from smartflow_assets.core.kernels.compile import compiled


@compiled
def walk(inputs, into, across, bias, head, head_bias, hidden, cell, gates, out):
    """What the network says of each row; hidden and cell go on, changed in place.

    into (4h x inputs), across (4h x h), bias (4h): of the gates in, forget, cell, out; head (h); gates (4h) is scratch.
    """
    size, width = len(hidden), inputs.shape[1]
    for i in range(len(inputs)):
        for g in range(4 * size):
            total = bias[g]
            for k in range(width):
                total += into[g, k] * inputs[i, k]
            for k in range(size):
                total += across[g, k] * hidden[k]
            gates[g] = total
        out[i] = head_bias
        for k in range(size):
            remember = 1.0 / (1.0 + math.exp(-gates[size + k]))
            write = 1.0 / (1.0 + math.exp(-gates[k]))
            show = 1.0 / (1.0 + math.exp(-gates[3 * size + k]))
            cell[k] = remember * cell[k] + write * math.tanh(gates[2 * size + k])
            hidden[k] = show * math.tanh(cell[k])
            out[i] += head[k] * hidden[k]
