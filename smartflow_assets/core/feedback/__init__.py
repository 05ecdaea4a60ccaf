"""What people say of incidents, as rules for what comes: which are expected, and from which score on a series is strange.

Both lie below `incidents` and `detection`, which apply them. Where a word is written down, and what else it does, is in `stages/feedback`.
"""

from typing import Literal

Verdict = Literal["true_positive", "false_positive", "expected"]
"""What a person says of an incident: it was right, it was a false alarm, or it was right and nobody need hear of the like."""
