"""Two series of changes at every shift against each other, judged by shuffling blocks of one.

Shuffled blocks keep what a series has of its own, which single values would lose; and because one
looks at all shifts, the largest correlation is compared with the largest of each shuffle.
"""

from __future__ import annotations

import numpy as np

from analysis.statistics.stats import CONFIDENCE


def correlations_by_shift(
    first: np.ndarray,
    second: np.ndarray,
    lags: np.ndarray,
    *,
    block: int,
    permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """At every shift: correlation, low, high, n, p value, and p value for the largest of all.

    Parameters
    ----------
    first, second : changes from period to period. lags : by how many periods the first is ahead.
    block : length of the blocks that are shuffled, in periods.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> ahead = rng.normal(size=40)
    >>> after = np.roll(ahead, 2)
    >>> correlations_by_shift(
    ...     ahead, after, np.array([0, 2]), block=4, permutations=99, rng=rng
    ... )[1].round(2).tolist()
    [1.0, 1.0, 1.0, 38.0, 0.01, 0.01]
    """
    shuffled = np.stack([shuffled_blocks(first, block, rng) for _ in range(permutations)])
    found = np.array([spearman(*_pairs(first, second, lag)) for lag in lags])
    null = np.stack([spearman(*_pairs(shuffled, second, lag)) for lag in lags])
    size, largest = np.abs(found), np.abs(null).max(0)
    n = np.array([len(second) - abs(lag) for lag in lags])
    p = (1 + (np.abs(null) >= size[:, None] - 1e-12).sum(1)) / (permutations + 1)
    p_adjusted = (1 + (largest >= size[:, None] - 1e-12).sum(1)) / (permutations + 1)
    low, high = _interval(found, n)
    return np.column_stack([found, low, high, n, p, p_adjusted])


def _pairs(first: np.ndarray, second: np.ndarray, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The second's changes of `lag` periods after each of the first; the last axis is time."""
    n = len(second)
    if lag >= 0:
        return first[..., : n - lag], second[lag:]
    return first[..., -lag:], second[: n + lag]


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis of `x`; 0 where one of both never changes."""
    from scipy.stats import rankdata

    one, two = rankdata(x, axis=-1), rankdata(y)
    one = one - one.mean(-1, keepdims=True)
    two = two - two.mean()
    scale = np.sqrt((one**2).sum(-1) * (two**2).sum())
    return np.divide((one * two).sum(-1), scale, out=np.zeros(np.shape(scale)), where=scale > 0)


def shuffled_blocks(changes: np.ndarray, block: int, rng: np.random.Generator) -> np.ndarray:
    """The changes turned by a random number of periods, and their blocks shuffled."""
    turned = np.roll(changes, rng.integers(len(changes)))
    blocks = np.split(turned, range(block, len(changes), block))
    return np.concatenate([blocks[i] for i in rng.permutation(len(blocks))])


def _interval(r: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.stats import norm

    with np.errstate(divide="ignore"):
        z, half = np.arctanh(r), norm.ppf(0.5 + CONFIDENCE / 2)
    half = half * np.sqrt((1 + r**2 / 2) / (n - 3))
    return np.tanh(z - half), np.tanh(z + half)
