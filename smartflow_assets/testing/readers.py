"""`check_reader`: what every reader must do, whatever it reads from.

The author brings a data folder with content whose rows they have counted (`ReaderCase`); each check reads it as ingestion does,
into a staging folder of its own. What becomes of staged rows in the warehouse is not the reader's business, nor these checks'.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.sql_quoting import quoted_column, quoted_text
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, Wanted
from smartflow_assets.core.errors import SourceError
from smartflow_assets.testing.promises import broken, check_instance, check_settings, counted, kind_of, promised, run_all, type_of

SOURCE = "checked"
LONGEST_SIGNATURE = 200


@dataclass(frozen=True)
class ReaderCase:
    """A reader and content for it: `data` is the data folder, `row_count` and `bad_count` say what lies there for it to read.

    `gone` is a reader of the same type whose origin is not there; default: the reader itself with an empty data folder.
    `may_be_gone`: nothing there is no error, as with an inbox. `now` is the clock of the run.
    """

    reader: BaseReader
    data: Path
    row_count: int
    bad_count: int = 0
    wanted: Wanted = field(default_factory=Wanted)
    gone: BaseReader | None = None
    may_be_gone: bool = False
    now: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    @property
    def who(self) -> str:
        """What messages call the reader."""
        return type_of(self.reader)


def check_reader(
    reader: BaseReader,
    data: Path | str,
    *,
    row_count: int,
    bad_count: int = 0,
    wanted: Wanted | None = None,
    gone: BaseReader | None = None,
    may_be_gone: bool = False,
) -> None:
    """Run every check of `READER_CHECKS`; AssertionError says which promise is broken, by what content, and what to do.

    data: a data folder with content for the reader: `row_count` rows that can be read and `bad_count` that cannot. wanted: what a
    source would declare. gone: a reader of the same type whose origin is not there; default: the reader itself with an empty
    data folder. may_be_gone: nothing there is no error, as with an inbox.
    """
    check_instance(reader, BaseReader, "check_reader")
    case = ReaderCase(reader, Path(data), row_count, bad_count, wanted or Wanted(), gone, may_be_gone)
    run_all(READER_CHECKS, case, reader, case.who)


def check_reader_settings(case: ReaderCase) -> None:
    """Its settings are a frozen model with a literal type that refuses unknown keys, describes each key and survives JSON."""
    check_settings(case.reader)


def check_rows_are_staged(case: ReaderCase) -> None:
    """Every row is staged with an aware time, and every bad row is put aside with its reason."""
    with _staging() as folder:
        batches = _read(case, folder)
        for batch in batches:
            is_inside = folder in batch.parquet.parents and (batch.rejected is None or folder in batch.rejected.parents)
            promised(is_inside, case.who, f"{batch.origin} was staged outside of context.staging", "Write into context.staging only")
            _check_times(case, batch)
        _check_wanted_columns(case, batches)
        good, bad = sum(batch.row_count for batch in batches), sum(batch.bad_count for batch in batches)
        remedy = "Yield what stage_rows or stage_file gives for each origin; they count the rows"
        promised(
            good == case.row_count,
            case.who,
            f"{counted(good, 'row')} {'was' if good == 1 else 'were'} staged, and row_count says {case.row_count}",
            remedy,
        )
        promised(
            bad == case.bad_count,
            case.who,
            f"{counted(bad, 'row')} {'was' if bad == 1 else 'were'} put aside, and bad_count says {case.bad_count}",
            remedy,
        )
        if case.wanted.on_bad_rows == "quarantine":
            reasons = [reason for batch in batches for reason in _reasons(batch)]
            is_told = len(reasons) == bad and all(reasons)
            promised(
                is_told,
                case.who,
                f"{counted(bad, 'bad row')} and {counted(len(reasons), 'reason')}",
                "Hand bad rows to stage_rows too: it says why they are bad",
            )


def check_each_origin_is_staged_once(case: ReaderCase) -> None:
    """One read gives each origin once. A server's pages are parts of one origin instead (FeedReader)."""
    if isinstance(case.reader, FeedReader):
        return
    with _staging() as folder:
        origins = [batch.origin for batch in _read(case, folder)]
    twice = sorted({origin for origin in origins if origins.count(origin) > 1})
    what = f"one read staged {', '.join(twice)} more than once, so that the last takes the place of the others"
    promised(not twice, case.who, what, "Give each content an origin of its own, or stage all of its rows together")


def check_content_is_read_alike_twice(case: ReaderCase) -> None:
    """The same content has the same origins, the same hashes and the same rows whenever it is read."""
    with _staging() as one, _staging() as other:
        first, second = (_read(case, folder) for folder in (one, other))
        remedy = "Name an origin by what is read, and hash the content alone: no clock, no random numbers, no order of a set"
        for what, told in (("origins", lambda batch: batch.origin), ("hashes", lambda batch: batch.content_hash), ("rows", _content)):
            is_same = [told(batch) for batch in first] == [told(batch) for batch in second]
            promised(is_same, case.who, f"reading the same content twice gave other {what}", remedy)


def check_known_content_is_passed_over(case: ReaderCase) -> None:
    """An origin whose content is known is not staged again. A server is asked for what is new instead (FeedReader)."""
    if isinstance(case.reader, FeedReader):
        return
    with _staging() as folder:
        known = {batch.origin: batch.content_hash for batch in _read(case, folder)}
    with _staging() as folder:
        again = _read(case, folder, known=known)
    what = f"{', '.join(batch.origin for batch in again)} staged again, though context.known has the content"
    promised(not again, case.who, what, "Give stage_rows the origin and a hash of the content, and yield nothing when it returns None")


