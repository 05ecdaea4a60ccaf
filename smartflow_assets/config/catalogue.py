"""All sources and all channels of a home, as their files say them now.

A file that cannot be used keeps its name, with what is wrong, so that its own run fails and nothing else does. config.source
says what one file may hold; what runs do with it is the stages' work.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smartflow_assets.adapters.channels import BUILT_IN, BaseChannel, Channel, FileChannel
from smartflow_assets.config.home import HomeSettings, read_home
from smartflow_assets.config.problems import InvalidFileError, dotted, place, problems_of
from smartflow_assets.config.readable_schema import ReadableSchema
from smartflow_assets.config.retention import Retention
from smartflow_assets.config.settings import Settings
from smartflow_assets.config.source import Source
from smartflow_assets.config.source_file import build_source, by_line, merged, source_schema
from smartflow_assets.config.yaml_file import Location, YamlFile, read_yaml
from smartflow_assets.core.errors import NotThereError, SourceError
from smartflow_assets.core.incidents.alert_policy import AlertPolicy
from smartflow_assets.core.incidents.event_log import GROUP
from smartflow_assets.core.incidents.routes import Route
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.nearest_name import did_you_mean

CHANNELS_FILE = "channels.yaml"  # the key of `channel_errors` when the file as a whole cannot be read
_CHANNEL: TypeAdapter[Any] = TypeAdapter(Channel)
_TYPES = tuple(kind.model_fields["type"].default for kind in BUILT_IN)
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Catalogue:
    """`sources` and `channels` that can be used, and why each of the others cannot, by name."""

    settings: Settings
    sources: Mapping[str, Source] = field(default_factory=dict)
    broken: Mapping[str, InvalidFileError] = field(default_factory=dict)
    channels: Mapping[str, BaseChannel] = field(default_factory=dict)
    channel_errors: Mapping[str, SourceError] = field(default_factory=dict)
    default_policy: AlertPolicy = field(default_factory=AlertPolicy)
    default_retention: Retention = field(default_factory=Retention)
    home: HomeSettings = field(default_factory=HomeSettings)

    @classmethod
    def load(cls, settings: Settings) -> "Catalogue":
        """Read everything; never raises for what a file says. A file is parsed again only when it has changed."""
        channels, channel_errors = _channels(settings.channels_file)
        defaults, defaults_error = defaults_of(settings)
        home, home_problem = _home(settings)
        shared = _told(defaults_error or home_problem)  # either breaks every source: none may run by half of what was said
        sources: dict[str, Source] = {}
        broken: dict[str, InvalidFileError] = {}
        for path in source_files(settings):
            try:
                if path.stem in sources or path.stem in broken:
                    sources.pop(path.stem, None)
                    what = "there is a .yaml and a .yml file of this name"
                    raise SourceError(what, source=path.stem, where=str(path), remedy="Keep one of the two.")
                file = read_yaml(path)
                sources[path.stem] = checked_source(file, defaults, channels, channel_errors, shared)
            except InvalidFileError as error:
                broken[path.stem] = error
            except SourceError as error:
                broken[path.stem] = InvalidFileError([error])
        policy, retention = _default_policy(defaults), _default_retention(defaults)
        return cls(settings, sources, broken, channels, channel_errors, policy, retention, home)

    @property
    def names(self) -> tuple[str, ...]:
        """Every source that has a file, broken or not, sorted."""
        return tuple(sorted({*self.sources, *self.broken}))

    def source(self, name: str) -> Source:
        """The source; its InvalidFileError when its file is broken, NotThereError when there is no such file."""
        if name in self.broken:
            raise self.broken[name]
        if name not in self.sources:
            known = f"There are {', '.join(self.names)}." if self.names else "There is none yet."
            hint = did_you_mean(name, self.names, known)
            raise NotThereError("there is no such source", source=name, where=str(self.settings.sources), remedy=hint)
        return self.sources[name]

    def alert_policy(self, name: str) -> AlertPolicy:
        """Who is told about a source; for one whose file is broken or gone, what the defaults say. Of what is of no source: data/home.yaml,
        and where it says nothing the defaults."""
        if name == OF_NO_SOURCE:
            said = self.home.alerts
            policy = self.default_policy
            if said is not None:
                policy = policy.model_copy(update={key: getattr(said, key) for key in said.model_fields_set})
            routes = (Route(cause=(GROUP,), to=()), *policy.routes)  # a group over sources is told where its members are
            return policy.model_copy(update={"routes": routes}).of_source(name, {}, None, "UTC")
        source = self.sources.get(name)
        return self.default_policy.of_source(name, {}, None, "UTC") if source is None else source.alert_policy


def source_files(settings: Settings) -> list[Path]:
    """The YAML files of data/sources, sorted by name."""
    found = [*settings.sources.glob("*.yaml"), *settings.sources.glob("*.yml")]
    return sorted(path for path in found if not path.name.startswith("."))


def has_source_file(settings: Settings, name: str) -> bool:
    """Whether data/sources has a file of this source.

    >>> has_source_file(Settings(Path("/nowhere")), "shop"), has_source_file(Settings(Path("/")), "../../etc/hosts")
    (False, False)
    """
    is_name = name == Path(name).name and not name.startswith(".")
    return is_name and any((settings.sources / f"{name}{ending}").is_file() for ending in (".yaml", ".yml"))


def checked_source(
    file: YamlFile,
    defaults: YamlFile | None,
    channels: Mapping[str, BaseChannel],
    channel_errors: Mapping[str, SourceError],
    problems: Sequence[SourceError] = (),
) -> Source:
    """The source of a file beside the others. InvalidFileError with all that is wrong, `problems` first."""
    source, found = None, list[SourceError]()
    try:
        source = build_source(file, defaults=defaults)
    except InvalidFileError as error:
        found += error.problems
    except Exception as error:  # such as a check in a reader of another package: the other files are read all the same
        found.append(_unforeseen(error, file.path.stem, file.path))
    found += cross_check(file, defaults, channels, channel_errors)
    if source is None or problems or found:
        raise InvalidFileError([*problems, *by_line(found, file)])
    return source


def cross_check(
    file: YamlFile, defaults: YamlFile | None, channels: Mapping[str, BaseChannel], channel_errors: Mapping[str, SourceError]
) -> list[SourceError]:
    """What only shows beside other files: a name that is not the file's, a channel that nobody defined."""
    files, name = (file,) if defaults is None else (file, defaults), file.path.stem
    values, problems = merged(defaults.values if defaults else {}, file.values), list[SourceError]()
    if isinstance(said := values.get("name"), str) and said != name:
        problems.append(
            SourceError(
                f"`name: {said}` is not the name of the file",
                source=name,
                where=place(files, ("name",)),
                remedy=f"Write `name: {name}`, or rename the file to {said}.yaml.",
            )
        )
    for key, path, channel in _named_channels(values.get("alerts")):
        if channel not in channels and channel not in channel_errors and CHANNELS_FILE not in channel_errors:
            hint = did_you_mean(channel, channels, f"data/channels.yaml has {', '.join(channels)}.")
            where = place(files, path)
            problems.append(
                SourceError(f"`{key}`: there is no channel {channel or '(an empty name)'}", source=name, where=where, remedy=hint)
            )
    return problems


