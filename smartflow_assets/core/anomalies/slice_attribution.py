"""Which slices of the rows explain an anomaly of a sum or a count: `of the change, 74 % came from region=EU`.

The change is that of the metric beside the mean of the same time in earlier weeks; each value of a column has its part of it,
and the parts of a column add up to the whole. Reading the rows is the business of the stage.
"""

from collections.abc import Mapping

from smartflow_assets.core.text_format import number

KEPT_SLICES, SMALLEST_KEPT, SMALLEST_SAID = 5, 0.05, 0.25
REAL = 0.05
"""A change below this share of the usual total is none that slices could explain."""


def slice_shares(now: Mapping[str, float], usual: Mapping[str, float]) -> dict[str, float]:
    """Share of the change of each value of a column, largest first; empty when there is no change to speak of.

    A share above 1 says that other values went the other way.

    >>> slice_shares({"EU": 100, "US": 210}, {"EU": 300, "US": 200, "ASIA": 10})
    {'EU': 1.0, 'ASIA': 0.05, 'US': -0.05}
    """
    change = {value: now.get(value, 0.0) - usual.get(value, 0.0) for value in sorted({*now, *usual})}
    total, size = sum(change.values()), sum(abs(amount) for amount in usual.values())
    if not abs(total) > REAL * size:
        return {}
    shares = {value: round(part / total, 4) for value, part in change.items()}
    return dict(sorted(((value, share) for value, share in shares.items()), key=lambda item: (-item[1], item[0])))


def named_slices(by_column: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """What is kept of the shares of all columns: `region=EU` to its share, the largest of each column first."""
    return {
        f"{column}={value or 'empty'}": share
        for column, shares in by_column.items()
        for value, share in list(shares.items())[:KEPT_SLICES]
        if share >= SMALLEST_KEPT
    }


def describe_slices(by_column: Mapping[str, Mapping[str, float]], usual: Mapping[str, Mapping[str, float]]) -> str:
    """The largest slice of each column in a sentence; empty when none explains a quarter of the change.

    >>> shares, usual = {"EU": 0.74, "US": 0.26}, {"EU": 200.0, "US": 800.0}
    >>> describe_slices({"region": shares, "channel": {"web": 0.2}}, {"region": usual, "channel": {}})
    'Of the change, 74 % came from region=EU (usually 20 % of the whole)'
    >>> describe_slices({"region": {"EU": 1.13, "US": -0.13}}, {"region": usual})
    'Of the change, all came from region=EU, and more: others went the other way (usually 20 % of the whole)'
    """
    said: list[str] = []
    for column, shares in by_column.items():
        value, share = next(iter(shares.items()), ("", 0.0))
        if share < SMALLEST_SAID:
            continue
        whole = sum(usual[column].values())
        before = f" (usually {number(round(100 * usual[column].get(value, 0.0) / whole))} % of the whole)" if whole > 0 else ""
        percent, came = round(100 * share), "" if said else " came"
        part, more = ("all", ", and more: others went the other way") if percent > 100 else (f"{percent} %", "")
        said.append(f"{part}{came} from {column}={value or 'empty'}{more}{before}")
    return f"Of the change, {', '.join(said)}" if said else ""