def check_nothing_else_is_written(case: ReaderCase) -> None:
    """A reader leaves the data folder as it is."""
    before = _snapshot(case.data)
    with _staging() as folder:
        _read(case, folder)
    changed = sorted(name for name, _ in before ^ _snapshot(case.data))
    promised(not changed, case.who, f"the data folder was changed: {', '.join(changed)}", "Write into context.staging only")


def check_a_missing_origin_is_named(case: ReaderCase) -> None:
    """What is not there is a SourceError that names the source and says what to do."""
    if case.may_be_gone:
        return
    with _staging() as folder, _staging() as empty:
        data = case.data if case.gone is not None else empty
        context = ReadContext(SOURCE, data, folder / "staging", case.wanted, now=case.now)
        remedy = 'Raise SourceError("…", source=context.source, where=…, remedy="…")'
        try:
            list((case.gone or case.reader).batches(context))
        except SourceError as error:
            promised(error.source == SOURCE, case.who, "the error of an origin that is not there does not name the source", remedy)
            promised(error.remedy, case.who, f"the error of an origin that is not there has no remedy: {error}", remedy)
            promised("\n" not in str(error), case.who, f"the error of an origin that is not there has several lines: {error}", remedy)
        except Exception as error:
            broken(case.who, f"an origin that is not there raised {type(error).__name__}: {error}", remedy, error)
        else:
            broken(case.who, "an origin that is not there raised nothing", remedy)


def check_a_probe_says_the_same_of_the_same(case: ReaderCase) -> None:
    """What `probe` says is a short text or None, the same until something changes, and asking and reading change nothing."""
    context = ProbeContext(SOURCE, case.data, case.now)
    told = [case.reader.probe(context)]
    with _staging() as folder:
        _read(case, folder)
    told.append(case.reader.probe(context))
    remedy = "Make it of what the origin says of itself, such as its size, its times or a version, and hash what is long"
    is_settled = None not in told  # a file that was changed just now says nothing yet
    promised(not is_settled or told[0] == told[1], case.who, f"probe said {told[0]!r}, then {told[1]!r}, and nothing had changed", remedy)
    is_text = told[0] is None or (isinstance(told[0], str) and 0 < len(told[0]) <= LONGEST_SIGNATURE)
    promised(is_text, case.who, f"probe gave {told[0]!r}, not a text of 1 to {LONGEST_SIGNATURE} characters or None", remedy)


READER_CHECKS: tuple[Callable[[ReaderCase], None], ...] = (
    check_reader_settings,
    check_nothing_else_is_written,
    check_rows_are_staged,
    check_each_origin_is_staged_once,
    check_content_is_read_alike_twice,
    check_known_content_is_passed_over,
    check_a_missing_origin_is_named,
    check_a_probe_says_the_same_of_the_same,
)
"""Every promise of a reader, one function each."""


@contextmanager
def _staging() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder).resolve()


def _read(case: ReaderCase, folder: Path, known: dict[str, str] | None = None) -> list[Staged]:
    """All batches; `staging` does not exist yet, as on a first run. A page of a server is looked at before the next is asked for,
    and stays where it is for the length of a check."""
    context = ReadContext(SOURCE, case.data, folder / "staging", case.wanted, known or {}, now=case.now)
    given: object = case.reader.batches(context)
    if not isinstance(given, Iterable):
        broken(case.who, f"batches returned {kind_of(given)}", "Yield what stage_rows or stage_file returns, when it is not None")
    batches = list(given)
    for batch in batches:
        if not isinstance(batch, Staged):
            broken(case.who, f"batches gave {kind_of(batch)}, not a Staged", "Yield what stage_rows or stage_file returns")
    return batches


def _check_times(case: ReaderCase, batch: Staged) -> None:
    who, time = case.who, case.reader.time.column
    types = {name: kind for name, kind, *_ in _asked(f"DESCRIBE FROM {quoted_text(batch.parquet)}")}
    remedy = "Let stage_rows write the Parquet file: it reads times in read.time.timezone and numbers the rows"
    kind = next((kind for name, kind in types.items() if name.lower() == time.lower()), None)
    promised(kind == "TIMESTAMP WITH TIME ZONE", who, f"column {time!r} of {batch.origin} is {kind}, not an aware time", remedy)
    for at in (batch.first_at, batch.last_at):
        promised(at is None or at.tzinfo is not None, who, f"first_at or last_at of {batch.origin} has no time zone", remedy)
    count = _asked(f"SELECT count(*), count({quoted_column(time)}) FROM {quoted_text(batch.parquet)}")[0]
    what = f"{batch.origin} says {batch.row_count} rows; its file holds {count[0]}, {count[1]} with a time"
    promised(count == (batch.row_count, batch.row_count), who, what, remedy)


def _check_wanted_columns(case: ReaderCase, batches: list[Staged]) -> None:
    """Each column that a source would declare is in some batch, as a run demands."""
    held = {str(name).lower() for batch in batches for name, *_ in _asked(f"DESCRIBE FROM {quoted_text(batch.parquet)}")}
    for name, key in case.wanted.declared if batches else ():
        what = f"no batch has the column {name!r} that `wanted` names; a source that names it under `{key}` could not run"
        promised(name.lower() in held, case.who, what, "Stage that column, or correct `wanted` of the check")


def _reasons(batch: Staged) -> list[str]:
    if batch.rejected is None:
        return []
    return [reason for (reason,) in _asked(f"SELECT reason FROM {quoted_text(batch.rejected)}")]


def _content(batch: Staged) -> list[tuple[Any, ...]]:
    return _asked(f"FROM {quoted_text(batch.parquet)}")


def _asked(statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(statement).fetchall()


def _snapshot(folder: Path) -> set[tuple[str, int]]:
    """Every file and folder below, and when it was last written."""
    return {(str(path.relative_to(folder)), path.stat().st_mtime_ns) for path in folder.rglob("*")}
