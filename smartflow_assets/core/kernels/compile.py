"""How every kernel is compiled: cached on disk, without the interpreter lock, with numpy's rules for division by zero.

No fastmath and no parallel loops: both change the order of sums, and one row would no longer equal a batch to the bit.
"""

from collections.abc import Callable
from typing import Any

from numba import njit

compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = njit(cache=True, nogil=True, error_model="numpy")
