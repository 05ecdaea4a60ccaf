"""JSON as a scan: objects as rows, their nested objects as columns `a.b`, lists as JSON text.

Everything becomes JSON lines first (json_lines), then a Parquet file of texts in the staging folder, so that the text is parsed
once and not for every question. A key that holds an object in each row that has it becomes a column for each of its keys, down
to LEVELS; below that, or where it holds an object here and a number there, it stays one column of JSON text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from smartflow_assets.adapters.scans.base import ENOUGH, MOST_COLUMNS, Layout, Scan
from smartflow_assets.adapters.scans.delimited import one_path
from smartflow_assets.adapters.scans.json_lines import LONGEST, as_json_lines
from smartflow_assets.adapters.scans.plain_text import TextFile, checked_names
from smartflow_assets.adapters.sql_quoting import quoted_text

LEVELS = 5  # of nested objects that become columns
KeyPath = tuple[str, ...]
"""The keys on the way to a value."""
_KINDS = {"ARRAY": "a list", "VARCHAR": "a text", "BOOLEAN": "true or false", "NULL": "null"}


def leaves(record: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths that may become columns for one object; among others it may be less, since a key with an object here and a number there
    stays one column.

    >>> list(leaves({"at": 1, "a": {"b": {}, "c": [{}]}}))
    [('at',), ('a', 'c')]
    """
    for key, value in record.items():
        path = (*above, key)
        if isinstance(value, dict) and len(path) < LEVELS:
            yield from leaves(value, path)
        else:
            yield path


@dataclass(frozen=True)
class JsonRecords(Layout):
    """A list of objects, JSON lines, or the list that lies at `records`, such as data.items."""

    records: str | None = None
    encoding: str = "utf-8"

    name = "JSON"

    def open(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[TextFile],
        declared: Sequence[tuple[str, str]],
        *,
        is_rewritten: bool = False,
    ) -> "Scan":
        """A scan of one file."""
        (file,) = files
        lines = as_json_lines(file, self.records, encoding=self.encoding, is_rewritten=is_rewritten)
        return _JsonScan(connection, file, lines, declared)


