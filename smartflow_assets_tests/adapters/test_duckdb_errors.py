"""One sentence for a full disk wherever DuckDB met it, and never for a line of a file that only speaks of one."""

import os
import pwd
from pathlib import Path

import duckdb
import pytest

from smartflow_assets.adapters.duckdb_errors import content_error, file_error, warehouse_error
from smartflow_assets.core.errors import SmartflowError, SourceError

FULL = [
    duckdb.IOException('IO Error: Could not write file "/data/x": No space left on device'),
    duckdb.OutOfMemoryException(
        "Out of Memory Error: failed to offload data block\nThis limit was set by the 'max_temp_directory_size' setting."
    ),
]


def told(what: str, remedy: str) -> SourceError:
    return SourceError(what, source="shop", remedy=remedy)


def every_way(error: duckdb.Error, folder: Path) -> list[SmartflowError]:
    return [
        warehouse_error(error, folder / "smartflow.duckdb"),
        content_error(error, told, "JSON", ["records"]),
        file_error(error, folder / "a.csv", folder),
    ]


@pytest.mark.parametrize("error", FULL, ids=["device", "spill"])
def test_a_full_disk_is_known_in_the_warehouse_in_staging_and_in_files(error: duckdb.Error, tmp_path: Path) -> None:
    assert [each.what.partition(",")[0] for each in every_way(error, tmp_path)] == ["the disk is full"] * 3


def test_a_line_that_speaks_of_a_full_disk_is_not_one(tmp_path: Path) -> None:
    error = duckdb.InvalidInputException("Invalid Input Error: CSV Error on Line: 7\nOriginal Line: 2026-03-01,no space left on device")
    assert not any("the disk is full" in str(each) for each in every_way(error, tmp_path))


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (duckdb.IOException('IO Error: Cannot open file "/d/smartflow.duckdb": Permission denied'), "smartflow.duckdb"),
        (
            duckdb.TransactionException(
                'TransactionContext Error: Failed to commit: Cannot open file "/d/smartflow.duckdb.wal": Permission denied'
            ),
            "smartflow.duckdb.wal",
        ),
    ],
    ids=["file", "folder"],
)
def test_a_warehouse_that_may_not_be_written_says_who_must_be_allowed_what(error: duckdb.Error, what: str) -> None:
    told = warehouse_error(error, Path("/d/smartflow.duckdb"))
    assert (told.what, told.where) == (f"{what} cannot be opened: permission denied", "/d/smartflow.duckdb")
    assert told.remedy.startswith(
        f"The user {pwd.getpwuid(os.geteuid()).pw_name} must be allowed to read it; who runs SmartFlow also to write it"
    )
