"""A contract put into the YAML of its source: what is there already keeps its place and its comments."""

from collections.abc import Mapping
from typing import Any

from ruamel.yaml.comments import CommentedMap

KEY = "contract"


def put_contract(tree: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Make `contract:` of a source's YAML, as ruamel holds it, say these values. Columns stand one in a line."""
    if not isinstance(tree.get(KEY), dict):
        tree[KEY] = CommentedMap()
    _put(tree[KEY], values, depth=0)


def _put(node: dict[str, Any], values: Mapping[str, Any], *, depth: int) -> None:
    """Keys that are equal stay as they are written; a list keeps its items and gets those that it has not."""
    for key in [key for key in node if key not in values]:
        del node[key]
    for key, value in values.items():
        there = node.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            _put(there, value, depth=depth + 1)
        elif isinstance(there, list) and isinstance(value, list) and depth == 0:
            there.extend(item for item in value if item not in there)
        elif key == "columns" and depth == 0:
            node[key] = CommentedMap(value)
        elif key not in node or there != value:
            node[key] = value
