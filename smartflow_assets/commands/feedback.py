"""`smartflow feedback give | list | undo | from-csv`: was an incident right, and what follows from that."""

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from smartflow_assets.commands import home, terminal
from smartflow_assets.commands.caller import caller
from smartflow_assets.commands.incidents import found, opened, require
from smartflow_assets.core.errors import DecisionError, WarehouseBusyError
from smartflow_assets.core.feedback import Verdict

if TYPE_CHECKING:
    from smartflow_assets.adapters.warehouse.warehouse import Warehouse
    from smartflow_assets.config.catalogue import Catalogue
    from smartflow_assets.core.temporal.recurring_time import RecurringTime
    from smartflow_assets.stages.feedback import Given, Word

GIVE_EXAMPLES = """
smartflow feedback 3f2a90c1 true_positive --note "the proxy was down"
smartflow feedback give 3f2a90c1 77b0e2d4 false_positive --for 30d
smartflow feedback 3f2a90c1 expected --recurs "mon 09:00-11:00" --note "the mailing"
"""
LIST_EXAMPLES = """
smartflow feedback list
smartflow feedback list shop
"""
UNDO_EXAMPLES = """
smartflow feedback undo 5c1e77aa
"""
CSV_EXAMPLES = """
smartflow feedback from-csv reviewed.csv --by anna
"""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
COLUMNS = ("incident", "verdict", "note", "recurs")
By = Annotated[str, typer.Option("--by", metavar="NAME", help="Who says it. Default: the user who calls.", show_default=False)]


def give(
    incidents: Annotated[
        list[str],
        typer.Argument(
            metavar="INCIDENT… VERDICT",
            help="Ids of incidents, or their beginnings, and true_positive, false_positive or expected.",
            show_default=False,
        ),
    ],
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Why; stands in its timeline.", show_default=False)] = "",
    recurs: Annotated[
        str | None,
        typer.Option(
            "--recurs",
            metavar="TIME",
            help='expected: when the like comes, in the zone of the source: "mon 09:00-11:00", "daily 02:00-03:00", "fri 20:00-mon 06:00". '
            "Default: the weekday and the hours of the incident, an hour more on both sides.",
            show_default=False,
        ),
    ] = None,
    lasting: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="LENGTH",
            help="How long false_positive raises the threshold, and expected mutes. Default: 90d, and 365d with --recurs.",
            show_default=False,
        ),
    ] = None,
    by: By = "",
) -> None:
    """Say whether incidents were right. Without a verb this is meant too: smartflow feedback INCIDENT VERDICT.

    true_positive: its time is never learnt from. false_positive: it is resolved, its time is learnt as normal, and the threshold of its
    series rises until what is as strange and as large is not flagged. expected: its time is not learnt from, and nobody hears of
    look-alikes at that time of the week that are at most 1.25 times as large.

    Each acts from the next run on, until --for is over or it is taken back. Of a group it is said of all members, in all
    of its sources; of a silence or a blocked load among them only true_positive. A second word takes the place of the first.
    """
    from smartflow_assets.stages.feedback import Word

    verdict, length = _verdict(incidents[-1]), home.duration(lasting, "--for") if lasting else None
    if len(incidents) == 1:
        raise terminal.UsageError("of which incident?", remedy=f"smartflow feedback INCIDENT {verdict}; `smartflow incidents` lists them.")
    if length is not None and length <= timedelta(0):
        raise terminal.UsageError(f"--for {lasting} is no time to come")
    if length is not None and verdict == "true_positive":
        raise terminal.UsageError("true_positive holds for good", remedy="Leave --for out; `smartflow feedback undo ID` takes it back.")
    time = _recurring(recurs, "--recurs")
    warehouse, catalogue = opened()
    rows = {row["incident_id"]: row for row in (found(warehouse, start) for start in incidents[:-1])}
    _given(require(warehouse), catalogue, rows, [Word(name, verdict, note.strip(), time, length) for name in rows], by)


