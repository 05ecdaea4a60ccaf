"""Write the example files anew: `python data/examples/regenerate.py`. A test holds them equal to the generators."""
from pathlib import Path

from smartflow_assets.core.generators.examples import example_files

for name, text in example_files().items():
    (Path(__file__).parent / name).write_text(text, encoding="utf-8", newline="\n")
