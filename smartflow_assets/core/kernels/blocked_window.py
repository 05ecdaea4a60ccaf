"""A sorted trailing window in blocks: for windows of thousands of rows, where moving half of one array would cost most of the time.

The values lie in order of rank in blocks of `BLOCK`, each a ring with its own first place (`heads`). A value that enters at one rank
while another leaves shifts values inside two blocks, and one value over the border of each block between them: at 8,000 rows a
tenth of what `sorted_window.replace` moves. The value of a rank is found in one step, so quantiles cost the same. Every rank holds what
`sorted_window` would hold there, to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from smartflow_assets.core.kernels.compile import compiled

BITS = 6
BLOCK = 1 << BITS
MASK = BLOCK - 1


def room(size: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values and heads of an empty window of `size` rows."""
    blocks = (size + MASK) >> BITS
    return np.zeros(blocks << BITS), np.zeros(blocks, np.int64)


@compiled
def at(values, heads, rank):
    """The value of a rank, 0 the smallest."""
    block = rank >> BITS
    return values[(block << BITS) + ((heads[block] + rank) & MASK)]


@compiled
def rank(values, heads, low, high, value):
    """First rank in [low, high) whose value is not below `value`."""
    while low < high:
        middle = (low + high) >> 1
        if at(values, heads, middle) < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def replace(values, heads, count, size, entering, leaving):
    """Put `entering` into a window of `count` values; at count == size `leaving` goes. Returns the new count."""
    if count < size:
        free, new_count = count, count + 1
        place = rank(values, heads, 0, count, entering)
    else:
        free, new_count = rank(values, heads, 0, count, leaving), count
        is_larger = entering > leaving
        place = rank(values, heads, free, count, entering) - 1 if is_larger else rank(values, heads, 0, free, entering)
    block, last = free >> BITS, place >> BITS
    base, head, i = block << BITS, heads[block], free & MASK
    if place < free:
        while block > last:  # the free place wanders down, block by block
            for q in range(i, 0, -1):
                values[base + ((head + q) & MASK)] = values[base + ((head + q - 1) & MASK)]
            hole = base + head
            block -= 1
            base, head = block << BITS, heads[block]
            values[hole] = values[base + ((head + MASK) & MASK)]
            i = MASK
            if block > last:
                heads[block] = head = (head + MASK) & MASK
                i = 0
        for q in range(i, place & MASK, -1):
            values[base + ((head + q) & MASK)] = values[base + ((head + q - 1) & MASK)]
    else:
        while block < last:  # or up
            for q in range(i, MASK):
                values[base + ((head + q) & MASK)] = values[base + ((head + q + 1) & MASK)]
            hole = base + ((head + MASK) & MASK)
            block += 1
            base, head = block << BITS, heads[block]
            values[hole] = values[base + head]
            i = 0
            if block < last:
                heads[block] = head = (head + 1) & MASK
                i = MASK
        for q in range(i, place & MASK):
            values[base + ((head + q) & MASK)] = values[base + ((head + q + 1) & MASK)]
    values[base + ((head + place) & MASK)] = entering
    return new_count


@compiled
def quantile(values, heads, count, share):
    """Linear interpolation between the two nearest of `count` values; count >= 1."""
    place = share * (count - 1)
    i = int(place)
    j = min(i + 1, count - 1)
    low = at(values, heads, i)
    return low + (place - i) * (at(values, heads, j) - low)