class _JsonScan(Scan):
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        file: TextFile,
        lines: Path,
        declared: Sequence[tuple[str, str]],
    ) -> None:
        self.connection, self.file, self.text = connection, file, lines
        self.records = file.folder / "records.parquet"
        self._write_records(lines)
        self.row_count, broken = self._one("SELECT count(*) FILTER (kind = 'OBJECT'), count(*) FILTER (kind <> 'OBJECT')")
        kinds = " ".join(f"WHEN '{kind}' THEN '{said}'" for kind, said in _KINDS.items())
        self.broken = (
            "SELECT place, CAST(json_object('line', left(line, 1000)) AS VARCHAR) AS record, concat('record ', place, ': ', CASE kind "
            f"WHEN 'BROKEN' THEN 'this is not JSON' ELSE concat(CASE kind {kinds} ELSE 'a number' END, ', not an object') END) AS reason "
            f"FROM {self._scan} WHERE kind <> 'OBJECT'"
        )
        if broken and not self.row_count:
            ((reason,),) = connection.execute(f"SELECT reason FROM ({self.broken}) ORDER BY place LIMIT 1").fetchall()
            raise file.error(
                f"none of {broken:,} records is an object; {reason}", "Set read.records to the list of objects, or fix the feed."
            )
        paths = self._leaves()
        names = [".".join(path) for path in paths]
        if self.row_count < ENOUGH and not broken:  # a key that is in no record of a few is empty, not misspelt
            lowered = {name.lower() for name in names}
            missing = [name for name, field in declared if name.lower() not in lowered and (field != "read.time" or not self.row_count)]
            names, paths = [*names, *missing], [*paths, *((name,) for name in missing)]
        self.names, self.types = checked_names(names, file), (None,) * len(names)
        self._write_texts(paths)
        # a text that says NaN is how Python writes that there is no number
        self.relation = f"read_parquet({quoted_text(one_path(file.folder / 'texts.parquet'))})"
        self.number = "place"

    @property
    def _scan(self) -> str:
        return f"read_parquet({quoted_text(one_path(self.records))})"

    def _one(self, select: str, where: str = "TRUE") -> tuple:
        return self.connection.execute(f"{select} FROM {self._scan} WHERE {where}").fetchall()[0]

    def _write_records(self, lines: Path) -> None:
        scan = (
            f"read_csv({quoted_text(one_path(lines))}, auto_detect = false, header = false, delim = chr(31), quote = '', escape = '', "
            f"columns = {{'line': 'VARCHAR'}}, max_line_size = {LONGEST}, store_rejects = true)"
        ).replace("chr(31)", "'\x1f'")
        self.connection.execute(
            f"COPY (SELECT place, line, CASE WHEN json_valid(line) THEN json_type(line) ELSE 'BROKEN' END AS kind "
            f"FROM (SELECT row_number() OVER () AS place, line FROM {scan}) WHERE trim(line) <> '') "
            f"TO {quoted_text(self.records)} (FORMAT parquet, COMPRESSION lz4_raw)"
        ).fetchall()
        for line, kind in self.connection.execute("SELECT line, error_type FROM reject_errors ORDER BY line LIMIT 1").fetchall():
            if kind == "INVALID ENCODING":
                raise self.file.wrong_encoding("utf-8", line)
            raise self.file.error(f"record {line} is longer than {LONGEST:,} bytes or holds control characters", "Fix the feed.")

    def _leaves(self) -> list[KeyPath]:
        """The path of every column, in the order in which keys are met; children stand where their parent stands."""
        paths: list[KeyPath] = [()]
        for level in range(LEVELS + 1):
            parents = [path for path in paths if len(path) == level and self._is_object(path)] if level < LEVELS else []
            if not parents:
                break
            for parent in parents:
                at = paths.index(parent)
                paths[at : at + 1] = [(*parent, key) for key in self._keys(parent)]
            if len(paths) > MOST_COLUMNS:  # keys that are ids make one column each
                near = ".".join(paths[-1][:-1])
                raise self.file.error(
                    f"the records have {len(paths):,} different keys" + (f", many of them below '{near}'" if near else ""),
                    "Keys that are ids make no columns: give the feed a list of objects, or set read.records to the list in it.",
                )
        return [path for path in paths if path]

    def _is_object(self, path: KeyPath) -> bool:
        if not path:
            return bool(self.row_count)
        kind = f"json_type(line, {_pointer(path)})"
        objects, others = self._one(
            f"SELECT count(*) FILTER ({kind} = 'OBJECT'), count(*) FILTER ({kind} NOT IN ('OBJECT', 'NULL'))", "kind = 'OBJECT'"
        )
        return bool(objects) and not others

    def _keys(self, path: KeyPath) -> list[str]:
        keys = f"json_keys(line, {_pointer(path)})" if path else "json_keys(line)"
        found = self.connection.execute(
            f"SELECT key FROM (SELECT unnest(keys) AS key, unnest(range(len(keys))) AS seat, place FROM "
            f"(SELECT {keys} AS keys, place FROM {self._scan} WHERE kind = 'OBJECT')) "
            "GROUP BY key ORDER BY min(place), min(seat), key"
        ).fetchall()
        return [key for (key,) in found]

    def _write_texts(self, paths: list[KeyPath]) -> None:
        pointers = ", ".join(map(_pointer, paths))
        values = [f"CASE WHEN texts[{index + 1}] NOT IN ('', 'NaN') THEN texts[{index + 1}] END AS c{index}" for index in range(len(paths))]
        self.connection.execute(
            f"COPY (SELECT {', '.join([*values, 'place'])} FROM "
            f"(SELECT json_extract_string(line, [{pointers}]) AS texts, place FROM {self._scan} WHERE kind = 'OBJECT')) "
            f"TO {quoted_text(self.file.folder / 'texts.parquet')} (FORMAT parquet, COMPRESSION lz4_raw)"
        ).fetchall()


def _pointer(path: KeyPath) -> str:
    """The path as a JSON pointer, in which any key can stand."""
    return quoted_text("".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path))
