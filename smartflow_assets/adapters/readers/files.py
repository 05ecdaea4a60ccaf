"""What the readers of files share: each file is an origin of its own, staged when its content is new."""

import re
from abc import abstractmethod
from collections.abc import Collection, Iterator
from fnmatch import translate
from glob import glob
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from smartflow_assets.adapters.readers.base import BaseReader
from smartflow_assets.adapters.readers.file_signature import signature_of_files
from smartflow_assets.adapters.scans import Layout
from smartflow_assets.adapters.scans.plain_text import printable
from smartflow_assets.adapters.staging.contract import ProbeContext, ReadContext, Staged, origin_of
from smartflow_assets.adapters.staging.reading_key import key_of_file
from smartflow_assets.adapters.staging.stage import stage_file
from smartflow_assets.adapters.warehouse.writes import Duplicates, MissingRows
from smartflow_assets.core.errors import SourceError

_LAYOUT_KEYS = frozenset({"delimiter", "decimal", "encoding", "records"})


class FileReader(BaseReader, frozen=True):
    """Parent of the readers of files; a subclass says which files there are and how each is laid out."""

    on_missing_rows: Annotated[
        MissingRows, BeforeValidator(lambda value: "keep" if value == "keep_older" else value, json_schema_input_type=MissingRows)
    ] = Field(
        default="keep",
        description="Stored rows of times that a changed file does not hold any more: they stay and are counted (keep), since an export "
        "of the last 24 hours or a log begun anew says nothing of them; or they go (delete). At the times that the file holds its "
        "rows take the place of the stored ones either way; at its first and last time, where it may be cut off, they are only added. "
        "With delete, a load that would remove more than 10 rows and more than 1 % of the file's keeps them, opens an incident and waits "
        "for `smartflow run SOURCE --accept-removals`.",
    )
    duplicates: Duplicates = Field(
        default="match",
        description="A row of which another file holds equals at the same time: the larger of the two counts is kept, since exports "
        "overlap (match); or each counts, as in parts of a log (keep). Equal rows of one file are always rows.",
    )

    @model_validator(mode="after")
    def _rows_can_be_told_apart(self) -> Self:
        if self.key and self.duplicates == "keep":
            raise ValueError("key and duplicates: keep exclude each other; of rows with one key the last one is kept")
        return self

    @abstractmethod
    def files(self, source: str, data: Path) -> list[Path]:
        """The files that hold the rows, sorted by name."""

    @abstractmethod
    def layout(self, path: Path) -> Layout:
        """How the rows lie in the file."""

    def probe(self, context: ProbeContext) -> str | None:
        return signature_of_files(self.files(context.source, context.data))

    def zone_before(self, key: str, path: Path, context: ReadContext) -> str | None:
        """The zone in which a known file was read, when its times are of another one now; None when they are not."""
        now = key_of_file(self.time, self.layout(path), context.wanted, self.on_missing_rows, context.timezone, self.kept)
        return now.zone_before(key)

    def is_read_anew_after(self, key: str) -> bool:
        return key in _LAYOUT_KEYS or key in ("key", "duplicates", "on_missing_rows")

    @property
    def kept(self) -> dict[str, Any]:
        """The settings that say which rows are kept, where they are not the defaults: they are a part of what a file is known by."""
        return self.model_dump(mode="json", include={"key", "duplicates"}, exclude_defaults=True)

    def batches(self, context: ReadContext, only: Collection[str] | None = None) -> Iterator[Staged]:
        """Stage each file whose content is not known; of the origins `only`, where they are given."""
        for path in self.files(context.source, context.data):
            if only is not None and origin_of(path, context.data) not in only:
                continue
            if (staged := stage_file(self, path, context, self.layout(path), self.on_missing_rows, self.kept)) is not None:
                yield staged


class PathReader(FileReader, frozen=True):
    """Parent of the readers of files at a path: one file, or all that a glob matches; plain or gzipped."""

    path: str = Field(min_length=1, description="File, relative to the data folder; *, ? and ** match many.")

    def files(self, source: str, data: Path) -> list[Path]:
        """The matching files; SourceError when there is none."""
        exact = data / self.path
        if exact.is_file():
            return [exact]
        # Path.glob takes no absolute pattern
        files = [data / name for name in sorted(glob(self.path, root_dir=data, recursive=True)) if (data / name).is_file()]  # noqa: PTH207
        if not files:
            raise SourceError(
                f"read.path: no file matches {printable(self.path)}",
                source=source,
                where=printable(str(data / self.path)),
                remedy="Put the file there, or correct read.path; it is relative to the data folder.",
            )
        return files

    def covers(self, origin: str, source: str, data: Path) -> bool:
        pattern = origin_of(data / self.path, data)
        return origin == pattern or re.fullmatch(_as_expression(pattern), origin) is not None

    def describe(self) -> str:
        return self.path


def _as_expression(pattern: str) -> str:
    """A glob as a regular expression of whole paths.

    >>> [bool(re.fullmatch(_as_expression("logs/**/*.csv"), path)) for path in ("logs/a.csv", "logs/x/y/a.csv", "logs/a.json")]
    [True, True, False]
    """
    parts = [".*" if part == "**" else translate(part).removesuffix(r"\Z").replace(".*", "[^/]*") for part in pattern.split("/")]
    return "/".join(parts).replace("/.*/", "/(?:.*/)?").removeprefix("/") if parts[0] != ".*" else "(?:.*/)?" + "/".join(parts[1:])
