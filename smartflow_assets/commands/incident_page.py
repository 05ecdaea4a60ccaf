"""`smartflow incidents page`: all that is known of an incident as one HTML file, to be opened, mailed or kept."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from smartflow_assets.commands import terminal
from smartflow_assets.commands.incidents import found, opened, require
from smartflow_assets.commands.target_file import writable

EXAMPLES = """
smartflow incidents page 3f2a90c1
smartflow incidents page 3f2a90c1 --open
smartflow incidents page 3f2a90c1 -o flood.html
"""


def page(
    incident: Annotated[str, typer.Argument(metavar="ID", help="Id of an incident, or its beginning.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there. Default: data/reports/incidents/ID.html.", show_default=False),
    ] = None,
    is_opened: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Write the page of an incident: one HTML file with the chart, why it counts as strange, what changed before it, its timeline, who was
    told, comments, and the SQL that shows its data. Prints its path.

    It loads nothing from elsewhere, so it can be mailed. Runs write the pages of incidents that people were told of.
    """
    from smartflow_assets.adapters.files.report_file import write_report, write_report_to
    from smartflow_assets.stages.incident_pages import incident_page
    from smartflow_assets.stages.message_background import page_path

    warehouse, catalogue = opened()
    row = found(warehouse, incident)
    text = incident_page(require(warehouse), catalogue, row, now=datetime.now(UTC), environment=os.environ)
    path = output or page_path(catalogue.settings, row["incident_id"])
    if output is None:
        write_report(path, text.encode(), catalogue.home.share)
    else:
        write_report_to(writable(path), text.encode())
    terminal.result(str(path))
    if is_opened:
        import webbrowser

        if not webbrowser.open(path.absolute().as_uri()):
            terminal.note("there is no browser here")


COMMANDS = (("page", page, EXAMPLES),)
