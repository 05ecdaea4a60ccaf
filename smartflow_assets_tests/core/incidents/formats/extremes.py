"""Messages that no format may break on: the longest, the strangest and the emptiest of each cause, and a strategy for any other."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from smartflow_assets.core.incidents.bundle import BundleKind
from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.messages import Message, bundled, render

NINE = datetime(2026, 3, 4, 9, 35, tzinfo=UTC)
EVENTS = ("opened", "escalated", "reminder", "resolved", "acknowledged", "test")
CAUSES = ("anomaly", "volume", "freshness", "readability", "removal", "load:ab12", "check:values_are_as_agreed", "delivery:ops", "run")
NASTY = (
    "@everyone *bold* _it_ ~no~ `code` <!channel> <@U1> & [x](http://evil.example) | > # \\ ||spoiler||",
    "🔴" * 3000,
    "مرحبا \u202eevil\u202c שלום " * 200,
    "a" * 20_000,
    "word " * 4000,
    "&<>" * 2000,
    "_*~" * 3000,
    "\x00\x1b[31m\n\r\t\ud800",
    "",
)


def incident(**fields: Any) -> dict[str, Any]:
    return {
        "incident_id": "ab12",
        "source": "shop",
        "series": "revenue{region=eu}",
        "cause": "anomaly",
        "severity": "critical",
        "state": "open",
        "opened_at": NINE,
        "title": "1,600 EUR, usually 430 to 560 (1,040 above)",
        **fields,
    }


def facts(**fields: Any) -> dict[str, Any]:
    return {
        "metric": "revenue",
        "unit": "EUR",
        "value": 1600.0,
        "expected": 495.0,
        "lower": 430.0,
        "upper": 560.0,
        "anomaly_type": "point",
        "started_at": NINE,
        "ended_at": NINE + timedelta(minutes=5),
        "detectors": ["seasonal", "mad"],
        "rules": ["promo_surge"],
        "explanation": "1,600 EUR, usually 430 to 560 (1,040 above). Wed 09:35 UTC; highest in 28 days. Found by: seasonal 60 %, mad 40 %.",
        "owner": "team:web",
        "runbook": "https://wiki.example.com/shop?a=1&b=(2)|3",
        "link": "https://dagster.example.com/assets/smartflow/incidents?view=partitions&partition=shop",
        **fields,
    }


def group(count: int, name: str = "revenue{region=%d}") -> dict[str, Any]:
    """The facts of so many series that broke together, of which up to a hundred are members."""
    members = [
        {
            "incident_id": f"m{number}",
            "series": name % number if "%d" in name else name,
            "severity": "warning",
            "title": "0 EUR, usually 120 to 180",
            "opened_at": NINE.isoformat(),
            "metric": "revenue",
            "dimensions": {"region": str(number)},
            "unit": "EUR",
            "value": 0.0,
            "expected": 150.0,
            "lower": 120.0,
            "upper": 180.0,
            "deviation_percent": -100.0,
            "anomaly_score": 0.9,
            "rules": [],
        }
        for number in range(min(count, 100))
    ]
    return {"members": members, "member_count": count}


def message(event: str = "opened", of: dict[str, Any] | None = None, told: dict[str, Any] | None = None) -> Message:
    return render(of or incident(), event, facts() if told is None else told, idempotency_key="k1", happened_at=NINE)


def content(event: str = "opened", of: dict[str, Any] | None = None, told: dict[str, Any] | None = None) -> Content:
    return message(event, of, told).content


def _everywhere(text: str) -> Content:
    """One text wherever a text comes from outside."""
    of = incident(source=text, series=text, title=text, cause=text or "anomaly", resolved_reason=text, incident_id=text or "x")
    told = facts(metric=text, unit=text, explanation=text, owner=text, detectors=[text], rules=[text], next_step=text, remedies=[text])
    return content("opened", of, told | group(500, text.replace("%", "")))


def _alone(text: str) -> Content:
    return content("resolved", incident(source=text, series=text, title=text, resolved_at=NINE, resolved_reason=text), facts(unit=text))


EXTREMES: dict[str, Content] = {
    **{f"nasty everywhere {place}": _everywhere(text) for place, text in enumerate(NASTY)},
    **{f"nasty alone {place}": _alone(text) for place, text in enumerate(NASTY)},
    **{f"{cause} {event}": content(event, incident(cause=cause), facts()) for cause in CAUSES for event in EVENTS},
    **{f"{cause} without facts": content("opened", incident(cause=cause, series="", title=None), {}) for cause in CAUSES},
    "empty": content("opened", {"incident_id": "e", "source": "s", "severity": "info"}, {}),
    "500 members": content("opened", incident(series="*"), facts() | group(500)),
    "500 members with long names": content("opened", incident(series="*"), facts() | group(500, "🔴" * 400)),
}


def _several(count: int, name: str = "revenue{region=%d}", *, kind: BundleKind = "digest", events: tuple[str, ...] = EVENTS) -> Content:
    """So many incidents in one message, of as many kinds as there are."""
    messages = [
        render(
            incident(
                incident_id=f"i{number}",
                source=f"source_{number % 7}",
                series=name.replace("%d", str(number)),
                severity=("info", "warning", "critical")[number % 3],
                title=f"{number} {name}",
                resolved_at=NINE + timedelta(minutes=number),
            ),
            events[number % len(events)],
            facts() if number % 5 else facts() | group(3),
            idempotency_key=f"k{number}",
            happened_at=NINE,
        )
        for number in range(count)
    ]
    return bundled(kind, messages, idempotency_key="k", happened_at=NINE + timedelta(hours=30), still_on=messages[:2], why=name).content


BUNDLES: dict[str, Content] = {
    "digest of 1": _several(1),
    "digest of 12": _several(12),
    "digest of 500": _several(500),
    "only what is over": _several(40, events=("resolved",)),
    "500 held back": _several(500, kind="held_back"),
    **{f"digest of 60 nasty ones {place}": _several(60, text) for place, text in enumerate(NASTY)},
}

_TEXTS = st.text(max_size=400) | st.sampled_from(NASTY)
CONTENTS = st.builds(
    lambda event, severity, cause, title, series, why, unit, owner, value: content(
        event,
        incident(severity=severity, cause=cause, title=title, series=series),
        facts(explanation=why, unit=unit, owner=owner, value=value),
    ),
    st.sampled_from(EVENTS),
    st.sampled_from(("critical", "warning", "info")),
    st.sampled_from(CAUSES),
    _TEXTS,
    _TEXTS,
    _TEXTS,
    _TEXTS,
    _TEXTS,
    st.none() | st.floats(allow_nan=True),
)
