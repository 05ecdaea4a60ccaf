"""How many of each row an origin holds, and how many it is to hold once a file is loaded.

A file speaks for the instants that it holds: at each of them the rows of its origin become those of the file. At its first and at its
last instant it may be cut off, so there rows are only added, but to rows that a contract holds back, where the file has all times of its
origin. Instants that it does not hold stay as they are, and what is stored there is counted as missing. Of a row that other origins hold
too, the larger of the counts is kept (`duplicates: match`), or their sum (`keep`). A page of a server only adds; `reconciliation.py` ends
its window.

Ten million rows are not compared one by one: spans of time whose rows are as many and have the same sum of hashes hold the same rows,
so only the others are looked into. Where nothing is stored in the times of a file, nothing is compared at all.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb

from smartflow_assets.adapters.sql_quoting import quoted, quoted_column, quoted_text
from smartflow_assets.adapters.warehouse.blocked_loads import held_back
from smartflow_assets.adapters.warehouse.row_writes import single
from smartflow_assets.adapters.warehouse.staged_rows import staged_rows
from smartflow_assets.adapters.warehouse.writes import Load

SPANS = 4096
FEW_ROWS, FEW_PERCENT = 10, 1
"""A removal of more rows than both is withheld until somebody accepts it."""


@dataclass(frozen=True)
class Balance:
    """What a Load has to change. Unless all rows are new, `fresh` has the numbers of the staged rows to write and `gone` the origin and
    number of the stored ones to take away; both are temporary tables. `changed` is a query of the instants whose rows become others,
    empty where those are all that the file holds. `missing_count` are rows of the origin that stay though the file does not hold them,
    `withheld_count` those of them that were to go."""

    is_all_new: bool
    new_count: int
    gone_count: int
    duplicate_count: int
    missing_count: int
    withheld_count: int = 0
    changed: str = ""


def is_withheld(count: int, of_rows: int) -> bool:
    """Whether a removal of so many rows waits for somebody to accept it."""
    return count > FEW_ROWS and count * 100 > of_rows * FEW_PERCENT


def compare(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    write: Load,
    row_count: int,
    first_at: datetime | None,
    last_at: datetime | None,
) -> Balance:
    """What the staged file, with rows from `first_at` to `last_at`, changes in the table."""
    raw, time = quoted(table), quoted_column(write.time_column)
    held = 0
    if write.mode == "replace":
        held = single(connection, f"SELECT count(*) FROM {raw} WHERE _origin = ?", [write.origin])
    displaced = bool(write.key) and bool(single(connection, "SELECT count(*) FROM temp.displaced"))
    known = single(connection, "SELECT count(*) FROM temp.keys") if write.key else row_count
    if first_at is None or last_at is None:
        return _of_empty(connection, raw, time, write, held)
    moved = _moved(write)
    since, until = (min(first_at, moved[0]), max(last_at, moved[1])) if moved else (first_at, last_at)
    is_out = _is_out(connection, write, raw, first_at, last_at) if held else "FALSE"
    columns = f"_origin, _row, _row_hash, {time} AS _time, {_side(write)} AS side, {is_out} AS is_out"
    stored = f"SELECT {columns} FROM {raw} WHERE {time} BETWEEN {_at(since)}"
    stored = f"SELECT * FROM ({stored} AND {_at(until)}) WHERE side IS NOT NULL"
    is_removing = write.on_missing_rows == "delete" and held > 0
    if not (displaced or is_removing) and not single(connection, f"SELECT count(*) FROM (SELECT 1 FROM ({stored}) LIMIT 1)"):
        return Balance(True, known, 0, row_count - known, held)

    same_count, same_own = _find_differing(connection, write, stored, since, until) if not write.key else (0, 0)
    differing = "TRUE" if write.key else _differing(connection, since, until)
    if not write.key:
        connection.execute(f"CREATE TEMP TABLE keys AS SELECT _row, _row_hash, _time FROM staged WHERE {differing}").fetchall()
    _count(connection, write, f"SELECT * FROM ({stored}) WHERE {differing}")
    _decide(connection, write, first_at, last_at, moved)
    outside = 0
    if is_removing:
        outside = single(
            connection, f"SELECT count(*) FROM {raw} WHERE _origin = ? AND NOT {time} BETWEEN ? AND ?", [write.origin, since, until]
        )
    removal = single(connection, "SELECT coalesce(sum(least(own, wanted) - least(own, wanted_exactly)), 0) FROM temp.balance") + outside
    is_exact = is_removing and removal > 0 and (write.is_removal_accepted or not is_withheld(removal, held))
    if is_exact:
        connection.execute("UPDATE temp.balance SET wanted = wanted_exactly").fetchall()
    _choose(connection, write, stored, differing)
    if is_exact:
        connection.execute(
            f"INSERT INTO temp.gone SELECT _origin, _row, {time} FROM {raw} WHERE _origin = ? AND NOT {time} BETWEEN ? AND ?",
            [write.origin, since, until],
        ).fetchall()
    new, gone, left_out, added = connection.execute(
        """SELECT coalesce(sum(greatest(wanted - own - away, 0)), 0), coalesce(sum(greatest(own + away - wanted, 0)), 0),
                  coalesce(sum(file - least(file, wanted)), 0), coalesce(sum(wanted - own), 0) FROM temp.balance"""
    ).fetchall()[0]
    removed_outside = outside if is_exact else 0
    duplicates = row_count - int(new) if write.mode == "insert" else row_count - known + int(left_out) + same_count - same_own
    missing = held + int(added) - removed_outside - (row_count - duplicates) if write.mode == "replace" else 0
    changed = "SELECT _time FROM temp.balance WHERE wanted <> own + away"
    if removed_outside:
        changed += f" UNION ALL SELECT _time FROM temp.gone WHERE NOT _time BETWEEN {_at(since)} AND {_at(until)}"
    if displaced:
        changed += " UNION ALL SELECT _time FROM temp.displaced"
    withheld = int(removal) if is_removing and not is_exact else 0
    return Balance(False, int(new), int(gone) + removed_outside, duplicates, missing, withheld, changed)


def _of_empty(connection: duckdb.DuckDBPyConnection, raw: str, time: str, write: Load, held: int) -> Balance:
    """Of a file without rows: it says nothing, unless somebody has accepted that all that it held is gone."""
    is_going = write.on_missing_rows == "delete" and write.is_removal_accepted
    connection.execute("CREATE TEMP TABLE fresh (_row BIGINT)").fetchall()
    chosen = "_origin = ?" if is_going else "_origin = ? AND FALSE"
    connection.execute(
        f"CREATE TEMP TABLE gone AS SELECT _origin, _row, {time} AS _time FROM {raw} WHERE {chosen}", [write.origin]
    ).fetchall()
    if is_going:
        return Balance(False, 0, held, 0, 0, changed="SELECT _time FROM temp.gone")
    return Balance(False, 0, 0, 0, held, held if write.on_missing_rows == "delete" else 0, "SELECT _time FROM temp.gone")


def _moved(write: Load) -> tuple[datetime, datetime] | None:
    """The times of the origin's rows as they stand, where they were read otherwise: in there the file takes their place."""
    return (write.held_from, write.held_to) if write.held_from is not None and write.held_to is not None else None


