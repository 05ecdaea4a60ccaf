"""Rows that were sent to the server: kept at once, filed in the inbox of their source, and followed until they are judged."""
