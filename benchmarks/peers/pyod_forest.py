"""PyOD's forest on each series of the rows of cycle.py.

python benchmarks/peers/pyod_forest.py FILE OUT
"""

import sys

import pandas as pd
from pyod.models.iforest import IForest

frame = pd.read_csv(sys.argv[1], parse_dates=["timestamp"]).set_index("timestamp")
found = {name: IForest(contamination=0.01, random_state=0).fit(frame[[name]].to_numpy()).labels_ for name in frame.columns}
pd.DataFrame(found, frame.index).to_csv(sys.argv[2])
