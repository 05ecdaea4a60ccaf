"""What `remediate:` may say: entries of what is wrong (`when`) and what is then done (`do`)."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from smartflow_assets.core.declared import Declared
from smartflow_assets.core.remediation import ActionOrName
from smartflow_assets.core.remediation.base import BaseAction
from smartflow_assets.core.remediation.matter import Kind, Matter
from smartflow_assets.core.remediation.run import Run
from smartflow_assets.core.severity import RANK, Severity


class RemedyCondition(Declared):
    """Which incidents an entry is for.

    >>> from smartflow_assets.core.remediation.matter import kinds_of
    >>> surge = Matter("web", "1", kinds_of("anomaly", ["surge"]), "requests: 1,600", "warning", metric="requests")
    >>> asked = (("rule", {}), ("drift", {}), ("anomaly", {"severity": "critical"}))
    >>> [RemedyCondition(cause=kind, **more).fits(surge) for kind, more in asked]
    [True, False, False]
    """

    cause: Kind = Field(
        description="anomaly (of a series), rule (an anomaly that breaks a rule), volume (too many or too few rows), profile (another "
        "figure of profile_series), freshness (no rows come), readability, removal, check (any that is red), schema (columns changed), "
        "drift, blocked (a load), gap (buckets without rows between rows, longer than what comes back), failure (of a stage or a run)."
    )
    metric: str | None = Field(default=None, description="Only where it is about this metric.")
    severity: Severity = Field(default="info", description="Only from this severity on.")

    def fits(self, matter: Matter) -> bool:
        """Whether the matter is one that the entry is for."""
        is_severe = RANK[matter.severity] >= RANK[self.severity]
        return self.cause in matter.kinds and is_severe and self.metric in (None, matter.metric)

    def meets(self, other: "RemedyCondition") -> bool:
        """Whether one thing may be what both are for."""
        return self.cause == other.cause and (self.metric == other.metric or None in (self.metric, other.metric))


def _by_cause(value: Any) -> Any:
    return {"cause": value} if isinstance(value, str) else value


class Remedy(Declared):
    """One entry: what is done when something is wrong."""

    when: Annotated[RemedyCondition, BeforeValidator(_by_cause, json_schema_input_type=Kind | RemedyCondition)] = Field(
        description="What is wrong: a cause, or {cause: anomaly, metric: requests, severity: critical}."
    )
    do: ActionOrName = Field(
        description="What is done: retrain, reingest, fill, hold_last, quarantine, pause or run; with its keys as {type: pause, "
        "lasting: 6h}."
    )
    limit: int = Field(default=3, ge=1, description="Times within 24 hours; what would be more is skipped, and said.")
    dry_run: bool = Field(default=False, description="Only write down what would be done.")


def contradictions(remedies: Sequence[Remedy], source: str) -> Iterator[str]:
    """What is wrong with entries of a source that are for the same and do not go together. One that is a dry run goes with all.

    >>> both = [Remedy.model_validate({"when": "gap", "do": do}) for do in ("hold_last", "reingest", "fill")]
    >>> list(contradictions(both, "web"))
    ['remediate: hold_last and fill are both for gap, and whatever one has filled the other finds filled; take one of them out']
    """
    for one, other in combinations([remedy for remedy in remedies if not remedy.dry_run], 2):
        done = {_role(one.do, source), _role(other.do, source)}
        if one.when.meets(other.when) and (why := _AT_ODDS.get(frozenset(done))):
            yield f"remediate: {one.do.type} and {other.do.type} are both for {one.when.cause}, and {why}; take one of them out"


_AT_ODDS = {
    frozenset({"pause", "run"}): "the schedule does not start a run of a source that is paused",
    frozenset({"fill", "hold_last"}): "whatever one has filled the other finds filled",
}


def _role(action: BaseAction, source: str) -> str:
    """The type; another word for the run of another source, which a pause does not stop."""
    return "run another" if isinstance(action, Run) and action.source not in ("", source) else action.type
