"""What became of a bucket that was to be scored."""

from typing import Literal, get_args

ScoreState = Literal["scored", "warming_up", "missing"]
"""scored; warming_up: too little history; missing: the bucket has no value."""
SCORE_STATES: tuple[ScoreState, ...] = get_args(ScoreState)
