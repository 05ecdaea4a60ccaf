"""Feeds of every kind that go bad after a good day: each is told in one line, what was stored stays, the other sources go on."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import duckdb
import pytest

from smartflow_assets_tests.commands.conftest import SHOP, Smartflow

QUICK = SHOP + "detectors: [{type: mad}]\n"  # what is found does not matter here
TIMES = [f"2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z" for hour in range(120)]
LIST = json.dumps([{"ts": time, "n": 100 + place % 7} for place, time in enumerate(TIMES)])
FUNCTION = "def rows():\n    return [{'ts': f'2026-03-0{day}', 'n': day} for day in range(1, 10)]\n"


def parquet(path: Path) -> bytes:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT TIMESTAMP '2026-03-01' + to_hours(CAST(range AS BIGINT)) AS ts, 100 + range % 7 AS n FROM range(120)) "
            f"TO '{path}' (FORMAT parquet)"
        ).fetchall()
    return path.read_bytes()


FEEDS = {
    "json_cut": ("json", "a.json", LIST.encode(), lambda good: good[:-300], "the JSON is cut off"),
    "json_latin": ("json", "c.json", LIST.encode(), lambda good: good.replace(b"2026-03-01", b"\xe4"), "the text is not utf-8"),
    "parquet_cut": ("parquet", "g.parquet", None, lambda good: good[:-30], "the Parquet file is damaged or was cut off"),
    "parquet_empty": ("parquet", "i.parquet", None, lambda good: b"", "the file is empty"),
    "function": ("python", "j.py", FUNCTION.encode(), lambda good: good.replace(b"return", b"raise ValueError #"), "it raised ValueError"),
}


@pytest.mark.parametrize("names", [pytest.param([*FEEDS], id="all"), ["function"]], ids=str)
@pytest.mark.soak
def test_a_feed_that_goes_bad_is_told_and_loses_nothing(
    smartflow: Smartflow, home: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    chosen = {name: FEEDS[name] for name in names}
    feeds = home / "data" / "feeds"
    monkeypatch.syspath_prepend(str(feeds))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "bad_feed_j", raising=False)  # that of the other case
    spoil: dict[Path, Callable[[bytes], bytes]] = {}
    for name, (kind, file, content, change, _) in chosen.items():
        path = feeds / (f"bad_feed_{file}" if kind == "python" else file)
        path.write_bytes(parquet(path) if content is None else content)
        spoil[path] = change
        read = f"{{type: {kind}, path: feeds/{file}, time: ts}}"
        if kind == "python":
            read = f"{{type: python, function: 'bad_feed_{path.stem[-1]}:rows', time: ts}}"
        (home / "data" / "sources" / f"{name}.yaml").write_text(
            QUICK.replace("name: shop", f"name: {name}").replace("{type: csv, path: feeds/shop.csv, time: ts}", read)
        )
    assert smartflow("run", "--as-of", "2026-03-06").code == 0
    before = counts(home, chosen)
    assert before == {name: 9 if name == "function" else 120 for name in (*names, "shop")}
    for path, change in spoil.items():
        path.write_bytes(change(path.read_bytes()))
        os.utime(path)
        sys.modules.pop(path.stem, None)
    with (feeds / "shop.csv").open("a") as good:
        good.write("2026-03-06T00:00:00Z,101\n")
    answer = smartflow("run", "--as-of", "2026-03-06T02:00")
    assert answer.code == 1
    errors = dict(line.removeprefix("error: ").split(": ", 1) for line in answer.err.splitlines() if line.startswith("error: "))
    assert errors.keys() == chosen.keys()
    for name, (_, file, _, _, said) in chosen.items():
        assert said in errors[name], name
        assert file.split(".")[0] in errors[name], name
    assert counts(home, chosen) == before | {"shop": 121}


def counts(home: Path, names: Iterable[str]) -> dict[str, int]:
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM raw.{name}").fetchall()[0][0] for name in (*names, "shop")}


@pytest.mark.soak
def test_a_readme_in_the_inbox_is_an_incident_until_it_is_gone_and_a_column_of_words_is_told(smartflow: Smartflow, home: Path) -> None:
    inbox = home / "data" / "inbox" / "shop"
    inbox.mkdir(parents=True)
    (home / "data" / "sources" / "shop.yaml").write_text(QUICK.replace("type: csv, path: feeds/shop.csv", "type: inbox"))
    (inbox / "README.txt").write_text("Put your files here.\n")
    (inbox / "a.csv").write_text("ts,n,lane\n" + "".join(f"{time},{place},north\n" for place, time in enumerate(TIMES[:20])))
    (inbox / "b.csv").write_text("ts,n,lane\n" + "".join(f"{time},{place},{place}\n" for place, time in enumerate(TIMES[20:40])))
    answer = smartflow("run", "--as-of", "2026-03-06")
    assert (answer.code, answer.out.split()[1]) == (0, "ok")
    assert "inbox/shop/README.txt is set aside" in answer.err
    said = "column 'lane' is text since 'north': numbers that come make no series; if they should, name it under `metrics`"
    assert said in answer.err
    assert said in smartflow("sources").err
    assert counts(home, []) == {"shop": 40}
    incidents = "select cause, severity, state from incidents where cause like 'check:%'"
    assert smartflow("sql", incidents, "--format", "csv").out.split()[1:] == ["check:every_file_was_taken,warning,open"]
    (inbox / "README.txt").unlink()
    assert smartflow("run", "--as-of", "2026-03-06T02:00").code == 0
    assert smartflow("sql", incidents, "--format", "csv").out.split()[1:] == ["check:every_file_was_taken,warning,resolved"]
