"""Has a distribution one hump, or several? The dip test: numbers in, a p-value out.

Groups show as humps with a valley between them. A smooth crowd has one hump, however skewed it is
and however well it can be cut in two.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics import kernels

_DRAWS: Final = 1_999
_SIZE_OF_A_DRAW: Final = 400


def one_hump(values: ArrayLike) -> float:
    """How likely is a dip as deep as theirs where the values have one hump?

    Returns
    -------
    A p-value from 0.0005 on: small where there are several humps.

    Notes
    -----
    Hartigan & Hartigan 1985, *Ann Stat* 13:70: against 1,999 samples of the uniform distribution,
    which of all with one hump has the deepest dips, so the test is conservative for others. A dip
    falls with the root of the number of values; by that the samples of 400 serve for any number.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> one_hump(rng.lognormal(size=500)) > 0.5
    True
    >>> one_hump(np.append(rng.normal(0, 1, 300), rng.normal(5, 1, 200)))
    0.0005
    """
    own = np.asarray(values, float)
    as_deep = _uniform_depths() >= depth(own)
    return float((1 + as_deep.sum()) / (1 + _DRAWS))


def depth(values: np.ndarray) -> float:
    """The dip as it is judged: times the root of the number of values."""
    return dip(values) * float(np.sqrt(len(values)))


def dip(values: ArrayLike) -> float:
    """How far is their distribution from the nearest one with one hump, at most, anywhere?

    Examples
    --------
    >>> round(dip([0.0, 0.0, 1.0, 1.0]), 3), round(dip([1.0, 2.0, 3.0, 4.0]), 3)
    (0.25, 0.125)
    """
    own = np.asarray(values, float)
    at, counts = np.unique(own, return_counts=True)
    share = np.cumsum(counts) / own.size
    return float(kernels.dip(at, share - counts / own.size, share, 0.5 / own.size))


@functools.cache
def _uniform_depths() -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.array([depth(rng.random(_SIZE_OF_A_DRAW)) for _ in range(_DRAWS)])
