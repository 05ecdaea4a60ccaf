"""By what a content that was read is known: its own hash, and a key for how it was read.

The key has two parts. The first stands for formats, layout and what was wanted; the second, after an @, names the zone that times
without one were read in, and is left out where every time names its own: such a content means the same under any calendar. So a
content is read again when the zone changes what it means, and only then, and the zone of what is stored can be told. Before there was
an @ the zone was a part of the first part, and UTC where nobody had named one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

from smartflow_assets.adapters.scans import Layout
from smartflow_assets.adapters.staging.contract import TimeColumn, Wanted
from smartflow_assets.adapters.warehouse.writes import MissingRows

READ_AGAIN = " to be read again"  # after the hash of a known content that may have lost rows


@dataclass(frozen=True)
class ReadingKey:
    """`with_zone` gives eight characters for how a content is read in a zone, `zone` is the one that holds now."""

    with_zone: Callable[[str | None], str]
    zone: str

    def of(self, zone: str | None) -> str:
        """The key of a content whose times are of this zone; None when they name their own."""
        return self.with_zone(None) + (f"@{zone}" if zone else "")

    def holds(self, key: str) -> bool:
        """Was what has this key read as it would be now?"""
        return key in (self.of(self.zone), self.of(None), self.with_zone(self.zone))

    def zone_before(self, key: str) -> str | None:
        """The zone of what has this key, if it was read as it would be now but for its zone; else None."""
        if self.holds(key):
            return None
        if key.startswith(f"{self.of(None)}@"):
            return key.partition("@")[2]
        return "UTC" if key == self.with_zone("UTC") else None


def key_of_file(
    time: TimeColumn,
    layout: Layout,
    wanted: Wanted,
    on_missing_rows: MissingRows,
    calendar_zone: str,
    kept: Mapping[str, object] = MappingProxyType({}),
) -> ReadingKey:
    """How a file is read: when a person corrects a format or a zone, known files are read again. `kept` are the other settings that say
    which of its rows are kept, where they are not the defaults."""
    missing = "keep_older" if on_missing_rows == "keep" else on_missing_rows  # as it was called when the keys that are stored were made

    def with_zone(zone: str | None) -> str:
        return _eight(json.dumps([time.keys(zone), asdict(layout), wanted.reading, missing, *([dict(kept)] if kept else [])]))

    return ReadingKey(with_zone, time.reading(calendar_zone).zone)


def key_of_feed(time: TimeColumn, asked: dict[str, object], wanted: Wanted, calendar_zone: str) -> ReadingKey:
    """What a server is asked, and how its answer is read."""

    def with_zone(zone: str | None) -> str:
        return _eight(json.dumps([asked | {"time": time.keys(zone)}, wanted.reading], sort_keys=True))

    return ReadingKey(with_zone, time.reading(calendar_zone).zone)


def split(content_hash: str) -> tuple[str, str]:
    """The hash of the content itself, and the key of its reading."""
    digest, _, key = content_hash.partition(" ")[0].partition(".")
    return digest, key


def _eight(keys: str) -> str:
    return hashlib.sha256(keys.encode()).hexdigest()[:8]
