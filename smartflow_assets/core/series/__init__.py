"""What is known of a series before any detector runs: its frame and id, step, season and scale, blocks of rows, the shared
baseline, joining rows into intervals."""
