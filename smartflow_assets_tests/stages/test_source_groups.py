"""What breaks together in several sources, in the warehouse: told once, whatever is killed, and over when all of it is."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from smartflow_assets.adapters.outbox import channel_lock
from smartflow_assets.adapters.warehouse.locks import AdvisoryLock
from smartflow_assets.adapters.warehouse.warehouse import Warehouse
from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.errors import DecisionError, WarehouseBusyError
from smartflow_assets.core.feedback import Verdict
from smartflow_assets.stages import source_groups
from smartflow_assets.stages.alerting import Failure, close_incidents_of, committed, drain_outbox, record_failures
from smartflow_assets.stages.channel_trials import sources_of
from smartflow_assets.stages.decisions import decide, pass_time
from smartflow_assets.stages.feedback import Given, Word, give
from smartflow_assets.stages.incident_views import Wanted, known, listed
from smartflow_assets.stages.maintenance.retention import prune_by_settings
from smartflow_assets.stages.source_groups import group_sources
from smartflow_assets_tests.homes import START, WEB, Home

MINUTE = timedelta(minutes=1)


@dataclass
class Sources:
    """Sources whose loads are blocked and released, which is the quickest incident that may be told with those of other sources."""

    home: Home
    at: int = 0  # minutes since START
    runs: int = field(default=0)

    def add(self, *names: str, more: str = "", to: str = "[file]") -> None:
        for name in names:
            text = WEB.replace("name: web", f"name: {name}").replace("web.csv", f"{name}.csv").replace("[file]", to)
            self.home.write_source(name, f"{text}{more}\n")

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue.load(self.home.settings)

    @property
    def now(self):
        return START + self.at * MINUTE

    def break_(self, *names: str, severity: str = "critical", load: str = "1") -> None:
        for name in names:
            self._record(name, [Failure(f"load:{load}", f"load {load} of {name} is blocked", severity)], frozenset())  # pyright: ignore[reportArgumentType]

    def mend(self, *names: str, load: str = "1") -> None:
        for name in names:
            self._record(name, [], frozenset({f"load:{load}"}))

    def _record(self, name: str, failures: Sequence[Failure], over: frozenset[str]) -> None:
        self.runs += 1
        policy, run_id = self.catalogue.alert_policy(name), f"run{self.runs}"
        step = record_failures(self.home.warehouse, name, failures, over, policy=policy, now=self.now, run_id=run_id)
        committed(self.home.warehouse, run_id, step)

    def group(self) -> int:
        return group_sources(self.home.warehouse, self.catalogue, now=self.now, run_id="pass")

    def send(self) -> list[str]:
        """Look at all of them and send -> the subjects of what went out."""
        before = self.told()
        self.group()
        drain_outbox(self.home.warehouse, self.catalogue, self.home.settings, now=self.now, run_id="outbox", environment={})
        return list((Counter(self.told()) - Counter(before)).elements())

    def told(self) -> list[str]:
        return [json.loads(path.read_text())["subject"] for path in sorted(self.home.settings.outbox.glob("*.json"))]

    def incident(self, source: str) -> dict:
        [row] = self.home.table("incidents", f"source = '{source}'").to_dict("records")
        return row

    def decided(self, source: str, what: str, *arguments: object) -> None:
        name = self.incident(source)["incident_id"]
        decide(
            self.home.warehouse,
            self.catalogue,
            source,
            [name],
            lambda decisions: getattr(decisions, what)(name, *arguments),
            by_whom="anna",
            now=self.now,
            patience=timedelta(0),
        )


@pytest.fixture
def sources(home: Home) -> Sources:
    made = Sources(home)
    made.add("shop", "pay", more="tags: {team: web}")
    made.add("mail", "stock")
    return made


def test_two_that_are_tied_are_one_message_and_one_end(sources: Sources) -> None:
    sources.break_("shop", "pay")
    assert sources.send() == ["[critical] 2 sources: pay: load:1 failed: load 1 of pay is blocked, and 1 more"]
    assert sources.send() == [] and sources.group() == 0
    group, shop = sources.incident("*"), sources.incident("shop")
    assert (group["cause"], group["severity"], group["state"], shop["group_id"]) == ("group", "critical", "open", group["incident_id"])
    sources.at = 30
    sources.mend("shop")
    assert sources.send() == []
    sources.mend("pay")
    assert sources.send() == ["[resolved] 2 sources: pay and 1 more, after 30 min"]
    assert sources.incident("*")["resolved_reason"].startswith("all of it is over: ")
    assert sources.send() == [] and sources.group() == 0


def test_two_strangers_are_two_messages_and_three_are_one(sources: Sources) -> None:
    sources.break_("shop", "mail")
    assert len(sources.send()) == 2
    sources.at = 60
    sources.break_("shop", "mail", "stock", load="2")
    assert [subject.split(": ")[0] for subject in sources.send()] == ["[critical] 3 sources"]


def test_it_is_worse_when_one_of_it_is_and_back_when_one_is(sources: Sources) -> None:
    sources.break_("shop", "pay", severity="warning")
    sources.send()
    sources.at = 5
    sources.decided("*", "acknowledge")
    sources.mend("pay")
    sources.break_("pay")  # worse, and back
    assert [subject.split(" 2 ")[0] for subject in sources.send()] == ["[escalated to critical]"]
    assert sources.send() == []
    sources.mend("shop", "pay")
    assert [subject.split(" 2 ")[0] for subject in sources.send()] == ["[resolved]"]
    sources.at = 20
    sources.break_("shop")
    [again] = sources.send()
    assert again.startswith("[") and "again since" in again and sources.incident("*")["state"] == "open"
    sources.at = 25
    sources.mend("shop")
    assert sources.send() == []  # it has come and gone
    sources.at = 150  # two hours of calm
    assert [subject.split(" 2 ")[0] for subject in sources.send()] == ["[resolved]"]


def test_a_newcomer_that_is_tied_joins_and_a_stranger_is_told(sources: Sources) -> None:
    sources.add("late", more="tags: {team: web}")
    sources.break_("shop", "pay")
    sources.send()
    sources.at = 4
    sources.break_("late", "mail")
    assert [subject.split(" ")[1] for subject in sources.send()] == ["mail:"]
    assert sources.incident("late")["group_id"] == sources.incident("*")["incident_id"]
    assert "3 sources" in sources.incident("*")["title"]
    sources.mend("shop", "pay")
    assert sources.send() == []
    sources.mend("late")
    assert [subject.split(":")[0] for subject in sources.send()] == ["[resolved] 3 sources"]


def test_it_goes_to_all_who_would_have_heard_and_off_is_told_alone(sources: Sources) -> None:
    sources.home.write_channels("desk: {type: file}\npager: {type: file}\n")
    sources.add("a", "b", more="tags: {x: y}", to="[desk]")
    sources.add("c", more="tags: {x: y}", to="[pager], group_within: off")
    sources.add("d", more="tags: {x: y}", to="[pager, desk]")
    sources.break_("a", "b", "c", "d")
    sources.send()
    sent = sources.home.sent()
    assert sorted(zip(sent["source"], sent["channel"], strict=True)) == [("*", "desk"), ("*", "pager"), ("c", "pager")]


def test_what_was_told_already_is_told_by_itself(sources: Sources) -> None:
    sources.break_("shop")
    assert len(sources.send()) == 1
    sources.break_("pay")
    assert [subject.split(" ")[1] for subject in sources.send()] == ["pay:"]
    assert sources.home.count("incidents", "source = '*'") == 0


def test_people_decide_about_all_of_it(sources: Sources) -> None:
    sources.break_("shop", "pay")
    sources.send()
    sources.decided("*", "snooze", sources.now + 30 * MINUTE)
    sources.at = 31
    pass_time(sources.home.warehouse, sources.catalogue, now=sources.now, run_id="clock")
    assert [subject.split(" 2 ")[0] for subject in sources.send()] == ["[still critical]"]
    sources.decided("*", "resolve", sources.now, "a deployment")
    assert {sources.incident(name)["state"] for name in ("shop", "pay", "*")} == {"resolved"}
    assert [subject.split(" 2 ")[0] for subject in sources.send()] == ["[resolved]"]
    sources.mend("shop", "pay")
    assert sources.send() == [] and sources.incident("*")["recovered_at"] is not None


def test_of_loads_alone_no_word_but_right_can_be_said(sources: Sources) -> None:
    sources.break_("shop", "pay")
    sources.send()
    name = sources.incident("*")["incident_id"]

    def said(verdict: Verdict) -> Given:
        words = [Word(name, verdict)]
        return give(sources.home.warehouse, sources.catalogue, words, by_whom="anna", now=sources.now, patience=timedelta(0))

    with pytest.raises(DecisionError, match=r"is of pay load:1 .* cannot be expected.*true_positive.*can be said.*incidents resolve"):
        said("expected")
    with AdvisoryLock(sources.home.settings.source_lock("pay")).exclusive(timedelta(0), "a run"), pytest.raises(WarehouseBusyError):
        said("true_positive")
    assert sources.home.count("feedback") == 0
    said("true_positive")
    assert {*sources.home.table("feedback")["source"]} == {"shop", "pay"}


def test_who_is_split_off_is_told_alone_and_an_empty_group_is_over(sources: Sources) -> None:
    sources.break_("shop", "pay")
    sources.send()
    sources.decided("shop", "split")
    assert [subject.split(" ")[1] for subject in sources.send()] == ["shop:"]
    sources.mend("pay")
    assert len(sources.send()) == 1 and sources.incident("*")["state"] == "resolved"
    sources.mend("shop")
    assert [subject.split(" ")[:2] for subject in sources.send()] == [["[resolved]", "shop"]]


def test_lists_show_one_line_and_each_source_counts_its_own(sources: Sources) -> None:
    sources.break_("shop", "pay", "mail")
    sources.send()
    [row] = listed(sources.home.warehouse, Wanted())
    assert (row["source"], row["member_count"]) == ("*", 3)
    assert [row["source"] for row in listed(sources.home.warehouse, Wanted(sources=("shop",)))] == ["*"]
    assert listed(sources.home.warehouse, Wanted(sources=("stock",))) == []
    shown = known(sources.home.warehouse, row, "UTC", sources.now)
    assert [member["source"] for member in shown.members] == ["mail", "pay", "shop"] and shown.message.facts["member_count"] == 3
    assert sources.home.warehouse.read(shown.sql)["source"].nunique() == 3
    assert sources_of(sources.home.warehouse, row) == ["mail", "pay", "shop"]
    [mart] = sources.home.table("marts.open_incidents").to_dict("records")
    assert (mart["source"], mart["member_count"]) == ("*", 3)


def test_a_source_that_is_removed_ends_its_part(sources: Sources) -> None:
    sources.break_("shop", "pay")
    sources.send()
    (sources.home.settings.sources / "pay.yaml").unlink()
    policy = sources.catalogue.alert_policy("pay")
    close_incidents_of(sources.home.warehouse, "pay", now=sources.now, reason="its file is gone", policy=policy)
    assert sources.send() == []
    sources.mend("shop")
    assert len(sources.send()) == 1


def test_it_is_kept_as_long_as_any_of_it(sources: Sources) -> None:
    sources.break_("shop", "pay")
    sources.send()
    sources.mend("shop")
    sources.at = 60 * 24 * 3650

    def prune() -> None:
        list(prune_by_settings(sources.home.warehouse, None, sources.catalogue, now=sources.now, run_id="prune", is_at_once=True))  # pyright: ignore[reportArgumentType]

    prune()
    assert {*sources.home.table("incidents")["source"]} >= {"*", "pay"}
    sources.mend("pay")
    assert len(sources.send()) == 1


def test_what_others_have_locked_is_left_to_them(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_groups, "PATIENCE", timedelta(0))
    sources.break_("shop", "pay")
    for lock in (AdvisoryLock(sources.home.settings.source_lock("pay")), channel_lock(sources.home.warehouse, "file")):
        with ExitStack() as elsewhere:
            elsewhere.enter_context(lock.exclusive(timedelta(0), "elsewhere"))
            assert sources.group() == 0
    assert group_sources(sources.home.warehouse, sources.catalogue, now=sources.now, run_id="p", leaving=["run1"]) == 0
    with AdvisoryLock(sources.home.settings.source_lock("pay")).exclusive(timedelta(0), "me"):
        assert group_sources(sources.home.warehouse, sources.catalogue, now=sources.now, run_id="p", holding=["pay"]) == 1


def test_where_nothing_is_open_it_costs_one_read(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, read = list[str](), Warehouse.read
    monkeypatch.setattr(Warehouse, "read", lambda self, sql, *more: reads.append(sql) or read(self, sql, *more))
    sources.group()
    assert len(reads) == 1


def told_of(home: Home) -> Counter[str]:
    """How often people were told that each incident began, by itself or by its group."""
    found, incidents = Counter[str](), home.table("incidents").set_index("incident_id")
    for send in home.sent().query("event == 'opened'").to_dict("records"):
        if send["source"] != "*":
            found[send["incident_id"]] += 1
    groups = {send["incident_id"] for send in home.sent().query("event == 'opened' and source == '*'").to_dict("records")}
    for name, row in incidents.iterrows():
        found[str(name)] += row["group_id"] in groups
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.soak
def test_in_a_storm_each_beginning_is_told_once_and_no_end_without_one(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """Loads break and are mended in an order of their own in each of two homes; in both, sending dies now and then before it begins."""
    plan, names = random.Random(seed), ["a", "b", "c", "d", "e"]
    ties = {name: plan.choice(["tags: {x: '1'}", "tags: {x: '2'}", ""]) for name in names}
    twins = [Sources(Home(tmp_path_factory.mktemp("storm"))) for _ in range(2)]
    for twin in twins:
        for name in names:
            twin.add(name, more=ties[name])
    broken: dict[str, str] = {}
    for step in range(25):
        at = 7 * step
        broke = plan.sample(names, plan.randint(0, 3))
        mended = [name for name in broken if plan.random() < 0.3]
        is_killed = plan.random() < 0.3
        for number, twin in enumerate(twins):
            order, twin.at = random.Random(f"{seed} {step} {number}").sample(names, len(names)), at
            for name in order:
                if name in mended:
                    twin.mend(name, load=broken[name])
                elif name in broke and name not in broken:
                    twin.break_(name, load=str(step))
            if not is_killed:
                twin.send()
                assert twin.send() == []
        broken = {name: load for name, load in broken.items() if name not in mended} | {
            name: str(step) for name in broke if name not in broken and name not in mended
        }
    for twin in twins:
        twin.at += 1
        twin.mend(*broken)
        for name, load in broken.items():
            twin.mend(name, load=load)
        twin.send()
        incidents, sent = twin.home.table("incidents", "source <> '*'"), twin.home.sent()
        told = told_of(twin.home)
        assert {told[name] for name in incidents["incident_id"]} == {1}
        for name, own in sent.groupby("incident_id"):
            assert list(own.sort_values("happened_at")["event"]) == ["opened", "resolved"], name
        assert twin.home.count("incidents", "state <> 'resolved'") == 0

    def groups(twin: Sources) -> set[frozenset[tuple]]:
        rows = twin.home.table("incidents", "group_id IS NOT NULL")
        return {frozenset(zip(own["source"], own["cause"], strict=True)) for _, own in rows.groupby("group_id")}

    assert groups(twins[0]) == groups(twins[1]) and groups(twins[0])