def _named_channels(alerts: Any) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
    """Every channel that `alerts` names: the key in words, its place, and the name."""
    routes = alerts.get("routes") if isinstance(alerts, Mapping) else None
    told: list[tuple[tuple[str | int, ...], Any]] = []
    if isinstance(alerts, Mapping):
        told.append((("alerts", "to"), alerts.get("to")))
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if isinstance(route, Mapping):
            told.append((("alerts", "routes", index, "to"), route.get("to")))
    for path, names in told:
        key = dotted(path)
        if isinstance(names, str):
            yield key, path, names
        for place_of, channel in enumerate(names if isinstance(names, list) else ()):
            if isinstance(channel, str):
                yield key, (*path, place_of), channel


def _unforeseen(error: Exception, source: str, path: Path) -> SourceError:
    reason = next(iter(str(error).splitlines()), "")[:200]
    return SourceError(f"the file cannot be used ({type(error).__name__}: {reason})", source=source, where=str(path))


def json_schema() -> dict[str, Any]:
    """The schema of a source file, for data/sources/source.schema.json."""
    return source_schema()


@lru_cache(maxsize=1)
def channel_schema() -> dict[str, Any]:
    """The schema of one channel of data/channels.yaml."""
    return _CHANNEL.json_schema(schema_generator=ReadableSchema)


def defaults_of(settings: Settings) -> tuple[YamlFile | None, SourceError | None]:
    """The defaults of a home, if it has any, or why they cannot be read."""
    if not settings.defaults_file.exists():
        return None, None
    try:
        return read_yaml(settings.defaults_file), None
    except SourceError as error:
        return None, error


def home_error(settings: Settings) -> SourceError | None:
    """Why the settings of the home cannot be used, if so; an InvalidFileError holds each problem."""
    return _home(settings)[1]


def _home(settings: Settings) -> tuple[HomeSettings, SourceError | None]:
    try:
        return read_home(settings), None
    except SourceError as error:
        return HomeSettings(), error


