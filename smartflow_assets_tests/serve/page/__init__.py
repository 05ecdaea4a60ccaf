"""The page in Debian's chromium, against a real server on loopback."""
