"""Pooled rates: coverage of a known truth, and against the exact posterior on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from analysis.statistics.pooling import pooled


@pytest.mark.parametrize("values", [4, 12, 40])
@pytest.mark.parametrize("size", [30, 300, 1e6])
def test_intervals_cover_rates_that_were_drawn(values: int, size: float) -> None:
    rng = np.random.default_rng(int(size) + values)
    covered = total = 0
    error = np.zeros(2)
    for _ in range(720 // values):
        truth = rng.beta(0.05 * size, 0.95 * size, values)
        n = rng.integers(10, 2_000, values)
        k = rng.binomial(n, truth)
        found = pooled(k, n)
        covered += ((found.low <= truth) & (truth <= found.high)).sum()
        total += values
        error += [((found.rate - truth) ** 2).sum(), ((k / n - truth) ** 2).sum()]
    assert covered / total > 0.9
    # What is drawn toward the others is nearer to the truth than what was counted, but for a
    # handful that have nothing in common.
    assert error[0] < error[1] * (1.1 if (size, values) == (30, 4) else 1)


def test_small_rates_do_not_top_the_list() -> None:
    """Without any difference between the values, a crude ranking is led by the smallest."""
    rng = np.random.default_rng(2)
    n = np.repeat([5, 50, 2_000], [40, 40, 10])
    crude = led = 0
    for _ in range(40):
        k = rng.binomial(n, 0.05)
        found = pooled(k, n)
        crude += n[np.argmax(k / n)] == 5
        led += n[np.argmax(found.rate)] == 5
        assert not ((found.above > 0.999) | (found.above < 0.001)).any()
    assert crude >= 36
    assert led <= 8


def test_it_is_the_posterior_on_a_fine_grid() -> None:
    """The same model by brute force: 400 means by 400 shrinkages, no approximation."""
    k, n = np.array([3.0, 30, 12, 0, 9]), np.array([40.0, 200, 180, 25, 60])
    at = (np.arange(400) + 0.5) / 400
    mean, shrink = (grid.ravel() for grid in np.meshgrid(at, at))
    usual = np.exp(np.log(n).mean())
    size = usual * shrink / (1 - shrink)
    a, b = mean * size, (1 - mean) * size
    height = stats.beta(0.5, 0.5).logpdf(mean)
    for hits, trials in zip(k, n, strict=True):
        height += special.betaln(hits + a, trials - hits + b) - special.betaln(a, b)
    weight = np.exp(height - height.max())
    weight /= weight.sum()
    found = pooled(k, n)
    for i in range(len(k)):
        own = stats.beta(k[i] + a, n[i] - k[i] + b)
        assert found.rate[i] == pytest.approx((weight * own.mean()).sum(), abs=0.003)
        assert (weight * own.cdf(found.low[i])).sum() == pytest.approx(0.025, abs=0.004)
        assert (weight * own.cdf(found.high[i])).sum() == pytest.approx(0.975, abs=0.004)
        assert found.above[i] == pytest.approx((weight * own.sf(mean)).sum(), abs=0.01)
    assert found.typical == pytest.approx((weight * mean).sum(), abs=0.004)


def test_equal_numbers_have_equal_rates_in_any_order() -> None:
    k, n = np.array([1, 40, 1, 7]), np.array([9, 500, 9, 70])
    one, two = pooled(k, n), pooled(k[::-1], n[::-1])
    assert one.rate[0] == one.rate[2]
    assert one.rate.tolist() == two.rate[::-1].tolist()
    assert one.typical == two.typical


@pytest.mark.parametrize("k", [[0, 0, 0], [10, 20, 30]])
def test_nothing_and_everything_are_still_rates(k: list[int]) -> None:
    found = pooled(k, [10, 20, 30])
    assert ((found.low >= 0) & (found.low <= found.rate) & (found.rate <= found.high)).all()
    assert (found.high <= 1).all()
    near = 0.0 if not sum(k) else 1.0
    assert abs(found.rate - near).max() < 0.05


@pytest.mark.parametrize("k", [[], [3]])
def test_one_rate_alone_cannot_be_pooled(k: Any) -> None:
    found = pooled(k, [7] * len(k))
    assert len(found.rate) == len(k)
    assert np.isnan(found.rate).all()
    assert np.isnan(found.typical)
