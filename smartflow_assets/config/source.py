"""What one YAML file in data/sources may say: a monitored source, frozen and checked.

Each key has its type, its default and its description here, or in the model of the part that it configures (a reader, a
rule, the buckets). config.source_file reads the file, with the defaults below it and errors with lines;
config.catalogue holds all sources.
"""

import json
import re
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationError, model_validator

from smartflow_assets.adapters.aggregation.buckets import MetricColumn
from smartflow_assets.adapters.readers import Reader, Wanted
from smartflow_assets.adapters.staging.bad_rows import BadRowPolicy
from smartflow_assets.config.metric import COUNTING, DETECTION_KEYS, Metric, MetricOrName
from smartflow_assets.config.problems import refuse
from smartflow_assets.config.retention import Retention
from smartflow_assets.config.yaml_file import YamlFile
from smartflow_assets.core.contracts.contract import Contract
from smartflow_assets.core.declared import Declared
from smartflow_assets.core.detection import DetectionSettings
from smartflow_assets.core.drift.settings import DriftSettings
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.freshness import Freshness
from smartflow_assets.core.named_once import ColumnNames
from smartflow_assets.core.preparation.category_encoding import Encoding
from smartflow_assets.core.preparation.cleaning import TimeBucket
from smartflow_assets.core.preparation.row_condition import parse_condition, text_columns
from smartflow_assets.core.preparation.transforms import Treatment
from smartflow_assets.core.profiles import ProfileSettings
from smartflow_assets.core.records import Records
from smartflow_assets.core.remediation.settings import Remedy, contradictions
from smartflow_assets.core.rules import BaseRule, Rules
from smartflow_assets.core.series.series_id import RECORDS_METRIC
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.notation import Duration, format_duration
from smartflow_assets.core.temporal.schedule import Schedule

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


def _is_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a source is named by a lower-case letter and up to 47 lower-case letters, digits and underscores")
    return name


def _is_owner(owner: str) -> str:
    if not re.fullmatch(r"team:[\w .-]+|[^@\s]+@[^@\s]+", owner):
        raise ValueError("write team:name or an e-mail address")
    return owner