def list_feedback(
    source: Annotated[list[str] | None, typer.Argument(metavar="SOURCE", help="Only of these sources.", show_default=False)] = None,
) -> None:
    """List what people said of incidents, the newest first: what each does now, until when, and how many incidents it has muted."""
    from smartflow_assets.stages.decisions import timezone_of
    from smartflow_assets.stages.feedback import audit, does

    warehouse, catalogue = opened()
    rows = audit(warehouse, home.named(source, catalogue) if source else ()) if warehouse else []
    if not rows:
        terminal.result("nobody has said of an incident whether it was right: smartflow feedback INCIDENT VERDICT")
        return
    columns = ["id", "given", "by", "source", "series", "incident", "verdict", "does", "muted", "note"]
    listed = list[Sequence[object]]()
    for row in rows:
        zone = timezone_of(catalogue, row["source"])
        given = f"{row['given_at'].tz_convert(zone):%Y-%m-%d %H:%M}"
        names = [row["source"], row["series"] or row["cause"], row["incident_id"][:8], row["verdict"]]
        listed.append([row["feedback_id"][:8], given, row["given_by"], *names, does(row, zone), row["muted_count"] or "", row["note"]])
    terminal.table(columns, listed, right=["muted"])


def undo(
    feedback: Annotated[str, typer.Argument(metavar="ID", help="Id of what was said, or its beginning.", show_default=False)], by: By = ""
) -> None:
    """Take back what was said: it acts no more from the next run on, and what it mutes and still goes on is told.

    What a false_positive has resolved stays resolved. `smartflow feedback list` shows the ids, and what was taken back.
    """
    from smartflow_assets.stages.feedback import beginning_with
    from smartflow_assets.stages.feedback import undo as taken_back

    warehouse, catalogue = opened()
    ids = beginning_with(require(warehouse), feedback.lower()) if len(feedback) >= 4 else []
    if len(ids) != 1:
        what = f"there is no feedback {feedback}" if not ids else f"{len(ids)} words begin with {feedback}: {', '.join(ids[:5])}"
        raise terminal.UsageError(what, remedy="`smartflow feedback list` shows the ids; four signs of one are needed at least.")
    given = _patiently(
        lambda patience: taken_back(
            require(warehouse), catalogue, ids[0], by_whom=by.strip() or caller(), now=datetime.now(UTC), patience=patience
        )
    )
    _say(require(warehouse), given, {})


def from_csv(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV with the columns incident, verdict, note and recurs.", show_default=False)
    ],
    by: By = "",
) -> None:
    """Say it of many incidents at once: all rows of a file, or none of them where one is wrong."""
    from smartflow_assets.stages.feedback import Word

    warehouse, catalogue = opened()
    store, rows, words, problems = require(warehouse), dict[str, dict[str, Any]](), list[Word](), list[str]()
    for line, each in _read(file):
        try:
            row = found(store, (each["incident"] or "").strip())
            if row["incident_id"] in rows:
                raise terminal.UsageError(f"incident {row['incident_id'][:8]} stands in the file twice")
            verdict, time = _verdict(each["verdict"] or ""), _recurring((each.get("recurs") or "").strip() or None, "recurs")
        except terminal.UsageError as error:
            problems.append(f"line {line}: {error}")
            continue
        rows[row["incident_id"]] = row
        words.append(Word(row["incident_id"], verdict, (each.get("note") or "").strip(), time, where=f"{file}, line {line}"))
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise terminal.UsageError(f"{file}: {'; '.join(problems[:10])}{more}", remedy="Nothing was written; mend the file.")
    _given(store, catalogue, rows, words, by)


