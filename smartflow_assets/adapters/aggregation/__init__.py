"""From raw rows to time buckets, in SQL: which rows count, what their categories become, how long a bucket is."""