def _is_out(connection: duckdb.DuckDBPyConnection, write: Load, raw: str, first_at: datetime, last_at: datetime) -> str:
    """The condition that a stored row gives way to the file at its first and last time too: a contract holds it back. A file that begins
    later than what is stored of its origin, or ends earlier, is a part of it, such as a log begun anew: there none does."""
    out, time = held_back(connection, write.source), quoted_column(write.time_column)
    if out == "FALSE":
        return out
    extent = f"SELECT min({time}), max({time}) FROM {raw} WHERE _origin = ?"
    earliest, latest = connection.execute(extent, [write.origin]).fetchall()[0]
    return out if first_at <= earliest and latest <= last_at else "FALSE"


def _side(write: Load) -> str:
    """0 for rows of the origin, 1 for those beside it that count, 2 for those that give way; null for the others."""
    sides = [f"WHEN _origin = {quoted_text(write.origin)} THEN 0"]
    if write.gives_way:
        sides.append(f"WHEN {_among(write.gives_way)} THEN 2")
    if write.read_anew:
        sides.append(f"WHEN {_among(write.read_anew)} THEN NULL")
    if write.duplicates == "match":
        sides.append("WHEN TRUE THEN 1")
    return f"CASE {' '.join(sides)} END"


def _among(origins: tuple[str, ...]) -> str:
    return f"_origin IN ({', '.join(map(quoted_text, origins))})"


def _at(moment: datetime) -> str:
    return f"TIMESTAMPTZ {quoted_text(moment.astimezone(UTC).isoformat())}"


