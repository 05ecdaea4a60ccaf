"""check_reader: a reader that keeps its promises passes, and one that breaks a promise hears which, by what, and what to do."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import duckdb
import pytest
from pydantic import Field

from smartflow_assets.api import BaseReader, ProbeContext, ReadContext, SourceError, Staged, Wanted, stage_rows
from smartflow_assets.testing import check_reader


class Log(BaseReader, frozen=True):
    """Reads `time value` lines; each broken reader below changes one thing."""

    type: Literal["log"] = "log"
    log: str = Field(default="a.log", description="The log, relative to the data folder.")

    def batches(self, context: ReadContext) -> Iterator[Staged]:
        if not (context.data / self.log).is_file():
            self.missing(context)
        content = (context.data / self.log).read_bytes()
        context.staging.mkdir(parents=True, exist_ok=True)
        rows = self.folder(context) / "rows.jsonl"
        pairs = [line.split() for line in self.lines(content)]
        rows.write_text("".join(json.dumps({self.time.column: time, "value": value}) + "\n" for time, value in pairs))
        staged = stage_rows(self, [rows], context, origin=self.log, content_hash=self.hash(content))
        if staged is not None:
            yield staged

    def missing(self, context: ReadContext) -> None:
        raise SourceError("read.log: there is no such file", source=context.source, where=self.log, remedy="Correct read.log.")

    def folder(self, context: ReadContext) -> Path:
        return context.staging

    def lines(self, content: bytes) -> list[str]:
        return content.decode().splitlines()

    def hash(self, content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()


class Silent(Log, frozen=True):
    log: str = "a.log"


class Traceback(Log, frozen=True):
    def missing(self, context: ReadContext) -> None: ...


class Anonymous(Log, frozen=True):
    def missing(self, context: ReadContext) -> None:
        raise SourceError("read.log: there is no such file")


class Helpless(Log, frozen=True):
    def missing(self, context: ReadContext) -> None:
        raise SourceError("read.log: there is no such file", source=context.source)


class Lenient(Log, frozen=True):
    def batches(self, context: ReadContext) -> Iterator[Staged]:
        if (context.data / self.log).is_file():
            yield from super().batches(context)


class Litter(Log, frozen=True):
    def folder(self, context: ReadContext) -> Path:
        return context.data


class Loser(Log, frozen=True):
    def lines(self, content: bytes) -> list[str]:
        return super().lines(content)[1:]


class Polisher(Log, frozen=True):
    def lines(self, content: bytes) -> list[str]:
        return [line for line in super().lines(content) if line.startswith("2026")]


class Clock(Log, frozen=True):
    calls: ClassVar[list[int]] = []

    def hash(self, content: bytes) -> str:
        self.calls.append(1)
        return f"{super().hash(content)} {len(self.calls)}"


class Eager(Log, frozen=True):
    def batches(self, context: ReadContext) -> Iterator[Staged]:
        return super().batches(ReadContext(context.source, context.data, context.staging, context.wanted))


class Frames(Log, frozen=True):
    def batches(self, context: ReadContext) -> Iterator[Any]:
        yield {"at": "2026-03-01", "value": 1}


class Stutterer(Log, frozen=True):
    def batches(self, context: ReadContext) -> Iterator[Staged]:
        for staged in super().batches(context):
            yield staged
            yield replace(staged, row_count=0, bad_count=0, parquet=self.empty(staged.parquet), rejected=None)

    def empty(self, parquet: Path) -> Path:
        other = parquet.with_name("empty.parquet")
        duckdb.sql(f"COPY (FROM '{parquet}' LIMIT 0) TO '{other}'")
        return other


class Narrow(Log, frozen=True):
    def batches(self, context: ReadContext) -> Iterator[Staged]:
        return super().batches(replace(context, wanted=Wanted(numbers=("value",))))


class Returner(Log, frozen=True):
    def batches(self, context: ReadContext) -> Any:
        return None


class Asserting(Log, frozen=True):
    def lines(self, content: bytes) -> list[str]:
        raise AssertionError


class Fickle(Log, frozen=True):
    calls: ClassVar[list[int]] = []

    def probe(self, context: ProbeContext) -> str:
        self.calls.append(1)
        return f"look {len(self.calls)}"


class Talker(Log, frozen=True):
    def probe(self, context: ProbeContext) -> str:
        return (context.data / self.log).read_text()


BROKEN: dict[type[Log], str] = {
    Silent: "log: no description for log. Write Field(description=…)",
    Traceback: "log: an origin that is not there raised FileNotFoundError: ",
    Anonymous: "log: the error of an origin that is not there does not name the source. Raise SourceError(",
    Helpless: "log: the error of an origin that is not there has no remedy: checked: read.log: there is no such file.",
    Lenient: "log: an origin that is not there raised nothing. Raise SourceError(",
    Litter: "log: the data folder was changed: rows.jsonl. Write into context.staging only.",
    Loser: "log: 19 rows were staged, and row_count says 20. Yield what stage_rows or stage_file gives",
    Polisher: "log: 0 rows were put aside, and bad_count says 1. Yield what stage_rows or stage_file gives",
    Clock: "log: reading the same content twice gave other hashes. Name an origin by what is read, and hash the content alone",
    Eager: "log: a.log staged again, though context.known has the content. Give stage_rows the origin and a hash",
    Stutterer: "log: one read staged a.log more than once, so that the last takes the place of the others. Give each content an origin",
    Returner: "log: batches returned None. Yield what stage_rows or stage_file returns",
    Asserting: "log: batches raised AssertionError. The traceback above says where",
    Fickle: "log: probe said 'look 1', then 'look 2', and nothing had changed. Make it of what the origin says of itself",
    Talker: "not a text of 1 to 200 characters or None. Make it of what the origin says of itself, such as its size",
    Frames: "log: batches gave a dict, not a Staged. Yield what stage_rows or stage_file returns.",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twenty rows and a bad one."""
    lines = [f"2026-03-01T00:{minute:02d} {minute}" for minute in range(20)]
    (tmp_path / "a.log").write_text("\n".join([*lines, "soon 1"]) + "\n")
    return tmp_path


def checked(reader: type[Log], data: Path) -> None:
    check_reader(reader.model_validate({"time": "at"}), data, row_count=20, bad_count=1, wanted=Wanted(numbers=("value",)))


def test_a_reader_that_keeps_its_promises_passes(data: Path) -> None:
    checked(Log, data)


@pytest.mark.parametrize("reader", BROKEN, ids=lambda reader: reader.__name__)
def test_a_broken_promise_is_told_in_a_sentence(reader: type[Log], data: Path) -> None:
    with pytest.raises(AssertionError, match=re.escape(BROKEN[reader])):
        checked(reader, data)


def test_a_column_that_no_batch_has_is_named(data: Path) -> None:
    reader = Narrow.model_validate({"time": "at"})
    with pytest.raises(AssertionError, match=r"log: no batch has the column 'rain' that `wanted` names; .* under `metrics`"):
        check_reader(reader, data, row_count=20, bad_count=1, wanted=Wanted(numbers=("value", "rain")))


def test_the_data_folder_may_be_a_text_and_one_row_is_one_row(data: Path) -> None:
    reader = Log.model_validate({"time": "at"})
    with pytest.raises(AssertionError, match=r"log: 1 row was put aside, and bad_count says 2"):
        check_reader(reader, str(data), row_count=20, bad_count=2, wanted=Wanted(numbers=("value",)))
