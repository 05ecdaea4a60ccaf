"""What a bundle says to a person: which sources, how bad, from when, and where to read on."""

from datetime import UTC, datetime, timedelta
from typing import Any

from smartflow_assets.core.incidents.bundle import BundleKind
from smartflow_assets.core.incidents.messages import Message, bundled, render

NINE = datetime(2024, 3, 4, 9, tzinfo=UTC)
PAGE = "https://data.example.com/incidents/{}.html"


def told(incident_id: str, event: str, severity: str = "critical", **more: Any) -> Message:
    known = {"source": "lager", "cause": "anomaly", "series": "picks", "title": "5, usually 90 to 110", "opened_at": NINE}
    incident = known | {"incident_id": incident_id, "severity": severity, "state": "open"} | more
    if event == "resolved":
        incident |= {"last_seen_at": NINE + timedelta(hours=7), "resolved_at": NINE + timedelta(hours=8)}
    facts = {"page": PAGE.format(incident_id), "sources": more.get("sources")}
    return render(incident, event, facts, idempotency_key=f"{incident_id} {event}", happened_at=NINE)


def together(*messages: Message, kind: BundleKind = "digest") -> Message:
    return bundled(kind, messages, idempotency_key="k", happened_at=NINE + timedelta(days=3))


def of_two_sources(event: str) -> Message:
    members = [
        {"source": source, "series": "picks", "severity": "critical", "title": "5", "unit": None, "metric": "picks", "cause": "anomaly"}
        for source in ("lager", "shop")
    ]
    return told("ab12", event, source="*", series="", cause="group", members=members, member_count=2, sources=["lager", "shop"])


def test_a_group_that_came_and_went_is_told_with_its_sources_its_date_its_page_and_as_bad_as_it_was() -> None:
    digest = together(of_two_sources("opened"), of_two_sources("resolved"))
    assert digest.subject == (
        "[digest] 1 incident of lager and shop: 1 critical; 1 came and went. Worst: 2 series of 2 sources: lager picks 5, and 1 more"
    )
    assert "lager picks 5, and 1 more; was on from 2024-03-04 09:00 UTC for 7 h\n" in digest.text
    assert PAGE.format("ab12") in digest.text and f'href="{PAGE.format("ab12")}"' in digest.html
    assert [(link.label, link.address) for link in digest.content.links] == [("The incident", PAGE.format("ab12"))]
    assert digest.content.tone == "critical" and digest.facts["sources"] == ["lager", "shop"]


def test_each_incident_of_a_bundle_leads_to_its_own_page() -> None:
    bundle = together(told("ab12", "opened"), told("cd34", "opened", "warning", source="web"), kind="held_back")
    lines = bundle.text.splitlines()
    for name in ("ab12", "cd34"):
        (place,) = (number for number, line in enumerate(lines) if PAGE.format(name) in line)
        assert {"ab12": "lager picks", "cd34": "web picks"}[name] in lines[place - 1]
        assert bundle.html.count(f'href="{PAGE.format(name)}"') == 1
    assert [member["page"] for member in bundle.facts["members"]] == [PAGE.format("ab12"), PAGE.format("cd34")]


def test_green_is_for_the_end_of_what_was_told_before() -> None:
    over = together(told("ab12", "resolved"), kind="held_back")
    assert over.content.tone == "resolved" and "was on from 2024-03-04 09:00 UTC for 7 h" in over.text
    assert together(told("ab12", "resolved"), told("cd34", "opened", "warning")).content.tone == "warning"


def test_what_is_of_no_source_names_none_and_many_are_counted() -> None:
    of_none = told("ab12", "opened", source="*", series="", cause="daemon", title="Dagster's daemon is not running")
    assert together(of_none).subject.startswith("[digest] 1 incident: 1 critical; 1 began.")
    many = together(*(told(name, "opened", source=name) for name in "abcd"))
    assert many.subject.startswith("[digest] 4 incidents of 4 sources: ")
