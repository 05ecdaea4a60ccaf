"""Every table of the warehouse, column by column.

The descriptions here are what Dagster shows beside an asset, what `duckdb_columns()` tells an analyst and what the data
dictionary prints. A table or a column that is not here cannot be written. `table_spec.py` checks frames against
it, `warehouse.py` writes them, `vocabularies.py` and core hold the words that columns of states and kinds may hold.
"""

from smartflow_assets.adapters.warehouse.table_spec import SOURCE_NAME, Column, Kept, TableSpec
from smartflow_assets.adapters.warehouse.vocabularies import (
    LookOutcome,
    ModelChange,
    ModelStatus,
    PruningState,
    QuarantineState,
    RequestState,
    RunStatus,
    WriteOperation,
)
from smartflow_assets.core.anomalies.grouping import AnomalyType, Direction
from smartflow_assets.core.errors import WarehouseError
from smartflow_assets.core.incidents.alert_planning import AlertEvent, AlertStatus
from smartflow_assets.core.incidents.event_log import IncidentEvent, IncidentStatus
from smartflow_assets.core.preparation.category_encoding import Encoding
from smartflow_assets.core.preparation.cleaning import Repair
from smartflow_assets.core.series.score_state import ScoreState
from smartflow_assets.core.severity import Severity

SCHEMA_VERSION = 10  # raise it with any change below, and say in migrations.py how an older file becomes a newer one

TEXT, TIME, NUMBER, COUNT, TRUTH, JSON = "VARCHAR", "TIMESTAMPTZ", "DOUBLE", "BIGINT", "BOOLEAN", "JSON"
TEXTS, TEXT_MAP, NUMBER_MAP = "VARCHAR[]", "MAP(VARCHAR, VARCHAR)", "MAP(VARCHAR, DOUBLE)"


def _always(name: str, type_: str, description: str) -> Column:
    return Column(name, type_, description, is_nullable=False)


_SOURCE = _always("source", TEXT, "Name of the monitored source: its YAML file and its partition in Dagster.")
_RUN = Column("run_id", TEXT, "Dagster run that wrote the row.")
_SERIES = _always("series", TEXT, "Readable id of the series: the metric, or `metric{dimension=value}`.")
_METRIC = _always("metric", TEXT, "Metric as named in the source's YAML.")
_DIMENSIONS = Column("dimensions", TEXT_MAP, "Dimension names and values of the series; empty when it has none.")
_OBSERVED_AT = _always("observed_at", TIME, "Start of the time bucket, in UTC.")
_SEVERITY = Column.of_words("severity", Severity)
_CAUSE = Column(
    "cause",
    TEXT,
    "anomaly, freshness (no rows come), readability (too many rows cannot be read), removal (stored rows would go), run (it failed outside "
    "of any step), check:<name>, "
    "delivery:<channel> (a message was given up), or the step that failed.",
)

RAW_COLUMNS = (
    _always("_origin", TEXT, "Where the row came from: a file path, or the window asked from a server."),
    _always(
        "_row",
        COUNT,
        "Number of the row in its origin, from 1 (in JSON of the record): in the file that brought it, or counted on from the rows before.",
    ),
    _always("_row_hash", "UBIGINT", "Hash of the row's values as read: rows of one time with the same hash are equal."),
    _always("_ingested_at", TIME, "When the row was first ingested, wherever in its file it stands now."),
    _always("_run_id", TEXT, "Dagster run that ingested the row."),
)

