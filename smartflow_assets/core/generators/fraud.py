"""Payments of a bank's customers, by bank transfer and UPI: one row for each payment, at the moment when it was made.

Customers pay by habit: their own level of spending, the category that suits the hour, small amounts by UPI. A fraud is a
handful of payments among those of all others; each of them is labelled on its own, under the name of the scheme.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from smartflow_assets.core.generators.anomaly_events import Bounds, labels_of
from smartflow_assets.core.generators.base import BaseGenerator, Generated
from smartflow_assets.core.generators.random_streams import Chance
from smartflow_assets.core.generators.seasonality import bump, hour_of
from smartflow_assets.core.temporal.notation import Duration

# usual amount, hour of its peak, share of all payments, share paid by UPI
CATEGORIES = {
    "groceries": (900, 18, 0.28, 0.7),
    "restaurant": (650, 20, 0.2, 0.75),
    "fuel": (1500, 9, 0.12, 0.5),
    "online": (1800, 21, 0.16, 0.55),
    "utilities": (2400, 11, 0.08, 0.45),
    "electronics": (9000, 15, 0.04, 0.2),
    "travel": (12_000, 13, 0.04, 0.15),
    "transfer": (4000, 12, 0.08, 0.6),
}
UPI_LIMIT = 100_000.0
DENSITY = np.linspace(0, 24, 24 * 60 + 1)  # minutes of the day, where the clock of the payments is tabulated
SPREAD = 4  # a fraud's payments lie among so many times as many rows


class Fraud(BaseGenerator, frozen=True):
    """`account`, `channel` (bank or upi), `category` and `amount` of each payment; labels are about `amount`."""

    type: Literal["fraud"] = "fraud"
    step: Duration = Field(
        default=timedelta(minutes=2), ge=timedelta(seconds=1), description="Mean time between two payments, whatever the hour."
    )
    accounts: int = Field(default=400, ge=1, description="Customers of the bank.")

    @property
    def bounds(self) -> Mapping[str, Bounds]:
        return {"amount": Bounds(floor=1.0, ceiling=2_000_000.0, decimals=2)}

    def piece(self, times: pd.DatetimeIndex, chance: Chance, anomaly_rate: float) -> Generated:
        twin = self._payments(_moments(times, self.step, chance), chance)
        frame = twin.copy()
        frauds = self._commit(frame, anomaly_rate, chance)
        bounds = self.bounds["amount"]
        width = bounds.width(twin["amount"].to_numpy())
        frame["amount"] = bounds.applied(frame["amount"].to_numpy())
        change = ((frame["amount"] - twin["amount"]).abs() / width).round(2)
        labels = labels_of(("amount", moment := frame["timestamp"][row], moment, frauds[row], change[row]) for row in sorted(frauds))
        return Generated(frame, labels, twin)

    def _payments(self, moments: pd.DatetimeIndex, chance: Chance) -> pd.DataFrame:
        rows = len(moments)
        level = np.exp(0.5 * chance.at(0, 0).standard_normal(self.accounts))
        activity = chance.at(0, 1).gamma(1.5, 1, self.accounts)
        account = chance.rng(2).choice(self.accounts, rows, p=activity / activity.sum())
        category = _categories(hour_of(moments), chance.rng(3))
        usual, _, _, upi = (np.array(column) for column in zip(*CATEGORIES.values(), strict=True))
        is_upi = chance.rng(4).random(rows) < upi[category]
        amount = usual[category] * level[account] * np.where(is_upi, 0.6, 1.3) * np.exp(0.45 * chance.rng(5).standard_normal(rows))
        amount = np.where(is_upi, np.minimum(amount, UPI_LIMIT), amount)
        return pd.DataFrame(
            {
                "timestamp": moments,
                "account": _names(account),
                "channel": np.where(is_upi, "upi", "bank").astype(object),
                "category": np.array(list(CATEGORIES), dtype=object)[category],
                "amount": self.bounds["amount"].applied(amount),
            }
        ).astype(dict.fromkeys(("account", "channel", "category"), "str"))

    def _commit(self, frame: pd.DataFrame, anomaly_rate: float, chance: Chance) -> dict[int, str]:
        """Put frauds into the rows; the scheme of each row that is one."""
        rows, rng, left = len(frame), chance.rng(1000), anomaly_rate * len(frame)
        schemes: list[str] = []
        done: dict[int, str] = {}
        while left > 0:
            schemes = schemes or [str(name) for name in rng.permutation(list(SCHEMES))]
            name = schemes.pop()
            (fewest, most), scheme = SCHEMES[name]
            count = int(rng.integers(fewest, most + 1))
            if rng.random() * count > left or count * SPREAD >= rows:
                break
            first = int(rng.integers(0, rows - count * SPREAD))
            free = [row for row in range(first, first + count * SPREAD) if row not in done]
            chosen = np.sort(rng.choice(free, min(count, len(free)), replace=False))
            for column, values in scheme(len(chosen), self.accounts, rng).items():
                frame.loc[chosen, column] = values
            done |= dict.fromkeys(chosen.tolist(), name)
            left -= count
        return done


PaymentColumns = dict[str, Any]


def _card_testing(count: int, accounts: int, rng: np.random.Generator) -> PaymentColumns:
    """A stolen card is tried out with sums that nobody notices."""
    return _as_one(rng, accounts, "bank", "online") | {"amount": rng.uniform(1, 15, count)}


def _account_takeover(count: int, accounts: int, rng: np.random.Generator) -> PaymentColumns:
    """Somebody else uses an account to buy what can be sold again."""
    return _as_one(rng, accounts, "bank", "electronics") | {"amount": rng.uniform(90_000, 320_000, count)}


def _collect_scam(count: int, accounts: int, rng: np.random.Generator) -> PaymentColumns:
    """Many customers accept the same request for money."""
    amount = rng.choice([19_999, 24_999, 49_999]) - rng.integers(0, 3, count)
    return {"account": _names(rng.integers(0, accounts, count)), "channel": "upi", "category": "transfer", "amount": amount}


def _mule_transfers(count: int, accounts: int, rng: np.random.Generator) -> PaymentColumns:
    """Money leaves in parts that stay below what must be reported."""
    return _as_one(rng, accounts, "bank", "transfer") | {"amount": rng.uniform(48_500, 49_990, count)}


def _as_one(rng: np.random.Generator, accounts: int, channel: str, category: str) -> PaymentColumns:
    return {"account": _names(rng.integers(0, accounts, 1))[0], "channel": channel, "category": category}


SCHEMES: dict[str, tuple[tuple[int, int], Callable[[int, int, np.random.Generator], PaymentColumns]]] = {  # payments, both ends included
    "card_testing": ((8, 40), _card_testing),
    "account_takeover": ((1, 5), _account_takeover),
    "collect_scam": ((5, 30), _collect_scam),
    "mule_transfers": ((3, 12), _mule_transfers),
}


def _moments(times: pd.DatetimeIndex, step: timedelta, chance: Chance) -> pd.DatetimeIndex:
    """When the payments are made: one in each step of a clock that runs fast when people are awake."""
    slots = times + pd.to_timedelta(chance.rng(0).uniform(0.02, 0.98, len(times)) * step.total_seconds(), unit="s")
    density = 0.12 + bump(DENSITY, 12.5, 3) + 1.1 * bump(DENSITY, 19.5, 2.4)
    passed = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    hours = np.interp(hour_of(slots) / 24, passed / passed[-1], DENSITY)
    return pd.DatetimeIndex(slots.normalize() + pd.to_timedelta(np.round(hours * 3600, 3), unit="s")).as_unit("us")


def _categories(hour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, at, share, _ = (np.array(column) for column in zip(*CATEGORIES.values(), strict=True))
    weight = share * (0.25 + bump(hour[:, None], at, 3))
    reached = np.cumsum(weight, axis=1) / weight.sum(axis=1, keepdims=True)
    return (rng.random((len(hour), 1)) > reached).sum(axis=1)


def _names(accounts: np.ndarray) -> np.ndarray:
    return np.array([f"C{number:05d}" for number in accounts], dtype=object)
