"""How often does the usual range call a usual week unusual, and how often does it see a fall?"""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.usual_range import UsualRange, usual_range

SERIES, WEEKS = 2_000, 12


def weeks_of(
    seed: int, entries: int, *, wander: float = 0.0, walk: float = 0.0, change: float = 0.0
) -> UsualRange:
    """Weeks at 4 %, whose log odds wander around a level that walks; the last one changed."""
    rng = np.random.default_rng(seed)
    shape = (SERIES, WEEKS + 1)
    odds = np.log(0.04 / 0.96) + rng.normal(0, wander, shape)
    odds += np.cumsum(rng.normal(0, walk, shape), axis=1)
    odds[:, -1] += change
    return usual_range(rng.binomial(entries, 1 / (1 + np.exp(-odds))), np.full(shape, entries))


def money_of(seed: int, purchases: int, sigma: float) -> UsualRange:
    """Weeks of so many purchases of lognormal value."""
    rng = np.random.default_rng(seed)
    total, squares = np.zeros((2, SERIES, WEEKS + 1))
    for at in np.ndindex(total.shape):
        values = rng.lognormal(3, sigma, rng.poisson(purchases))
        total[at], squares[at] = values.sum(), (values**2).sum()
    return usual_range(total, squares=squares)


def share_below(found: UsualRange, limit: float) -> float:
    return float((found.p_value[:, -1] < limit).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "wander", "walk"),
    [
        (1_000, 0.0, 0.0),
        (1_000, 0.06, 0.0),
        (5_000, 0.0, 0.0),
        (5_000, 0.06, 0.0),
        (20_000, 0.06, 0.0),
        (20_000, 0.0, 0.03),
        (20_000, 0.0, 0.06),
    ],
)
def test_usual_weeks_are_rarely_called_clear(entries: int, wander: float, walk: float) -> None:
    """Against the week before, 5 to 29 % of these weeks are outside the 95 % interval."""
    found = weeks_of(1, entries, wander=wander, walk=walk)
    assert share_below(found, 0.01) <= 0.02
    assert 0.01 <= share_below(found, 0.05) <= 0.075


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "wander", "power"), [(1_000, 0.0, 0.28), (5_000, 0.06, 0.75), (20_000, 0.06, 0.93)]
)
def test_a_fall_by_30_percent_is_seen(entries: int, wander: float, power: float) -> None:
    found = weeks_of(2, entries, wander=wander, change=float(np.log(0.7)))
    assert share_below(found, 0.01) == pytest.approx(power, abs=0.04)


@pytest.mark.slow
@pytest.mark.parametrize(("purchases", "sigma"), [(70, 0.6), (70, 1.2), (300, 0.6)])
def test_usual_revenue_is_rarely_called_clear(purchases: int, sigma: float) -> None:
    found = money_of(5, purchases, sigma)
    assert share_below(found, 0.01) <= 0.02
    assert share_below(found, 0.05) <= 0.07
