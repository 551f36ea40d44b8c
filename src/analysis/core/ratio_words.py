"""How a ratio and its interval are said, in sentences, on marks and on hover."""

from __future__ import annotations

import math

from analysis.core.wording import UNDEFINED


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
