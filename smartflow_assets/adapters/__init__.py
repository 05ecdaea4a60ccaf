"""Where the platform meets the world: sources of rows, the warehouse, files, model artefacts, channels of messages.

Each hides one technology behind values and frames; what they mean is core's, when they are used is the stages'.
"""
