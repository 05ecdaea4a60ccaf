"""The trials of a search, a line of JSON each, so that a search that was cut off goes on where it was.

A trial is written as soon as it is done. A line that was cut off by a kill is left out and tried again. The caller names the
file of a search: the name should change with everything that the figures depend on.
"""

import json
from dataclasses import asdict
from pathlib import Path

from smartflow_assets.core.evaluation.settings_search import Trial, TrialFigures


class TrialLog:
    """The trials of one search in a file; `read` and `append` are all that can be done with it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Trial]:
        """The trials so far, in their order; none when there is no file."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        trials = [trial for line in lines if (trial := _trial(line)) is not None]
        return list({trial.key: trial for trial in trials}.values())

    def append(self, trial: Trial) -> None:
        """Write one trial more."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"point": dict(trial.point), "figures": trial.figures and asdict(trial.figures), "error": trial.error})
        is_cut = self.path.exists() and not (b"\n" + self.path.read_bytes()).endswith(b"\n")
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if is_cut else "") + line + "\n")

    def clear(self) -> None:
        """Forget all of them."""
        self.path.unlink(missing_ok=True)


def _trial(line: str) -> Trial | None:
    try:
        said = json.loads(line)
        return Trial(said["point"], said["figures"] and TrialFigures(**said["figures"]), said["error"])
    except (ValueError, TypeError, KeyError):
        return None
