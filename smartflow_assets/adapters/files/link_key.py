"""The key that links in messages are signed with: 32 random bytes in a file for its owner alone, made by whoever needs it first."""

import os
import secrets
from pathlib import Path

from smartflow_assets.adapters.files.access import make_private_folder


def link_key(file: Path) -> bytes:
    """The key; a new one where there is none. Without the file, links that were sent lead nowhere."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        pass
    make_private_folder(file.parent)
    part = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    part.touch(mode=0o600)
    part.write_bytes(secrets.token_bytes(32))
    try:
        os.link(part, file)  # the first one stays
    except FileExistsError:
        pass
    finally:
        part.unlink()
    return file.read_bytes()
