"""Trials on a copy of the past: backtest, tuning, comparison of detectors."""
