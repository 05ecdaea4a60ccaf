"""What the server asks the published copy, all of its SQL. Each question has a time bound or a limit: without, a million rows are read."""
