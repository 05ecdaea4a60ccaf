"""Contracts: what the rows of a source promise, asked of each load before anything is made of it."""

from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg
import pandas as pd

from smartflow_assets.core.severity import RANK, Severity, worst
from smartflow_assets.defs.metadata import INCIDENT, NOTE, counted, kept, numbers, small_table, stage_asset, told_briefly
from smartflow_assets.defs.names import asset_key
from smartflow_assets.defs.partitions import SOURCES
from smartflow_assets.defs.resources import RunOptions
from smartflow_assets.stages import contracts
from smartflow_assets.stages.contracts import Asked, LoadNow

_OF_COLUMNS = (
    "expect_column_to_exist",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_of_type",
    "expect_column_type_to_be",
)
_OF_TABLES = "expect_table_column"
_OF_COUNTS = "expect_table_row_count"
MOST_REASONS = 3


def _check(name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=asset_key("schema_checks"),
        partitions_def=SOURCES,
        description=f"{description} Red until a load is as agreed; one that is blocked keeps it red until its origin or a person has "
        "mended that.",
    )


COLUMNS = _check(
    contracts.COLUMNS_CHECK,
    "No column is gone, renamed or of another type that nobody has accepted, and those of the contract are there and of their types.",
)
VALUES = _check(contracts.VALUES_CHECK, "Values are as the contract says: there, within limits, of the list, unique.")
ROW_COUNTS = _check(contracts.ROW_COUNTS_CHECK, "Loads, buckets or days have as many rows as the contract says.")


@stage_asset("schema_checks", "quality", ["greatexpectations"], deps=["raw_records"], check_specs=[COLUMNS, VALUES, ROW_COUNTS])
def schema_checks(context: dg.AssetExecutionContext, options: RunOptions) -> dg.MaterializeResult:
    """Ask the contract of the loads that are new; one that breaks a critical part goes no further, nor do single rows that it diverts."""
    asked = contracts.schema_checks(options.run)
    if asked.loads:
        context.log.info(str(asked))
    metadata = numbers(
        {
            "dagster/row_count": asked.table_rows,
            "expectations_asked": len(asked.verdicts),
            "expectations_not_met": sum(not verdict.is_passed for verdict in asked.verdicts),
            "blocked_loads": len(asked.blocked),
            "blocked_rows": sum(load.rows for load in asked.blocked),
            "diverted_rows": asked.held,
        }
    )
    told = [*asked.accepted, *(_blocked(options.run.name, load) for load in asked.blocked), *_diverted(options.run.name, asked)]
    if asked.loads and told:
        metadata[NOTE] = "; ".join(told)
    failed = _failed(asked.standing)
    if asked.verdicts and len(failed):
        metadata["not_met"] = small_table(failed, ["severity", "column_name", "check_name", "message"])
    elif len(failed):
        metadata |= kept(context, "not_met")
    return dg.MaterializeResult(
        metadata=metadata, check_results=[_result(options.run.name, check, asked) for check in (COLUMNS, VALUES, ROW_COUNTS)]
    )


def _blocked(source: str, load: LoadNow) -> str:
    let_through = f"`smartflow quarantine {source} --release --load {load.load_id}` lets them through"
    return f"{counted(load.rows, 'row')} of load {load.load_id} go no further, since {load.reason.rstrip('.')}; {let_through}"


def _diverted(source: str, asked: Asked) -> list[str]:
    if not asked.held:
        return []
    why = [f"{each.reason} ({each.rows:,})" for each in asked.held_for[:MOST_REASONS]]
    more = f" and {len(asked.held_for) - len(why)} more reasons" if len(asked.held_for) > len(why) else ""
    rest = "is diverted, and the rest of its load" if asked.held == 1 else "are diverted, and the rest of their loads"
    return [f"{counted(asked.held, 'row')} {rest} went on: {', '.join(why)}{more}; `smartflow quarantine {source}` lists them"]


class _Finding(NamedTuple):
    """One thing that is not as agreed."""

    severity: Severity
    text: str
    load_id: str


def _kind(expectation: str) -> str:
    if expectation.startswith(_OF_COUNTS):
        return ROW_COUNTS.name
    return COLUMNS.name if expectation in _OF_COLUMNS or expectation.startswith(_OF_TABLES) else VALUES.name


def _failed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["is_passed"].fillna(False).eq(False)] if len(rows) else rows


def _result(source: str, check: dg.AssetCheckSpec, asked: Asked) -> dg.AssetCheckResult:
    rows = asked.standing[asked.standing["check_name"].map(_kind) == check.name] if len(asked.standing) else asked.standing
    found = [
        _Finding(row["severity"], str(row["message"] or row["error"]), str(row["load_id"])) for row in _failed(rows).to_dict("records")
    ]
    if check is VALUES:  # of what was found long ago only the decision is kept
        told = set(asked.standing["load_id"])
        found += [_Finding("critical", load.reason, load.load_id) for load in asked.blocked if load.load_id not in told]
    if check is COLUMNS:
        severity: Severity = "critical" if asked.contract.on_schema_change == "fail" else "warning"
        found += [_Finding(severity, str(each.change), each.load_id) for each in asked.changes]
    found.sort(key=lambda each: -RANK[each.severity])
    diverted = _diverted(source, asked) if check is VALUES else []
    severity = worst((each.severity for each in found), "warning")
    blocked = {load.load_id for load in asked.blocked}
    others = [each.severity for each in found if each.load_id not in blocked or each.severity != "critical"]  # a blocked load has its own
    return dg.AssetCheckResult(
        check_name=check.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.ERROR if severity == "critical" else dg.AssetCheckSeverity.WARN,
        description=" ".join([_description(check, asked, len(rows), found), *(f"{each}." for each in diverted)]),
        metadata=numbers({"expectations": len(rows), "not_met": len(found)} | ({"diverted_rows": asked.held} if diverted else {}))
        | {INCIDENT: worst(others) if others else "that of its load"},
    )


def _description(check: dg.AssetCheckSpec, asked: Asked, expectations: int, found: Sequence[_Finding]) -> str:
    """What the check says."""
    if found:
        loads = {each.load_id for each in found if each.severity == "critical"}
        held = [
            f" {counted(load.rows, 'row')} of load {load.load_id} go no further until that is mended."
            for load in asked.blocked
            if load.load_id in loads
        ]
        return told_briefly(list(dict.fromkeys(each.text for each in found))) + "".join(held)
    met = f"{counted(expectations, 'expectation')} met" if expectations else "the contract asks nothing of this kind"
    return f"No column is gone, renamed or of another type; {met}." if check is COLUMNS else f"{met[0].upper()}{met[1:]}."
