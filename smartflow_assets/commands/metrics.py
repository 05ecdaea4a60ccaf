"""`smartflow metrics`: what `/metrics` of the server says of a home, for a machine that runs no server.

Prometheus' node exporter reads text files of a folder (`--collector.textfile.directory`); a timer writes one there. The file is put in
its place as a whole, and is for everybody to read, since the exporter is another user.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.target_file import in_folder
from smartflow_assets.core.errors import SmartflowError

EXAMPLES = """
smartflow metrics
smartflow metrics -o /var/lib/prometheus/node-exporter/smartflow.prom
"""


def metrics(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File to write, replaced as a whole; default: stdout.", show_default=False),
    ] = None,
) -> None:
    """Print how the home is doing as figures for Prometheus: runs, freshness, incidents, messages, sizes. docs/metrics.md lists them.

    With `smartflow serve` Prometheus reads /metrics itself. Without it, let a timer write a file that ends in .prom into the folder that
    the node exporter's textfile collector reads. Needs pip install 'smartflow[serve]'.
    """
    settings = home.open_home()
    try:
        from smartflow_assets.serve.metrics.exposition import Exposition, HomeCollector
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("prometheus_client"):
            raise
        raise SmartflowError("smartflow metrics needs the package prometheus_client", remedy="pip install 'smartflow[serve]'") from error
    from smartflow_assets.adapters.warehouse.published_copy import PublishedCopy
    from smartflow_assets.config.catalogue import Catalogue

    published = PublishedCopy(settings.published_file)
    try:
        text = Exposition(HomeCollector(settings, os.environ, lambda: Catalogue.load(settings), published.snapshot)).plain()
    finally:
        published.close()
    if output is None:
        sys.stdout.write(text.decode())
        sys.stdout.flush()
    else:
        _put(text, output)


def _put(text: bytes, output: Path) -> None:
    """The file in the place of the one before, in one step; the part has a name that the exporter does not read."""
    in_folder(output)
    if output.is_dir():
        raise SmartflowError(f"{output} is a folder", remedy=f"Name a file in it, such as {output / 'smartflow.prom'}.")
    if output.suffix != ".prom":
        terminal.note("the node exporter reads files that end in .prom alone")
    try:
        with tempfile.NamedTemporaryFile(dir=output.parent, prefix=f".{output.name}.", delete=False) as part:
            try:
                part.write(text)
                part.flush()
                os.fchmod(part.fileno(), 0o644)
                Path(part.name).replace(output)
            except BaseException:
                Path(part.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise SmartflowError(
            f"{output} cannot be written: {error.strerror}", remedy=f"Let this user write {output.parent}, or write elsewhere."
        ) from error


COMMANDS = (("metrics", metrics, EXAMPLES),)
