"""What is new at a source goes into `raw.<source>`: files portion by portion, the pages of a server one by one.

Contents are known by their hash: the same file twice is no work, a changed one replaces the rows of the times that it holds. A server is
known by how far it was read to the end. Readers stage, the warehouse's `Load` compares and writes; this module finds out what is
known and sums up what was done.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.readers.feed import FeedReader
from smartflow_assets.adapters.readers.files import FileReader
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.secret_references import told_safely
from smartflow_assets.adapters.sql_quoting import quoted, quoted_column
from smartflow_assets.adapters.staging.bad_rows import BadRowPolicy, Unreadable, commonest_reason
from smartflow_assets.adapters.staging.contract import ReadContext, SetAside, Staged, Wanted, origin_of
from smartflow_assets.adapters.staging.reading_key import READ_AGAIN, ReadingKey, split
from smartflow_assets.adapters.warehouse.retention import PRUNED_TO
from smartflow_assets.adapters.warehouse.tables import raw_table
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Load, Loaded, Reconcile
from smartflow_assets.core.errors import SmartflowError, SourceError

EVERYTHING = BadRowPolicy.model_validate({"warn_above": "100%", "fail_above": "100%"})
MOST_ROUNDS = 10  # what is still to be read again after so many is left to the next run
PORTION_FILES, PORTION_SECONDS = 200, 10.0
"""After so many files, or so long a reading, what was read is committed: a run that is killed then has not read it in vain."""
ANY_ZONES = timedelta(hours=26)  # no two zones lie further apart
# Known contents that are read once more all the same. A row that another origin held was left out: when that origin has since lost rows,
# the row may be nowhere (`removed_count`; before version 9 that follows from the counts of two readings in a row). Before version 9 a row
# that another origin held was left out however often it was there (`missing_count` is null). And what was withheld goes once that is
# accepted.
_KNOWN = f"""
WITH readings AS (
    SELECT origin, content_hash, duplicate_count, missing_count, withheld_count, last_at, rowid AS reading,
           row_count - duplicate_count AS held,
           coalesce(removed_count,
                    lag(row_count - duplicate_count) OVER (PARTITION BY origin ORDER BY rowid) + new_count - held) AS gone
    FROM ingestions WHERE source = ?
), newest AS (
    SELECT origin, arg_max(content_hash, reading) AS content_hash, arg_max(duplicate_count, reading) AS duplicate_count,
           arg_max(coalesce(missing_count, -1), reading) AS missing_count,
           arg_max(coalesce(withheld_count, 0), reading) AS withheld_count, max(last_at) AS last_at, max(reading) AS reading
    FROM readings GROUP BY origin
)
SELECT newest.origin AS origin,
       CASE WHEN (newest.duplicate_count > 0 AND (newest.missing_count < 0 OR EXISTS (
           SELECT 1 FROM readings WHERE gone > 0 AND readings.origin <> newest.origin AND readings.reading > newest.reading
       ))) OR (CAST(? AS BOOLEAN) AND newest.withheld_count > 0)
            OR newest.last_at >= CAST(? AS TIMESTAMPTZ)
       THEN newest.content_hash || '{READ_AGAIN}' ELSE newest.content_hash END AS content_hash