def _find_differing(connection: duckdb.DuckDBPyConnection, write: Load, stored: str, since: datetime, until: datetime) -> tuple[int, int]:
    """Leaves the spans of time whose rows differ in `differing`; of the others, how many rows the file and the origin have there."""
    span = _span(since, until)
    total, folded = "coalesce(sum(CAST(_row_hash AS HUGEINT)) {only}, 0)", "coalesce(bit_xor(_row_hash) {only}, 0)"
    signature = f"count(*) {{only}} AS n, {total} AS total, {folded} AS folded"
    # the rows that are the same may be those of an earlier page of the pull, beside which these are others
    is_pulled = "(file.n > 0 AND held.n > 0)" if write.pulled_before else "FALSE"
    connection.execute(
        f"""
        CREATE TEMP TABLE differing AS
        WITH file AS (SELECT {span} AS span, {signature.format(only="")} FROM staged GROUP BY span),
        held AS (
            SELECT {span} AS span, {signature.format(only="FILTER (WHERE side < 2)")}, count(*) FILTER (WHERE side = 0) AS own,
                   count(*) FILTER (WHERE side = 2) AS away
            FROM ({stored}) GROUP BY span
        )
        SELECT span, coalesce(file.n, 0) AS file, coalesce(held.own, 0) AS own,
               file.n IS DISTINCT FROM held.n OR file.total IS DISTINCT FROM held.total OR file.folded IS DISTINCT FROM held.folded
               OR held.away > 0 OR {is_pulled} AS is_different
        FROM file FULL JOIN held USING (span)"""
    ).fetchall()
    same = "SELECT coalesce(sum(file), 0), coalesce(sum(own), 0) FROM temp.differing WHERE NOT is_different"
    file, own = connection.execute(same).fetchall()[0]
    return int(file), int(own)


def _span(since: datetime, until: datetime) -> str:
    return f"(epoch_us(_time) - epoch_us({_at(since)})) // {_width(since, until)}"


def _width(since: datetime, until: datetime) -> int:
    """How long a span is, in microseconds."""
    return (until - since) // timedelta(microseconds=1) // SPANS + 1


def _differing(connection: duckdb.DuckDBPyConnection, since: datetime, until: datetime) -> str:
    """The condition that a row lies in a span that differs; with its limits, so that other parts of file and table are not read."""
    first, last = connection.execute("SELECT min(span), max(span) FROM temp.differing WHERE is_different").fetchall()[0]
    if first is None:
        return "FALSE"
    width = timedelta(microseconds=_width(since, until))
    start, end = since + first * width, since + (last + 1) * width
    return f"_time BETWEEN {_at(start)} AND {_at(end)} AND {_span(since, until)} IN (SELECT span FROM temp.differing WHERE is_different)"


def _count(connection: duckdb.DuckDBPyConnection, write: Load, stored: str) -> None:
    """Leaves in `balance` the rows by instant and hash; for a file without those that the origin alone holds, and as often as the file."""
    told = (
        "" if write.mode == "insert" else "WHERE NOT (coalesce(file, 0) = coalesce(own, 0) AND coalesce(beside, 0) + coalesce(away, 0) = 0)"
    )
    connection.execute(
        f"""
        CREATE TEMP TABLE balance AS
        WITH file AS (SELECT _time, _row_hash, count(*) AS file FROM temp.keys GROUP BY ALL),
        held AS (
            SELECT _time, _row_hash, count(*) FILTER (WHERE side = 0) AS own, count(*) FILTER (WHERE side = 1) AS beside,
                   count(*) FILTER (WHERE side = 2) AS away, count(*) FILTER (WHERE side = 0 AND is_out) AS out
            FROM ({stored}) GROUP BY ALL
        )
        SELECT _time, _row_hash, coalesce(file, 0) AS file, coalesce(own, 0) AS own, coalesce(out, 0) AS out, coalesce(beside, 0) AS beside,
               coalesce(away, 0) AS away, CAST(0 AS BIGINT) AS pulled, CAST(0 AS BIGINT) AS wanted, CAST(0 AS BIGINT) AS wanted_exactly
        FROM file FULL JOIN held USING (_time, _row_hash) {told}"""
    ).fetchall()