def _is_page(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not address.isprintable() or " " in address:
        raise ValueError("write the address of a page, such as https://wiki.example.com/orders")
    if parts.username or parts.password:
        raise ValueError("the address of a runbook is sent to everybody who is told; write it without a login")
    return address


def _wrong_metric_name(name: str) -> str:
    """Why a metric cannot be called so; empty where it can. Names stand in series, messages and files."""
    if name == name.strip() and name.isprintable():
        return ""
    wrong = "begins or ends with a blank" if name.isprintable() else "holds a sign that cannot be shown"
    return f"the name {name!r} {wrong}; write another one, and as `column` what the data call it"


class Training(Declared):
    """What models learn from, and how often."""

    window: Duration = Field(default=timedelta(days=60), gt=timedelta(0), description="How far back a training looks.")
    every: Duration = Field(default=timedelta(days=1), gt=timedelta(0), description="How old a model may become.")


class Source(DetectionSettings):
    """A monitored source. Only `name` and `read` are required."""

    name: Annotated[str, AfterValidator(_is_name)] = Field(description="Equals the file name; it is the partition in Dagster.")
    description: str = Field(default="", description="One sentence for people.")
    owner: Annotated[str, AfterValidator(_is_owner)] | None = Field(default=None, description="team:name or an e-mail address.")
    runbook: Annotated[str, AfterValidator(_is_page)] | None = Field(
        default=None, description="The page that says what to do when something is wrong; every message links to it."
    )
    tags: Annotated[dict[str, str], Field(description="Your own labels.")] = Field(default_factory=dict)
    read: Reader = Field(description="Where the rows come from.")
    metrics: tuple[MetricOrName, ...] = Field(
        default=(), description="How rows become series. Default: every numeric column, mean per bucket."
    )
    dimensions: ColumnNames = Field(default=(), description="Columns whose every value makes a series of its own.")
    retire_after: Duration | None = Field(
        default=None,
        gt=timedelta(0),
        description="How long a series is waited for whose rows stay away while others come; then it is over: it has no further buckets, "
        "and its incident closes. A row that comes after all begins it anew. Default: as long as it had had rows, at least a day "
        "and at most 30 days.",
    )
    max_series: int = Field(
        default=10_000, ge=1, description="More series than this at a time are refused: a dimension that names single things is a mistake."
    )
    encode: Annotated[
        dict[str, Encoding],
        Field(
            description="Columns of categories as numbers, learnt once from the first week of rows (at least 36 buckets and 100 rows, "
            "at most training.window): {channel: one_hot} gives channel__web, … and channel__other (1 or 0; the 20 most frequent "
            "categories have a column), {tier: ordinal} gives tier__ordinal (0, 1, …; -1 for a category that was not learnt), "
            "{merchant: frequency} gives merchant__frequency (its share of the rows; 0). For metrics, which name such a column "
            "(`column: channel__web, aggregate: mean`); none of them is a metric by itself.",
            examples=[{"merchant": "frequency", "channel": "one_hot", "tier": "ordinal"}],
        ),
    ] = Field(default_factory=dict)
    records: Records | None = Field(
        default=None,
        description="Judge each row by itself, beside the series: `records: {}` takes every numeric column and all of "
        "encode. For tables of payments, orders or log lines. Strange records are in the table record_anomalies; those of a bucket open "
        "one incident of the series `records`. Needs a week and 1,000 rows to learn from.",
    )
    time_bucket: TimeBucket = Field(
        default=TimeBucket(), description="How time is cut. Without `every`: the interval at which rows come, found at the first ingestion."
    )
    calendar: Calendar = Field(default=Calendar(), description="Time zone and holidays.")
    freshness: Freshness = Field(
        default=Freshness(),
        description="When a source that brings no rows is silent: auto (longer than what comes back by hour and weekday), off (a "
        "recording that has ended), or {warn_after: 15min, error_after: 1h}, how old the newest row may become. {delay: 3 days} says how "
        "late rows are by nature; without it that is learnt, once there are ten loads.",
        examples=["auto", "off", {"warn_after": "15min", "error_after": "1h"}],
    )
    drift: DriftSettings | Literal["off"] = Field(
        default=DriftSettings(),
        description="Whether rows are distributed as they were: the newest `current` against the `reference` before it, once for each "
        "day that has ended; or off.",
        examples=["off", {"reference": "28 days", "current": "7 days"}],
    )
    profile: ProfileSettings | Literal["auto", "off"] = Field(
        default="auto",
        description="How many rows there are, which values are missing and which categories come, bucket by bucket, as series that are "
        "judged by their own past once there are four weeks of it: auto, off, or keys.",
        examples=["auto", "off", {"every": "1h", "columns": 20, "categories": 10}],
    )
    schedule: Schedule = Field(default="1h", description="When it is watched: a duration, a cron line or manual.")
    contract: Contract | None = Field(
        default=None,
        description="What the rows promise, as read: columns, ranges, uniqueness, counts, and any expectation of Great Expectations. A "
        "breach of severity critical keeps the rows of its load out of everything downstream.",
        examples=[{"columns": {"amount": {"type": "number", "min": 0, "severity": "critical"}}, "row_count": {"min": 1, "per": "day"}}],
    )
    on_bad_rows: BadRowPolicy = Field(
        default=BadRowPolicy(),
        description="What becomes of rows that cannot be read, and how many of a file may be: quarantine, drop or keep, or "
        "{do: quarantine, warn_above: 1%, fail_above: 20%}.",
        examples=["drop", {"do": "quarantine", "warn_above": "1%", "fail_above": "20%"}],
    )
    rules: Rules = Field(default=(), description="Business rules; a rule overrides the models, the budget and the warm-up.")
    training: Training = Field(default=Training(), description="From which rows models learn, and when anew.")
    keep_features: Literal["used", "all"] = Field(
        default="used",
        description="Which features go into the table series_features: those of metrics that a detector reads them of (none with "
        "`detectors: auto`), or all, for people to look at. A detector that is listed later makes what it needs.",
    )
    remediate: tuple[Remedy, ...] = Field(
        default=(),
        description="What is done by itself when something is wrong, each action once for an incident: [{when: drift, do: retrain}]. "
        "Each is a row of the table remediations.",
        examples=[
            [{"when": "gap", "do": "reingest"}, {"when": {"cause": "failure"}, "do": {"type": "pause", "lasting": "6h"}, "limit": 1}]
        ],
    )
    alerts: AlertPolicy = Field(default=AlertPolicy(), description="Who is told of which incidents.")
    retention: Retention = Field(
        default=Retention(),
        description="How long rows and history stay, such as {raw: 2 years, incidents: never}; never keeps all.",
        examples=["never", {"raw": "2 years", "looks": "3 days"}],
    )
    labels: str | None = Field(default=None, description="CSV of known anomalies, relative to the data folder, to measure detection with.")

    _files: tuple[YamlFile, ...] = PrivateAttr(default=())

    @property
    def alert_policy(self) -> AlertPolicy:
        """`alerts` as it holds for this source: its own routes alone, with times in its zone."""
        return self.alerts.of_source(self.name, self.tags, self.owner, self.calendar.timezone)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[str]:
        """What is right by itself and does not go together; the first word is the key that it is about."""
        names = [metric.name for metric in self.metrics]
        yield from (f"metrics: {name} is named twice" for name in names if names.count(name) > 1)
        yield from (f"metrics: {wrong}" for name in names if (wrong := _wrong_metric_name(name)))
        times = {self.time_column, *self.read.time.parts}
        measured = (*self._all_dimensions, *(metric.source_column.column for metric in self.metrics))
        for column in measured:
            if column in times:
                yield f"{column} is {self._time_role(str(column))}; it cannot be a metric or a dimension as well"
        for metric in self.metrics:
            dimensions = self.dimensions if metric.dimensions is None else metric.dimensions
            for told in metric.explain_by:
                if told in (*dimensions, *times):
                    role = self._time_role(told) if told in times else "a dimension of it: each of its series has one value there"
                    yield f"metrics: explain_by of {metric.name} names {told}, which is {role}"
        if self.records is not None:
            if RECORDS_METRIC in names:
                yield f"metrics: {RECORDS_METRIC} is what the series of strange records is called, because of `records`; rename the metric"
            for judged in self.records.columns:
                if judged in times:
                    yield f"records: {judged} is {self._time_role(judged)}; a record is not judged by it"
        for remedy in self.remediate if names else ():
            if remedy.when.metric not in (None, *names):
                yield f"remediate: {remedy.when.metric} is not among metrics: {', '.join(names)}"
        yield from contradictions(self.remediate, self.name)
        yield from self._misfits_of_contract()
        yield from self._misfits_of_encodings(times)
        yield from self._misfits_of_sensitive_columns()
        if misfits := [*self._misfits_of_detection()]:
            yield from misfits
        elif len(names) == 1 and (lonely := next((d.type for d in self.detection(names[0]).active() if d.is_joint), None)):
            yield f"detectors: {lonely} compares the metrics of a source with each other, and there is only {names[0]}"
        for rule in self.rules if names else ():
            for strange in rule.metrics:
                if strange not in names:
                    yield f"rules: {rule.name} is for the metric {strange}, which is not among metrics: {', '.join(names)}"

    def _misfits_of_detection(self) -> Iterator[str]:
        """What a metric says and what the source says may be right by themselves and not together."""
        for metric in self.metrics:
            if metric.model_fields_set.isdisjoint(("detectors", "ensemble")):
                continue
            try:
                self.detection(metric.name)
            except ValidationError as error:
                for detail in error.errors():
                    yield f"metrics: {metric.name}, with what the source says beside it: {detail.get('ctx', {}).get('error')}"

    def _misfits_of_contract(self) -> Iterator[str]:
        if self.contract is None:
            return
        for reference in self.contract.references:
            if reference.source == self.name and (reference.source_column or reference.column) == reference.column:
                yield f"contract: references of {reference.column} name the column itself; name another source, or another source_column"

    def _misfits_of_encodings(self, times: Collection[str]) -> Iterator[str]:
        for column in self.encode:
            if column in times:
                yield f"encode: {column} is {self._time_role(column)}, not a category"
            for metric in self.metrics:
                if metric.source_column.column == column and metric.aggregate not in COUNTING:
                    yield f"encode: {column} is measured by the metric {metric.name}; it cannot be a category as well"
        for metric in self.metrics:
            base = self.encoded_base(metric.source_column.column)
            if base and self.encode[base] != "one_hot" and metric.source_column.column != (given := f"{base}__{self.encode[base]}"):
                yield f"metrics: {metric.name} is of {metric.source_column.column}, but encode gives {given}"
            if base and metric.aggregate in COUNTING:
                yield f"metrics: {metric.name} counts an encoded column, which every row has; sum counts the rows of a category"

    def _misfits_of_sensitive_columns(self) -> Iterator[str]:
        """Names of series and values of metrics stand in messages, pictures and exports."""
        sensitive = self.contract.sensitive if self.contract else frozenset[str]()
        for column in sorted(sensitive & {*self._all_dimensions, *(name for metric in self.metrics for name in metric.explain_by)}):
            yield f"contract: {column} is sensitive, and its values name series or slices, which stand in messages; take one of the two out"
        for metric in self.metrics:
            if metric.source_column.column in sensitive and metric.aggregate not in COUNTING:
                column = metric.source_column.column
                yield f"contract: {column} is sensitive, and the metric {metric.name} shows its values; count it, or take one out"

    @property
    def time_column(self) -> str:
        """The column that says when."""
        return self.read.time.column

    @property
    def incomparable(self) -> frozenset[str]:
        """Columns of which nothing is said from load to load or day to day: those that say when, and sensitive ones."""
        return frozenset({self.time_column, *self.read.time.parts, *(self.contract.sensitive if self.contract else ())})

    def _time_role(self, column: str) -> str:
        return "the time column" if column == self.time_column else "a part of the time"

    @property
    def wanted(self) -> Wanted:
        """What ingestion needs of the rows."""
        columns = (metric.source_column.column for metric in self.metrics if metric.aggregate not in COUNTING)
        numbers = tuple(dict.fromkeys(name for name in columns if name and not self.encoded_base(name))) if self.metrics else None
        compared = {name for metric in self.metrics if metric.where for name in text_columns(parse_condition(metric.where))}
        compared |= {name for metric in self.metrics for name in metric.explain_by}
        categories = tuple(sorted({*self.encode, *compared} - {*self._all_dimensions, *(numbers or ())}))
        sensitive = tuple(sorted(self.contract.sensitive)) if self.contract else ()
        return Wanted(numbers, self._all_dimensions, self.on_bad_rows.do, categories, sensitive)

    def encoded_base(self, column: str | None) -> str | None:
        """The column of categories that an encoded column such as `merchant__frequency` is made of; None when it is none."""
        return max((base for base in self.encode if (column or "").startswith(f"{base}__")), key=len, default=None)

    @property
    def encoded_columns(self) -> dict[str, str]:
        """The encoded columns that metrics name, each with the column of categories that it is made of."""
        columns = (metric.source_column.column for metric in self.metrics)
        return {column: base for column in columns if column and (base := self.encoded_base(column))}

    @property
    def _all_dimensions(self) -> tuple[str, ...]:
        """Those of the source, and those that only a metric has."""
        return tuple(dict.fromkeys((*self.dimensions, *(name for metric in self.metrics for name in metric.dimensions or ()))))

    @property
    def treatments(self) -> dict[str, Treatment]:
        """What becomes of the aggregated values of the metrics that are not taken as they are."""
        return {metric.name: treatment for metric in self.metrics if (treatment := metric.treatment) != Treatment()}

    @property
    def metric_columns(self) -> tuple[MetricColumn, ...]:
        """The metrics as SQL makes them; none means every numeric column."""
        return tuple(metric.source_column for metric in self.metrics)

    def metric(self, name: str) -> Metric:
        """The metric of that name; one that came from a numeric column has nothing of its own."""
        return next((metric for metric in self.metrics if metric.name == name), Metric(name=name))

    def detection(self, metric: str) -> DetectionSettings:
        """How a metric is judged: the source's keys, and the metric's own in their place. A threshold of
        its own, given as `sensitivity` or as `threshold`, replaces the source's in whichever way that was given."""
        own = self.metric(metric).overrides
        if "sensitivity" in own and "threshold" not in own:
            own["threshold"] = None
        return DetectionSettings(**{key: getattr(self, key) for key in DETECTION_KEYS} | own)

    @property
    def all_rules(self) -> tuple[BaseRule, ...]:
        """The rules of the source and of its metrics, each with the metric that it holds for."""
        own = (rule.model_copy(update={"metric": metric.name}) for metric in self.metrics for rule in metric.rules)
        return (*self.rules, *own)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each metric that has one."""
        own = {metric.name: metric.unit for metric in self.metrics if metric.unit}
        return own if self.records is None else own | {RECORDS_METRIC: "strange records"}

    def unit(self, metric: str) -> str:
        """Unit of a metric, or nothing."""
        return self.units.get(metric, "")

    @property
    def profile_settings(self) -> ProfileSettings | None:
        """How the rows are profiled; None where they are not."""
        return None if self.profile == "off" else ProfileSettings() if self.profile == "auto" else self.profile

    @property
    def profile_bucket(self) -> timedelta:
        """How long a bucket of the profile is."""
        return max((self.profile_settings or ProfileSettings()).every, self.time_bucket.every)

    @property
    def is_bucket_given(self) -> bool:
        """Does the YAML say how long a bucket is? If not, adapters.aggregation.bucket_inference finds it from the rows."""
        return "every" in self.time_bucket.model_fields_set

    def with_bucket(self, every: timedelta) -> "Source":
        """The same source with this bucket, as if the YAML had said so."""
        said = self.time_bucket.model_dump(include=self.time_bucket.model_fields_set)
        bucket = TimeBucket.model_validate(said | {"every": every})
        return self.model_copy(update={"time_bucket": bucket})

    @property
    def fingerprint(self) -> str:
        """What clean rows are made under, as JSON that people can read: a change of any of it rebuilds them from raw_records.

        Everything else (detectors, rules, alerts, schedule, …) leaves the clean rows as they are. Without `every` in the YAML
        and before the bucket is known, `time_bucket.every` is null.
        """
        made_under = {
            "read.time": self.read.time.model_dump(mode="json", exclude_none=True),
            "time_bucket": self.time_bucket.model_dump(mode="json", include={"every", "fill", "max_gap"})
            | ({} if self.is_bucket_given else {"every": None}),
            "calendar.timezone": self.calendar.timezone,
            "metrics": [metric.made_under for metric in self.metrics],
            "dimensions": sorted(self.dimensions),
        }
        made_under |= {"encode": self.encode} if self.encode else {}
        made_under |= {"retire_after": format_duration(self.retire_after)} if self.retire_after else {}
        return json.dumps(made_under, sort_keys=True, ensure_ascii=False)

    @property
    def file(self) -> str:
        """The YAML file it was read from."""
        return str(self._files[0].path) if self._files else ""

    def where(self, *location: str | int) -> str:
        """`file, line n` of a key, for errors: in the source's own file, or in the defaults when they say it."""
        for file in self._files:
            if file.holds(location):
                return f"{file.path}, line {file.line(location)}"
        line = self._files[0].line(location) if self._files else None
        return self.file if line is None else f"{self.file}, line {line}"

    def resolved(self) -> dict[str, Any]:
        """Every key with the value that holds, as plain values in the order of the documentation."""
        values = self.model_dump(mode="json", exclude_none=True)
        if not self.is_bucket_given:
            values["time_bucket"].pop("every", None)
        for written, metric in zip(values["metrics"], self.metrics, strict=True):
            for key in set(DETECTION_KEYS) - set(metric.overrides):
                written.pop(key, None)
        own = [key for key in type(self).model_fields if key not in DETECTION_KEYS]
        at = own.index("rules")
        return {key: values[key] for key in (*own[:at], *DETECTION_KEYS, *own[at:]) if key in values}
