"""The guide to servers: its YAML is valid, and every key of the two readers can be written in a file."""

import re
from pathlib import Path

import pytest

from smartflow_assets.config.source_file import read_source, source_schema

GUIDE = (Path(__file__).parents[2] / "docs" / "servers.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
HTTP = {
    "type": "http",
    "url": "https://api.example.com/v1/orders",
    "parameters": {"limit": 500},
    "headers": {"Authorization": "Bearer ${TOKEN}"},
    "format": "json",
    "records": "data",
    "since": {"parameter": "from", "format": "unix", "start": "90 days"},
    "until": {"parameter": "to", "format": "%Y-%m-%d"},
    "paging": {"by": "page", "parameter": "page", "first": 0},
    "timeout": "10s",
    "retries": 2,
    "max_wait": "1min",
    "ca_file": "ca.pem",
    "late_by": "2h",
    "on_missing_rows": "delete",
    "key": ["order_id"],
    "delimiter": ";",
    "decimal": ",",
    "encoding": "cp1252",
    "time": "at",
}
SQL = {
    "type": "sql",
    "url": "sqlite:///shop.sqlite",
    "table": "orders",
    "chunk": 1000,
    "late_by": "2h",
    "time": "at",
    "on_missing_rows": "keep",
    "key": ["id"],
}


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_guide_shows_is_valid(block, tmp_path):
    name = re.match("name: (.*)", block)[1]
    (tmp_path / f"{name}.yaml").write_text(block)
    assert read_source(tmp_path / f"{name}.yaml").read.late_by.total_seconds() in (7200, 86400)
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("line", re.findall(r"`(paging: \{.*?\})`", GUIDE))
def test_every_paging_of_the_guide_is_valid(line, tmp_path):
    (tmp_path / "shop.yaml").write_text(f"name: shop\nread:\n  type: http\n  url: https://example.com\n  time: at\n  {line}\n")
    assert read_source(tmp_path / "shop.yaml").read.paging is not None


@pytest.mark.parametrize("keys", [HTTP, SQL])
def test_every_key_can_be_written_and_is_in_the_schema(keys, tmp_path):
    (tmp_path / "shop.yaml").write_text("name: shop\nread: " + repr(keys).replace("'", '"') + "\n")
    read = read_source(tmp_path / "shop.yaml").read
    missing = {"query", "probe_query"} if keys is SQL else set()
    assert set(type(read).model_fields) - missing == set(keys)
    name = "HttpReader" if keys is HTTP else "SqlReader"
    described = source_schema()["$defs"][name]["properties"]
    assert set(described) - missing == set(keys)
    assert [key for key, value in described.items() if "description" not in value and key != "type"] == []
