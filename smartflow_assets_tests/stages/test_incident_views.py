"""What people read of an incident."""

from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smartflow_assets.stages.incident_views import told_of

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def events(kinds: list[str]) -> list[dict]:
    return [
        {
            "event": kind.rstrip("!"),
            "severity": "critical" if "!" in kind else "warning",
            "happened_at": START + timedelta(hours=n),
            "payload": {},
        }
        for n, kind in enumerate(kinds)
    ]


def at(moment: datetime) -> str:
    return f"{moment:%H}"


def test_what_is_seen_again_and_again_is_one_line():
    told = told_of(events(["opened", "seen", "seen", "seen", "acknowledged", "seen", "seen", "seen!", "resolved"]), at)
    assert [(row["event"], at(row["happened_at"]), said) for row, said in told] == [
        ("opened", "09", ""),
        ("seen", "12", "3 times since 10"),
        ("acknowledged", "13", ""),
        ("seen", "15", "2 times since 14"),
        ("seen", "16", ""),
        ("resolved", "17", ""),
    ]


@pytest.mark.soak
@given(st.lists(st.sampled_from(["seen", "seen!", "commented", "escalated"]), max_size=12))
def test_nothing_else_is_left_out(kinds):
    told = [row["event"] + ("!" if row["severity"] == "critical" else "") for row, _ in told_of(events(kinds), at)]
    wanted = [kind for kind, same in groupby(kinds) for kind in ([kind] if kind.startswith("seen") else list(same))]
    assert told == wanted
