"""How a number, an interval or an event's name is said: one place, so that no two views differ.

A percent is never said without the count it is a share of, so `share` says both. Month names are
spelled here and not by the machine's locale: the same report comes out everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

# ──── wording


UNDEFINED = "n/a"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


_MINUS = "−"


def percent(rate: float) -> str:
    """A rate as percent with one decimal, two below 1 %; a rate of all or nothing has none.

    Examples
    --------
    >>> percent(0.04624), percent(0.0042), percent(1.0), percent(0.99999), percent(float("nan"))
    ('4.6%', '0.42%', '100%', '>99.9%', 'n/a')
    """
    if math.isnan(rate):
        return UNDEFINED
    if rate in (0.0, 1.0):
        return f"{rate:.0%}"
    if rate < 0.0001:
        return "<0.01%"
    if rate > 0.9995:
        return ">99.9%"
    return f"{rate:.1%}" if rate >= 0.01 else f"{rate:.2%}"


def share(k: float, n: float, rate: float) -> str:
    """A rate with its count and its denominator.

    Examples
    --------
    >>> share(80, 1730, 80 / 1730)
    '4.6% (80 of 1,730)'
    """
    return f"{percent(rate)} ({count(k)} of {count(n)})"


def estimate(row: Any) -> str:
    """A rate with its count, its denominator and its interval.

    Parameters
    ----------
    row : ``k, n, rate, low, high``, a mapping or a row of a table.

    Examples
    --------
    >>> estimate({"k": 80, "n": 1730, "rate": 80 / 1730, "low": 0.0373, "high": 0.0572})
    '4.6% (80 of 1,730; 95% interval 3.7% to 5.7%)'
    """
    many = share(row["k"], row["n"], row["rate"]).removesuffix(")")
    return f"{many}; 95% interval {percent(row['low'])} to {percent(row['high'])})"


def count(number: float) -> str:
    """A whole number with thousands separated; undefined is ``n/a``.

    Examples
    --------
    >>> count(1730), count(float("nan"))
    ('1,730', 'n/a')
    """
    return UNDEFINED if math.isnan(number) else f"{number:,.0f}"


def points(change: float, *, signed: bool = True) -> str:
    """A difference of two rates in percentage points, with a true minus sign.

    Examples
    --------
    >>> points(-0.0091), points(0.016), points(-0.0091, signed=False), points(-0.0001)
    ('−0.9', '+1.6', '0.9', '0.0')
    """
    if math.isnan(change):
        return UNDEFINED
    said = f"{100 * abs(change):.1f}"
    if not signed or float(said) == 0:
        return said
    return f"{_MINUS if change < 0 else '+'}{said}"


def relative(change: float) -> str:
    """A relative change in percent, with its sign.

    Examples
    --------
    >>> relative(-0.121), relative(0.05)
    ('−12%', '+5%')
    """
    if math.isnan(change):
        return UNDEFINED
    said = f"{abs(change):.0%}"
    return said if said == "0%" else f"{_MINUS if change < 0 else '+'}{said}"


def label(event: Any) -> str:
    """An event's name as people say it; what has spaces or capitals already is one.

    Examples
    --------
    >>> label("view_item"), label("Viewed a product"), label("signUp")
    ('View item', 'Viewed a product', 'signUp')
    """
    text = str(event)
    if " " in text.strip() or text != text.lower():
        return text
    words = " ".join(text.replace("_", " ").split())
    return words[:1].upper() + words[1:] or text


def group_name(group: Any) -> str:
    """A breakdown's group in words; the values of several properties are joined.

    Examples
    --------
    >>> group_name(("mobile", "DE")), group_name("mobile")
    ('mobile · DE', 'mobile')
    """
    return " · ".join(map(str, group)) if isinstance(group, tuple) else str(group)


def day(stamp: pd.Timestamp, *, year: bool = False) -> str:
    """A day as people write it, in any locale.

    Examples
    --------
    >>> day(pd.Timestamp("2026-11-09")), day(pd.Timestamp("2026-11-09"), year=True)
    ('9 Nov', '9 Nov 2026')
    """
    said = f"{stamp.day} {_MONTHS[stamp.month - 1]}"
    return f"{said} {stamp.year}" if year else said


def days(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """The days from `start` to `end` (excluded).

    Examples
    --------
    >>> days(pd.Timestamp("2026-11-09"), pd.Timestamp("2026-11-16"))
    '9 to 15 Nov 2026'
    >>> days(pd.Timestamp("2026-10-26"), pd.Timestamp("2026-11-02"))
    '26 Oct to 1 Nov 2026'
    """
    last = end - pd.Timedelta(1, "us")
    if start.normalize() == last.normalize():
        return day(last, year=True)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} to {day(last, year=True)}"
    return f"{day(start, year=start.year != last.year)} to {day(last, year=True)}"


def listed(names: list[str]) -> str:
    """Names as a sentence lists them.

    Examples
    --------
    >>> listed(["mobile", "desktop", "tablet"])
    'mobile, desktop and tablet'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


# ──── ratio_words
#
# How a ratio and its interval are said, in sentences, on marks and on hover.


def times(ratio: float) -> str:
    """A ratio with as many digits as it can bear.

    Examples
    --------
    >>> times(1.4142), times(0.0312), times(23.44), times(1234.5), times(float("nan"))
    ('1.41', '0.031', '23.4', '1,234', 'n/a')
    """
    if math.isnan(ratio):
        return UNDEFINED
    if ratio >= 100:
        return f"{ratio:,.0f}"
    if ratio >= 10:
        return f"{ratio:.1f}"
    return f"{ratio:.2f}" if ratio >= 0.1 or ratio == 0 else f"{ratio:.2g}"


def between(low: float, high: float) -> str:
    """The limits of a ratio.

    Examples
    --------
    >>> between(1.2, 1.66)
    '1.20 to 1.66'
    """
    return f"{times(low)} to {times(high)}"


def with_interval(ratio: float, low: float, high: float) -> str:
    """A ratio with its interval of 95 percent.

    Examples
    --------
    >>> with_interval(1.41, 1.2, 1.66)
    '1.41 (95% interval 1.20 to 1.66)'
    """
    return f"{times(ratio)} (95% interval {between(low, high)})"


def chance(p: float) -> str:
    """A p- or q-value.

    Examples
    --------
    >>> chance(0.0312), chance(0.00001), chance(float("nan"))
    ('0.031', 'below 0.001', 'n/a')
    """
    if math.isnan(p):
        return UNDEFINED
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def coefficient(r: float) -> str:
    """A correlation, with a true minus sign.

    Examples
    --------
    >>> coefficient(-0.137), coefficient(-0.001), coefficient(0.5)
    ('−0.14', '0.00', '0.50')
    """
    said = f"{abs(r):.2f}"
    return f"−{said}" if r < 0 and float(said) else said


# ──── figures.differences


def thing(kind: str, name: str, value: str) -> str:
    """What a row compares, in words.

    Examples
    --------
    >>> thing("event", "view_item", ""), thing("property", "device", "mobile")
    ('View item', 'Device: mobile')
    """
    if kind == "property":
        return f"{label(name)}: {value}"
    return f"{label(name)} ({value})" if kind == "funnel" else label(name)


def q_words(q_value: float) -> str:
    """A q-value in words; below a thousandth its digits say nothing.

    Examples
    --------
    >>> q_words(0.012), q_words(1e-9)
    ('q = 0.012', 'q < 0.001')
    """
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.2g}"


def _thing(row: Any) -> str:
    return thing(row.kind, row.name, row.value)