def unknown_channels_of_home(catalogue: Catalogue) -> list[SourceError]:
    """Channels that data/home.yaml names and nobody defined. They break no source: their messages wait, and say so."""
    if CHANNELS_FILE in catalogue.channel_errors or catalogue.home.alerts is None:
        return []
    file, known = read_yaml(catalogue.settings.home_file), {*catalogue.channels, *catalogue.channel_errors}
    return [
        SourceError(
            f"`{key}`: there is no channel {channel or '(an empty name)'}",
            source="home",
            where=place((file,), path),
            remedy=did_you_mean(channel, catalogue.channels, f"data/channels.yaml has {', '.join(catalogue.channels)}."),
        )
        for key, path, channel in _named_channels(file.values.get("alerts"))
        if channel not in known
    ]


def _told(error: SourceError | None) -> Sequence[SourceError]:
    """The problems that an error holds, or itself; none for no error."""
    return error.problems if isinstance(error, InvalidFileError) else () if error is None else (error,)


def _default_policy(defaults: YamlFile | None) -> AlertPolicy:
    """What the defaults say of alerts. Where they cannot be used every source is broken, and the file channel hears of it."""
    try:
        return AlertPolicy.model_validate({"to": ("file",), **(defaults.values.get("alerts") or {} if defaults else {})})
    except (ValidationError, TypeError):
        return AlertPolicy(to=("file",))


def _default_retention(defaults: YamlFile | None) -> Retention:
    """What the defaults say of a source that has no file any more; all stays where they cannot be used."""
    try:
        return Retention.model_validate((defaults.values.get("retention") if defaults else None) or {})
    except (ValidationError, TypeError):
        return Retention.model_validate("never")


def _channels(path: Path) -> tuple[dict[str, BaseChannel], dict[str, SourceError]]:
    """The channels that can be used, and why others cannot. The channel `file` needs no entry, so it is always there."""
    if not path.exists():
        return {"file": FileChannel()}, {}
    try:
        file = read_yaml(path)
    except SourceError as error:
        return {"file": FileChannel()}, {CHANNELS_FILE: error}
    channels: dict[str, BaseChannel] = {} if "file" in file.values else {"file": FileChannel()}
    errors: dict[str, SourceError] = {}
    for name, values in file.values.items():
        if wrong := wrong_channel_name(name):
            where = f"{path}, line {file.line((name,))}"
            errors[name] = SourceError(f"channel {name!r}: {wrong}", source="channels", where=where, remedy="Call it ops_mail, say.")
            continue
        if not isinstance(values, Mapping):  # what stands there may be a secret
            where, kind = f"{path}, line {file.line((name,))}", values if values in _TYPES else "file"
            what = f"channel {name}: what it is must be keys with values"
            errors[name] = SourceError(what, source="channels", where=where, remedy=f"Write {name}: {{type: {kind}}}.")
            continue
        try:
            channels[name] = _CHANNEL.validate_python(values)
        except ValidationError as error:
            errors[name] = InvalidFileError(_channel_problems(error, name, file, values))
        except Exception as error:  # what it says may quote a value, and so a secret
            what = f"channel {name}: it cannot be used ({type(error).__name__})"
            errors[name] = SourceError(what, source="channels", where=f"{path}, line {file.line((name,))}")
    return channels, errors


def wrong_channel_name(name: object) -> str:
    """Why a channel cannot be called so; empty where it can. Names stand in `alerts.to`, in causes that routes ask for, and in files.

    >>> wrong_channel_name("ops_mail"), wrong_channel_name("Ops (night)"), bool(wrong_channel_name("*")), bool(wrong_channel_name(""))
    ('', '', True, True)
    """
    if not isinstance(name, str):
        return "a name is a text"
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        return f"a name is one line of 1 to {_LONGEST_NAME} letters, without blanks around it"
    return "* ? [ ] stand for other names in routes, so no name holds one" if any(sign in name for sign in "*?[]") else ""


def _is_hidden(values: Any) -> Callable[[Location], bool]:
    """Whether what stands at a place of a channel may be a secret, so that it is not repeated: all that is not known to be none."""
    named = values.get("type") if isinstance(values, Mapping) else None
    kind = next((kind for kind in BUILT_IN if kind.model_fields["type"].default == named), None)

    def hidden(location: Location) -> bool:
        known = (kind or BaseChannel).model_fields.get(str(location[0])) if location else None
        return known is None or not known.repr

    return hidden


def _channel_problems(error: ValidationError, name: str, file: YamlFile, values: Any) -> Sequence[SourceError]:
    """A value may be a secret that somebody wrote down: it is not repeated."""
    found = problems_of(
        error, name="channels", files=(file,), values=values, schema=channel_schema(), at=(name,), is_secret=_is_hidden(values)
    )
    return [
        SourceError(f"channel {name}: {problem.what}", source="channels", where=problem.where, remedy=problem.remedy) for problem in found
    ]
