"""From raw rows to time buckets, in SQL."""
