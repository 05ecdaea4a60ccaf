"""What a data engineer writes by hand for the rows of cycle.py: pandas for the features, a forest for each series, and Prophet if asked.

python benchmarks/peers/pandas_forest.py FILE OUT [--prophet]
"""

import argparse
import logging

import pandas as pd
from sklearn.ensemble import IsolationForest


def features(values: pd.Series) -> pd.DataFrame:
    """The value, its rolling mean and deviation over an hour and a day, its lags, and the hour."""
    made = pd.DataFrame({"value": values, "hour": values.index.hour, "weekday": values.index.dayofweek})
    for rows in (12, 288):
        made[f"mean_{rows}"], made[f"std_{rows}"] = values.rolling(rows, 1).mean(), values.rolling(rows, 1).std()
        made[f"lag_{rows}"] = values.shift(rows)
    return made.bfill()


def prophet_anomalies(values: pd.Series) -> pd.Series:
    """Whether each value lies outside of the interval that Prophet gives it."""
    from prophet import Prophet

    logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
    rows = pd.DataFrame({"ds": values.index.tz_localize(None), "y": values.to_numpy()})
    forecast = Prophet(interval_width=0.99).fit(rows).predict(rows[["ds"]])
    return pd.Series(~rows["y"].between(forecast["yhat_lower"], forecast["yhat_upper"]).to_numpy(), values.index)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("file")
parser.add_argument("out")
parser.add_argument("--prophet", action="store_true")
arguments = parser.parse_args()
frame = pd.read_csv(arguments.file, parse_dates=["timestamp"]).set_index("timestamp")
found = {}
for name in frame.columns:
    made = features(frame[name])
    found[name] = pd.Series(IsolationForest(random_state=0, contamination=0.01).fit_predict(made) < 0, frame.index)
    if arguments.prophet:
        found[name] &= prophet_anomalies(frame[name])
pd.DataFrame(found).to_csv(arguments.out)
