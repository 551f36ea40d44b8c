"""The dip test seldom finds a second hump where there is none, and often where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.modes import one_hump


@pytest.mark.parametrize("size", [40, 300])
@pytest.mark.parametrize("kind", ["normal", "lognormal", "exponential", "uniform"])
def test_one_hump_is_seldom_called_several(kind: str, size: int) -> None:
    rng = np.random.default_rng(7)
    found = [one_hump(getattr(rng, kind)(size=size)) for _ in range(100)]
    # Of 100 at 5 %, more than 12 have a probability below 0.002.
    assert sum(p <= 0.05 for p in found) <= 12


@pytest.mark.parametrize(("apart", "share"), [(4.0, 0.5), (5.0, 0.35)])
def test_two_humps_are_found(apart: float, share: float) -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(20):
        place = rng.random(600) < share
        found.append(one_hump(rng.normal(size=600) + apart * place))
    assert sum(p <= 0.05 for p in found) >= 19
