"""The counts find what was planted: averages over several worlds, against plain formulas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from recovery.worlds import (
    A_HORIZON,
    A_PERIOD,
    MICRO,
    World,
    world_a,
    world_a_tables,
    world_b,
    world_c,
    world_d,
    world_e,
)

from analysis.correlation.counts import (
    ExposureCounts,
    exposure_counts,
    period_tables,
    person_periods,
    trial_tables,
)
from analysis.correlation.plan import ExposureOptions


def odds_ratio(table: np.ndarray) -> float:
    (a, b), (c, d) = table.tolist()
    return a * d / (b * c)


def mantel_haenszel(tables: np.ndarray) -> float:
    kept = tables[tables.sum(axis=(1, 2)) > 0].astype(float)
    n = kept.sum(axis=(1, 2))
    return float(
        (kept[:, 0, 0] * kept[:, 1, 1] / n).sum() / (kept[:, 0, 1] * kept[:, 1, 0] / n).sum()
    )


def z_of(tables: np.ndarray) -> float:
    """Log odds ratio over its standard error (Robins, Breslow & Greenland 1986)."""
    a, b, c, d = tables[tables.sum(axis=(1, 2)) > 0].reshape(-1, 4).T.astype(float)
    n = a + b + c + d
    p, q, r, s = (a + d) / n, (b + c) / n, a * d / n, b * c / n
    variance = (p * r).sum() / (2 * r.sum() ** 2) + (q * s).sum() / (2 * s.sum() ** 2)
    variance += (p * s + q * r).sum() / (2 * r.sum() * s.sum())
    return float(np.log(r.sum() / s.sum()) / np.sqrt(variance))


def mean_ratio(worlds: list[float]) -> float:
    return float(np.exp(np.mean(np.log(worlds))))


def asked(world: World, period: str = "1d") -> ExposureCounts:
    return exposure_counts(world.log, world.catalog, ExposureOptions(period=period))


def in_a(seed: int, **options: float) -> ExposureCounts:
    world = world_a(seed, **options)  # type: ignore[arg-type]
    return exposure_counts(
        world.log, world.catalog, ExposureOptions(period=A_PERIOD, horizon=A_HORIZON)
    )


@pytest.mark.slow
def test_world_a_has_the_planted_odds_ratio() -> None:
    found = [in_a(seed, users=20_000) for seed in range(16)]
    adjusted = [mantel_haenszel(period_tables(counts, MICRO)) for counts in found]
    assert mean_ratio(adjusted) == pytest.approx(1.4, rel=0.03)
    crude = [odds_ratio(period_tables(counts, MICRO).sum(axis=0)) for counts in found]
    assert mean_ratio(crude) > 2.0
    controls = [
        mantel_haenszel(period_tables(counts, name)) for counts in found for name in counts.controls
    ]
    assert mean_ratio(controls) == pytest.approx(1.0, abs=0.02)


def test_world_a_as_counts_has_the_same_odds_ratio() -> None:
    tables = world_a_tables(1, logs=200)
    assert mean_ratio([mantel_haenszel(one) for one in tables]) == pytest.approx(1.4, rel=0.01)
    assert (tables >= 0).all()
    assert tables[:, :6].sum(axis=(1, 2, 3)).tolist() == [20_000] * 200  # the first cell has all


@pytest.mark.slow
def test_intervals_of_trials_hold_though_one_unit_is_in_several() -> None:
    z: list[float] = []
    for seed in range(20):
        counts = in_a(500 + seed, users=5_000, odds_ratio=1.0, controls=10)
        z += [z_of(trial_tables(counts, name)) for name in counts.controls]
        visits = asked(world_d(seed, users=8_000, visit_ratio=1.0, controls=10), "auto")
        z += [z_of(trial_tables(visits, name)) for name in visits.controls]
    assert len(z) == 400
    assert np.std(z) == pytest.approx(1.0, abs=0.08)
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.022)  # 2 standard errors


def exact_activity(world: World, name: str) -> float:
    """Mantel-Haenszel over day and number of page views up to 40, from the rows."""
    rows = person_periods(world.log, world.catalog, period="1d")
    # The entry itself is a page view of everybody, and none of the clock's that the truth counts.
    views = (rows["activity"] - (rows["period"] > 0)).clip(upper=40)
    cells = pd.crosstab([rows["period"], views], [rows[name], rows["converted"]])
    order = [(True, True), (True, False), (False, True), (False, False)]
    counts = cells.reindex(columns=pd.MultiIndex.from_tuples(order), fill_value=0).to_numpy()
    return mantel_haenszel(counts.reshape(-1, 2, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("hazard_ratio", "crude", "adjusted"), [(1.0, 3.67, 1.40), (1.5, 4.97, 2.03)]
)
def test_world_b_gives_the_numbers_measured_without_a_log(
    hazard_ratio: float, crude: float, adjusted: float
) -> None:
    """Means over seeds of the same world simulated with arrays; standard deviations .03 to .05."""
    worlds = [world_b(seed, hazard_ratio=hazard_ratio, controls=3) for seed in range(8)]
    found = [asked(world) for world in worlds]
    crudes = [odds_ratio(period_tables(counts, MICRO).sum(axis=0)) for counts in found]
    assert mean_ratio(crudes) == pytest.approx(crude, rel=0.03)
    exact = [exact_activity(world, MICRO) for world in worlds[:4]]
    assert mean_ratio(exact) == pytest.approx(adjusted, rel=0.03)
    # Bins of activity leave more of the confounder, in the micro conversion and controls alike.
    ratio = [
        mantel_haenszel(period_tables(counts, MICRO)) / mantel_haenszel(period_tables(counts, name))
        for counts in found
        for name in counts.controls
    ]
    assert mean_ratio(ratio) == pytest.approx(1.00 if hazard_ratio == 1 else 1.41, rel=0.03)


@pytest.mark.slow
def test_world_c_has_controls_that_disagree() -> None:
    counts = asked(world_c(3))
    found = [mantel_haenszel(period_tables(counts, name)) for name in counts.controls]
    assert min(found[:4]) > 1.3
    assert max(found[4:]) < 1.1


@pytest.mark.slow
def test_world_d_shows_more_in_trials_than_given_activity() -> None:
    found = [asked(world_d(seed)) for seed in range(5)]

    def ratio(tables: Callable[[ExposureCounts, str], np.ndarray]) -> float:
        """Of the micro conversion to the controls."""
        return mean_ratio(
            [
                mantel_haenszel(tables(counts, MICRO)) / mantel_haenszel(tables(counts, name))
                for counts in found
                for name in counts.controls
            ]
        )

    assert ratio(period_tables) == pytest.approx(1.20, abs=0.06)
    assert ratio(trial_tables) == pytest.approx(1.37, abs=0.06)


def test_world_e_is_structural() -> None:
    counts = asked(world_e(1, users=8_000))
    share = counts.structural / counts.converters
    assert share[0] == 1.0
    assert share[1] < 0.1
