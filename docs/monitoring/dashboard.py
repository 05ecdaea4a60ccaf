"""Write smartflow.dashboard.json, the Grafana dashboard of the metrics, from what stands here.

`python docs/monitoring/dashboard.py` writes it; with --check it writes nothing and ends with 1 when the file is not what it would write.
The panels are made with Grafana's typed SDK, so a key that Grafana does not know is an error here. The dashboard needs no recording
rule: it works with the figures alone, of a server or of the textfile collector.
"""

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
)

FILE = Path(__file__).with_name("smartflow.dashboard.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = 'instance=~"$instance"'
OF_SOURCES = f'{HERE}, source=~"$source"'
GREEN, YELLOW, RED, BLUE = "green", "#EAB839", "red", "blue"
Panel = stat.Panel | timeseries.Panel | statetimeline.Panel


def query(expression: str, legend: str = "") -> prometheus.Dataquery:
    """One expression, with the names of its series."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)


def limits(warning: float | None = None, critical: float | None = None) -> dashboard.ThresholdsConfig:
    """Green, yellow from `warning` on, red from `critical` on."""
    steps = [Threshold(color=GREEN, value=None)]
    steps += [Threshold(color=color, value=value) for color, value in ((YELLOW, warning), (RED, critical)) if value is not None]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def number(
    title: str, expression: str, thresholds: dashboard.ThresholdsConfig, *, unit: str = "short", description: str = ""
) -> stat.Panel:
    """The newest value, large, on the colour of how bad it is."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(query(expression).instant().ref_id("A"))
        .unit(unit)
        .thresholds(thresholds)
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("none")
        .height(4)
        .span(4)
    )


def lines(
    title: str, *queries: prometheus.Dataquery, unit: str = "short", description: str = "", is_stacked: bool = False, span: int = 12
) -> timeseries.Panel:
    """Values over time, with the newest ones in the legend."""
    panel = timeseries.Panel().title(title).description(description).datasource(SOURCE).unit(unit).min(0).height(8).span(span)
    for ref_id, each in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(each.range().ref_id(ref_id))
    legend = VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.RIGHT).calcs(["lastNotNull", "max"])
    panel.legend(legend.show_legend(True)).show_points(VisibilityMode.NEVER).fill_opacity(30 if is_stacked else 5)
    return panel.stacking(StackingConfig().mode(StackingMode.NORMAL)) if is_stacked else panel


def states(title: str, expression: str, legend: str, words: dict[str, tuple[str, str]], description: str) -> statetimeline.Panel:
    """A bar for each series, coloured by its value: `words` are value -> (word, colour)."""
    options = {value: ValueMappingResult(text=word, color=color, index=i) for i, (value, (word, color)) in enumerate(words.items())}
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .with_target(query(expression, legend).range().ref_id("A"))
        .mappings([ValueMap(options=options)])
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .show_value(VisibilityMode.NEVER)
        .merge_values(True)
        .height(8)
        .span(12)
    )