def _decide(
    connection: duckdb.DuckDBPyConnection,
    write: Load,
    first_at: datetime,
    last_at: datetime,
    moved: tuple[datetime, datetime] | None,
) -> None:
    """How many of each row the origin is to hold: `wanted`, and `wanted_exactly` when what the file does not hold goes."""
    if write.mode == "insert":
        _add_pulled_before(connection, write)
        wanted = "own + greatest(pulled + file - own - beside, 0)"
        connection.execute(f"UPDATE temp.balance SET wanted = {wanted}, wanted_exactly = {wanted}").fetchall()
        return
    # of a row that it holds already an origin gives none away while the file has them: what others hold besides may count on them
    net = "CASE WHEN file <= own THEN file ELSE greatest(own, file - beside) END"
    is_told = "file > 0 OR _time IN (SELECT _time FROM temp.keys)"
    is_moved = f"_time BETWEEN {_at(moved[0])} AND {_at(moved[1])}" if moved else "FALSE"
    is_edge = f"_time IN ({_at(first_at)}, {_at(last_at)})"
    connection.execute(
        f"""UPDATE temp.balance SET wanted_exactly = {net}, wanted = CASE
                WHEN {is_moved} THEN {net}
                WHEN NOT ({is_told}) THEN own
                WHEN {is_edge} THEN greatest(own - out, {net})
                ELSE {net} END"""
    ).fetchall()


def _add_pulled_before(connection: duckdb.DuckDBPyConnection, write: Load) -> None:
    """Counts what earlier pages of the same pull held of the rows that are stored: equal rows on two pages are two rows."""
    scans = [f"SELECT _time, _row_hash FROM ({staged_rows(connection, page)[1]})" for page in write.pulled_before]
    if not scans or not single(connection, "SELECT count(*) FROM temp.balance WHERE file > 0 AND own + beside > 0"):
        return
    connection.execute(
        f"""
        UPDATE temp.balance AS balance SET pulled = earlier.n FROM (
            SELECT _time, _row_hash, count(*) AS n FROM ({" UNION ALL ".join(scans)})
            SEMI JOIN (SELECT _time, _row_hash FROM temp.balance WHERE file > 0) USING (_time, _row_hash) GROUP BY ALL
        ) AS earlier
        WHERE balance._time = earlier._time AND balance._row_hash = earlier._row_hash"""
    ).fetchall()


def _choose(connection: duckdb.DuckDBPyConnection, write: Load, stored: str, differing: str) -> None:
    """Leaves in `fresh` and `gone` what is to be written and taken away. Instants are written as a whole; of equal rows the first are
    taken."""
    given = "wanted - own" if write.mode == "insert" else "least(file, wanted)"
    kept = "own" if write.mode == "insert" else f"wanted - {given}"
    chosen = f"(SELECT _time, _row_hash, file, own, {given} AS given, {kept} AS kept FROM temp.balance) AS balance"
    instants = "(SELECT DISTINCT _time FROM temp.balance WHERE wanted <> own)"
    connection.execute(
        f"""
        CREATE TEMP TABLE fresh AS
        WITH counted AS (
            SELECT keys._row, keys._time, keys._row_hash, coalesce(given, 1) AS given, coalesce(given < file, FALSE) AS is_part
            FROM temp.keys AS keys LEFT JOIN {chosen} USING (_time, _row_hash) WHERE keys._time IN {instants}
        )
        SELECT _row FROM counted WHERE NOT is_part
        UNION ALL
        SELECT _row FROM (
            SELECT _row, given, row_number() OVER (PARTITION BY _time, _row_hash ORDER BY _row) AS place FROM counted WHERE is_part
        ) WHERE place <= given"""
    ).fetchall()
    own = f"SELECT * FROM ({stored}) WHERE side = 0 AND {differing} AND _time IN {instants}"
    connection.execute(
        f"""
        CREATE TEMP TABLE gone AS
        WITH counted AS (
            SELECT held._origin, held._row, held._time, held._row_hash, held.is_out, coalesce(kept, 0) AS kept
            FROM ({own}) AS held LEFT JOIN {chosen} USING (_time, _row_hash)
        )
        SELECT _origin, _row, _time FROM counted WHERE kept = 0
        UNION ALL
        SELECT _origin, _row, _time FROM (
            SELECT *, row_number() OVER (PARTITION BY _time, _row_hash ORDER BY is_out, _row) AS place FROM counted WHERE kept > 0
        ) WHERE place > kept
        UNION ALL
        SELECT _origin, _row, _time FROM ({stored}) WHERE side = 2"""
    ).fetchall()
