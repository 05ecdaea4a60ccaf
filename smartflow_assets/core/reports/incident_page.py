"""What the page of an incident says: how bad it is, the picture, why, what changed before it, what has happened since, who was told.

Facts in, a document out. They are read by `stages.incident_pages`; each list is bounded here, and says how much it left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.reports.document import Cell, Code, Document, Heading, Link, Paragraph, Part, Picture, Table, Terms
from smartflow_assets.core.text_format import contributor

MOST_ROWS = 200
"""So many rows of a table are shown."""
MOST_REASONS = 10
"""Of so many members of a group it is said why they are strange."""
_OWN_PLACE = ("Series", "Rules", "Type", "Found by", "Incident", "Runbook", "Dagster", "Next")  # of a message's lines


@dataclass(frozen=True)
class IncidentFacts:
    """What is known of an incident, its times in words already. `content` is what a message would say of it now.

    `changes`: when, what; `timeline`: when, event, who, severity, note; `deliveries`: when, event, channel, status, attempt, error;
    `comments`: when, who, what; `members`: series, severity, state, title, before them the source where there are several, and
    `members_called` what they are; `reasons`: of a group over sources who and why, the likely root first; `steps` and `sql` are lines to be
    copied.
    """

    incident_id: str
    content: Content
    state: str
    shown_at: str
    picture: bytes | None = None
    changes: Sequence[tuple[str, str]] = ()
    changes_asked: bool = True
    timeline: Sequence[Sequence[str]] = ()
    deliveries: Sequence[Sequence[str]] = ()
    untold: str = ""
    unowned: str = ""
    comments: Sequence[Sequence[str]] = ()
    members: Sequence[Sequence[Cell]] = ()
    members_called: str = ""
    reasons: Sequence[tuple[str, str]] = ()
    links: Sequence[Link] = ()
    steps: Sequence[str] = ()
    sql: str = field(default="", repr=False)


def incident_document(facts: IncidentFacts) -> Document:
    """The page of an incident."""
    content = facts.content
    parts: list[Part] = [_summary(facts)]
    if facts.picture is not None:
        what = f"the first of {facts.members_called}" if facts.members else "the series and its usual range"
        parts.append(Picture(facts.picture, f"{content.headline}: {what} around the incident"))
    if facts.members:
        columns = ["source", "series", "severity", "state", "what"][-len(facts.members[0]) :]
        parts += [Heading(f"All {facts.members_called}"), *_table(columns, facts.members)]
    parts += _why(content, facts.reasons)
    if facts.changes_asked:
        parts.append(Heading("What changed before it"))
        parts += _table(["when", "what"], facts.changes) or [Paragraph("Nothing that is written down: no setting, column, model or load.")]
    if facts.steps:
        parts += [Heading("What to do"), Code(facts.steps)]
    parts += [Heading("Comments"), *_table(["when", "who", "what"], facts.comments)] if facts.comments else []
    parts += [Heading("Timeline"), *_table(["when", "event", "who", "severity", "note"], facts.timeline)]
    parts.append(Heading("Who was told"))
    parts += _table(["when", "of", "channel", "status", "attempt", "error"], facts.deliveries) or [Paragraph(facts.untold or "Nobody.")]
    if facts.sql:
        parts += [Heading("Its data"), Code([facts.sql])]
    parts.append(Paragraph(f"Incident {facts.incident_id}, as it stood on {facts.shown_at}."))
    return Document(title=content.headline, parts=parts, kicker=f"{content.kicker}".strip(), tone=content.tone)


def _summary(facts: IncidentFacts) -> Terms:
    """Who answers for it, since when, how bad; the lines of a message, and where to read on."""
    lines = [line for line in facts.content.lines if line.label not in _OWN_PLACE or (line.label == "Series" and not facts.members)]
    said: list[tuple[str, Sequence[Cell]]] = [("State", [facts.state]), *((line.label, line.texts) for line in lines)]
    if facts.unowned and not any(line.label == "Owner" for line in lines):
        said.append(("Owner", [facts.unowned]))
    return Terms([*said, *(((link.address == link.text and "Runbook") or "Dagster", [link]) for link in facts.links)])


def _why(content: Content, reasons: Sequence[tuple[str, str]]) -> list[Part]:
    """Kind, rules, and the shares of detectors and slices; of a group over sources what is known of each member."""
    known = content.facts
    said = {line.label: line for line in content.lines}
    rows: list[tuple[str, Sequence[Cell]]] = [(label, said[label].texts) for label in ("Type", "Rules") if label in said]
    detectors = _shares({contributor(name): share for name, share in _mapping(known["contributions"]).items()})
    if detectors:
        rows.append(("Found by", [f"{detectors} of the surprise"]))
    elif "Found by" in said:
        rows.append(("Found by", said["Found by"].texts))
    if slices := _shares(_mapping(known["slices"])):
        rows.append(("Whose rows", [f"{slices} of the change"]))
    rows += [(who, [why]) for who, why in reasons[:MOST_REASONS]]
    rows += [("", [f"and {left:,} more"])] if (left := len(reasons) - MOST_REASONS) > 0 else []
    return [Heading("Why it counts as strange"), Terms(rows)] if rows else []


def _shares(shares: Mapping[str, float]) -> str:
    worst = sorted(shares.items(), key=lambda pair: -abs(pair[1]))
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in worst)


def _mapping(value: object) -> Mapping[str, float]:
    if not isinstance(value, Mapping):
        return {}
    return {name: share for name, share in cast("Mapping[str, float | None]", value).items() if share is not None}


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, numbers: Sequence[int] = ()) -> list[Part]:
    """A table of the first rows, and how many more there are; nothing for no row."""
    left = len(rows) - MOST_ROWS
    more: list[Part] = [Paragraph(f"and {left:,} more")] if left > 0 else []
    return [Table(columns, rows[:MOST_ROWS], numbers), *more] if rows else []