def rows() -> dict[str, list[Panel]]:
    """The panels, by row."""
    return {
        "Is all well?": [
            number("Critical incidents", f'sum(smartflow_incidents_open{{{HERE}, severity="critical"}})', limits(critical=1)),
            number("Last run failed", f"sum(smartflow_source_last_run_success{{{HERE}}} == bool 0)", limits(warning=1)),
            number("Feeds silent", f"sum(smartflow_source_silent{{{HERE}}})", limits(warning=1)),
            number("Messages not out", f'sum(smartflow_messages_waiting{{{HERE}, wait!="held"}})', limits(1, 10)),
            number(
                "Last tick of the daemon",
                f"max(time() - smartflow_heartbeat_timestamp_seconds{{{HERE}}})",
                limits(120, 300),
                unit="s",
                description="None where no daemon runs, or where it was stopped on purpose.",
            ),
            number(
                "Age of the published copy", f"max(time() - smartflow_published_timestamp_seconds{{{HERE}}})", limits(7200, 86400), unit="s"
            ),
        ],
        "Sources": [
            states(
                "Last run",
                f"smartflow_source_last_run_success{{{OF_SOURCES}}}",
                "{{source}}",
                {"1": ("success", GREEN), "0": ("failed", RED)},
                "Whether the last run of each source succeeded.",
            ),
            lines(
                "How old the newest row is",
                query(f"time() - smartflow_source_newest_row_timestamp_seconds{{{OF_SOURCES}}}", "{{source}}"),
                unit="s",
                description="A feed by the day is a day old at most; what is unusual for a feed opens an incident.",
            ),
            lines(
                "Lag of judging",
                query(f"smartflow_source_lag_seconds{{{OF_SOURCES}}}", "{{source}}"),
                unit="s",
                description="From the end of the newest judged bucket to the clock of the last run.",
            ),
            lines(
                "How long the last run took", query(f"smartflow_source_last_run_duration_seconds{{{OF_SOURCES}}}", "{{source}}"), unit="s"
            ),
        ],
        "Runs": [
            lines(
                "Runs in 24 hours",
                query(f"sum by (status) (smartflow_runs_last_day{{{OF_SOURCES}}})", "{{status}}"),
                is_stacked=True,
                span=8,
            ),
            lines(
                "Rows judged in 24 hours", query(f"smartflow_rows_scored_last_day{{{OF_SOURCES}}}", "{{source}}"), is_stacked=True, span=8
            ),
            lines(
                "Queue",
                query(f"sum(smartflow_sources_due{{{HERE}}})", "sources due"),
                query(f"sum(smartflow_sources_under_way{{{HERE}}})", "sources under way"),
                query(f"sum(smartflow_runs_under_way{{{HERE}}})", "runs under way"),
                span=8,
            ),
        ],
        "Anomalies and incidents": [
            lines(
                "Open incidents",
                query(f"sum by (severity) (smartflow_incidents_open{{{HERE}}})", "{{severity}}"),
                query(f"sum(smartflow_incidents_unacknowledged{{{HERE}}})", "of nobody"),
                query(f"sum(smartflow_incidents_snoozed{{{HERE}}})", "snoozed"),
                span=8,
            ),
            lines(
                "Open incidents by source",
                query(f"sum by (source) (smartflow_incidents_open{{{HERE}}}) > 0 or vector(0)", "{{source}}"),
                span=8,
            ),
            lines(
                "Anomalies in the newest 24 hours of data",
                query(f"sum by (source, severity) (smartflow_anomalies_last_day{{{OF_SOURCES}}})", "{{source}} {{severity}}"),
                is_stacked=True,
                span=8,
            ),
        ],
        "Messages": [
            lines(
                "In 24 hours",
                query(f"sum by (channel, status) (smartflow_messages_last_day{{{HERE}}})", "{{channel}} {{status}}"),
                is_stacked=True,
            ),
            lines(
                "Not out",
                query(f"sum by (channel, wait) (smartflow_messages_waiting{{{HERE}}})", "{{channel}} {{wait}}"),
                query(f"sum by (channel) (smartflow_messages_given_up{{{HERE}}})", "{{channel}} given up"),
            ),
        ],
        "Disk": [
            lines(
                "Warehouse",
                query(f"sum by (file) (smartflow_warehouse_size_bytes{{{HERE}}})", "{{file}}"),
                query(
                    f'sum(smartflow_warehouse_size_bytes{{{HERE}, file="published"}} * on (instance, job) smartflow_warehouse_free_ratio)',
                    "free",
                ),
                unit="bytes",
            ),
            lines("Free on the disk", query(f"smartflow_disk_free_bytes{{{HERE}}}", "{{instance}}"), unit="bytes"),
        ],
        "Server": [
            lines(
                "Requests a second",
                query(f"sum by (route) (rate(smartflow_http_requests_total{{{HERE}}}[$__rate_interval]))", "{{route}}"),
                unit="reqps",
                is_stacked=True,
            ),
            lines(
                "How long answers take",
                *(
                    query(
                        f"histogram_quantile({share}, sum by (le) "
                        f"(rate(smartflow_http_request_duration_seconds_bucket{{{HERE}}}[$__rate_interval])))",
                        name,
                    )
                    for share, name in ((0.5, "half"), (0.99, "99 %"))
                ),
                unit="s",
            ),
            lines(
                "Answers that are no success",
                query(
                    f'sum by (status) (rate(smartflow_http_requests_total{{{HERE}, status=~"4xx|5xx"}}[$__rate_interval]))', "{{status}}"
                ),
                unit="reqps",
                span=8,
            ),
            lines(
                "Open pages",
                query(f"sum(smartflow_http_stream_clients{{{HERE}}})", "streams"),
                query(f"sum(rate(smartflow_http_stream_events_total{{{HERE}}}[$__rate_interval]))", "events a second"),
                span=8,
            ),
            lines(
                "Memory of the server",
                query(f"process_resident_memory_bytes{{{HERE}}} and on (instance, job) smartflow_build_info", "{{instance}}"),
                unit="bytes",
                span=8,
            ),
        ],
    }


def built() -> str:
    """The dashboard as JSON."""
    made = (
        dashboard.Dashboard("SmartFlow")
        .uid("smartflow")
        .description("Written by docs/monitoring/dashboard.py; edit that, or a copy of this dashboard.")
        .tags(["smartflow"])
        .timezone("browser")
        .refresh("1m")
        .time("now-24h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(choice("instance", "Home", "label_values(smartflow_build_info, instance)"))
        .with_variable(choice("source", "Source", f"label_values(smartflow_source_silent{{{HERE}}}, source)"))
    )
    ids = itertools.count(1)
    for title, panels in rows().items():
        made.with_row(dashboard.Row(title).id(next(ids)))
        for panel in panels:
            made.with_panel(panel.id(next(ids)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def choice(name: str, label: str, values: str) -> dashboard.QueryVariable:
    """A list of label values to choose from; all of them at first."""
    everything = VariableOption(text="All", value="$__all", selected=True)
    variable = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(values).refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    return variable.multi(True).include_all(True).all_value(".*").current(everything)


def main(arguments: Sequence[str]) -> int:
    """Write the file, or with --check say whether it differs."""
    text = built()
    if FILE.exists() and FILE.read_text() == text:
        return 0
    if "--check" in arguments:
        sys.stderr.write(f"{FILE} is not what `python docs/monitoring/dashboard.py` writes\n")
        return 1
    FILE.write_text(text)
    sys.stdout.write(f"wrote {FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