FROM newest
"""


@dataclass(frozen=True)
class Ingested:
    """What one ingestion did. `row_count`: readable rows in the origins that were read; `new_rows`: those that changed the
    table; `removed_count`: stored rows that went, those of a corrected row among them; `missing_count`: stored rows that what was read
    does not hold any more and that stay, `withheld_count` those of them that were to go and wait for somebody to accept it;
    `pruned_count`: rows left out, since rows of their time were pruned, which `pruned_note` says the first time;
    `duplicate_count`: rows that another origin holds; `quarantined_count`: held; `dropped_count`: left out on request.
    `unreadable`: of the contents with more bad rows than `on_bad_rows` lets pass unsaid. `zones`: those of times which name none;
    `assumed_zone`: that zone when it is the calendar's and was never told before. `column_notes` tell of columns that became numbers or
    stay text; `set_aside` are files that could not be used."""

    row_count: int = 0
    new_rows: int = 0
    duplicate_count: int = 0
    quarantined_count: int = 0
    dropped_count: int = 0
    removed_count: int = 0
    missing_count: int = 0
    withheld_count: int = 0
    pruned_count: int = 0
    origins: tuple[str, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None
    notes: tuple[str, ...] = ()
    zones: frozenset[str] = frozenset()
    unreadable: tuple[Unreadable, ...] = ()
    assumed_zone: str | None = None
    column_notes: tuple[str, ...] = ()
    pruned_note: str = ""
    set_aside: tuple[SetAside, ...] = ()


def ingest(
    warehouse: Warehouse,
    source: str,
    reader: BaseReader,
    *,
    wanted: Wanted,
    now: datetime,
    run_id: str,
    staging: Path,
    data: Path,
    timezone: str = "UTC",
    since: datetime | None = None,
    until: datetime | None = None,
    on_bad_rows: BadRowPolicy = EVERYTHING,
    is_removal_accepted: bool = False,
    anew_from: datetime | None = None,
) -> Ingested:
    """Take what is new; run again, it finds nothing to do. `timezone` is that of the source's calendar. `is_removal_accepted`: what earlier
    loads wanted to remove, and withheld, goes. `anew_from`: what was read of rows from this time on is read once more, known or not.

    `since` and `until` limit what is taken of an origin that was never read before, or asked of a server; the next run without
    them takes the rest. SourceError when an origin cannot be read: the portions of files, or the pages, before it are taken then. A
    file, or a page, with more bad rows than `on_bad_rows` allows is left alone, and told by a SourceError once all other files are taken.
    """
    folder = staging / source
    shutil.rmtree(folder, ignore_errors=True)  # what a killed run left; one run per source holds the source's lock
    known = known_contents(warehouse, source, is_removal_accepted=is_removal_accepted, anew_from=anew_from)
    strangers = tuple(sorted(origin for origin in known if not reader.covers(origin, source, data)))
    if strangers:
        overlapped = _overlapped(warehouse, source, reader.time.column, strangers)
        known = {origin: f"{name}{READ_AGAIN}" if origin in overlapped else name for origin, name in known.items()}
    more: dict[str, Any] = {"gives_way": strangers, "is_removal_accepted": is_removal_accepted}
    try:
        context = ReadContext(
            source=source,
            data=data,
            staging=folder,
            wanted=wanted,
            known=known,
            since=since,
            until=until,
            now=now,
            timezone=timezone,
        )
        assumed = _assumed_zone(warehouse, source, reader, timezone)
        if isinstance(reader, FeedReader):
            told: list[str] = []
            pages = _page_by_page(warehouse, reader, context, now, run_id, more, on_bad_rows, told, anew_from)
            done = replace(_summed(pages, on_bad_rows), column_notes=tuple(told))
        else:
            done = _all_files(warehouse, reader, context, now, run_id, more, on_bad_rows)
        return replace(_with_assumed(done, assumed), pruned_note=_pruned_note(warehouse, source, done))
    except Exception as error:  # a reader may be of another package, and raise whatever its library does
        what = f"reading failed with {type(error).__name__}: {' '.join(str(error).split())}"
        told_error = error if isinstance(error, SmartflowError) else SourceError(what, source=source)
        raise told_safely(told_error, source, os.environ).with_traceback(error.__traceback__) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _all_files(
    warehouse: Warehouse,
    reader: BaseReader,
    context: ReadContext,
    now: datetime,
    run_id: str,
    more: Mapping[str, Any],
    on_bad_rows: BadRowPolicy,
) -> Ingested:
    """All files that are new, portion by portion, in their order. Where rows went by it, those that hold them too are read once more, so
    that the table is whole when the run ends; a run that is killed leaves what is not committed to the next."""
    source, files = context.source, reader if isinstance(reader, FileReader) else None
    done, refused = dict[str, tuple[Staged, Loaded]](), dict[str, Unreadable]()
    notes, told = list[str](), list[str]()
    portions = _portions(files, files.batches(context), context) if files else iter([list(reader.batches(context))])
    for _ in range(MOST_ROUNDS):
        has_gone = False
        for read in portions:
            notes += _notes(read)
            staged = [batch for batch in read if batch.row_count or batch.bad_count or batch.origin in context.known]
            refused |= {each.origin: each for each in _refused(staged, on_bad_rows)}
            staged = [batch for batch in staged if printable(batch.origin) not in refused]
            if not staged:
                continue
            committed = warehouse.commit(
                run_id,
                [
                    _load(
                        source,
                        reader,
                        batch,
                        now,
                        on_missing_rows=batch.on_missing_rows,
                        texts=context.wanted.kept_as_text,
                        duplicates=files.duplicates if files else "match",
                        **_held_before(warehouse, source, reader.time.column, batch),
                        **more,
                        read_anew=tuple(later.origin for later in staged[place + 1 :] if later.zone_before),
                        is_old=context.known.get(batch.origin) == f"{batch.content_hash}{READ_AGAIN}",
                    )
                    for place, batch in enumerate(staged)
                ],
            )
            told += committed.notes
            has_gone |= any(load.gone_count for load in committed.loads)
            for batch, load in zip(staged, committed.loads, strict=True):
                done[batch.origin] = batch, _after(done[batch.origin][1], load) if batch.origin in done else load
        if files is None or not has_gone:
            break
        context = replace(context, known=known_contents(warehouse, source))
        again = {origin for origin, name in context.known.items() if name.endswith(READ_AGAIN) and ".." not in name}
        if not again:
            break
        portions = _portions(files, files.batches(context, again), context)
    _raise(list(refused.values()), source, on_bad_rows)
    return replace(
        _summed(list(done.values()), on_bad_rows),
        notes=tuple(dict.fromkeys(notes)),
        column_notes=tuple(dict.fromkeys(told)),
        set_aside=tuple(dict.fromkeys(context.set_aside)),
    )


def _portions(reader: FileReader, batches: Iterator[Staged], context: ReadContext) -> Iterator[list[Staged]]:
    """What goes into one commit each; the next portion is read once that is done. Files whose times have another zone now are one portion:
    the load of each has to know which of the others are about to move (`Load.read_anew`)."""
    portion, began_at, is_moving = list[Staged](), monotonic(), None
    for batch in batches:
        portion.append(batch)
        if len(portion) < PORTION_FILES and monotonic() - began_at < PORTION_SECONDS:
            continue
        is_moving = _is_moving(reader, context) if is_moving is None else is_moving
        if not is_moving:
            yield portion
            portion, began_at = [], monotonic()
    if portion:
        yield portion


def _is_moving(reader: FileReader, context: ReadContext) -> bool:
    """Whether some of the known files were read in another zone than holds now."""
    known = context.known
    paths = {origin_of(path, context.data): path for path in reader.files(context.source, context.data)}
    return any(reader.zone_before(split(known[origin])[1], path, context) for origin, path in paths.items() if origin in known)


def _after(before: Loaded, load: Loaded) -> Loaded:
    """A Load of an origin that was loaded before in the same ingestion: what both have changed, and what holds since the later one."""
    return replace(load, new_count=before.new_count + load.new_count, gone_count=before.gone_count + load.gone_count)


def _page_by_page(
    warehouse: Warehouse,
    reader: FeedReader,
    context: ReadContext,
    now: datetime,
    run_id: str,
    more: Mapping[str, Any],
    on_bad_rows: BadRowPolicy,
    told: list[str],
    anew_from: datetime | None,
) -> list[tuple[Staged | None, Loaded]]:
    """Each page is committed before the next one is asked for; how far the server was read, once all are there. A time in the
    future is not how far: else one wrong clock would end all reading. `more` says what else holds for this run, `told` takes what a person
    should hear of columns."""
    source, key = context.source, reader.reading(context.wanted, context.timezone)
    state = feed_state(warehouse, source, reader.prefix, key)
    reached = state.reached if state.reached is None or anew_from is None else min(state.reached, anew_from)
    context = replace(context, reached=reached, zone_before=state.zone_before)
    read = _all_pages(warehouse, reader, context, now, run_id, more, on_bad_rows, told)
    if read is None:  # its times have another zone now: all that it has is read anew
        context = replace(context, reached=state.reached_now)
        read = _all_pages(warehouse, reader, context, now, run_id, more, on_bad_rows, told, is_anew=True) or []
    batches, loads = [batch for batch, _, _ in read], tuple(load for _, load, _ in read)
    first_at, last_at = _times(batches)
    is_part, is_moved = context.since is not None or context.until is not None, any(batch.zone_before for batch in batches)
    is_anew = is_moved or (state.is_asked_otherwise and reader.gives_all and not is_part)
    is_zoned = state.has_zone or any(batch.zone for batch in batches)
    done: list[tuple[Staged | None, Loaded]] = [(batch, loaded) for batch, _, loaded in read]
    if first_at is not None and last_at is not None:
        ended = warehouse.commit(
            run_id,
            [
                Reconcile(
                    source,
                    reader.window(context),
                    key.of(key.zone if is_zoned else None),
                    reader.prefix,
                    loads,
                    now,
                    *(_held_times(batches) if is_moved else (first_at, last_at)),
                    is_from_start=reader.is_incremental,
                    since=None if is_anew else reader.asked_from(context),
                    reached_at=None if is_part else min(last_at, now),
                    is_anew=is_anew,
                    on_missing_rows=reader.on_missing_rows,
                    **more,
                )
            ],
        )
        done += [(None, loaded) for loaded in ended.loads]
    return done


def _all_pages(
    warehouse: Warehouse,
    reader: FeedReader,
    context: ReadContext,
    now: datetime,
    run_id: str,
    more: Mapping[str, Any],
    on_bad_rows: BadRowPolicy,
    told: list[str],
    *,
    is_anew: bool = False,
) -> list[tuple[Staged, Load, Loaded]] | None:
    """The pages of one asking, each as it was staged, asked of the warehouse and done. None when rows of another zone would stand beside
    the same rows, unless all is read anew."""
    read = []
    for batch in reader.batches(context):
        if batch.zone_before and not is_anew:
            return None
        _raise(_refused([batch], on_bad_rows), context.source, on_bad_rows)
        if batch.row_count or batch.bad_count:
            earlier = tuple(page for before, page, _ in read if _overlap(before, batch))
            load = _load(
                context.source,
                reader,
                batch,
                now,
                mode="insert",
                feed=reader.prefix,
                texts=context.wanted.kept_as_text,
                pulled_before=earlier,
                gives_way=more["gives_way"],
            )
            committed = warehouse.commit(run_id, [load])
            told += committed.notes
            read.append((batch, load, *committed.loads))
    return read


def _too_many(batches: Iterable[Staged], limit: float) -> tuple[Unreadable, ...]:
    """The contents of which a larger share than the limit cannot be read; what is wrong is looked up for these alone."""
    found = [(batch, Unreadable(printable(batch.origin), batch.bad_count, batch.row_count)) for batch in batches if batch.bad_count]
    return tuple(
        replace(each, reason=printable(commonest_reason(batch.rejected)) if batch.rejected else "")
        for batch, each in found
        if each.share > limit
    )


def _refused(staged: Sequence[Staged], on_bad_rows: BadRowPolicy) -> list[Unreadable]:
    """What is so bad that nothing of it is taken: most likely it is not what the YAML was written for."""
    return [each for each in _too_many(staged, on_bad_rows.fail_above) if each.is_worth_refusing]


def _raise(refused: Sequence[Unreadable], source: str, on_bad_rows: BadRowPolicy) -> None:
    if refused:
        more = f", and {len(refused) - 1} more like it" if len(refused) > 1 else ""
        raise SourceError(
            f"{refused[0]}{more}; nothing of it is taken",
            source=source,
            remedy=f"Mend the feed or `read`; or raise on_bad_rows.fail_above, which is {on_bad_rows.fail_above}.",
        )


def _overlap(one: Staged, other: Staged) -> bool:
    """Whether two pages have rows of the same time."""
    if one.first_at is None or one.last_at is None or other.first_at is None or other.last_at is None:
        return False
    return one.first_at <= other.last_at and other.first_at <= one.last_at


def _held_before(warehouse: Warehouse, source: str, time_column: str, batch: Staged) -> dict[str, datetime | None]:
    """The times of the stored rows that a content takes the place of which is read otherwise than before: in another zone, in another
    format of times. It does so only where no other rows of its origin are stored within those times: the content holds none of them."""
    if batch.held_from is not None:
        return {"held_from": batch.held_from, "held_to": batch.held_to}
    if not batch.is_same_content or not warehouse.has_table(raw_table(source)):
        return {}
    time = quoted_column(time_column)
    before = warehouse.read(
        f"""
        WITH newest AS (SELECT first_at, last_at, row_count - duplicate_count AS held FROM ingestions
                        WHERE source = ? AND origin = ? ORDER BY rowid DESC LIMIT 1)
        SELECT first_at, last_at FROM newest, ({PRUNED_TO}) AS pruned, (
            SELECT count(*) AS stored FROM {quoted(raw_table(source))}, newest WHERE _origin = ? AND {time} BETWEEN first_at AND last_at)
        WHERE held = stored OR (held > stored AND first_at < pruned_to)""",
        [source, batch.origin, source, raw_table(source), batch.origin],
    )
    if before.empty or pd.isna(before["first_at"].iloc[0]):
        return {}
    return {"held_from": before["first_at"].iloc[0].to_pydatetime(), "held_to": before["last_at"].iloc[0].to_pydatetime()}


def _overlapped(warehouse: Warehouse, source: str, time_column: str, strangers: Sequence[str]) -> frozenset[str]:
    """The origins that were read of times in which rows of strangers are stored: what those held was left out."""
    if not warehouse.has_table(raw_table(source)):
        return frozenset()
    found = warehouse.read(
        f"""
        WITH newest AS (SELECT origin, arg_max(first_at, rowid) AS first_at, arg_max(last_at, rowid) AS last_at
                        FROM ingestions WHERE source = ? AND NOT list_contains(?, origin) GROUP BY origin),
        strange AS (SELECT {quoted_column(time_column)} AS moment FROM {quoted(raw_table(source))} WHERE list_contains(?, _origin))
        SELECT origin FROM newest WHERE EXISTS (SELECT 1 FROM strange WHERE moment BETWEEN first_at AND last_at)""",
        [source, list(strangers), list(strangers)],
    )
    return frozenset(found["origin"])


def _load(source: str, reader: BaseReader, batch: Staged, now: datetime, **more: Any) -> Load:
    """What the warehouse is asked to do with a staged batch; `more` are the fields in which files and pages of a server differ."""
    return Load(
        source,
        batch.origin,
        batch.content_hash,
        batch.parquet,
        reader.time.column,
        now,
        rejected=batch.rejected,
        fingerprint=_moved(batch),
        key=reader.key,
        **more,
    )


@dataclass(frozen=True)
class FeedState:
    """How far a server was read: `reached` to ask from, `reached_now` of what was read as it would be now. `zone_before` is the zone
    of what was read otherwise since then. `has_zone`: some of its times are known to name none; `had_zone`: those of then.
    `is_asked_otherwise`: it was read to some end, but never as it is asked and read now."""

    reached: datetime | None
    reached_now: datetime | None
    zone_before: str | None
    has_zone: bool
    had_zone: bool = False
    is_asked_otherwise: bool = False


def feed_state(warehouse: Warehouse, source: str, prefix: str, key: ReadingKey) -> FeedState:
    """What is known of a server, for what is asked of it and how it is read now."""
    rows = warehouse.read(
        "SELECT content_hash, max(reached_at) AS reached_at FROM ingestions "
        "WHERE source = ? AND starts_with(origin, ?) AND reached_at IS NOT NULL GROUP BY content_hash",
        [source, prefix],
    )
    reached = {str(name): at.to_pydatetime() for name, at in zip(rows["content_hash"], rows["reached_at"], strict=True)}
    current = max((at for name, at in reached.items() if key.holds(name)), default=None)
    before = [
        (at, zone, "@" in name) for name, at in reached.items() if (zone := key.zone_before(name)) and (current is None or at > current)
    ]
    has_zone = key.of(key.zone) in reached
    if not before:
        return FeedState(current, current, None, has_zone, is_asked_otherwise=bool(reached) and current is None)
    at, zone, had_zone = max(before)
    return FeedState(at - ANY_ZONES, current, zone, has_zone, had_zone)  # whether a time of it names no zone, the rows of its end tell


def _held_times(batches: Sequence[Staged]) -> tuple[datetime, datetime]:
    """The times of the rows as they stand in the warehouse, read in another zone."""
    firsts = [at for batch in batches if (at := batch.held_from or batch.first_at)]
    lasts = [at for batch in batches if (at := batch.held_to or batch.last_at)]
    return min(firsts), max(lasts)


def _moved(batch: Staged) -> str | None:
    """What is written down beside a load whose rows were in the warehouse at other times: what was made of them is outdated."""
    return json.dumps({"read.time.timezone": [batch.zone_before, batch.zone]}) if batch.zone_before else None


def _assumed_zone(warehouse: Warehouse, source: str, reader: BaseReader, timezone: str) -> str | None:
    """The calendar's zone, where nobody said that it is that of the times, and no run of the source has told so yet."""
    time = reader.time.reading(timezone)
    if not time.is_assumed or time.zone == "UTC":
        return None
    told = "SELECT count(*) AS n FROM ingestions WHERE source = ? AND contains(content_hash, ?)"
    return None if warehouse.read(told, [source, f"@{time.zone}"])["n"].iloc[0] else time.zone


