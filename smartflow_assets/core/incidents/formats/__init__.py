"""One file for each format in which a message is written: a function `render` from the content to what a receiver takes.

Each knows what its format escapes and how long its parts may be, with the vendor's page beside the figures, and nothing of addresses,
keys or HTTP: those are the channel's.
"""
