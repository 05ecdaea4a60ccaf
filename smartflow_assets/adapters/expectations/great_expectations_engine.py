"""Great Expectations itself, for what SQL cannot say: on a pandas frame of the rows, in a context that leaves nothing behind.

It is imported when it is first needed (three CPU seconds, 260 MB), with its telemetry and progress bars off.
"""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from smartflow_assets.adapters.expectations.check import Finding
from smartflow_assets.adapters.expectations.rows import BrokenCheckError, Rows
from smartflow_assets.adapters.sql_quoting import quoted_column
from smartflow_assets.core.contracts.expectation_types import column_arguments
from smartflow_assets.core.contracts.expectations import MOST_EXAMPLES, Expectation
from smartflow_assets.core.json_value import json_value

_PLACE = "place"
_EXACT = 2**53  # larger whole numbers are not told apart as floats
_FIGURES = ("element_count", "unexpected_count", "missing_count")


def judge(
    read: Callable[[str, list[Any]], pd.DataFrame], rows: Rows, expectations: Sequence[Expectation]
) -> list[tuple[Finding, tuple[str, ...]]]:
    """What Great Expectations finds of each, with at most three unexpected values."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read once, at its import
    import great_expectations as gx

    frame = _frame(read, rows, expectations)
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}  # pyright: ignore[reportAttributeAccessIssue]
        source = context.data_sources.add_pandas("rows")
        found: dict[int, tuple[Finding, tuple[str, ...]]] = {}
        for name, places, prepared in _batches(frame, expectations):
            batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe(name).get_batch({"dataframe": prepared})
            found |= _asked(gx, batch, rows, {at: expectations[at] for at in places})
        return [found[at] for at in range(len(expectations))]


def _frame(read: Callable[[str, list[Any]], pd.DataFrame], rows: Rows, expectations: Sequence[Expectation]) -> pd.DataFrame:
    """The columns that are asked about; all where one is about the table as a whole."""
    named = {name for expectation in expectations for name in expectation.columns if rows.has(name)}
    is_whole = any(not column_arguments(expectation.type) or "row_condition" in expectation.arguments for expectation in expectations)
    wanted = "*" if is_whole or not named else ", ".join(quoted_column(rows.column(name).name) for name in sorted(named))
    return read(f"SELECT {wanted} FROM {rows.relation}", [])


def _batches(frame: pd.DataFrame, expectations: Sequence[Expectation]) -> Iterator[tuple[str, list[int], pd.DataFrame]]:
    """Which expectations are asked of which frame. pandas' NA is neither true nor false, and Great Expectations raises where it meets one:
    in comparisons of columns, and as the figure of a column without values."""
    places = range(len(expectations))
    types = [at for at in places if "_type" in expectations[at].type]
    several = [at for at in places if len(expectations[at].columns) > 1 and at not in types]
    single = [at for at in places if at not in types and at not in several]
    if types:
        yield "types", types, frame
    if single:
        yield "single", single, frame.assign(**{str(name): _without_na(frame[name]) for name in frame.columns if frame[name].isna().all()})
    if several:
        yield "several", several, frame.assign(**{str(name): _without_na(frame[name]) for name in frame.columns})


def _without_na(column: pd.Series) -> pd.Series:
    if not isinstance(column.dtype, pd.api.extensions.ExtensionDtype) or column.dtype.na_value is not pd.NA:
        return column
    is_exact = pd.api.types.is_integer_dtype(column.dtype) and bool((column.dropna().abs() < _EXACT).all())
    return column.astype("float64") if is_exact else column.astype(object).where(column.notna(), float("nan"))


def _asked(gx: Any, batch: Any, rows: Rows, expectations: Mapping[int, Expectation]) -> dict[int, tuple[Finding, tuple[str, ...]]]:
    """What a batch says, by the place of the expectation. A broken check is one that cannot be made of its arguments, or that raises."""
    from great_expectations.expectations.registry import get_expectation_impl

    found: dict[int, tuple[Finding, tuple[str, ...]]] = {}
    suite = gx.ExpectationSuite("rows")
    for at, expectation in expectations.items():
        try:
            suite.expectations.append(get_expectation_impl(expectation.type)(**_as_stored(rows, expectation), meta={_PLACE: at}))
        except BrokenCheckError as error:
            found[at] = Finding(False, error=str(error)), ()
        except Exception as error:  # whatever a type of Great Expectations makes of its arguments
            found[at] = Finding(False, error=_reason(str(error))), ()
    if suite.expectations:
        results = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": MOST_EXAMPLES}).results
        found |= {int(result.expectation_config.meta[_PLACE]): _found(result) for result in results}
    return found


def _found(result: Any) -> tuple[Finding, tuple[str, ...]]:
    raised = result.exception_info or {}
    for each in (raised, *(value for value in raised.values() if isinstance(value, dict))):
        if each.get("raised_exception"):
            return Finding(False, error=_reason(str(each.get("exception_message")))), ()
    found = dict(result.result)
    counts = {key: int(found[key]) for key in _FIGURES if found.get(key) is not None}
    considered = counts["element_count"] - counts.get("missing_count", 0) if "element_count" in counts else None
    observed = {"value": json_value(found["observed_value"], write_other=str)} if "observed_value" in found else {}
    examples = tuple(str(value)[:80] for value in (found.get("partial_unexpected_list") or ())[:MOST_EXAMPLES])
    return Finding(bool(result.success), considered, counts.get("unexpected_count"), observed), examples


def _as_stored(rows: Rows, expectation: Expectation) -> dict[str, Any]:
    """The arguments with columns by the names that they are stored under."""
    arguments = dict(expectation.arguments)
    for key in column_arguments(expectation.type):
        given = arguments[key]
        if expectation.type == "expect_column_to_exist" and not rows.has(str(given)):
            continue
        arguments[key] = (
            [rows.column(str(name)).name for name in given] if isinstance(given, list | tuple) else rows.column(str(given)).name
        )
    return arguments


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[:3])[:300] or "it raised an error without a word"
