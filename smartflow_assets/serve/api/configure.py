"""What a source's YAML says of detection, rules and alerts, how far it can be slid, and changes of it."""

from contextlib import nullcontext, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from smartflow_assets.adapters.warehouse.vocabularies import AuditOutcome
from smartflow_assets.config.allowed_changes import BUILT_IN, OF_ALERTS
from smartflow_assets.config.configuration_edit import Edit, hash_of, proposed, source_file
from smartflow_assets.config.problems import InvalidFileError
from smartflow_assets.config.source import Source
from smartflow_assets.core.errors import SmartflowError
from smartflow_assets.core.severity import SEVERITIES
from smartflow_assets.serve.access.audit import note_request
from smartflow_assets.serve.access.caller import Caller, administers, reads, service_of
from smartflow_assets.serve.answers import as_json
from smartflow_assets.serve.api.asked import SourceName, known_source
from smartflow_assets.serve.api.preview import CHANGES, Changes
from smartflow_assets.serve.problem import of_error, responses
from smartflow_assets.serve.queries.ranges import value_ranges
from smartflow_assets.serve.sliders import sliders
from smartflow_assets.stages.configuration_changes import LostUpdate, write

router = APIRouter(tags=["configuration"])
_SHOWN = ("description", "tags", "sensitivity", "threshold", "direction", "ignore_small_changes", "scale", "ensemble", "detectors", "rules")


class ToConfigure(BaseModel):
    """Changes of a source's YAML."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"source": "web_traffic", "changes": CHANGES, "write": False}]},
    )
    source: str = Field(pattern="^[a-z][a-z0-9_]{0,47}$", description="The source.")
    changes: Changes
    write: bool = Field(default=False, description="Write it; else it is only checked and shown.")
    expected_hash: str | None = Field(
        default=None, max_length=64, description="`hash` of the file that the change is made for: 409 if it was changed."
    )


class Configured(BaseModel):
    """What a change does to the file."""

    diff: str
    written: bool
    hash: str = Field(description="Of the file as it is after this.", examples=["0a1b2c3d4e5f6071"])
    problems: list[str] = Field(description="What is wrong with the file as it would be; then nothing is written.")


class SliderBody(BaseModel):
    """One value that can be slid."""

    path: str = Field(examples=["rules.0.at_least"])
    title: str = Field(examples=["promo_surge: times the median"])
    value: float
    least: float
    largest: float
    step: float
    unit: str
    written: str = Field(description="How the number is written in the YAML: {} or {}s.", examples=["{}"])


class Configuration(BaseModel):
    """What may be changed of a source, as it stands."""

    source: str
    file: str = Field(examples=["web_traffic.yaml"])
    hash: str
    values: dict[str, Any] = Field(description="The values that hold, defaults included.")
    choices: dict[str, list[str]]
    sliders: list[SliderBody]


@router.get("/api/configuration/{source}", response_model=Configuration, responses=responses(404, 405))
def configuration(request: Request, caller: Annotated[Caller, Depends(reads)], source: SourceName) -> Response:
    """What may be changed of a source over HTTP: its values, what may be chosen, and sliders with ranges from its data."""
    service = service_of(request)
    catalogue = service.catalogue()
    known_source(catalogue, source)
    found, file = catalogue.source(source), source_file(service.settings, source)
    ranges = {}
    if service.published.generation:
        with service.published.snapshot() as snapshot:
            ranges = value_ranges(snapshot, source)
    told = {
        "source": source,
        "file": file.name,
        "hash": hash_of(file.read_text(encoding="utf-8-sig")),
        "values": _values(found),
        "choices": {
            "sensitivity": ["low", "medium", "high"],
            "direction": ["both", "spike", "drop"],
            "combine": ["mean", "vote", "any", "max"],
            "severities": list(SEVERITIES),
            "detectors": sorted(BUILT_IN["detectors"]),
            "rules": sorted(BUILT_IN["rules"]),
        },
        "sliders": sliders(found, ranges),
    }
    return Response(as_json(told), media_type="application/json")


@router.post("/api/configure", response_model=Configured, responses=responses(404, 405, 409, 413))
def configure(request: Request, caller: Annotated[Caller, Depends(administers)], asked: Annotated[ToConfigure, Body()]) -> Response:
    """Change detection, rules, alerts, description or tags of a source: checked as a whole, shown as a diff and, with `write`, written with
    its comments kept. What names a path, an address, SQL, a function or a channel answers 403, for every role."""
    service = service_of(request)
    catalogue = service.catalogue()
    known_source(catalogue, asked.source)
    audit = _Audit(request, caller, asked)
    try:
        edit = proposed(service.settings, catalogue, asked.source, asked.changes)
        if asked.expected_hash is not None and asked.expected_hash != edit.hash:
            raise LostUpdate(
                "the file was changed by somebody else meanwhile",
                source=asked.source,
                where=edit.file.name,
                remedy="Look at it, and try again.",
            )
    except InvalidFileError as error:
        audit.note("refused", detail=str(error))
        if asked.write:
            raise of_error(error) from None
        now = hash_of(source_file(service.settings, asked.source).read_text("utf-8-sig"))
        told = {"diff": "", "written": False, "hash": now, "problems": [str(each) for each in error.problems]}
        return Response(as_json(told), media_type="application/json")
    except SmartflowError as error:
        audit.note("refused", detail=str(error))
        raise of_error(error) from None
    if asked.write and edit.is_change:
        audit.note("done", edit)  # before the file is touched: no change without its row
        try:
            edit = write(service.settings, catalogue, asked.source, asked.changes, edit.hash)
        except BaseException as error:
            audit.note("failed", edit, detail=str(error))
            if isinstance(error, SmartflowError):
                raise of_error(error) from None
            raise
        service.forget_catalogue()
    is_written = asked.write and edit.is_change
    told = {"diff": edit.diff, "written": is_written, "hash": edit.hash_after if is_written else edit.hash, "problems": []}
    return Response(as_json(told), media_type="application/json")


class _Audit:
    """The rows of one request. What was only looked at leaves none; what was refused does."""

    def __init__(self, request: Request, caller: Caller, asked: ToConfigure) -> None:
        self._request, self._caller, self._asked = request, caller, asked

    def note(self, outcome: AuditOutcome, edit: Edit | None = None, detail: str = "") -> None:
        if not self._asked.write:
            return
        facts: dict[str, Any] = {} if edit is None else {"before": edit.values_before, "after": edit.values_after}
        facts |= {"source": self._asked.source, "target": ", ".join(self._asked.changes)[:200], "detail": detail}
        # what was refused is answered as such even where nobody could note it; what is done waits for its row
        with nullcontext() if outcome == "done" else suppress(SmartflowError):
            note_request(self._request, self._caller, "configure", outcome, **facts)


def _values(source: Source) -> dict[str, Any]:
    values = source.model_dump(mode="json", by_alias=True)
    metrics = [
        {"name": metric.name, "unit": metric.unit, "rules": written["rules"], **{key: written[key] for key in metric.overrides}}
        for metric, written in zip(source.metrics, values["metrics"], strict=True)
    ]
    return {key: values[key] for key in _SHOWN} | {"metrics": metrics, "alerts": {key: values["alerts"][key] for key in OF_ALERTS}}
