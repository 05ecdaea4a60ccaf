"""A stored model at work in a process that lacks what it was trained with."""

import subprocess
import sys
from pathlib import Path

import pandas as pd

from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import FittedModels

_PROGRAM = """
import sys
library, folder, path, sha = sys.argv[1:]
sys.modules[library] = None
import pandas as pd
from pathlib import Path
from smartflow_assets.adapters.model_store import ModelStore
from smartflow_assets.core.detection import FittedModels, Scoring
models = FittedModels.from_parts(ModelStore(Path(folder)).load({"artefact": path, "sha256": sha}))
rows = pd.read_json(folder + "/rows.json", convert_dates=["observed_at"])
print(Scoring(models).score(rows).scores["raw_score"].map(float.hex).str.cat(sep=","))
"""


def scores_without(library: str, fitted: FittedModels, frame: pd.DataFrame, folder: Path) -> list[str]:
    """The raw scores of these rows, to the bit, where `library` cannot be imported; the model is stored as m1 of `web`."""
    artefact = ModelStore(folder).save("web", "alone", "m1", fitted.parts())
    frame.to_json(folder / "rows.json", orient="records", date_format="iso", double_precision=15)
    arguments = [library, str(folder), artefact.path, artefact.sha256]
    run = subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip().split(",")
