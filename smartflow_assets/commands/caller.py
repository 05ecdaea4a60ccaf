"""Who calls a command: what a person decides is written down with a name."""

import getpass
import os


def caller() -> str:
    """Who is asking, as the operating system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        return str(os.getuid())