_ALL = (
    TableSpec(
        "ingestions",
        "One row for each content of each origin that was ingested, and one for each window of a server read to its end.",
        (
            _SOURCE,
            _always("origin", TEXT, "File path, or the window asked from a server."),
            _always("content_hash", TEXT, "SHA-256 of the content; the same content is not read twice."),
            _always("row_count", COUNT, "Rows of this content that are readable, whether new or not."),
            Column("new_count", COUNT, "Rows that this ingestion added or changed."),
            _always("duplicate_count", COUNT, "Rows left out because another origin already holds them, or a later row has their key."),
            Column("quarantined_count", COUNT, "Rows that could not be read and went to quarantined_records."),
            Column("removed_count", COUNT, "Stored rows that this ingestion took away; a corrected one is new and removed."),
            Column(
                "missing_count", COUNT, "Stored rows of the origin that the content does not hold any more, and that stay; null for a page."
            ),
            Column("withheld_count", COUNT, "Those of them that wait for `smartflow run --accept-removals` before they go."),
            Column("pruned_count", COUNT, "Rows of the content that are left out, since rows of their time were pruned."),
            Column("first_at", TIME, "Earliest time in the content."),
            Column("last_at", TIME, "Latest time in the content."),
            Column("reached_at", TIME, "Up to here everything that a server had was read; null for files and for single pages."),
            _always("ingested_at", TIME, "When it was ingested."),
            _RUN,
        ),
        key=("source", "origin", "content_hash", "ingested_at"),
        mode="append",
        time_column="ingested_at",
        kept=Kept("ledgers", "ingested_at"),
    ),
    TableSpec(
        "quarantined_records",
        "Rows that could not be read, kept as they came until somebody decides.",
        (
            _SOURCE,
            _always("origin", TEXT, "File path, or the window asked from a server."),
            _always(
                "row_number",
                COUNT,
                "Number of the row in its origin, from 1, in JSON of the record; below that it is older than the file as it is now.",
            ),
            Column("record", JSON, "The row as read, field by field."),
            Column("reason", TEXT, "Why the row could not be used, naming the field."),
            Column.of_words(
                "state", QuarantineState, {"held": "nobody has decided yet", "dropped": "somebody needs it no more"}, is_nullable=False
            ),
            _RUN,
            _always("quarantined_at", TIME, "When the row was first held."),
        ),
        key=("source", "origin", "row_number"),
        mode="origin",
        time_column="quarantined_at",
        kept=Kept("raw", "quarantined_at"),
    ),
    TableSpec(
        "clean_series",
        "Raw rows aggregated to time buckets, repaired and labelled: what detection judges.",
        (
            _SOURCE,
            _SERIES,
            _METRIC,
            _DIMENSIONS,
            _OBSERVED_AT,
            Column("value", NUMBER, "Value after transform and repair, in the metric's unit; null when the bucket is missing."),
            Column("value_raw", NUMBER, "Value as aggregated, before any transform and repair."),
            Column.of_words("repair", Repair, {"dst": "a doubled or skipped local hour"}),
        ),
        key=("source", "series", "observed_at"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "encodings",
        "What the categories of encoded columns become, learnt once from the first rows of a source.",
        (
            _SOURCE,
            _always("column_name", TEXT, "Column of the raw rows that holds the category."),
            _always("category", TEXT, "The category; empty cells, null and NaN are the empty text."),
            _always("place", COUNT, "Place among the categories, from 0: the most frequent first, for ordinal the smallest."),
            Column.of_words("encoding", Encoding, is_nullable=False),
            _always("encoded_column", TEXT, "Column that a metric names, such as merchant__frequency or channel__web."),
            _always("code", NUMBER, "Number that stands for the category in that column."),
            _always("share", NUMBER, "Share of the rows that it was learnt from, 0 to 1."),
            _always("learnt_from", TIME, "Time of the first row that was learnt from."),
            _always("learnt_to", TIME, "End of the rows that were learnt from, not included."),
            _always("learnt_at", TIME, "When, by the run's clock."),
            Column("fingerprint", TEXT, "Configuration of the source that it was learnt under."),
            _RUN,
        ),
        key=("source", "column_name", "category"),
        mode="append",
        time_column="learnt_at",
    ),
    TableSpec(
        "series_features",
        "What the models see beside the value; one DOUBLE column for each feature. Holds the metrics that a detector reads features of, "
        "or all with `keep_features: all`.",
        (_SOURCE, _SERIES, _OBSERVED_AT),
        key=("source", "series", "observed_at"),
        mode="window",
        time_column="observed_at",
        is_open=True,
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "trained_models",
        "Every training, and every change of which model is current: the newest row of a model says how it stands.",
        (
            _SOURCE,
            _SERIES,
            _always("detector", TEXT, "Type of the detector, as in the YAML."),
            _always("model_id", TEXT, "Id of the training; the rows that a model scored carry it."),
            Column.of_words("status", ModelStatus, is_nullable=False),
            _always("trained_at", TIME, "When the model was trained."),
            Column("trained_from", TIME, "Start of the rows it learnt from."),
            Column("trained_to", TIME, "End of the rows it learnt from."),
            Column("row_count", COUNT, "Rows it learnt from."),
            Column("parameters", JSON, "Settings and learnt numbers that fit in text."),
            Column("metrics", JSON, "How the training went."),
            Column("versions", JSON, "Library versions that made the artefact."),
            Column("artefact", TEXT, "Folder of the model's files, relative to the model folder."),
            Column("sha256", TEXT, "Hash of the artefact, verified at every load."),
            Column("format", TEXT, "How the artefact is stored: json (with its arrays in safetensors) or skops, and the version of that."),
            Column("fingerprint", TEXT, "Configuration of the source that the model was trained under."),
            _always("changed_at", TIME, "When it got this status, by the run's clock; later than all such changes of the source before."),
            Column.of_words("change", ModelChange, before="How it got this status: "),
            Column(
                "reason",
                TEXT,
                "Why: first training, schedule, by hand, request: …, settings changed, artefact unusable: …, worn: …, "
                "candidate: …, or what a person said who promoted it or rolled back to it.",
            ),
            Column("changed_by", TEXT, "Who asked for it; null when nobody did."),
            Column("replaced_model_id", TEXT, "The model that was current before it became so."),
            Column("baseline_from", TIME, "Rows before this are not learnt from, because a person accepted a new level; null without one."),
        ),
        key=("source", "model_id", "changed_at"),
        mode="append",
        time_column="changed_at",
        kept=Kept("ledgers", "changed_at"),
    ),
    TableSpec(
        "training_requests",
        "Requests to learn a source anew: a row when it is asked for, a second one when a training has answered it.",
        (
            _SOURCE,
            _always("request_id", TEXT, "Id of the request."),
            Column.of_words("state", RequestState, after="; the newest row of a request says how it stands", is_nullable=False),
            _always("happened_at", TIME, "When it was asked for or answered."),
            Column("reason", TEXT, "Why the source is to be learnt anew; stands beside the model."),
            Column("requested_by", TEXT, "Who asked; null when a check of ours did."),
            Column("baseline_from", TIME, "Rows before this are no longer to be learnt from; null leaves that as it is."),
            _RUN,
        ),
        key=("source", "request_id", "state"),
        mode="append",
        time_column="happened_at",
        kept=Kept("ledgers", "happened_at"),
    ),
    TableSpec(
        "anomaly_scores",
        "The decision of the detectors, one row for each point.",
        (
            _SOURCE,
            _SERIES,
            _METRIC,
            _DIMENSIONS,
            _OBSERVED_AT,
            Column("value", NUMBER, "Value that was judged; null when the bucket is missing."),
            Column("expected", NUMBER, "Value that the detectors expected."),
            Column("lower", NUMBER, "Lower edge of the expected band."),
            Column("upper", NUMBER, "Upper edge of the expected band."),
            Column("raw_score", NUMBER, "Combined surprise, -log10 of a tail probability; rank by it, it does not saturate."),
            Column("anomaly_score", NUMBER, "1 - 10^-raw_score, from 0 (usual) to 1 (strange)."),
            Column("threshold", NUMBER, "Anomaly score from which the row is anomalous."),
            Column("is_anomaly", TRUTH, "The detectors' word alone; rules are in rule_violations."),
            Column.of_words("state", ScoreState, {"warming_up": "too little history", "missing": "no value"}),
            _SEVERITY,
            Column("model_id", TEXT, "Model that scored the row."),
        ),
        key=("source", "series", "observed_at"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "detector_scores",
        "What each component said of the rows of anomalies.",
        (
            _SOURCE,
            _SERIES,
            _OBSERVED_AT,
            _always("detector", TEXT, "Component of the ensemble; `mahalanobis:cpu` is one metric's part in it."),
            Column("raw_score", NUMBER, "The component's own score, in its own unit."),
            Column("surprise", NUMBER, "The score calibrated: -log10 of its tail probability."),
            Column("share", NUMBER, "Part of the combined surprise that is this component's, 0 to 1."),
        ),
        key=("source", "series", "observed_at", "detector"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "rule_violations",
        "Buckets in which a business rule held.",
        (
            _SOURCE,
            _SERIES,
            _always("rule", TEXT, "Name of the rule, as in the YAML."),
            _OBSERVED_AT,
            Column("value", NUMBER, "Value that broke the rule."),
            Column("limit_value", NUMBER, "Limit that it broke, in the value's unit."),
            _SEVERITY,
            Column("message", TEXT, "The violation as a sentence."),
        ),
        key=("source", "series", "rule", "observed_at"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "record_anomalies",
        "Single records that are strange by themselves, for sources with `records` in their YAML; no others are kept.",
        (
            _SOURCE,
            _always("observed_at", TIME, "Time of the record itself, in UTC."),
            _always("_origin", TEXT, "Where the raw row came from, as in the raw table."),
            _always("_row", COUNT, "Number of the raw row in its origin, when it was judged."),
            Column("raw_score", NUMBER, "Surprise, -log10 of the share of usual records that are as strange, up to 40."),
            Column("anomaly_score", NUMBER, "1 - 10^-raw_score, from 0 (usual) to 1 (strange)."),
            Column("threshold", NUMBER, "Anomaly score from which the record is anomalous."),
            _SEVERITY,
            Column("contributions", NUMBER_MAP, "Share of each column in the surprise, 0 to 1."),
            Column("explanation", TEXT, "One line for people."),
            Column("record", JSON, "The record as it was read, column by column."),
            Column("model_id", TEXT, "Model that judged it, in record_models."),
            _RUN,
        ),
        key=("source", "_origin", "_row", "observed_at"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "record_scores",
        "Buckets in which single records were judged: how many, how many are strange, and the strangest of them.",
        (
            _SOURCE,
            _OBSERVED_AT,
            _always("record_count", COUNT, "Records that were judged."),
            _always("anomalous_count", COUNT, "Those of them that are in record_anomalies."),
            Column("raw_score", NUMBER, "Surprise of the strangest record."),
            Column("anomaly_score", NUMBER, "Anomaly score of the strangest record."),
            Column("threshold", NUMBER, "Anomaly score from which a record is anomalous."),
            Column.of_words("severity", Severity, before="The worst of its strange records: ", after="; null without any"),
            Column("contributions", NUMBER_MAP, "Share of each column in the surprise of its strange records, their mean."),
            Column("explanation", TEXT, "Why the strangest record is strange."),
            Column("model_id", TEXT, "Model that judged them, in record_models."),
        ),
        key=("source", "observed_at"),
        mode="window",
        time_column="observed_at",
        kept=Kept("scores", "observed_at"),
    ),
    TableSpec(
        "record_models",
        "Every model of single records and the rows it learnt from; the newest whose rows end before a record judges it.",
        (
            _SOURCE,
            _always("model_id", TEXT, "Id of the training."),
            _always("detector", TEXT, "Types of the detectors, joined by +."),
            Column("column_names", TEXTS, "Columns that records are judged by."),
            _always("learnt_from", TIME, "Start of the rows it learnt from."),
            _always("learnt_to", TIME, "End of the rows it learnt from, not included."),
            _always("first_to", TIME, "End of the rows that the source's first model learnt from, which are never judged."),
            Column("row_count", COUNT, "Rows it learnt from."),
            _always("learnt_at", TIME, "When, by the run's clock."),
            Column("rows_per_day", NUMBER, "Rows in a day of that time, which `records.false_alerts` is measured by."),
            Column("versions", JSON, "Versions of the libraries that made it."),
            Column("artefact", TEXT, "Folder of the model, relative to data/warehouse/models; only the newest five are kept."),
            Column("sha256", TEXT, "Hash of the artefact, verified at every load."),
            Column("format", TEXT, "How the artefact is stored."),
            Column("fingerprint", TEXT, "Columns, encodings and detectors that it was learnt under."),
            _RUN,
        ),
        key=("source", "model_id"),
        mode="append",
        time_column="learnt_at",
        kept=Kept("ledgers", "learnt_at"),
    ),
    TableSpec(
        "anomalies",
        "Intervals of anomalous rows: what detectors and rules flagged together, once.",
        (
            _SOURCE,
            _always("anomaly_id", TEXT, "Id of the anomaly, from source, series and start."),
            _SERIES,
            _METRIC,
            _DIMENSIONS,
            Column.of_words("anomaly_type", AnomalyType),
            _always("started_at", TIME, "Start of its first bucket."),
            _always("ended_at", TIME, "End of its last bucket."),
            Column("peak_at", TIME, "Start of its strangest bucket; the values below are of that bucket."),
            Column("point_count", COUNT, "Anomalous buckets in it."),
            Column("value", NUMBER, "Value at the peak."),
            Column("expected", NUMBER, "Expected value at the peak."),
            Column("lower", NUMBER, "Lower edge of the expected band at the peak."),
            Column("upper", NUMBER, "Upper edge of the expected band at the peak."),
            Column("deviation", NUMBER, "value - expected, in the metric's unit."),
            Column("deviation_percent", NUMBER, "(value - expected) / |expected| in percent, signed."),
            Column.of_words(
                "direction",
                Direction,
                {"spike": "above what was expected", "drop": "below it"},
                after="; null where nothing was expected",
            ),
            Column("extreme", TEXT, "highest or lowest in so many days, up to 28; null when it is neither."),
            Column("anomaly_score", NUMBER, "Highest anomaly score in it, 0 to 1; null when only rules flagged it."),
            _SEVERITY,
            Column("detectors", TEXTS, "Components that flagged it."),
            Column("rules", TEXTS, "Rules that it broke."),
            Column("contributions", NUMBER_MAP, "Share of each component in the surprise at the peak."),
            Column("slices", NUMBER_MAP, "For metrics with explain_by: share of the change of each value of a column, as region=EU."),
            Column("last_similar_at", TIME, "Start of the last incident of the series that went the same way, within 90 days."),
            Column("last_similar_seconds", NUMBER, "How long that one lasted."),
            Column("explanation", TEXT, "One line for people."),
            _RUN,
        ),
        key=("anomaly_id",),
        mode="window",
        time_column="started_at",
        kept=Kept("incidents", "ended_at"),
    ),
    TableSpec(
        "incident_events",
        "All that ever happened to incidents, by people and by runs; never changed.",
        (
            _SOURCE,
            _always("event_id", TEXT, "Id of the event."),
            _always("incident_id", TEXT, "Incident it belongs to."),
            Column.of_words("event", IncidentEvent, is_nullable=False),
            _CAUSE,
            Column("series", TEXT, "Series concerned; empty when the whole source is."),
            _SEVERITY,
            _always("happened_at", TIME, "When it happened, by the run's clock."),
            Column("by_whom", TEXT, "Person or part of SmartFlow that caused it."),
            Column("anomaly_ids", TEXTS, "Anomalies that it speaks of."),
            Column("payload", JSON, "What else belongs to the event."),
            _RUN,
        ),
        key=("event_id",),
        mode="append",
        time_column="happened_at",
        kept=Kept("incidents", "happened_at"),
    ),
    TableSpec(
        "incidents",
        "Where every incident stands now: the fold of its events.",
        (
            _SOURCE,
            _always("incident_id", TEXT, "Id of the incident, from source, series, cause and start."),
            _CAUSE,
            Column("series", TEXT, "Series concerned; empty when the whole source is."),
            Column("fingerprint", TEXT, "What makes two incidents the same matter: source, series and cause."),
            _SEVERITY,
            Column.of_words("state", IncidentStatus, is_nullable=False),
            _always("opened_at", TIME, "When it opened."),
            Column("last_seen_at", TIME, "End of the newest anomaly in it."),
            Column(
                "recovered_at", TIME, "When its own series had recovered, where others began with it: it is over when all are; else null."
            ),
            Column("resolved_at", TIME, "When it was resolved."),
            Column("resolved_reason", TEXT, "Why it was resolved."),
            Column("anomaly_count", COUNT, "Anomalies in it."),
            Column(
                "group_id",
                TEXT,
                "Incident that people were told of in its place: that of the silence it fell into, or the first that began with it.",
            ),
            Column("title", TEXT, "One line for the subject of a message."),
            Column("body", TEXT, "What is known, as text."),
        ),
        key=("incident_id",),
        mode="fold",
        time_column="opened_at",
        kept=Kept("incidents", "resolved_at"),
    ),
    TableSpec(
        "alert_sends",
        "Outbox and ledger of messages: every attempt, from planned to sent or failed.",
        (
            _SOURCE,
            _always("incident_id", TEXT, "Incident that the message is about."),
            Column.of_words("event", AlertEvent, is_nullable=False),
            _always("channel", TEXT, "Channel as named in data/channels.yaml."),
            _always("attempt", COUNT, "Number of the attempt, from 1."),
            Column.of_words("status", AlertStatus, is_nullable=False),
            Column("due_at", TIME, "Not before this time."),
            _always("happened_at", TIME, "When the row was written, by the run's clock."),
            Column("is_possible_repeat", TRUTH, "A claim before it had no end, so the message may have gone out twice."),
            Column("idempotency_key", TEXT, "Key in the message by which a receiver knows a repeat."),
            Column("error", TEXT, "Why the attempt failed or was skipped."),
            _RUN,
        ),
        key=("source", "incident_id", "event", "channel", "attempt", "status", "idempotency_key"),
        mode="append",
        time_column="happened_at",
        kept=Kept("incidents", "happened_at"),
    ),
    TableSpec(
        "detection_quality",
        "How well labelled anomalies were found, measured again when labels or scores have changed.",
        (
            _SOURCE,
            _always("series", TEXT, "Series that was measured; * is all of the source together."),
            _always("measured_at", TIME, "Clock of the run that measured; later than every measure of the source before it."),
            Column("from_at", TIME, "Start of the first bucket that was judged."),
            Column("to_at", TIME, "End of the last bucket that was judged."),
            Column(
                "precision", NUMBER, "Share of alarms that lie in or beside a labelled interval; a long false alarm counts several times."
            ),
            Column("recall", NUMBER, "Share of labelled intervals that were flagged."),
            Column("f1", NUMBER, "Harmonic mean of precision and recall."),
            Column("point_precision", NUMBER, "Share of flagged buckets that are labelled, each by itself."),
            Column("point_recall", NUMBER, "Share of labelled buckets that were flagged."),
            Column("point_f1", NUMBER, "Harmonic mean of point_precision and point_recall."),
            Column("roc_auc", NUMBER, "How often a labelled bucket has a higher raw score than another; of * the mean over series."),
            Column("pr_auc", NUMBER, "Average precision of the raw score; of * the mean over series that have labels."),
            Column("delay_seconds", NUMBER, "From the start of an interval to its first flagged bucket, median over the found ones."),
            Column("false_alerts_per_day", NUMBER, "False alerts for each day and series that was judged."),
            Column("label_count", COUNT, "Labelled intervals that were judged."),
            Column("labels_hash", TEXT, "Hash of the labels; other labels are measured at once."),
            _RUN,
        ),
        key=("source", "series", "measured_at"),
        mode="append",
        time_column="measured_at",
        kept=Kept("ledgers", "measured_at", newest_of=("series",)),
    ),
    TableSpec(
        "run_log",
        "One row for each closed run of a source.",
        (
            _SOURCE,
            _always("run_id", TEXT, "Dagster run."),
            Column("job", TEXT, "monitor_source (a run of several sources counts as it), train_source or the job that ran."),
            Column.of_words("status", RunStatus, {"killed": "its process died", "canceled": "somebody ended it"}),
            Column("reason", TEXT, "Why the run started: schedule, file, person, demo."),
            Column("as_of", TIME, "The run's clock."),
            _always("started_at", TIME, "When the run started."),
            Column("ended_at", TIME, "When the run ended."),
            Column("rows_in", COUNT, "Raw rows that were new or changed."),
            Column("rows_scored", COUNT, "Rows that were judged."),
            Column("anomaly_count", COUNT, "Anomalies found or extended."),
            Column("lag_seconds", NUMBER, "as_of minus the newest judged bucket's end, in seconds."),
            Column("seconds", NUMBER_MAP, "Seconds that each step took."),
            Column("error", TEXT, "What failed, in one line."),
        ),
        key=("source", "run_id"),
        mode="append",
        time_column="started_at",
        kept=Kept("ledgers", "started_at", newest_of=("job", "status")),
    ),
    TableSpec(
        "source_looks",
        "When the schedule looked at a source without a run and found nothing to do, and on what that rests. Of looks that asked for a run "
        "one after the other, for one reason, the first.",
        (
            _SOURCE,
            _always("looked_at", TIME, "The clock of the look."),
            Column.of_words("outcome", LookOutcome, {"run": "there is something to do"}, is_nullable=False),
            Column("reason", TEXT, "Why there was nothing to do, or why a run was asked for, in a few words."),
            Column("run_id", TEXT, "The last run that found nothing to do: the look compares with it. Null where a run was asked for."),
            Column("origin_signature", TEXT, "What the origin looked like from outside before that run read it."),
            Column("configuration_signature", TEXT, "Hash of the settings, and of the version, under which that run found nothing to do."),
            Column("asked_from", TIME, "From when on that run asked a server for rows; null for all, and for files."),
            Column("written_at", TIME, "The newest change of the source's tables before that run, of which it made none."),
            Column("decision_at", TIME, "From then on the clock alone may lead to another decision, so that a run is due."),
            Column("decision", TEXT, "What is due then, in a few words."),
        ),
        key=(),
        mode="append",
        time_column="looked_at",
        is_audited=False,
        kept=Kept("looks", "looked_at", newest_of=("outcome",)),
    ),
    TableSpec(
        "configurations",
        "What the YAML said of a source: a row for each change, from the first run on that came through with it, and when its file went.",
        (
            _SOURCE,
            Column("configuration", JSON, "Every key with its value, defaults included; secrets are references, ${NAME}. Null: not known."),
            _always("is_gone", TRUTH, "Its file was no longer there; what it said last stands beside it."),
            _always("held_from", TIME, "The clock of that run."),
            _RUN,
        ),
        key=(),
        mode="append",
        time_column="held_from",
        kept=Kept("ledgers", "held_from"),
    ),
    TableSpec(
        "prunings",
        "What was pruned of a source, and what is going to be: a row for each announcement and for each pruning that took something.",
        (
            _SOURCE,
            Column.of_words(
                "state", PruningState, {"announced": "it goes at due_at unless `retention:` says otherwise"}, is_nullable=False
            ),
            _always("happened_at", TIME, "When it was announced or done, by the clock of the pruning."),
            Column("due_at", TIME, "When what is announced goes; null for what is done."),
            _always("kept_from", JSON, "For each key of `retention:`, the time from which on its rows stay."),
            _always("row_counts", JSON, "Rows that go, or went, by table."),
            _RUN,
        ),
        key=(),
        mode="append",
        time_column="happened_at",
        kept=Kept("ledgers", "happened_at", newest_of=("state",)),
    ),
    TableSpec(
        "writes",
        "Every change of every table but `source_looks`, in order: the audit, and how late data finds what it touches.",
        (
            Column("source", TEXT, "Source whose rows were written; null when a write spans several."),
            _always("table_name", TEXT, "Table that was written; raw tables as raw.<source>."),
            Column.of_words(
                "operation",
                WriteOperation,
                {
                    "prune": "old rows went",
                    "seen": "upstream was looked at, nothing to write",
                    "left": "upstream is still to be looked at",
                },
                is_nullable=False,
            ),
            Column("from_at", TIME, "Earliest time touched; null for a delete of everything."),
            Column("to_at", TIME, "End of the times touched, not included."),
            _always("row_count", COUNT, "Rows written; for a delete, rows removed."),
            Column("fingerprint", TEXT, "Configuration of the source that the rows were made under."),
            _RUN,
            _always("written_at", TIME, "When; strictly later than every commit before it."),
        ),
        key=(),
        mode="append",
        time_column="written_at",
        kept=Kept("ledgers", "written_at"),
    ),
    TableSpec(
        "snapshot_info",
        "One row: which schema this file has, and when the published copy was made.",
        (
            Column("published_at", TIME, "When this copy was published; null in a warehouse that never was."),
            Column("run_id", TEXT, "Dagster run that published it."),
            _always("schema_version", COUNT, "Version of the tables."),
        ),
        key=(),
        mode="append",
        time_column="published_at",
    ),
)
TABLES: dict[str, TableSpec] = {spec.name: spec for spec in _ALL}


def raw_table(source: str) -> str:
    """Name of a source's raw table, as `writes` has it; `quoted()` makes it SQL, for a source may be called `order`."""
    if not SOURCE_NAME.fullmatch(source):
        remedy = "Use a letter, then up to 47 letters, digits and underscores, all lower case."
        raise WarehouseError(f"'{source}' cannot name a source", remedy=remedy)
    return f"raw.{source}"


def table_spec(name: str) -> TableSpec:
    """The declaration of a table; `WarehouseError` when there is none."""
    try:
        return TABLES[name]
    except KeyError:
        raise WarehouseError(f"there is no table {name}", remedy=f"The tables are {', '.join(TABLES)}.") from None
