"""Which sources a remedy has taken from their schedule, as the table `remediations` says it."""

PAUSES = """
SELECT source, CASE WHEN bool_or(until_at IS NULL) THEN NULL ELSE max(until_at) END AS until_at FROM remediations
WHERE is_pause AND status = 'done' AND undone_at IS NULL GROUP BY source
"""
"""Each source that was paused and that nobody has taken back, with when the pause ends; null where only a person ends it."""
