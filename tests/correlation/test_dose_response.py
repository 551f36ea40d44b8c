"""Doses: counts from rows, odds ratios by statsmodels, words and figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.counts import exposure_counts, person_periods
from analysis.correlation.dose_response import dose_response
from analysis.correlation.plan import ExposureOptions
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=3000).log
RESULT = dose_response(LOG, SHOP, "view_reviews", horizon="10d")


def test_levels_are_those_of_the_rows_in_statsmodels() -> None:
    rows = person_periods(LOG, SHOP, micros=["view_reviews"], controls=[], horizon="10d")
    level = rows["view_reviews_count"].clip(upper=3)
    table = RESULT.table.set_index("level")
    for number, name in enumerate(["0", "1", "2", "3+"]):
        own = rows[level == number]
        assert table.loc[name, ["k", "n"]].to_list() == [own["converted"].sum(), len(own)]
        if not number:
            continue
        strata = []
        for _, part in rows[level.isin([0, number])].groupby(["period", "activity_bin"]):
            done = part["view_reviews"]
            cells = [part.loc[done == did, "converted"] for did in (True, False)]
            if all(len(x) for x in cells):
                strata.append(np.array([[x.sum(), (~x).sum()] for x in cells], float))
        judge = StratifiedTable(strata)
        limits = judge.oddsratio_pooled_confint()
        assert table.loc[name, "odds_ratio"] == pytest.approx(judge.oddsratio_pooled)
        assert table.loc[name, ["low", "high"]].to_list() == pytest.approx(list(limits))


def test_the_share_of_the_first_period_is_told() -> None:
    assert any("of the conversions come within 1 min of entry" in w for w in RESULT.warnings)


def test_the_curve_never_falls() -> None:
    rising = RESULT.table["rising"].dropna()
    assert (rising.diff().dropna() >= 0).all()
    assert rising.iloc[0] == 1


def test_the_sentence_has_trend_interval_and_n() -> None:
    said = RESULT.sentence()
    assert f"{RESULT.per_level:.2f} (95% interval {RESULT.low:.2f} to {RESULT.high:.2f})" in said
    assert f"{RESULT.table['k'].sum():,} conversions in {RESULT.table['n'].sum():,} periods" in said
    assert "Read reviews" in RESULT.figure().layout.meta["alt"]
    assert f"For {len(RESULT.of_controls)} negative controls it is" in said
    assert len(RESULT.of_controls) == 8
    assert "experiment" in RESULT.warnings[-1]


def test_nothing_to_tell() -> None:
    frame = LOG.to_frame()
    bare = type(LOG).from_frame(frame[frame["event"] != "purchase"], covers_until=LOG.covers_until)
    result = dose_response(bare, SHOP, "view_reviews")
    assert "no trend can be told (0 conversions" in result.sentence()
    assert pd.isna(result.per_level)
    assert "too few" in result.figure().layout.meta["alt"]
    with pytest.raises(UsageError, match="Did you mean 'view_reviews'"):
        dose_response(LOG, SHOP, "view_review")


def test_from_a_milestone_on() -> None:
    found = dose_response(LOG, SHOP, "video_start", start="view_item")
    counts = exposure_counts(LOG, SHOP, ExposureOptions(micros=["video_start"], start="view_item"))
    assert found.table["n"].sum() == counts.at_risk[0].sum()
    assert found.table["n"].sum() < dose_response(LOG, SHOP, "video_start").table["n"].sum()
    assert found.parameters["start"] == "view_item"
