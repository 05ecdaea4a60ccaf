"""A package of somebody else: a reader, a detector and a channel that SmartFlow finds by their entry points."""
