"""A column is described by the words that the code can write into it: no more, and no others."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from smartflow_assets.adapters.warehouse import vocabularies
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.core.preparation.cleaning import Remedied, Repair

CODE = Path(__file__).parents[3] / "smartflow_assets"


def returned_by(path: str, function: str) -> set[str]:
    """The texts that a function returns."""
    tree = ast.parse((CODE / path).read_text())
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function)
    values = [node.value for node in ast.walk(body) if isinstance(node, ast.Return) and node.value is not None]
    return {node.value for value in values for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def passed_to(folder: str, function: str, position: int) -> set[str]:
    """The texts that calls of a function below a folder pass at a position."""
    calls = [
        node
        for path in (CODE / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function and len(node.args) > position
    ]
    given = [call.args[position] for call in calls]
    return {node.value for node in given if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def named(path: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (CODE / path).read_text()))


def test_a_run_ends_as_run_log_says() -> None:
    written = returned_by("defs/run_closing.py", "_status")
    assert set(TABLES["run_log"]["status"].words) == written == {"success", "failed", "killed", "canceled"}


def test_writes_records_the_operations_that_it_names() -> None:
    written = passed_to("adapters/warehouse", "Change", 2) | passed_to("adapters/warehouse", "_changes", 1)
    assert set(TABLES["writes"]["operation"].words) == written == set(get_args(vocabularies.WriteOperation))


def test_buckets_are_repaired_as_clean_series_says() -> None:
    written = named("core/preparation/cleaning.py", r'repair\[.*\] = "(\w+)"') | named(
        "core/preparation/cleaning.py", r'full\(shape, "(\w+)"'
    )
    written |= set(get_args(Remedied))
    assert set(TABLES["clean_series"]["repair"].words) == written == set(get_args(Repair))


def test_rows_requests_and_models_stand_as_their_tables_say() -> None:
    states = named("adapters/warehouse/load.py", r"record, reason, '(\w+)'") | named(
        "adapters/warehouse/quarantine.py", r"SET state = '(\w+)'"
    )
    assert set(TABLES["quarantined_records"]["state"].words) == states
    assert set(TABLES["training_requests"]["state"].words) == passed_to("stages/scheduling", "_row", 1)
    statuses = named("stages/model_ledger.py", r'"status": "(\w+)"|status="(\w+)"')
    assert set(TABLES["trained_models"]["status"].words) == {word for pair in statuses for word in pair if word}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_word_of_a_column_is_in_its_description(table) -> None:
    for column in table.columns:
        assert all(re.search(rf"\b{word}\b", column.description) for word in column.words)


def test_columns_of_states_and_kinds_take_their_words_from_one_place() -> None:
    """A new column of this kind says its words by a Literal, not by hand."""
    by_hand = [
        f"{table.name}.{column.name}"
        for table in TABLES.values()
        for column in table.columns
        if column.name in ("status", "state", "event", "operation", "severity", "repair", "change", "anomaly_type", "direction", "encoding")
        and not column.words
    ]
    assert by_hand == []