def _with_assumed(done: Ingested, zone: str | None) -> Ingested:
    return replace(done, assumed_zone=zone) if zone in done.zones else done


def _pruned_note(warehouse: Warehouse, source: str, done: Ingested) -> str:
    """What is said of rows that were left out, once: the ledger knows of all such loads."""
    if not done.pruned_count:
        return ""
    loads = warehouse.read("SELECT count(*) AS n FROM ingestions WHERE source = ? AND pruned_count > 0", [source])["n"].iloc[0]
    if loads > len(done.origins):
        return ""
    pruned_to = warehouse.read(PRUNED_TO, [source, raw_table(source)])["pruned_to"].iloc[0]
    return (
        f"{done.pruned_count:,} rows of before {pruned_to:%Y-%m-%d %H:%M} are left out, now and later, as rows of their time were pruned; "
        f"`smartflow reset {source}` reads all anew"
    )


def _summed(read: Sequence[tuple[Staged | None, Loaded]], on_bad_rows: BadRowPolicy) -> Ingested:
    batches, loads = [batch for batch, _ in read if batch is not None], [load for _, load in read]
    first_at, last_at = _times(batches)
    return Ingested(
        row_count=sum(load.row_count for load in loads),
        new_rows=sum(load.new_count for load in loads),
        duplicate_count=sum(load.duplicate_count for load in loads),
        quarantined_count=sum(load.quarantined_count for load in loads),
        removed_count=sum(load.gone_count for load in loads),
        missing_count=sum(load.missing_count for load in loads),
        withheld_count=sum(load.withheld_count for load in loads),
        pruned_count=sum(load.pruned_count for load in loads),
        dropped_count=sum(batch.bad_count for batch in batches if batch.rejected is None),
        origins=tuple(dict.fromkeys(batch.origin for batch in batches)),
        first_at=first_at,
        last_at=last_at,
        notes=_notes(batches),
        unreadable=_too_many(batches, on_bad_rows.warn_above),
        zones=frozenset(batch.zone for batch in batches if batch.zone),
    )


def _notes(batches: Sequence[Staged]) -> tuple[str, ...]:
    return tuple(printable(f"{batch.origin}: {note}") for batch in batches for note in batch.notes)


def _times(batches: Sequence[Staged]) -> tuple[datetime | None, datetime | None]:
    """The times of the first and of the last row."""
    return (
        min((batch.first_at for batch in batches if batch.first_at), default=None),
        max((batch.last_at for batch in batches if batch.last_at), default=None),
    )


def known_contents(
    warehouse: Warehouse, source: str, *, is_removal_accepted: bool = False, anew_from: datetime | None = None
) -> Mapping[str, str]:
    """For each origin of the source that was ever read, the hash of its content as stored; those with rows from `anew_from` on are to be
    read again."""
    rows = warehouse.read(_KNOWN, [source, is_removal_accepted, anew_from])
    return dict(zip(rows["origin"], rows["content_hash"], strict=True))
