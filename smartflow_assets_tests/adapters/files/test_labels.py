"""The CSV of known anomalies."""

import os
from pathlib import Path

import pytest

from smartflow_assets.adapters.files.labels import read_labels
from smartflow_assets.core.errors import SourceError


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(SourceError, match=r"web: the labels are no regular file .*labels\.csv"):
        read_labels(tmp_path / "labels.csv", "web")
