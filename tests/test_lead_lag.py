"""Lead and lag: rates by pandas, correlations by scipy, series whose lead is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hand_counts import catalog_of
from scipy import stats

from analysis.catalog import Catalog
from analysis.core.schema import DataError, UsageError
from analysis.correlation.lead_lag import lead_lag
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


def test_rates_are_those_of_pandas():
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
def test_a_planted_lead_is_found(lag):
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


def test_correlations_are_those_of_scipy():
    result = lead_lag(leading(1), CATALOG, "share", permutations=99)
    changes = result.rates[["micro_rate", "macro_rate"]].diff().dropna().to_numpy().T
    for row in result.table.itertuples():
        x, y = changes[0], changes[1]
        n = len(y) - abs(row.lag)
        pair = (x[:n], y[row.lag :]) if row.lag >= 0 else (x[-row.lag :], y[:n])
        assert row.correlation == pytest.approx(stats.spearmanr(*pair).statistic)
        assert row.n == n
        assert row.low < row.correlation < row.high


def test_series_that_only_grow_together_are_not_clear_of_chance():
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


def test_fewer_than_26_weeks_are_refused():
    result = lead_lag(leading(1, weeks=25), CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert "not enough data: 25 whole weeks, and it takes 26" in result.sentence()
    assert any("Below 26 periods" in text for text in result.warnings)
    assert "Not enough periods" in result.figure().layout.meta["alt"]
    whole = lead_lag(leading(1, weeks=26), CATALOG, "share", permutations=99)
    assert whole.table["correlation"].notna().all()


def test_rates_that_never_change_have_no_correlation():
    result = lead_lag(log_of(np.full(30, 50), np.full(30, 9)), CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert result.warnings[0].startswith("One of the rates is the same in every period")


def test_no_macro_at_all_is_a_result_with_a_warning_and_nan():
    frame = leading(1).to_frame()
    log = EventLog.from_frame(frame[frame["event"] != "buy"])
    result = lead_lag(log, CATALOG, "share")
    assert result.table["correlation"].isna().all()
    assert result.rates[["macro_rate", "macro_low", "macro_high"]].isna().all(axis=None)
    assert result.rates["micro_rate"].notna().all()
    assert result.warnings[0] == "“Buy” is never in this log: its rate is undefined (NaN)."
    assert "not enough data" in result.sentence()
    with pytest.raises(UsageError, match="'by' is no event of this log"):
        lead_lag(leading(1), CATALOG, "share", macro="by")


def test_the_same_seed_gives_the_same():
    one, two = (lead_lag(leading(1), CATALOG, "share", permutations=99).table for _ in range(2))
    pd.testing.assert_frame_equal(one, two)


def test_it_says_that_these_are_no_persons():
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
def test_wrong_use(wrong, match):
    options = {"micro": "share"} | wrong
    with pytest.raises(UsageError, match=match):
        lead_lag(leading(1), CATALOG, options.pop("micro"), **options)


def test_an_empty_log():
    with pytest.raises(DataError, match="the log is empty"):
        lead_lag(LOG.where(device="none"), SHOP, "video_start")
