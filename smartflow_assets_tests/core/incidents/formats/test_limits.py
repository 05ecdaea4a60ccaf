"""Every format keeps within what its vendor has published, whatever an incident says.

The figures are written once more here, from the vendors' pages, so that a slip in a constant is no pass.
"""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from smartflow_assets.core.incidents.bundle import Bundle
from smartflow_assets.core.incidents.content import Content
from smartflow_assets.core.incidents.formats import discord, html, ntfy, opsgenie, pagerduty, plain_text, short, slack, sns, teams
from smartflow_assets_tests.core.incidents.formats.extremes import BUNDLES, CONTENTS, EXTREMES


def units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def wire(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode(errors="replace")


def check_slack(content: Content) -> None:
    body = slack.render(content)
    assert 0 < units(body["text"]) <= 4000 and "<!" not in body["text"] and "<@" not in body["text"]
    blocks = body["blocks"]
    assert 1 <= len(blocks) <= 50
    for block in blocks:
        if block["type"] == "header":
            assert block["text"]["type"] == "plain_text" and 0 < units(block["text"]["text"]) <= 150
        elif block["type"] == "context":
            assert 1 <= len(block["elements"]) <= 10
            assert all(part["type"] == "plain_text" and 0 < units(part["text"]) <= 2000 for part in block["elements"])
        else:
            assert block["type"] == "section" and ("text" in block) != ("fields" in block)
            if "text" in block:
                assert 0 < units(block["text"]["text"]) <= 3000
            else:
                assert 1 <= len(block["fields"]) <= 10
                assert all(0 < units(part["text"]) <= 2000 for part in block["fields"])
    for text in _mrkdwn(blocks):  # labels and links of ours alone
        assert re.fullmatch(r"\*[A-Z][A-Za-z ]*\*|(<https?://[^<>|]+\|[A-Za-z ]+>( · )?)+", text), text


def _mrkdwn(part: Any) -> list[str]:
    if isinstance(part, list):
        return [text for inner in part for text in _mrkdwn(inner)]
    if isinstance(part, dict):
        own = [part["text"]] if part.get("type") == "mrkdwn" else []
        return own + [text for inner in part.values() for text in _mrkdwn(inner)]
    return []


def check_discord(content: Content) -> None:
    body = discord.render(content, picture="chart.png")
    assert body["allowed_mentions"] == {"parse": []}
    [embed] = body["embeds"]
    assert 0 < units(embed["title"]) <= 256 and units(embed["description"]) <= 4096
    assert len(embed["fields"]) <= 25 and units(embed["footer"]["text"]) <= 2048
    assert all(0 < units(field["name"]) <= 256 and 0 < units(field["value"]) <= 1024 for field in embed["fields"])
    texts = [embed["title"], embed["description"], embed["footer"]["text"]]
    assert sum(map(units, texts)) + sum(units(field["name"]) + units(field["value"]) for field in embed["fields"]) <= 6000
    for text in [embed["title"], embed["description"], *(field["value"] for field in embed["fields"] if field["name"] != "Links")]:
        assert not re.search(r"(?<!\\)(?:\\\\)*[*_~`|<>@\[\]]", text), text  # each is behind a backslash of its own
    assert 0 <= embed["color"] <= 0xFFFFFF


def check_teams(content: Content) -> None:
    body = teams.render(content)
    assert len(wire(body)) <= 28 * 1024
    card = body["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard" and card["body"]
    assert "TextBlock" not in {part["type"] for part in _parts(card)}  # it would read markdown
    assert all(part["text"] for part in _parts(card) if part["type"] == "TextRun")
    assert len(card.get("actions", ())) <= 6


def _parts(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found for inner in part for found in _parts(inner)]
    if isinstance(part, dict):
        return ([part] if "type" in part else []) + [found for inner in part.values() for found in _parts(inner)]
    return []


def check_short(content: Content) -> None:
    text = short.render(content)
    assert text and "\n" not in text
    is_gsm = all(letter in short._BASIC or letter in short._EXTENDED for letter in text)
    length = sum(2 if letter in short._EXTENDED else 1 for letter in text) if is_gsm else units(text)
    assert length <= (459 if is_gsm else 201)


def check_pagerduty(content: Content) -> None:
    event = pagerduty.render(content)
    assert len(wire(event)) <= 512 * 1024 - 100  # and the key
    assert event["dedup_key"] and len(event["dedup_key"]) <= 255
    assert event["event_action"] == {"resolved": "resolve", "acknowledged": "acknowledge"}.get(content.event, "trigger")
    if event["event_action"] == "trigger":
        payload = event["payload"]
        assert 0 < units(payload["summary"]) <= 1024 and payload["source"]
        assert payload["severity"] in ("critical", "error", "warning", "info")
        assert all(set(link) == {"href", "text"} for link in event["links"])


def check_opsgenie(content: Content) -> None:
    alert = opsgenie.render(content)
    assert 0 < units(alert["message"]) <= 130 and units(alert["description"]) <= 15_000
    assert len(alert["tags"]) <= 20 and all(0 < units(tag) <= 50 for tag in alert["tags"])
    assert sum(units(name) + units(value) for name, value in alert["details"].items()) <= 8000
    assert units(alert["entity"]) <= 512 and 0 < units(alert["alias"]) <= 512
    assert alert["priority"] in ("P1", "P2", "P3", "P4", "P5")
    assert units(opsgenie.note(content)["note"]) <= 25_000


def check_ntfy(content: Content) -> None:
    for is_in_header, most in ((False, 4096), (True, 2048)):
        body = ntfy.render(content, is_in_header=is_in_header)
        assert 0 < len(body["message"].encode(errors="surrogatepass")) <= most
        assert 0 < len(body["title"].encode(errors="surrogatepass")) <= 250
        assert 1 <= body["priority"] <= 5 and len(body.get("actions", ())) <= 3


def check_sns(content: Content) -> None:
    for is_for_programs in (False, True):
        said = sns.render(content, facts=is_for_programs)
        assert re.fullmatch(r"[!-~][ -~]{0,99}", said["Subject"])
        assert len(said["Message"].encode(errors="replace")) <= 256 * 1024 - 1024  # and the attributes
        protocols = json.loads(said["Message"])
        assert protocols["default"] and protocols["sms"] == short.render(content)
        if is_for_programs:
            told = json.loads(protocols["default"])["incident_id"]
            known = content.facts["incident_id"]
            assert (told is None) == (known is None) and (told is None or (told and known.startswith(told.removesuffix("…"))))


def check_html(content: Content) -> None:
    page = html.render(content, picture="cid:chart")
    seen = _Tags()
    seen.feed(page)
    assert seen.tags <= {"html", "body", "div", "table", "tr", "td", "a", "img"}
    assert seen.addresses <= {link.address for link in content.links} | {"cid:chart"}
    assert plain_text.render(content).endswith("\n")


class _Tags(HTMLParser):
    """The tags of a page, and where it leads."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.addresses = set[str](), set[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses |= {value or "" for name, value in attrs if name in ("href", "src")}


CHECKS = (
    check_slack,
    check_discord,
    check_teams,
    check_short,
    check_pagerduty,
    check_opsgenie,
    check_ntfy,
    check_sns,
    check_html,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_extremes_are_within_what_the_vendor_takes(check: Callable[[Content], None]) -> None:
    for name, content in EXTREMES.items():
        try:
            check(content)
        except AssertionError as error:
            error.add_note(f"of the message {name!r}")
            raise


@given(content=CONTENTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_message_is_within_what_the_vendors_take(content: Content) -> None:
    for check in CHECKS:
        check(content)


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check not in (check_pagerduty, check_opsgenie)], ids=lambda one: one.__name__
)
def test_bundles_are_within_what_the_vendor_takes(check: Callable[[Content], None]) -> None:
    for name, content in BUNDLES.items():
        try:
            check(content)
        except AssertionError as error:
            error.add_note(f"of the bundle {name!r}")
            raise


WRITTEN: dict[str, Callable[[Content], str]] = {
    "slack": lambda content: "\n".join(str(block["text"]["text"]) for block in slack.render(content)["blocks"] if "text" in block),
    "discord": lambda content: "\n".join(field["value"] for field in discord.render(content)["embeds"][0]["fields"]),
    "teams": lambda content: "\n".join(part["text"] for part in _parts(teams.render(content)) if part["type"] == "TextRun"),
    "ntfy": lambda content: ntfy.render(content)["message"],
    "text": plain_text.render,
}


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("name", ["digest of 1", "digest of 12", "digest of 500", "500 held back", "only what is over"])
def test_a_bundle_names_or_counts_every_incident_and_the_worst_first(format: str, name: str) -> None:
    content = BUNDLES[name]
    assert isinstance(content, Bundle)
    text = WRITTEN[format](content).replace("\\", "")
    lines = re.findall(r"(critical|warning|info) · ", text)
    left = re.findall(r"(?m)^ *and ([\d,]+) more$|(?:^|: ) *([\d,]+) incidents?$", text)
    more = [int(count.replace(",", "")) for pair in left for count in pair if count]
    assert len(lines) + sum(more) == len(content.told) and lines
    assert lines.count("critical") == min(len(lines), sum(one.severity == "critical" for one in content.told))
    assert "…" not in text.split("Worst:")[0]
