"""What people say of incidents, whether they were right, written down: under the locks of their sources and in one commit for all.

What is said of an incident by which people are told of others is said of all of them. A second word on an incident takes the place of the
first. What runs make of it is in `feedback_effects`; here is what happens at once: a false alarm is resolved, and what was muted by a word
that is taken back is told.
"""

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from smartflow_assets.adapters.message_stories import of_incidents
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.tables import TABLES
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.adapters.warehouse.writes import Append
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import DecisionError
from smartflow_assets.core.feedback import Verdict
from smartflow_assets.core.feedback.expectations import SIZE
from smartflow_assets.core.incidents.alert_planning import Advance
from smartflow_assets.core.incidents.decisions import SHORT, Decisions, Said
from smartflow_assets.core.incidents.event_log import FRESHNESS, GROUP, OF_SERIES, Row, row_dicts
from smartflow_assets.core.incidents.series_track import EXPECTED_BY
from smartflow_assets.core.incidents.watched import OF_NO_SOURCE
from smartflow_assets.core.temporal.recurring_time import RecurringTime
from smartflow_assets.core.text_format import number
from smartflow_assets.stages.alerting import writes_of
from smartflow_assets.stages.decisions import AND_THEIR_GROUPS, end_of_data, timezone_of
from smartflow_assets.stages.feedback_effects import ACTING
from smartflow_assets.stages.group_feedback import GroupFeedback, Members, groups_judged, members_meant

BY_FEEDBACK = "feedback"
"""The `run_id` of what is written here. Another one than that of other decisions, since a run makes something of it."""
LASTING, LASTING_RECURRING = timedelta(days=90), timedelta(days=365)
"""So long a word acts that says nothing else, and one that names a recurring time."""
SLACK = timedelta(hours=1)
"""On both sides of the hours of an incident that is called expected without a recurring time."""
_MUTED = "SELECT incident_id FROM incidents WHERE state = 'suppressed' AND list_contains(?, suppressed_by)"
_SCORES = """
SELECT max(raw_score) AS raw_score, max(anomaly_score) AS anomaly_score, max(abs(value - expected)) AS deviation FROM anomaly_scores
WHERE source = ? AND series = ? AND observed_at >= ? AND observed_at < ? AND is_anomaly AND (value > expected) = (? = 'spike')
"""


