"""Scaling of a series for models that need comparable numbers, and the way back to its own unit.

Fitted in training and stored with the model as plain JSON; detection and plots invert it, so that a user only ever sees the
unit that the series was written in.
"""
from typing import Literal

Scale = Literal["none", "standard", "min_max", "robust"]
