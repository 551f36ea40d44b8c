"""Correlations by shift: against scipy, against planted leads, and what a shuffle leaves whole."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.correlation.shifts import correlations_by_shift, shuffled_blocks, spearman

LAGS = np.arange(-3, 4)


def by_shift(first: np.ndarray, second: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return correlations_by_shift(first, second, LAGS, block=4, permutations=199, rng=rng)


@pytest.mark.parametrize("ahead", [-2, 0, 3])
def test_a_planted_lead_is_found_at_its_shift(ahead: int) -> None:
    rng = np.random.default_rng(4)
    signal, noise = rng.normal(size=(2, 60))
    found = by_shift(signal, np.roll(signal, ahead) + 0.3 * noise)
    best = int(np.abs(found[:, 0]).argmax())
    assert LAGS[best] == ahead
    assert found[best, 5] == 1 / 200
    assert (found[np.arange(len(LAGS)) != best, 5] > 0.05).all()


def test_each_shift_pairs_what_scipy_pairs() -> None:
    first, second = np.random.default_rng(8).normal(size=(2, 30)).round(1)
    for lag, (r, low, high, n, p, p_adjusted) in zip(LAGS, by_shift(first, second), strict=True):
        pairs = [(first[t], second[t + lag]) for t in range(30) if 0 <= t + lag < 30]
        assert r == pytest.approx(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
        assert n == len(pairs)
        assert low < r < high
        assert 1 / 200 <= p <= p_adjusted <= 1


def test_blocks_stay_together_when_they_are_shuffled():
    """What one series has of its own, from one week to the next, must survive the shuffle."""
    rng = np.random.default_rng(0)
    orders = [shuffled_blocks(np.arange(12), 4, rng) for _ in range(200)]
    for order in orders:
        assert sorted(order) == list(range(12))
        # Three blocks of four, cut anywhere in the circle: nine of eleven steps at least.
        assert ((order[1:] - order[:-1]) % 12 == 1).sum() >= 9
    assert len({tuple(order) for order in orders}) > 20
    uneven = shuffled_blocks(np.arange(10), 4, rng)
    assert sorted(uneven) == list(range(10))


def test_ties_and_constants():
    assert spearman(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0
