"""From raw rows to clean, transformed, encoded values and features. Nothing looks ahead."""