def _read(file: Path) -> list[tuple[int, dict[str, str | None]]]:
    """The rows of the file with their lines."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.DictReader(text)
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        raise terminal.UsageError(f"there is no file {file}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise terminal.UsageError(f"{file} is no CSV: {error}") from None
    if lacking := [name for name in COLUMNS[:2] if name not in header]:
        raise terminal.UsageError(f"{file} has no column {' and '.join(lacking)}", remedy=f"Its first line names {', '.join(COLUMNS)}.")
    if strangers := [name for name in header if name not in COLUMNS]:
        raise terminal.UsageError(f"{file} has the column {strangers[0]}", remedy=f"There are {', '.join(COLUMNS)}.")
    if wide := next((line for line, row in rows if None in row), None):
        raise terminal.UsageError(f"{file}: line {wide} has more cells than there are columns", remedy="Quote a note that holds a comma.")
    if not rows:
        raise terminal.UsageError(f"{file} has no row")
    return rows


def _verdict(text: str) -> Verdict:
    from smartflow_assets.core.nearest_name import did_you_mean

    verdict: Verdict | None = next((name for name in VERDICTS if name == text.strip().lower().replace("-", "_")), None)
    if verdict is None:
        what = f"{text!r} is no verdict" if text else "there is no verdict"
        raise terminal.UsageError(what, remedy=did_you_mean(text, VERDICTS, f"There are {', '.join(VERDICTS)}."))
    return verdict


def _recurring(text: str | None, where: str) -> "RecurringTime | None":
    from smartflow_assets.core.temporal.recurring_time import RecurringTime

    try:
        return None if text is None else RecurringTime.parse(text)
    except ValueError as error:
        raise terminal.UsageError(f"{where}: {error}") from None


def _given(warehouse: "Warehouse", catalogue: "Catalogue", rows: dict[str, dict[str, Any]], words: "Sequence[Word]", by: str) -> None:
    from smartflow_assets.stages.feedback import give as given

    by_whom = by.strip() or caller()
    answer = _patiently(lambda patience: given(warehouse, catalogue, words, by_whom=by_whom, now=datetime.now(UTC), patience=patience))
    _say(warehouse, answer, rows)


def _patiently(write: "Callable[[timedelta], Given]") -> "Given":
    """Wait for a run that is under way."""
    from smartflow_assets.defs.resources import SOURCE_LOCK_PATIENCE

    try:
        try:
            return write(timedelta(seconds=1))
        except WarehouseBusyError:
            terminal.say("a source of these is being run; this waits until that has ended")
            return write(SOURCE_LOCK_PATIENCE)
    except DecisionError as error:
        raise terminal.UsageError(f"{error.where}: {error.what}" if error.where else error.what, remedy=error.remedy) from None


def _say(warehouse: "Warehouse", given: "Given", rows: dict[str, dict[str, Any]]) -> None:
    from smartflow_assets.stages.feedback import BY_FEEDBACK
    from smartflow_assets.stages.incident_views import named_by

    rows = rows | named_by(warehouse, [each.incident_id for each in given.said if each.incident_id not in rows])
    for each in given.said:
        row = rows[each.incident_id]
        named = " ".join(filter(None, (each.incident_id[:8], row["source"], row["series"] or row["cause"])))
        terminal.result(f"{named}: {each.text}")
    planned = given.sends[given.sends["status"] == "planned"] if len(given.sends) else given.sends
    for channel, own in planned.groupby("channel", sort=False) if len(planned) else ():
        terminal.say(f"to be told: {' and '.join(dict.fromkeys(own['event']))} to {channel}, by the next run")
    if any(each.has_changed for each in given.said):
        warehouse.publish(BY_FEEDBACK, is_forced=True)


HELP = "Was an incident right? What people say acts on what comes. Without a verb: give, or list where no incident is named."
COMMANDS = (
    ("give", give, GIVE_EXAMPLES),
    ("list", list_feedback, LIST_EXAMPLES),
    ("undo", undo, UNDO_EXAMPLES),
    ("from-csv", from_csv, CSV_EXAMPLES),
)