@dataclass(frozen=True)
class Word:
    """What a person says of one incident. `lasting`: how long it mutes or raises; `where`: where it was read, for errors."""

    incident_id: str
    verdict: Verdict
    note: str = ""
    recurs: RecurringTime | None = None
    lasting: timedelta | None = None
    where: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What makes it another word."""
        return self.incident_id, self.verdict, self.note, str(self.recurs)


@dataclass(frozen=True)
class Given:
    """What became of it, and the messages that it calls for (rows of alert_sends)."""

    said: Sequence[Said]
    sends: pd.DataFrame = field(default_factory=pd.DataFrame)


def give(warehouse: Warehouse, catalogue: Catalogue, words: Sequence[Word], *, by_whom: str, now: datetime, patience: timedelta) -> Given:
    """Write words down, all or none. DecisionError for one that cannot be; WarehouseBusyError when a run of one of the sources lasts longer
    than `patience`."""
    known = _incidents(warehouse, [word.incident_id for word in words])
    is_over_sources = any(row["cause"] == GROUP for row in known.values())
    with ExitStack() as stack:
        stack.enter_context(_locked(catalogue, [OF_NO_SOURCE] if is_over_sources else [], patience))  # first, as a pass over groups does
        meant = [
            _Meant(word, members_meant(warehouse, word.incident_id, word.verdict, word.where))
            if known[word.incident_id]["cause"] == GROUP
            else _Meant(word, Members([known[word.incident_id]], [], []))
            for word in words
        ]
        sources = sorted({row["source"] for each in meant for row in each.members.meant})
        stack.enter_context(_locked(catalogue, [source for source in sources if source != OF_NO_SOURCE or not is_over_sources], patience))
        acts = {
            source: _Act(
                warehouse,
                catalogue,
                source,
                [row["incident_id"] for each in meant for row in each.members.meant if row["source"] == source],
                by_whom,
                now,
            )
            for source in sources
        }
        given = list[tuple[_Meant, str, int]]()
        for each in meant:
            is_group = known[each.word.incident_id]["cause"] == GROUP
            feedback_id, news = _id_of(OF_NO_SOURCE, now, *each.word.parts) if is_group else "", 0
            for row in each.members.meant:
                news += acts[row["source"]].give(replace(each.word, incident_id=row["incident_id"]), feedback_id)
            given += [(each, feedback_id, news)] if is_group else []

        def close(groups: GroupFeedback) -> None:
            for each, feedback_id, news in given:
                word = each.word
                groups.give(word.incident_id, word.verdict, word.note, feedback_id, each.members, news)

        return _written(warehouse, acts.values(), [each.word.incident_id for each, *_ in given], close)


def undo(warehouse: Warehouse, catalogue: Catalogue, feedback_id: str, *, by_whom: str, now: datetime, patience: timedelta) -> Given:
    """Take back what was said, of all incidents of which it was said."""
    said = _said_of(warehouse, feedback_id)
    verdict, of_groups = said[0]["verdict"], groups_judged(warehouse, feedback_id)
    by_source = {
        source: [row["incident_id"] for row in said if row["source"] == source] for source in sorted({row["source"] for row in said})
    }
    with _locked(catalogue, sorted({*by_source, *([OF_NO_SOURCE] if of_groups else [])}), patience):
        acts = [_Act(warehouse, catalogue, source, ids, by_whom, now) for source, ids in by_source.items()]
        count = sum(act.undo(feedback_id, ids) for act, ids in zip(acts, by_source.values(), strict=True))

        def close(groups: GroupFeedback) -> None:
            for each in of_groups if count else ():
                groups.undo(each, verdict, feedback_id)

        return _written(warehouse, acts, of_groups, close)


def beginning_with(warehouse: Warehouse, start: str) -> list[str]:
    """The ids of words that begin so."""
    found = warehouse.read("SELECT DISTINCT feedback_id FROM feedback WHERE verdict IS NOT NULL AND starts_with(feedback_id, ?)", [start])
    return sorted(found["feedback_id"])


def audit(warehouse: Warehouse, sources: Sequence[str]) -> list[Row]:
    """The rows of marts.feedback_audit of these sources, or of all."""
    return row_dicts(warehouse.read("SELECT * FROM marts.feedback_audit WHERE len($1) = 0 OR list_contains($1, source)", [list(sources)]))


def does(row: Row, timezone: str) -> str:
    """What a row of the audit does now, in words."""
    if row["state"] == "undone":
        return f"nothing: taken back by {row['undone_by']}"
    until = "" if row["until_at"] is None else f"until {_at(row['until_at'], timezone)}"
    is_over = row["state"] == "expired"
    match row["verdict"]:
        case "true_positive":
            return "its time is not learnt from" if row["cause"] == "anomaly" else "counted"
        case "false_positive" if row["until_at"] is None:
            return "its time is learnt" if row["cause"] == "anomaly" else "counted"
        case "false_positive":
            return f"its time is learnt; the threshold {'was' if is_over else 'is'} raised {until}"
        case _:
            return f"look-alikes {RecurringTime.parse(row['recurs']).said} {'were' if is_over else 'are'} muted {until}"


class _Act:
    """What one person says of incidents of one source at one moment."""

    def __init__(self, warehouse: Warehouse, catalogue: Catalogue, source: str, ids: Sequence[str], by_whom: str, now: datetime) -> None:
        self.source, self._warehouse, self._catalogue, self._by_whom = source, warehouse, catalogue, by_whom
        self._zone = timezone_of(catalogue, source)
        with warehouse.reading():
            self._acting = {row["incident_id"]: row for row in row_dicts(warehouse.read(ACTING, [[source]]))}
            muting = [f"{EXPECTED_BY}{row['feedback_id']}" for row in self._acting.values()]
            muted = list(warehouse.read(_MUTED, [muting])["incident_id"])
            concerned = list(warehouse.read(AND_THEIR_GROUPS, [[*ids, *muted]])["incident_id"])
            events, sends = (of_incidents(warehouse, table, concerned) for table in ("incident_events", "alert_sends"))
            self._incidents = _incidents(warehouse, concerned)
            newest = warehouse.read("SELECT max(given_at) AS at FROM feedback WHERE source = ?", [source])["at"].iloc[0]
        self._now = pd.Timestamp(now)
        self._given_at = self._now if pd.isna(newest) else max(self._now, newest + timedelta(microseconds=1))
        policy, run_id = catalogue.alert_policy(source), f"{BY_FEEDBACK} {now.isoformat()}"
        self.decisions = Decisions(events, sends, policy, now=now, by_whom=by_whom, run_id=run_id, timezone=self._zone)
        self.rows, self._rules = list[Row](), dict[str, list[str]]()

    def give(self, word: Word, feedback_id: str = "") -> int:
        """One word of one incident, and of all that are told by it -> of how many of them it is new. `feedback_id`: that of a word that is
        said of others as well."""
        incident = self._incidents[word.incident_id]
        members = [each for each in self._incidents.values() if each["group_id"] == word.incident_id and each["cause"] in OF_SERIES]
        self._refuse(word, incident)
        feedback_id = feedback_id or self._id(*word.parts)
        rows = [self._row(each, word, feedback_id) for each in (incident, *members)]
        news = [row for row in rows if not self._is_known(row)]
        name = word.incident_id
        if not news:
            self.decisions.said.append(Said(name, f"is called {word.verdict} already", has_changed=False))
            return 0
        text = self._effect(incident, rows[0])
        text += f"; the same of {len(members)} that {'is' if len(members) == 1 else 'are'} told with it" if members else ""
        self.decisions.said.append(Said(name, f"called {word.verdict}: {text} ({feedback_id[:SHORT]})"))
        for row in news:
            before = self._acting.get(row["incident_id"])
            self.rows.append(row | {"undoes": before["feedback_id"] if before else None})
            note = "; ".join(filter(None, (word.verdict, row["recurs"], word.note)))
            self.decisions.judge(row["incident_id"], note, feedback_id)
            self._acting[row["incident_id"]] = row
            if before is not None:
                self._wake(before["feedback_id"], row["series"], "it was judged anew")
        if word.verdict == "false_positive" and incident["state"] != "resolved":
            at = end_of_data(self._warehouse, self._catalogue, name, self._now)
            self.decisions.resolve(name, at, "; ".join(filter(None, ("false positive", word.note))))
        return len(news)

    def undo(self, feedback_id: str, incident_ids: Sequence[str]) -> int:
        """Take back one word -> of how many incidents."""
        acting = [row for row in self._acting.values() if row["feedback_id"] == feedback_id]
        if not acting:
            text = "is taken back already, or something else was said of it since"
            self.decisions.said.append(Said(incident_ids[0], text, has_changed=False))
            return 0
        own = self._id(feedback_id, "undone")
        for row in acting:
            kept = {name: row[name] for name in ("source", "incident_id", "series", "cause", "opened_at", "last_seen_at")}
            given = {"feedback_id": own, "undoes": feedback_id, "given_by": self._by_whom, "given_at": self._given_at}
            self.rows.append(kept | given)
            if row["incident_id"] in self._incidents:
                self.decisions.judge(row["incident_id"], f"{row['verdict']} taken back", own)
            self._wake(feedback_id, row["series"], f"what was expected was taken back by {self._by_whom}")
        stays = "; it stays resolved" if acting[0]["verdict"] == "false_positive" else ""
        self.decisions.said.append(Said(incident_ids[0], f"{acting[0]['verdict']} taken back: it acts no more from the next run on{stays}"))
        return len(acting)

    def groups(self, ids: Sequence[str], steps: Sequence[Advance]) -> GroupFeedback:
        """What is to become of groups over several sources, by the same person at the same moment."""
        return GroupFeedback(
            self._warehouse,
            self._catalogue,
            ids,
            steps,
            now=self._now,
            by_whom=self._by_whom,
            run_id=f"{BY_FEEDBACK} {self._now.isoformat()}",
        )

    def frame(self) -> pd.DataFrame:
        """The rows to append to `feedback`."""
        return pd.DataFrame(self.rows, columns=[column.name for column in TABLES["feedback"].columns])

    def _wake(self, feedback_id: str, series: str, why: str) -> None:
        for name, incident in self._incidents.items():
            if incident["suppressed_by"] == f"{EXPECTED_BY}{feedback_id}" and incident["series"] == series:
                self.decisions.expect_no_longer(name, why)

    def _refuse(self, word: Word, incident: Row) -> None:
        """DecisionError where a word cannot be said of an incident."""
        short, cause = word.incident_id[:SHORT], incident["cause"]
        if word.recurs is not None and word.verdict != "expected":
            what = f"{short} is called {word.verdict}, which does not recur"
            raise DecisionError(what, where=word.where, remedy="A recurring time belongs to `expected`.")
        if word.verdict == "true_positive" or cause in OF_SERIES:
            return
        what = f"{short} is an incident of {cause}, which is not detected but happened, so it cannot be {word.verdict}"
        raise DecisionError(what, where=word.where, remedy=_REMEDIES.get(cause.partition(":")[0], _OTHER).format(id=short))

    def _row(self, incident: Row, word: Word, feedback_id: str) -> Row:
        row: Row = {name: incident[name] for name in ("source", "incident_id", "series", "cause", "opened_at", "last_seen_at")}
        row |= {"feedback_id": feedback_id, "verdict": word.verdict, "note": word.note or None}
        row |= {"given_by": self._by_whom, "given_at": self._given_at, "undoes": None, "recurs": None, "timezone": None, "until_at": None}
        row |= self._compared(incident) if incident["cause"] in OF_SERIES else {}
        if word.verdict == "expected":
            recurs = word.recurs or self._hours_of(incident, word)
            lasting = word.lasting or (LASTING_RECURRING if word.recurs else LASTING)
            row |= {"recurs": str(recurs), "timezone": self._zone, "until_at": self._now + lasting}
        elif word.verdict == "false_positive" and incident["cause"] == "anomaly" and row["raw_score"] is not None:
            row |= {"until_at": self._now + (word.lasting or LASTING)}
        return row

    def _compared(self, incident: Row) -> Row:
        """What look-alikes of an incident are compared with."""
        bounds = [self.source, incident["series"], incident["opened_at"], incident["last_seen_at"]]
        anomalies = row_dicts(
            self._warehouse.read(
                "SELECT direction, deviation, rules FROM anomalies WHERE source = ? AND series = ? AND started_at >= ? AND started_at < ? "
                "ORDER BY started_at",
                bounds,
            )
        )
        way = anomalies[0]["direction"] if anomalies else None
        self._rules[incident["incident_id"]] = sorted({str(rule) for each in anomalies for rule in each["rules"]})
        (scores,) = row_dicts(self._warehouse.read(_SCORES, [*bounds, way])) if incident["cause"] == "anomaly" and way else ({},)
        own = [abs(each["deviation"]) for each in anomalies if each["deviation"] is not None and way in (None, each["direction"])]
        deviation = max([*own, *filter(None, [scores.get("deviation")])], default=None)
        return {"direction": way, "deviation": deviation, **{name: scores.get(name) for name in ("raw_score", "anomaly_score")}}

    def _hours_of(self, incident: Row, word: Word) -> RecurringTime:
        try:
            return RecurringTime.around(incident["opened_at"], incident["last_seen_at"], SLACK, self._zone)
        except ValueError as error:
            what = f"{incident['incident_id'][:SHORT]}: {error}"
            raise DecisionError(what, where=word.where, remedy='Say when it comes: --recurs "mon 09:00-11:00".') from None

    def _is_known(self, row: Row) -> bool:
        before = self._acting.get(row["incident_id"])
        asked = ("verdict", "note", "recurs")
        return before is not None and [before[name] for name in asked] == [row[name] for name in asked] and not self._is_over(before)

    def _is_over(self, row: Row) -> bool:
        return row["until_at"] is not None and row["until_at"] <= self._now

    def _effect(self, incident: Row, row: Row) -> str:
        """What the word does, for who says it."""
        series, is_scored = row["series"], row["until_at"] is not None
        match row["verdict"]:
            case "true_positive":
                return "its time is never learnt from" if incident["cause"] == "anomaly" else "counted as right"
            case "false_positive":
                unit = self._unit(series)
                parts = ["its time is learnt as normal"] if incident["cause"] == "anomaly" else ["counted as false"]
                if is_scored:
                    size = f"{number(row['deviation'])}{f' {unit}' if unit else ''}"
                    way = "above" if row["direction"] == "spike" else "below"
                    until = _at(row["until_at"], self._zone)
                    parts.append(f"what is no stranger and at most {size} {way} what is expected is not flagged in {series} until {until}")
                elif incident["cause"] != "anomaly":
                    parts.append("limits of figures of the profile do not change: `profile: {leave_out: [...]}` in the YAML leaves one out")
                else:
                    parts.append("no threshold of it flagged it, so none changes")
                if rules := self._rules[row["incident_id"]]:
                    broken = f"the rule{'s' if len(rules) > 1 else ''} {', '.join(rules)}"
                    parts.append(f"it broke {broken}, which this does not change (`rules:` in the YAML)")
                return "; ".join(parts)
            case _:
                size = f", up to {SIZE:g} times as large," if row["deviation"] is not None else ""
                until = _at(row["until_at"], self._zone)
                when = RecurringTime.parse(row["recurs"]).said
                return f"nobody hears of the like {when} ({self._zone}){size} until {until}; its time is not learnt from"

    def _unit(self, series: str) -> str:
        source = self._catalogue.sources.get(self.source)
        return (source.units.get(series.partition("{")[0]) or "") if source else ""

    def _id(self, *parts: str) -> str:
        return _id_of(self.source, self._given_at, *parts)


_REMEDIES = {
    FRESHNESS: "`freshness:` in its YAML says how long it may be silent.",
    "check": "The contract of its YAML says what is checked, `drift:` what drifts.",
    "load": "`smartflow quarantine` releases or drops a load; the contract says what blocks one.",
    "readability": "`on_bad_rows:` in its YAML says how many may be unreadable.",
}
_OTHER = "`smartflow incidents snooze {id} 2h` puts it off, `smartflow incidents resolve {id}` ends it."


@dataclass(frozen=True)
class _Meant:
    """A word, and the incidents of which it is said: its own, or those of a group over several sources."""

    word: Word
    members: Members


def _id_of(source: str, given_at: datetime, *parts: str) -> str:
    return hashlib.sha256("|".join((source, given_at.isoformat(), *parts)).encode()).hexdigest()[:16]


def _written(warehouse: Warehouse, acts: Collection[_Act], of_groups: Sequence[str], close: Callable[[GroupFeedback], None]) -> Given:
    """Write down what the acts make of their sources, and then `close` of the groups over several of them, in one commit."""
    steps = [act.decisions.conclude() for act in acts]
    said = [each for act in acts for each in act.decisions.said]
    writes = [
        write for act, step in zip(acts, steps, strict=True) if act.rows for write in (Append("feedback", act.frame()), *writes_of(step))
    ]
    if of_groups:
        (act, *_) = acts
        groups = act.groups(of_groups, steps)
        close(groups)
        steps.append(groups.decisions.conclude())
        said = [*groups.decisions.said, *said]
        writes += writes_of(steps[-1]) if len(steps[-1].events) else []
    if writes:
        warehouse.commit(BY_FEEDBACK, writes)
    return Given(said, pd.concat([step.sends for step in steps], ignore_index=True))


def _locked(catalogue: Catalogue, sources: Sequence[str], patience: timedelta) -> ExitStack:
    stack = ExitStack()
    try:
        for source in sources:
            stack.enter_context(AdvisoryLock(catalogue.settings.source_lock(source)).exclusive(patience, holder=BY_FEEDBACK))
    except BaseException:
        stack.close()
        raise
    return stack


def _incidents(warehouse: Warehouse, ids: Sequence[str]) -> dict[str, Row]:
    rows = row_dicts(warehouse.read("SELECT * FROM incidents WHERE list_contains(?, incident_id)", [list(ids)]))
    return {row["incident_id"]: row for row in rows}


def _said_of(warehouse: Warehouse, feedback_id: str) -> list[Row]:
    return row_dicts(
        warehouse.read(
            "SELECT source, incident_id, verdict FROM feedback WHERE feedback_id = ? AND verdict IS NOT NULL ORDER BY rowid", [feedback_id]
        )
    )


def _at(moment: Any, timezone: str) -> str:
    return f"{pd.Timestamp(moment).tz_convert(timezone):%Y-%m-%d %H:%M %Z}"
