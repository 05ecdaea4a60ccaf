"""What happens, as it happens: events taken from each new copy of the warehouse, numbered, kept, and given to whoever listens."""
