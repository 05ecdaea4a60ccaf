"""Where the platform meets the world: sources of rows, the warehouse, files, model artefacts, channels of messages.

Each hides one technology behind values and frames; core says what those mean, the stages when they are used.
"""
