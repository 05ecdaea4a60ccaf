"""From verdicts to anomalies: grouping, explanation, recurrence, attribution to slices."""
