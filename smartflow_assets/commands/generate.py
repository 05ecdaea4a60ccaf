"""`smartflow generate`: rows of a synthetic domain, with labels of what was put into them and a twin in which nothing happened.

The rows are those of the domain's endless run, so a source with `read: {type: synthetic}` of the same keys holds the same ones.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartflow_assets.commands import terminal
from smartflow_assets.commands.target_file import not_of_home
from smartflow_assets.core.nearest_name import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from smartflow_assets.core.generators import BaseGenerator

EXAMPLES = """
smartflow generate --list
smartflow generate web_traffic --rows 5000 -o requests.csv --labels labels.csv
smartflow generate kpi_sales --rows 3285 --start 2023-01-01 --seed 3 -o sales.parquet
smartflow generate electricity --rows 8760 --set base=900 --anomaly-rate 0.08 --twin calm.csv -o load.csv
smartflow generate machine_health --rows 3 --step 1h
"""
MOST_ROWS = 5_000_000  # all of them lie in memory, and their twin
LONGEST = timedelta(days=365_250)
BATCH = 500_000  # rows written at once
NOW, STDOUT = "now", Path("-")


def generate(
    domain: Annotated[str | None, typer.Argument(metavar="DOMAIN", help="What to make; --list names all.", show_default=False)] = None,
    rows: Annotated[int, typer.Option("--rows", metavar="N", min=1, max=MOST_ROWS, help="How many rows.")] = 2000,
    step: Annotated[
        str | None,
        typer.Option(
            "--step", metavar="DURATION", help="Time between two rows, such as 5min; the domain's own when not given.", show_default=False
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="No row is earlier: 2026-03-01T09:35, UTC without a zone.", show_default=False),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(
            "--end", metavar="TIME", help="The step of the last row is over by then; now when neither is given.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed gives other rows of the same kind.")] = 0,
    anomaly_rate: Annotated[
        float, typer.Option("--anomaly-rate", metavar="SHARE", min=0, max=0.3, help="Share of the rows that lie inside an anomaly, about.")
    ] = 0.01,
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the domain, once for each; --list names them.", show_default=False),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Write there what was put in, and when.", show_default=False)
    ] = None,
    twin: Annotated[
        Path | None, typer.Option("--twin", metavar="FILE", help="Write there the same rows without anomalies.", show_default=False)
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Write there: .csv, .json, .jsonl or .parquet; - is stdout, as CSV.")
    ] = STDOUT,
    is_list: Annotated[bool, typer.Option("--list", help="Name the domains, their columns and their parameters.")] = False,
) -> None:
    """Make rows of a synthetic domain: realistic seasons and noise, with labelled anomalies.

    The same seed gives the same rows, whenever and however many are asked for. A source with `read: {type: synthetic, domain:
    DOMAIN}` and that seed holds them too.
    """
    if is_list:
        _list()
        return
    made_by = _domain(domain, step, parameters or [])
    since, until = _times(start, end)
    if rows > LONGEST / made_by.step:
        raise terminal.UsageError(f"--rows {rows}: so many steps are more than 1,000 years", remedy="Make fewer rows, or the step shorter.")
    files = {"-o": output, "--labels": labels, "--twin": twin}
    named = [path for path in files.values() if path is not None]
    if twice := next((path for path in named if named.count(path) > 1), None):
        options = " and ".join(option for option, path in files.items() if path == twice)
        raise terminal.UsageError(f"{options} both name {twice}", remedy="Give each a file of its own.")
    for option, path in files.items():
        if path not in (None, STDOUT):
            not_of_home(path, option)
    made = made_by.rows_until(until, rows, seed, anomaly_rate) if until else made_by.rows_from(since, rows, seed, anomaly_rate)
    _write({output: made.frame} | ({labels: made.labels} if labels else {}) | ({twin: made.twin} if twin else {}))
    first, last = made.frame["timestamp"].iloc[0], made.frame["timestamp"].iloc[-1]
    terminal.say(
        f"{terminal.count(len(made.frame), 'row')} of {made_by.type}, {_when(first)} to {_when(last)} UTC, "
        f"with {terminal.count(len(made.labels), 'labelled anomaly', 'labelled anomalies')}"
        + ("" if output == STDOUT else f"; written to {', '.join(map(str, named))}")
    )


def _domain(name: str | None, step: str | None, parameters: Sequence[str]) -> "BaseGenerator":
    """The domain with its parameters. UsageError for what it does not know."""
    from pydantic import ValidationError

    from smartflow_assets.core.generators import DOMAINS

    if name is None:
        raise terminal.UsageError("no domain is named", remedy=f"There are {', '.join(DOMAINS)}.")
    if name not in DOMAINS:
        remedy = did_you_mean(name, DOMAINS, f"There are {', '.join(DOMAINS)}.")
        raise terminal.UsageError(f"there is no domain {name!r}", remedy=remedy)
    known = [key for key in DOMAINS[name].model_fields if key != "type"]
    keys: dict[str, str | list[str]] = {"step": step} if step else {}
    for text in parameters:
        key, sign, value = (part.strip() for part in text.partition("="))
        if not sign:
            raise terminal.UsageError(f"--set {text}: a parameter is written KEY=VALUE", remedy=f"{name} has {', '.join(known)}.")
        if key not in known:
            raise terminal.UsageError(f"--set {text}: {name} has no parameter {key!r}", remedy=f"It has {', '.join(known)}.")
        is_many = isinstance(DOMAINS[name].model_fields[key].default, tuple)
        keys[key] = [part.strip() for part in value.split(",")] if is_many else value
    try:
        return DOMAINS[name].model_validate(keys)
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        given = keys[key]
        option = f"--step {step}" if given == step else f"--set {key}={given if isinstance(given, str) else ','.join(given)}"
        raise terminal.UsageError(f"{option}: {problem['msg'].removeprefix('Value error, ')}") from error


def _times(start: str | None, end: str | None) -> tuple[datetime, datetime | None]:
    """From when on, or until when; of the two only one counts."""
    now = datetime.now(UTC)
    if start is not None and end is not None:
        raise terminal.UsageError("--start and --end exclude each other", remedy="Give one of them; --rows says how far it goes.")
    return (_time("--start", start, now), None) if start is not None else (now, _time("--end", end or NOW, now))


def _time(option: str, text: str, now: datetime) -> datetime:
    if text == NOW:
        return now
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        at = None
    if at is None or not 1700 <= at.year <= 2200:
        raise terminal.UsageError(
            f"{option} {text}: this is no time between 1700 and 2200", remedy="Write now, or a time such as 2026-03-01T09:35."
        )
    return at


def _write(tables: dict[Path, "pd.DataFrame"]) -> None:
    """Each table to its file, all opened before the first is written; `-` is stdout."""
    from smartflow_assets.adapters.files.result_file import result_file
    from smartflow_assets.core.errors import SourceError

    with ExitStack() as stack:
        try:
            targets = {path: stack.enter_context(result_file(path)) for path in tables if path != STDOUT}
        except SourceError as error:
            raise terminal.UsageError(error.what, remedy=error.remedy) from error
        for path, target in targets.items():
            table = tables[path]
            for first in range(0, max(len(table), 1), BATCH):
                target.add(table.iloc[first : first + BATCH])
            target.finish()
    if STDOUT in tables:
        table = tables[STDOUT]
        has_fractions = bool((table["timestamp"].dt.microsecond != 0).any())
        table.to_csv(terminal.stdout(), index=False, date_format=f"%Y-%m-%dT%H:%M:%S{'.%f' if has_fractions else ''}Z", lineterminator="\n")


def _list() -> None:
    from smartflow_assets.core.generators import DOMAINS
    from smartflow_assets.core.temporal.notation import format_duration

    lines = []
    for name, domain in DOMAINS.items():
        made = domain.model_validate({})
        columns = made.rows_from(datetime(2026, 1, 1, tzinfo=UTC), 1).frame.columns
        own = [key for key in domain.model_fields if key not in ("type", "step")]
        lines.append([name, format_duration(made.step), ", ".join(map(str, columns[1:])), ", ".join(own)])
    terminal.table(["domain", "step", "columns", "parameters"], lines)


def _when(moment: "pd.Timestamp") -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


COMMANDS = (("generate", generate, EXAMPLES),)
