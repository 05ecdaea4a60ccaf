"""What is said of an unusual figure of a profile: one sentence with numbers, the title of its incident.

An explanation is cut at its first full stop followed by a space, so names of columns and categories have none.
"""

from math import floor, isfinite, log10

from smartflow_assets.core.profiles.figures import Figure
from smartflow_assets.core.text_format import number


def sentence(figure: Figure, category: str, value: float, expected: float, lower: float, upper: float, span: str = "") -> str:
    """The figure beside what is usual; `span`: over how long a time, where it is more than a bucket.

    >>> rows, missing = Figure("row_count"), Figure("null_share", "amount")
    >>> sentence(rows, "", 1204, 2400, 2300, 2500), sentence(rows, "", 0, 2400, 2300, 2500, "6 h")
    ('half the usual rows: 1,204 where 2,300 to 2,500 are usual', 'no rows in 6 h where 2,300 to 2,500 are usual')
    >>> sentence(missing, "", 0.31, 0.002, 0, 0.008), sentence(Figure("category_share", "kind"), "gold", 0.2, 0, 0, 0, "1 day")
    ('31 % of amount are missing; usually 0 % to 0.8 %', '20 % of kind are gold in 1 day; usually none')
    >>> sentence(Figure("mean", "fee"), "", 9.5, 4, 3.2, 5)
    '9.5 is the mean of fee; usually 3.2 to 5'
    """
    column, within = _name(figure.column), f" in {span}" if span else ""
    match figure.kind:
        case "row_count":
            usual = f"{_between(number(round(max(0.0, lower))), number(round(upper)))} are usual"
            return f"no rows{within} where {usual}" if value == 0 else f"{_times(value, expected)}{within}: {number(value)} where {usual}"
        case "null_share" | "category_share":
            what = "missing" if figure.kind == "null_share" else _name(category)
            usual = "none" if upper <= 0 else _between(_percent(max(0.0, lower)), _percent(min(1.0, upper)))
            return f"{_percent(value)} of {column} are {what}{within}; usually {usual}"
        case _:
            return f"{number(value)} is the {figure.kind} of {column}{within}; usually {_between(number(lower), number(upper))}"


def _times(value: float, expected: float) -> str:
    """How many rows there are beside the usual ones.

    >>> _times(52, 100), _times(20, 100), _times(205, 100), _times(340, 100), _times(3, 0)
    ('half the usual rows', '20 % of the usual rows', 'twice the usual rows', '3.4 times the usual rows', 'more rows than usual')
    """
    ratio = value / expected if expected > 0 else float("inf")
    if not isfinite(ratio):
        return "more rows than usual"
    words = {0.5: "half", 2.0: "twice"}
    near = next((word for share, word in words.items() if abs(ratio / share - 1) < 0.1), None)
    return f"{near or (f'{ratio:.0%}'.replace('%', ' % of') if ratio < 2 else f'{ratio:.1f} times')} the usual rows"


def _between(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _percent(share: float) -> str:
    """A share as people read it.

    >>> _percent(0.3141), _percent(0.0081), _percent(0), _percent(0.9999)
    ('31 %', '0.8 %', '0 %', '100 %')
    """
    percent = 100 * share
    digits = 0 if percent >= 10 or percent <= 0 else max(0, -floor(log10(percent)))
    return f"{percent:.{min(digits, 3)}f} %"


def _name(text: str) -> str:
    """A name from the data within a sentence."""
    return " ".join(text.split()).replace(". ", ".") or "''"
