"""`smartflow sql`: one statement on the published copy, whose age is said, since it is as old as the last run."""

import json
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.core.errors import SmartflowError, WarehouseError

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = """
smartflow sql "FROM marts.open_incidents"
smartflow sql "SELECT source, count(*) AS anomalies FROM anomalies GROUP BY source" --format csv > anomalies.csv
smartflow sql "SHOW ALL TABLES" --format json
echo "FROM run_log ORDER BY started_at DESC LIMIT 5" | smartflow sql -
"""


class Format(StrEnum):
    """How the rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def sql(
    statement: Annotated[str, typer.Argument(metavar="SQL", help="One statement; - reads it from stdin.", show_default=False)],
    format: Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")] = Format.table,
) -> None:
    """Ask the published copy of the warehouse; read-only, while runs go on.

    The copy is data/warehouse/analyst.duckdb, and any DuckDB tool may open it. Its schema `marts` holds the documented views.
    Times are UTC. The age of the copy goes to stderr.
    """
    from smartflow_assets.adapters.sql_statements import statement_count
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse

    settings = home.open_home()
    text = sys.stdin.read() if statement == "-" else statement
    if (count := statement_count(text)) == 0:
        raise terminal.UsageError("there is no statement", remedy='Write one, such as smartflow sql "FROM marts.open_incidents".')
    if count is not None and count > 1:
        raise terminal.UsageError(f"there are {count} statements", remedy="Ask them one by one.")
    if not settings.published_file.exists():
        raise SmartflowError(
            f"there is no published copy yet ({settings.published_file})",
            remedy="`smartflow run` makes it; `smartflow demo` shows how.",
        )
    warehouse = Warehouse(settings.warehouse_file, settings.published_file)
    try:
        rows = warehouse.published_read(text)
    except WarehouseError as error:
        raise _of_statement(error) from error
    info = warehouse.snapshot_info()
    if info is not None and info.published_at is not None:
        terminal.say(f"as of {info.published_at:%Y-%m-%d %H:%M:%S} UTC, {ago(datetime.now(UTC) - info.published_at)} ago", "dim")
    write(rows, format)


def _of_statement(error: WarehouseError) -> WarehouseError:
    """DuckDB's own words on the statement, with its hint; the file is not what is wrong."""
    words = str(error.__cause__ or "").strip().splitlines()
    if not words or words[0] not in error.what:
        return error
    hints = [line.strip() for line in words[1:] if line.strip().startswith(("Did you mean", "Candidate"))]
    return WarehouseError(words[0].rstrip("!"), remedy=hints[0] if hints else "")


def ago(age: timedelta) -> str:
    """The age in its largest fitting unit.

    >>> ago(timedelta(seconds=45)), ago(timedelta(minutes=5)), ago(timedelta(hours=50)), ago(timedelta(days=9))
    ('45 s', '5 min', '50 h', '9 days')
    """
    seconds = max(0, int(age.total_seconds()))
    for unit, size, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 259200)):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86400} days"


def write(rows: "pd.DataFrame", format: Format) -> None:
    """The rows on stdout."""
    if format is Format.json:
        records = [
            {name: _json_value(value) for name, value in zip(rows.columns, row, strict=True)}
            for row in rows.itertuples(index=False, name=None)
        ]
        terminal.result(json.dumps(records, ensure_ascii=False, indent=2))
    elif format is Format.csv:
        import csv

        from smartflow_assets.adapters.files.result_file import calm_cell

        def cell(value: Any) -> str:
            text = _cell(value, is_exact=True)
            return calm_cell(text) if isinstance(value, str) else text

        writer = csv.writer(terminal.Harmless(sys.stdout), lineterminator="\n")
        writer.writerow([calm_cell(str(name)) for name in rows.columns])
        writer.writerows([cell(value) for value in row] for row in rows.itertuples(index=False, name=None))
    else:
        numbers = [str(name) for name, kind in rows.dtypes.items() if kind.kind in "iuf"]
        terminal.table(
            [str(name) for name in rows.columns],
            ([_cell(value) for value in row] for row in rows.itertuples(index=False, name=None)),
            right=numbers,
        )
        if sys.stdout.isatty():
            terminal.say(f"{len(rows)} row{'' if len(rows) == 1 else 's'}", "dim")


def _json_value(value: Any) -> Any:
    """A value as JSON knows it; times are ISO 8601, with Z for UTC."""
    from smartflow_assets.core.json_value import json_value

    return json_value(value, write_time=lambda at: at.isoformat().replace("+00:00", "Z"), write_other=str)


def _cell(value: Any, *, is_exact: bool = False) -> str:
    """A value as text: nothing for null, the shortest form of a number, JSON for what is nested."""
    plain = _json_value(value)
    if plain is None:
        return ""
    if isinstance(plain, dict | list):
        return json.dumps(plain, ensure_ascii=False)
    if isinstance(plain, float):
        if is_exact:
            return repr(plain)
        return f"{plain:.0f}" if plain.is_integer() and abs(plain) < 1e15 else f"{plain:.6g}" if abs(plain) < 1e6 else repr(plain)
    return str(plain).lower() if isinstance(plain, bool) else str(plain)


COMMANDS = (("sql", sql, EXAMPLES),)
