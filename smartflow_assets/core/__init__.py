"""What is computed, on values and frames alone: no database, no network, no Dagster. Its folders are layers; imports point downwards."""
