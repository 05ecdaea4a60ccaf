"""False alerts on holidays and recall elsewhere, with and without `calendar.holidays`, on series of our own making.

    python benchmarks/holiday_effects.py [--seeds 10] [--steps '1 day,30min']

Each series has three years in New York: trend, season of the year, the week and the day, noise that lasts, holidays of the United States
with effects of random size (of even seeds each holiday its own, 0.3 to 2.5 times the usual and another shape of the day; of odd seeds a
holiday is like a Sunday), which differ by 5 % from year to year, and smaller effects on days beside them. Anomalies are planted away from
those days in the judged part, and outages on a third of its holidays. Untouched defaults learn from the first year or the first two, and
judge the rest. Prints for each: false alerts on holidays and the days beside them, on other days, each for one series and year; recall of
what was planted elsewhere; recall of the outages on holidays.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from smartflow_assets.core.detection import detect
from smartflow_assets.core.series.intervals import flagged_intervals
from smartflow_assets.core.temporal.calendar import Calendar
from smartflow_assets.core.temporal.notation import parse_duration
from smartflow_assets.core.temporal.special_days import SpecialDay, special_days
from smartflow_assets.core.temporal.time_grid import DAY, TimeGrid

NEW_YORK = Calendar(timezone="America/New_York", holidays="US")
FIRST, LAST = date(2022, 1, 3), date(2025, 1, 2)
Planted = dict[str, list[np.ndarray]]


def made(step: timedelta, seed: int, judged_from: int) -> tuple[pd.DataFrame, np.ndarray, Planted]:
    """A series, whether each of its rows lies on a special day, and the rows of what was planted from row `judged_from` on:
    `elsewhere` and `outage` (on holidays)."""
    rng = np.random.default_rng([seed, int(step.total_seconds())])
    grid = TimeGrid(step, NEW_YORK)
    times = grid.starts(*(pd.Timestamp(day, tz=NEW_YORK.timezone) for day in (FIRST, LAST)))
    local = NEW_YORK.local(times)
    count, at = len(times), np.arange(len(times)) * (step / DAY)
    hour = (local.hour + local.minute / 60).to_numpy()
    weekend = rng.uniform(0.45, 0.8, 2)
    weekday = np.append(rng.uniform(0.9, 1.1, 5), weekend)[local.day_of_week]
    daily = 1 + rng.uniform(0.4, 0.7) * np.sin((hour - 9) * np.pi / 12) if step < DAY else np.ones(count)
    yearly = 1 + 0.15 * np.sin(2 * np.pi * (at / 365.25 + rng.uniform()))
    value = rng.uniform(200, 5000) * np.exp(rng.uniform(-0.1, 0.3) * at / 365.25) * weekday * daily * yearly
    days = local.tz_localize(None).normalize().to_numpy().astype("datetime64[D]")
    special = special_days(NEW_YORK, FIRST, LAST)
    effects = {day.name: (float(np.exp(rng.normal(-0.3, 0.5))), rng.uniform(-0.3, 0.3)) for day in special}
    beside = {(day.role, day.name): float(np.exp(rng.normal(0, 0.12))) for day in special}
    is_special = np.zeros(count, bool)
    for day in special:
        rows = days == np.datetime64(day.day)
        is_special |= rows
        value[rows] *= rng.normal(1, 0.05) * _effect(
            day, effects, beside, hour[rows], rng, weekend[1], weekday[rows], is_sunday=seed % 2 == 1
        )
    drift = np.zeros(count)
    noise = rng.normal(0, 0.03, count)
    for row in range(1, count):
        drift[row] = 0.6 * drift[row - 1] + noise[row]
    value *= np.exp(drift + rng.normal(0, 0.02, count))
    planted = _plant(value, is_special, days, [day.day for day in special if day.role == "holiday"], judged_from, step, rng)
    return pd.DataFrame({"series": f"series {seed}", "observed_at": times, "value": value}), is_special, planted


def _effect(
    day: SpecialDay,
    effects: dict[str, tuple[float, float]],
    beside: dict[tuple[str, str], float],
    hour: np.ndarray,
    rng: np.random.Generator,
    sunday: float,
    weekday: np.ndarray,
    *,
    is_sunday: bool,
) -> np.ndarray:
    if day.role != "holiday":
        return np.full(len(hour), beside[day.role, day.name])
    if is_sunday:
        return sunday / weekday
    size, tilt = effects[day.name]
    return np.clip(size, 0.3, 2.5) * (1 + tilt * np.sin(hour * np.pi / 12))


def _plant(
    value: np.ndarray,
    is_special: np.ndarray,
    days: np.ndarray,
    holidays: list[date],
    judged_from: int,
    step: timedelta,
    rng: np.random.Generator,
) -> Planted:
    length = 1 if step >= DAY else 6
    planted: Planted = {"elsewhere": [], "outage": []}
    taken = is_special.copy()
    while len(planted["elsewhere"]) < 12:
        first = int(rng.integers(judged_from, len(value) - 40 * length))
        rows = np.arange(first, first + length)
        around = slice(max(0, first - 8 * length), first + 9 * length)
        if not taken[around].any():
            value[rows] *= rng.choice([0.4, 0.6, 1.5, 1.8])
            taken[rows] = True
            planted["elsewhere"].append(rows)
    for day in holidays[::3]:
        rows = np.flatnonzero(days == np.datetime64(day))
        rows = rows if step >= DAY else rows[len(rows) // 2 : len(rows) // 2 + 6]
        if len(rows) and rows[0] >= judged_from:
            value[rows] *= 0.1
            planted["outage"].append(rows)
    return planted


def counted(step: timedelta, seed: int, calendar: Calendar, years: int) -> np.ndarray:
    """False alerts on special days, elsewhere, found and planted elsewhere, found and planted outages on holidays, years judged."""
    judged_from = int(years * 365.25 * DAY / step)
    frame, is_special, planted = made(step, seed, judged_from)
    flags = detect(frame, train_rows=judged_from, calendar=calendar)["is_anomaly"].to_numpy()
    free = flags.copy()
    found = {kind: sum(bool(flags[rows[0] : rows[-1] + 3].any()) for rows in events) for kind, events in planted.items()}
    for rows in (*planted["elsewhere"], *planted["outage"]):
        free[rows[0] : rows[-1] + (3 if step >= DAY else 11)] = False
    on_special, elsewhere = (flagged_intervals(frame, free & rows, step).max() for rows in (is_special, ~is_special))
    judged = (len(frame) - judged_from) * (step / DAY) / 365.25
    return np.array([on_special, elsewhere, found["elsewhere"], len(planted["elsewhere"]), found["outage"], len(planted["outage"]), judged])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--steps", default="1 day,30min", help="comma-separated")
    arguments = parser.parse_args()
    print("step    learnt from  holidays  false on holidays  false elsewhere  recall elsewhere  outages on holidays")
    for step in map(parse_duration, arguments.steps.split(",")):
        for years in (1, 2):
            for calendar in (NEW_YORK.model_copy(update={"holidays": None}), NEW_YORK):
                seeds = track(range(arguments.seeds), f"{step}, {years}, {calendar.holidays}", console=Console(stderr=True))
                total = sum((counted(step, seed, calendar, years) for seed in seeds), np.zeros(7))
                special, elsewhere, found, planted, outages, of_outages, judged = total
                print(
                    f"{str(step).split(',')[0]:8s}{years} years      {calendar.holidays or 'without':9s}{special / judged:15.1f}"
                    f"{elsewhere / judged:17.1f}{found / planted:18.2f}{outages / of_outages:18.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
