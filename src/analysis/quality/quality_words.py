"""What an audit says and where it draws its lines.

Every line stands in `Limits`, with its default, so that nothing is judged by a number that a
reader cannot see and move. The defaults are wide: an audit that cries wolf is not read twice.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from analysis.core.schema import UsageError

PASS, WARN, FAIL, NOT_APPLICABLE = "pass", "warn", "fail", "not applicable"


Limit: TypeAlias = tuple[float, float]
"""From which value on a check warns, and from which on it fails."""


class Finding(NamedTuple):
    """One check: its question, what was found in numbers and words, and what to do about it.

    ``value`` is what is held against ``limit``, where the check begins to warn; ``k`` of ``n``
    says how many things it is about. What is undefined is NaN, and ``finding`` says why.
    """

    check: str
    verdict: str
    value: float
    limit: float
    k: float
    n: float
    finding: str
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where an audit draws its lines. A `Limit` is a pair (warns from, fails from), of shares.

    Attributes
    ----------
    similar_names : how alike (0 to 1) an unplanned name must be to a planned one to be taken for
        a slip of it.
    silence : how improbable days without an event name must be for it to count as new, vanished or
        interrupted: minus the natural logarithm of the probability.
    volume_z, volume_ratio : how many robust standard deviations, and how many times, a day's or
        week's events must be off. volume_days : share of such days from which on it fails; by
        default never, because a business may change.
    null_change : change of the share of missing cells.
    duplicates, repeats : share of events. repeat_within_us : the pause, in microseconds.
    outside_time : share of events.
    bots : share of events. events_per_minute, hours_per_day : the rates that no person reaches.
    no_entry : share of sessions.
    night : the two local hours between which the middle of the quietest six hours is credible.
    orders_without_value, duplicate_orders : share of orders.
    outlier_z : robust standard deviations of the logarithm. outliers : share of the revenue.
    """

    similar_names: float = 0.85
    silence: float = 20.0
    volume_z: float = 5.0
    volume_ratio: float = 1.5
    volume_days: float = 1.0
    null_change: float = 0.25
    duplicates: Limit = (0.005, 0.1)
    repeats: Limit = (0.05, 0.3)
    repeat_within_us: int = 1_000_000
    outside_time: Limit = (0.0001, 0.05)
    bots: Limit = (0.01, 0.3)
    events_per_minute: int = 120
    hours_per_day: int = 20
    no_entry: Limit = (0.2, 0.9)
    night: Limit = (0.0, 8.0)
    orders_without_value: Limit = (0.02, 0.5)
    duplicate_orders: Limit = (0.001, 0.1)
    outlier_z: float = 6.0
    outliers: Limit = (0.01, 0.5)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            parts = given if isinstance(given, tuple) else (given,)
            numbers = all(isinstance(part, (int, float)) and part >= 0 for part in parts)
            pair = isinstance(field.default, tuple)
            if not numbers or pair != isinstance(given, tuple) or len(parts) != 1 + pair:
                allowed = "two numbers of 0 or more" if pair else "a number of 0 or more"
                raise UsageError(f"Limits: {field.name}={given!r}. Give {allowed}.")
            if pair and parts[0] > parts[1]:
                raise UsageError(f"Limits: {field.name}={given!r} descends. Swap the two.")


def verdict_of(value: float, limit: Limit) -> str:
    """What a value means: below the first number it passes, from the second on it fails.

    Examples
    --------
    >>> verdict_of(0.02, (0.01, 0.1))
    'warn'
    """
    warn, fail = limit
    return FAIL if value >= fail else WARN if value >= warn else PASS


def not_applicable(check: str, why: str) -> Finding:
    """A check that these data give no occasion for, and why."""
    return Finding(check, NOT_APPLICABLE, np.nan, np.nan, np.nan, np.nan, why)


def judged(check: str, limit: Limit, *, k: float, n: float, finding: str, advice: str) -> Finding:
    """The finding on a share ``k / n``; where it passes, nothing is advised."""
    verdict = verdict_of(k / n, limit)
    said = "" if verdict == PASS else advice
    return Finding(check, verdict, k / n, limit[0], k, n, finding, said)
