"""Compiled kernels (numba): the arithmetic of detectors and calibration, one idea per file.

Every kernel walks its rows one by one over state arrays that it changes in place, and everything periodic hangs on the row
number of the series, so results are bit-equal however the rows are split. No reduction is left to BLAS or fastmath unless its
shape and row are fixed. Values are finite: one NaN in a sorted window breaks its binary search for good.
Import these modules inside functions: numba costs a quarter of a second.
"""
