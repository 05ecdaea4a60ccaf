"""A proposed change of a YAML file, shown as a diff."""

from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING

from smartflow_assets.commands import terminal

if TYPE_CHECKING:
    from ruamel.yaml.comments import CommentedMap


def show_change(path: Path, change: "Callable[[CommentedMap], None]") -> bool:
    """Print what a change would write, and say whether that is anything. The file is not touched."""
    from smartflow_assets.config.yaml_file import edited

    text = path.read_text(encoding="utf-8-sig")
    after = edited(text, change)
    for line in unified_diff(text.splitlines(), after.splitlines(), path.name, f"{path.name}, proposed", n=1, lineterm=""):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[0], "")
        terminal.result(line, style="" if line.startswith(("+++", "---")) else style)
    return after != text
