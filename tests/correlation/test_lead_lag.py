"""Lead and lag: rates by pandas, correlations by scipy, series whose lead is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles.hand_counts import catalog_of
from scipy import stats

from analysis.catalog import Catalog
from analysis.core.schema import DataError, UsageError
from analysis.correlation.lead_lag import correlations_by_lag, lead_lag, shuffled_blocks, spearman
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")


LOG = simulate(seed=5, users=3000).log


def log_of(micro: np.ndarray, macro: np.ndarray, people: int = 200) -> EventLog:
    """Of 200 people active in each week so many did each event; weeks from a Monday."""
    rows = []
    for week, counts in enumerate(zip(micro, macro, strict=True)):
        monday = pd.Timestamp("2026-01-05") + pd.Timedelta(7 * week, "D")
        rows += [(f"{week}-{u}", monday, "visit") for u in range(people)]
        for name, k in zip(("share", "buy"), counts, strict=True):
            rows += [(f"{week}-{u}", monday, name) for u in range(int(k))]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    until = pd.Timestamp("2026-01-05") + pd.Timedelta(7 * len(micro), "D")
    return EventLog.from_frame(frame, covers_until=until)


def leading(lag: int, weeks: int = 60, seed: int = 1) -> EventLog:
    rng = np.random.default_rng(seed)
    signal = 80 + 15 * rng.standard_normal(weeks + lag)
    micro, macro = signal[lag:], signal[:weeks] / 2 + 2 * rng.standard_normal(weeks)
    return log_of(micro.round(), macro.round())


CATALOG = catalog_of(["share"])


def test_rates_are_those_of_pandas() -> None:
    result = lead_lag(LOG, SHOP, "video_start", freq="1W")
    frame = LOG.to_frame()
    week = frame["time"].dt.tz_localize(None).dt.to_period("W").dt.start_time
    people = frame.groupby(week)["user"].nunique()
    for row in result.rates.itertuples():
        start = row.start.tz_localize(None)
        assert row.n == people[start]
        own = frame[week == start]
        for name, k in (("video_start", row.micro_k), ("purchase", row.macro_k)):
            assert k == own.loc[own["event"] == name, "user"].nunique()
        assert row.micro_low <= row.micro_rate <= row.micro_high
    # Whole weeks only: the log begins on a Monday.
    assert len(result.rates) == 14


@pytest.mark.parametrize("lag", [0, 2])
def test_a_planted_lead_is_found(lag: int) -> None:
    result = lead_lag(leading(lag), CATALOG, "share", permutations=500)
    best = result.table.loc[result.table["correlation"].abs().idxmax()]
    assert best["lag"] == lag
    assert best["p_adjusted"] <= 0.05
    # The observed order counts as one of the permutations: no p is ever 0.
    assert result.table[["p_value", "p_adjusted"]].min(axis=None) >= 1 / 501
    assert (result.table["p_adjusted"] >= result.table["p_value"]).all()
    where = f"{lag} weeks later" if lag else "in the same week"
    assert where in result.sentence()
    assert "clear of chance" in result.sentence()


def test_correlations_are_those_of_scipy() -> None:
    result = lead_lag(leading(1), CATALOG, "share", permutations=99)
    changes = result.rates[["micro_rate", "macro_rate"]].diff().dropna().to_numpy().T
    for row in result.table.itertuples():
        x, y = changes[0], changes[1]
        n = len(y) - abs(row.lag)
        pair = (x[:n], y[row.lag :]) if row.lag >= 0 else (x[-row.lag :], y[:n])
        assert row.correlation == pytest.approx(stats.spearmanr(*pair).statistic)
        assert row.n == n
        assert row.low < row.correlation < row.high


def test_series_that_only_grow_together_are_not_clear_of_chance() -> None:
    rng = np.random.default_rng(3)
    clear = []
    for _ in range(20):
        trend = np.linspace(20, 120, 40)
        micro, macro = (trend + 6 * rng.standard_normal(40) for _ in range(2))
        assert stats.spearmanr(micro, macro).pvalue < 1e-6
        log = log_of(micro.round(), (macro / 2).round())
        result = lead_lag(log, CATALOG, "share", permutations=199, rng=rng)
        clear.append(result.table["p_adjusted"].min() <= 0.05)
    assert np.mean(clear) <= 0.15


def test_fewer_than_26_weeks_are_refused() -> None:
    result = lead_lag(leading(1, weeks=25), CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert "not enough data: 25 whole weeks, and it takes 26" in result.sentence()
    assert any("Below 26 periods" in text for text in result.warnings)
    assert "Not enough periods" in result.figure().layout.meta["alt"]
    whole = lead_lag(leading(1, weeks=26), CATALOG, "share", permutations=99)
    assert whole.table["correlation"].notna().all()


def test_rates_that_never_change_have_no_correlation() -> None:
    result = lead_lag(log_of(np.full(30, 50), np.full(30, 9)), CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert result.warnings[0].startswith("One of the rates is the same in every period")


def test_no_macro_at_all_is_a_result_with_a_warning_and_nan() -> None:
    frame = leading(1).to_frame()
    log = EventLog.from_frame(frame[frame["event"] != "buy"])
    result = lead_lag(log, CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert result.rates[["macro_rate", "macro_low", "macro_high"]].isna().all(axis=None)
    assert result.rates["micro_rate"].notna().all()
    assert result.warnings[0] == "“Buy” is never in this log: its rate is undefined (NaN)."
    assert "not enough data" in result.sentence()
    with pytest.raises(UsageError, match="'by' is not an event of this log"):
        lead_lag(leading(1), CATALOG, "share", macro="by")


def test_the_same_seed_gives_the_same() -> None:
    one, two = (lead_lag(leading(1), CATALOG, "share", permutations=99).table for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_it_says_that_these_are_no_persons() -> None:
    result = lead_lag(leading(1), CATALOG, "share", permutations=99)
    assert any("not persons" in text for text in result.warnings)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"micro": "shar"}, "Did you mean 'share'"),
        ({"micro": "buy"}, "is the macro conversion"),
        ({"freq": "2W"}, "Allowed: '1D', '1W', '1M'"),
        ({"max_lag": 99}, "from 0 to 13"),
        ({"block": 0}, "from 1 to 26"),
        ({"permutations": True}, "from 99 to 100,000"),
    ],
)
def test_wrong_use(wrong: dict[str, Any], match: str) -> None:
    options = {"micro": "share"} | wrong
    with pytest.raises(UsageError, match=match):
        lead_lag(leading(1), CATALOG, options.pop("micro"), **options)


def test_an_empty_log() -> None:
    with pytest.raises(DataError, match="the log is empty"):
        lead_lag(LOG.where(device="none"), SHOP, "video_start")


# ── Correlations by shift: against scipy, against planted leads, and what a shuffle leaves whole.


LAGS = np.arange(-3, 4)


def by_shift(first: np.ndarray, second: np.ndarray, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return correlations_by_lag(first, second, LAGS, block=4, permutations=199, rng=rng)


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


def test_blocks_stay_together_when_they_are_shuffled() -> None:
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


def test_ties_and_constants() -> None:
    assert spearman(np.array([1.0, 1, 1]), np.array([1.0, 2, 3])) == 0


@pytest.mark.parametrize("periods", [27, 60])
@pytest.mark.parametrize("drift", ["none", "walk", "both"])
def test_the_interval_holds_0_in_95_percent_of_nulls(periods: int, drift: str) -> None:
    """Rates that do not drift, differenced: without their zigzag it holds 0 in 90 %."""
    rng = np.random.default_rng(34)

    def series() -> np.ndarray:
        noise, steps = rng.normal(size=(2, periods))
        walk = np.cumsum(steps)
        return {"none": noise, "walk": walk, "both": noise + 0.3 * walk}[drift]

    hits = []
    for _ in range(800):
        found = correlations_by_lag(
            np.diff(series()), np.diff(series()), np.array([0]), block=4, permutations=1, rng=rng
        )[0]
        hits.append(found[1] <= 0 <= found[2])
    assert 0.93 <= np.mean(hits) <= 0.975
