"""Write the references of this folder from what they describe: the models of the YAML, the tables, the commands, the metrics.

`python docs/generate.py` writes yaml-reference.md, data-dictionary.md, cli-reference.md and metrics.md; with --check it writes nothing
and ends with 1 when one of them is not what it would write. The words are those of the models: a description is mended there.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import typer

from smartflow_assets.adapters.warehouse.marts import MARTS
from smartflow_assets.adapters.warehouse.tables import RAW_COLUMNS, TABLES
from smartflow_assets.cli import app
from smartflow_assets.config.catalogue import channel_schema
from smartflow_assets.config.home import home_schema
from smartflow_assets.config.source import DETECTION_KEYS
from smartflow_assets.config.source_file import source_schema
from smartflow_assets.serve.metrics.declarations import GROUPS, LABEL_VALUES, MOST_CHANNELS, MOST_SOURCES, OTHER

FOLDER = Path(__file__).parent
NOTE = "<!-- Written by `python docs/generate.py`; edit the models, not this page. -->\n"
UNIONS = {  # the keys that hold one of several types, and what a type is called there
    "read": "Readers: `read.type`",
    "rules": "Rules: `rules[].type`",
    "detectors": "Detectors: `detectors[].type`",
    "records.detectors": "Detectors of single records: `records.detectors[].type`",
    "drift.tests": "Drift tests: `drift.tests[].type`",
    "remediate.do": "Actions: `remediate[].do.type`",
    "domain": "Domains of the reader `synthetic`: `read.domain`",
}
_MODELS = {  # the model of a key before a dot
    "records": "Records",
    "drift": "DriftSettings",
    "profile": "ProfileSettings",
    "remediate": "Remedy",
}
LIMITS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
WRITTEN = {
    "window": "by window of time: what is calculated anew takes the place of what was there",
    "origin": "by origin: a file that is read again replaces its own rows",
    "append": "by adding only",
    "fold": "anew from the events",
}


def yaml_reference() -> str:
    """Every key of data/sources/*.yaml, data/defaults.yaml, data/home.yaml and data/channels.yaml."""
    return "\n".join([NOTE, *_yaml_lines()]) + "\n"


def _yaml_lines() -> Iterator[str]:
    sources, channels = source_schema(), channel_schema()
    yield "# YAML reference\n"
    yield (
        "A source is one file, `data/sources/NAME.yaml`; only `name` and `read` are required. `data/defaults.yaml` may hold any of "
        "these keys for all sources; the source's own key wins. `data/channels.yaml` names the [channels](#channels).\n"
    )
    yield (
        "A **duration** is written `5min`, `1h` or `7 days`. A **secret** is never written: write `${NAME}`, and set NAME in the "
        "environment. An unknown key is refused, with the nearest known one. `smartflow validate` checks all files; "
        "`smartflow show SOURCE --resolved` prints the keys that hold; `smartflow plan` says what a change will do.\n"
    )
    yield "For a first source, read [your own source](own-source.md).\n"
    yield "## A source\n"
    own = [key for key in sources["properties"] if key not in DETECTION_KEYS]
    yield from _fields({key: sources["properties"][key] for key in own}, sources, sources["required"])
    yield "\n### How values are judged\n"
    yield "These keys stand in a source, or in one of its `metrics`, where they hold for that metric alone.\n"
    yield from _fields({key: sources["properties"][key] for key in DETECTION_KEYS}, sources)
    members = {key: _members(_find(sources, key)) for key in UNIONS}
    in_unions = {name for names in members.values() for name in names}
    for name, written in sources["$defs"].items():
        model = next((one for one in (written, *written.get("anyOf", ())) if "properties" in one), {})  # a word or a mapping
        if name not in in_unions and model:
            yield f"\n## {_title(name, sources)}\n\n{_text(model)}\n"
            fields = {key: field for key, field in model["properties"].items() if name != "Metric" or key not in DETECTION_KEYS}
            yield from _fields(fields, sources, model.get("required", ()))
            if name == "Metric":
                yield "\nAnd every key of [how values are judged](#how-values-are-judged)."
    for key, title in UNIONS.items():
        yield f"\n## {title}\n"
        yield from _union([sources["$defs"][name] for name in members[key]], sources)
    yield "\n## The home\n"
    yield "`data/home.yaml` holds what is said of the home as a whole. It may be missing.\n"
    yield from _fields(home_schema()["properties"], home_schema())
    yield "\n## Channels\n"
    yield "`data/channels.yaml` is a mapping of names to channels; a source lists the names in `alerts.to`. See [webhooks](webhooks.md).\n"
    yield from _union([channels["$defs"][name] for name in _members(channels)], channels)
    for name, model in channels["$defs"].items():
        if name not in _members(channels) and "properties" in model:
            yield f"\n### {_title(name, channels)}\n\n{_text(model)}\n"
            yield from _fields(model["properties"], channels, model.get("required", ()))


def _union(models: Sequence[dict[str, Any]], schema: Mapping[str, Any]) -> Iterator[str]:
    """What all types share, then each type with its own keys."""
    first, *others = models
    shared = {
        key: field
        for key, field in first["properties"].items()
        if key != "type" and all(other["properties"].get(key) == field for other in others)
    }
    if shared:
        yield "Each type takes\n"
        yield from _fields(shared, schema, first.get("required", ()))
        yield ""
    for model in models:
        yield f"### {model['properties']['type']['const']}\n\n{_text(model)}\n"
        own = {key: field for key, field in model["properties"].items() if key != "type" and key not in shared}
        if own:
            yield from _fields(own, schema, model.get("required", ()))
            yield ""


def _fields(fields: Mapping[str, Any], schema: Mapping[str, Any], required: Sequence[str] = ()) -> Iterator[str]:
    yield "| key | type | default | what it says |"
    yield "|---|---|---|---|"
    for key, field in fields.items():
        default = "**required**" if key in required else _default(field, schema)
        examples = [] if _type(field, schema) == "duration" else [f"`{_flow(example)}`" for example in field.get("examples", ())]
        shown = f" Example{'s' if len(examples) > 1 else ''}: {', '.join(examples)}." if examples else ""
        yield _row(f"`{key}`", _type(field, schema), default, _sentence(field.get("description", "")) + shown)


def _default(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    value = field.get("default")
    if isinstance(value, dict) and _references(field):
        return "its defaults"
    return "" if value in (None, "", [], {}) else f"`{_flow(value)}`"


def _type(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        model = schema["$defs"][name]
        if "properties" not in model:
            return _type(model, schema)
        return f"[{name.rpartition('__')[2]}](#{_anchor(_title(name, schema))})"  # two models of one name bear their modules in the schema
    if "oneOf" in field:
        key = next(key for key, title in UNIONS.items() if _members(field) == _members(_find(schema, key)))
        return f"[one of {len(field['oneOf'])} types](#{_anchor(UNIONS[key])})"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_type(one, schema) for one in field["anyOf"] if one.get("type") != "null"))
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    match field.get("type"):
        case "array" if "prefixItems" in field:
            return f"list of {', '.join(_type(item, schema) for item in field['prefixItems'])}"
        case "array":
            return f"list of {_type(field['items'], schema)}" if field.get("items") else "list"
        case "object":
            inner = field.get("additionalProperties")
            return f"mapping to {_type(inner, schema)}" if isinstance(inner, dict) and inner else "mapping"
        case "string":
            return "duration" if "\\d+(\\.\\d+)?\\s*[A-Za-z]" in field.get("pattern", "") else "text"
        case "integer" | "number":
            limits = [f"{sign} {_flow(field[key])}" for key, sign in LIMITS.items() if key in field]
            return " ".join([("whole number" if field["type"] == "integer" else "number"), " and ".join(limits)]).strip()
        case "boolean":
            return "`true` or `false`"
    return "any value"


def _title(name: str, schema: Mapping[str, Any]) -> str:
    """A part of a source is called by the keys that hold it."""
    models = (schema, *schema["$defs"].values())
    keys = {key for model in models for key, field in model.get("properties", {}).items() if f"'#/$defs/{name}'" in str(field)}
    return " and ".join(f"`{key}`" for key in sorted(keys))


def _find(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The field that holds a union, wherever it is; `records.detectors` is that of the model Records."""
    *outer, key = key.split(".")
    models = [schema["$defs"][_MODELS[part]] for part in outer] or [schema, *schema["$defs"].values()]
    field = next((model["properties"][key] for model in models if key in model.get("properties", {})), {})
    while "oneOf" not in field and field:
        field = field.get("items") or next((one for one in field.get("anyOf", ()) if "oneOf" in one or "items" in one), {})
    return field


def _members(union: Mapping[str, Any]) -> list[str]:
    return [one["$ref"].rpartition("/")[2] for one in union.get("oneOf", ())]


def _references(field: Mapping[str, Any]) -> bool:
    return "$ref" in field or any("$ref" in one for one in field.get("anyOf", ()))


def _text(model: Mapping[str, Any]) -> str:
    """The docstring of a model without its doctest."""
    paragraphs = model.get("description", "").partition(">>>")[0].strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def data_dictionary() -> str:
    """Every table, view and column of the warehouse."""
    return "\n".join([NOTE, *_dictionary_lines()]) + "\n"


def _dictionary_lines() -> Iterator[str]:
    yield "# Data dictionary\n"
    yield (
        "The tables of `data/warehouse/analyst.duckdb`, the copy that is replaced after each run. Times are in UTC. How to read it: "
        "[for analysts](analysts.md). The file says the same of itself: `FROM duckdb_tables()`, `FROM duckdb_columns()`.\n"
    )
    yield "Views to start from: " + ", ".join(f"[{name}](#{_anchor(name)})" for name in MARTS) + ".\n"
    yield "Tables: " + ", ".join(f"[{name}](#{_anchor(name)})" for name in ("raw.SOURCE", *TABLES)) + ".\n"
    columns = _mart_columns()
    for mart in MARTS.values():
        yield f"## {mart.name}\n\n{mart.description}\n\n```sql\n{mart.example}\n```\n"
        yield from _table(("column", "type"), ((f"`{name}`", kind) for name, kind in columns[mart.name]))
        yield ""
    yield "## raw.SOURCE\n"
    yield "One table for each source, named after it: the columns of the feed as they were read, and\n"
    yield from _columns(RAW_COLUMNS)
    for table in TABLES.values():
        yield f"\n## {table.name}\n\n{table.description}\n"
        key = f"Unique: {', '.join(f'`{name}`' for name in table.key)}. " if table.key else ""
        more = " Further columns come as they are needed." if table.is_open else ""
        yield f"{key}Written {WRITTEN[table.mode]}.{more}\n"
        yield from _columns(table.columns)


def _columns(columns: Sequence[Any]) -> Iterator[str]:
    rows = ((f"`{column.name}`", column.type, "" if column.is_nullable else "never", column.description) for column in columns)
    yield from _table(("column", "type", "null", "what it says"), rows)


def _mart_columns() -> dict[str, list[tuple[str, str]]]:
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA marts")
        for table in TABLES.values():
            connection.execute(table.ddl())
        for mart in MARTS.values():
            for statement in mart.statements():
                connection.execute(statement)
        return {name: [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {name}").fetchall()] for name in MARTS}


def cli_reference() -> str:
    """Every command with its arguments, options and examples."""
    return "\n".join([NOTE, *_cli_lines()]) + "\n"


def _cli_lines() -> Iterator[str]:
    commands: dict[str, Any] = {}
    for name, command in getattr(typer.main.get_command(app), "commands").items():  # noqa: B009 (typer calls it a command)
        commands |= {f"{name} {verb}": inner for verb, inner in getattr(command, "commands", {}).items()} or {name: command}
    yield "# Command line\n"
    yield (
        "`SMARTFLOW_HOME` names the folder that holds `data/`; without it, the current folder. Results go to stdout, talk and errors "
        "to stderr. Each command takes `--help`, and `-v` to say more and to show the traceback of an error.\n"
    )
    yield "Exit codes: 0 done, 1 something failed or problems were found, 2 the command line is wrong, 130 interrupted.\n"
    first = ((f"[{name}](#{_anchor(name)})", _paragraphs(command.help)[0]) for name, command in commands.items())
    yield from _table(("command", "what it does"), first)
    for name, command in commands.items():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option" and each.name != "verbose"]
        usage = " ".join(["smartflow", name, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)])
        yield f"\n## {name}\n\n`{usage}`\n"
        yield "\n\n".join(_paragraphs(command.help)) + "\n"
        if rows := [(f"`{_usage(each)}`", "", each.help) for each in arguments] + [_option(each) for each in options]:
            yield from _table(("argument or option", "default", "what it says"), rows)
        examples = [line.strip().replace("\\[", "[") for line in (command.epilog or "").splitlines()[1:]]
        yield "\nExamples:\n\n```text\n" + "\n".join(examples) + "\n```"


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")]


def _usage(argument: Any) -> str:
    many = "..." if argument.nargs == -1 else ""
    name = argument.metavar or argument.name.upper()
    return f"{name}{many}" if argument.required else f"[{name}]{many}"


def _option(option: Any) -> tuple[str, str, str]:
    value = "" if option.is_flag else f" {option.metavar or _kind(option)}"
    names = ", ".join(f"`{name}{value}`" for name in option.opts)
    default = getattr(option.default, "value", option.default)
    shown = f"`{default}`" if option.show_default and not option.is_flag and default not in (None, "") else ""
    many = " May be given several times." if option.multiple else ""
    return names, "**required**" if option.required else shown, f"{option.help}{many}"


def _kind(option: Any) -> str:
    """The values of an enumeration, else the type."""
    annotation = option.type_descriptor.annotation
    return "|".join(each.value for each in annotation) if hasattr(annotation, "__members__") else annotation.__name__.upper()


def _table(head: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(*head)
    yield "|" + "---|" * len(head)
    yield from (_row(*row) for row in rows)


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join((cell or "").split()).replace("|", "\\|") for cell in cells) + " |"


def _sentence(text: str) -> str:
    """Descriptions with and without a full stop alike."""
    return text if not text or text.endswith((".", "…")) else f"{text}."


def _flow(value: Any) -> str:
    """A value as YAML writes it in one line."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items() if inner is not None) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_flow, value)) + "]"
        case _:
            return str(value)


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def metrics_reference() -> str:
    """Every metric with its kind, unit, labels and meaning."""
    return "\n".join([NOTE, *_metrics_lines()]) + "\n"


def _metrics_lines() -> Iterator[str]:
    yield "# Metrics\n"
    yield (
        "What `/metrics` of `smartflow serve` and `smartflow metrics` say of a home. How to have them collected, the alert rules and the "
        "dashboard: [monitoring](monitoring.md).\n"
    )
    yield (
        "Only what the server counts itself is a counter. What comes from a table is a gauge of what stands there now, or of the last "
        "day: a table is pruned, and `rate()` would take the rows that went for a restart and count all others as new. A moment is told "
        "as seconds since 1970: `time() - x` is how long ago it was.\n"
    )
    yield (
        f"At most {MOST_SOURCES} sources and {MOST_CHANNELS} channels have series of their own, the first by name; those of the others "
        f"become one, `{OTHER}`: counts are summed, of the rest it has the worst.\n"
    )
    for title, metrics in GROUPS.items():
        yield f"## {title}\n"
        rows = ((f"`{each.name}`", each.kind, each.unit, ", ".join(f"`{label}`" for label in each.labels), each.help) for each in metrics)
        yield from _table(("metric", "kind", "unit", "labels", "what it says"), rows)
        yield ""
    yield "With them come `process_…`: CPU, memory, open files of the server. `smartflow metrics` has none of this group.\n"
    yield "## Labels\n"
    yield from _table(("label", "values"), ((f"`{label}`", said) for label, said in LABEL_VALUES.items()))


PAGES = {
    "yaml-reference.md": yaml_reference,
    "data-dictionary.md": data_dictionary,
    "cli-reference.md": cli_reference,
    "metrics.md": metrics_reference,
}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with --check name those that differ."""
    different = [name for name, page in PAGES.items() if not (FOLDER / name).exists() or (FOLDER / name).read_text() != page()]
    if "--check" in arguments:
        for name in different:
            sys.stderr.write(f"docs/{name} is not what `python docs/generate.py` writes\n")
        return 1 if different else 0
    for name in different:
        (FOLDER / name).write_text(PAGES[name]())
        sys.stdout.write(f"wrote docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
