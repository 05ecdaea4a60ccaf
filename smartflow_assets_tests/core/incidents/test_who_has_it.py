"""What a message says of people: who has an incident, who answers for a group over sources, and which group is over."""

from datetime import timedelta

import pytest

from smartflow_assets_tests.core.incidents.formats.extremes import NINE, facts, group, incident, message


@pytest.mark.parametrize("event", ["escalated", "reminder"])
def test_who_has_it_is_said_with_since_when(event: str) -> None:
    has = incident(state="acknowledged", acknowledged_by="ann", acknowledged_at=NINE - timedelta(hours=1))
    lines = {line.label: line.texts for line in message(event, has, facts(timezone="Europe/Berlin")).content.lines}
    assert lines["Acknowledged"] == ("by ann, Wed 09:35 CET",)
    long_ago = message(event, has | {"acknowledged_at": NINE - timedelta(days=8)})
    assert "Acknowledged:   by ann, 2026-02-24 09:35 UTC" in long_ago.text and long_ago.facts["acknowledged_by"] == "ann"
    assert "Acknowledged" not in message(event).text + message("resolved", has).text


def test_the_end_of_a_group_over_sources_names_its_root_and_each_owner_its_sources() -> None:
    told = group(6) | {"sources": ["lager", "shop", "till"], "owners": {"lager": "team:a", "till": "team:a"}, "resolved_at": NINE}
    for place, member in enumerate(told["members"]):
        member |= {"source": "shop" if place else "lager", "cause": "anomaly"}
    of = incident(source="*", series="", cause="group", opened_at=NINE - timedelta(hours=7))
    over = message("resolved", of, told)
    assert over.subject == "[resolved] 6 series of 3 sources: lager revenue{region=0} and 5 more, after 7 h"
    assert over.content.headline == "Over: lager revenue{region=0} and 5 more, after 7 h"
    owners = {line.label: line.texts for line in message("opened", of, told).content.lines}["Owner"]
    assert owners == ("team:a (lager, till)", "nobody (shop)")
    alone = told | {"owners": dict.fromkeys(told["sources"], "team:a")}
    assert {line.label: line.texts for line in message("opened", of, alone).content.lines}["Owner"] == ("team:a",)
