"""A report that people read as one file: put in its place in one step, for whoever may read what the home publishes.

A page says what rows were like, so below `data` it is for SmartFlow's user alone unless `share` of data/home.yaml says otherwise; where a
person names the file, it is as any file of theirs.
"""

import os
from pathlib import Path
from tempfile import mkstemp

from smartflow_assets.adapters.files.access import Share, make_folder, make_private_folder, offer


def write_report(path: Path, content: bytes, share: Share | None) -> None:
    """Put a report of the home (data/reports/<kind>/<file>) in its place: a reader has the old one or the new one."""
    for folder in (path.parent.parent, path.parent):
        if share in (None, "owner"):
            make_private_folder(folder)
        else:
            make_folder(folder, share)
    _replace(path, content, "owner" if share is None else share)


def write_report_to(path: Path, content: bytes) -> None:
    """The same where a person wants it, in a folder that is there."""
    _replace(path, content, None)


def _replace(path: Path, content: bytes, share: Share | None) -> None:
    descriptor, name = mkstemp(dir=path.parent, prefix=".smartflow-", suffix=path.suffix)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        offer(Path(name), share)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
