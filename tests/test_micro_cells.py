"""What is about few people is hidden, and no sum of what is shown gives it back."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.correlation import micro_to_macro
from analysis.correlation.dose_response import dose_response
from analysis.correlation.horizons import compare_horizons
from analysis.correlation.micro_cells import small, with_another
from analysis.correlation.stability import stability
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=1500).log
OPEN = micro_to_macro(LOG, SHOP, by="device")
HIDDEN = micro_to_macro(LOG, SHOP, by="device", min_cell=5)
KEYS = ["event", "group"]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_never_one_part_alone(parts):
    size = np.array(parts)
    hidden = with_another(small(size, 5), size)
    assert hidden[small(size, 5)].all()
    # Of a single hidden part that is not 0 the sum would tell.
    assert hidden.sum() != 1 or not (size[~hidden] > 0).any()


def test_rows_of_few_lose_all_their_numbers_and_others_none():
    one, two = (result.table.set_index(KEYS) for result in (OPEN, HIDDEN))
    two = two.loc[one.index]
    few = small(one["exposed_macros"], 5) | small(one["users"], 5) | small(one["reach_k"], 5)
    gone = two["macros"].isna().to_numpy()
    assert few.any()
    assert gone[few].all()
    numbers = one.select_dtypes("number").columns.drop("controls")
    assert two.loc[gone, numbers].isna().all(axis=None)
    pd.testing.assert_frame_equal(one.loc[~gone], two.loc[~gone], check_dtype=False)
    assert not set(two.loc[gone, "verdict"]) & {"leads", "inverse", "vanity", "goes_along"}


def test_no_event_has_one_hidden_group_beside_shown_ones():
    groups = HIDDEN.table[HIDDEN.table["group"] != "all"]
    sizes = OPEN.table.set_index(KEYS)["exposed_macros"]
    for event, own in groups.groupby("event"):
        hidden = own.loc[own["macros"].isna(), "group"]
        shown = own.loc[own["macros"].notna(), "group"]
        if len(hidden) == 1:
            assert sum(sizes[event, group] for group in shown) == 0


def test_levels_of_few_are_hidden():
    one, two = OPEN.doses, HIDDEN.doses
    few = small(one["k"], 5)
    assert few.any()
    assert two.loc[few, ["k", "n", "odds_ratio", "rising"]].isna().all(axis=None)
    for _, own in two.groupby("event"):
        assert own["k"].isna().sum() != 1 or not (own["k"] > 0).any()


def test_neither_words_nor_figures_tell_them():
    few = OPEN.table[small(OPEN.table["exposed_macros"], 5) & (OPEN.table["group"] == "all")]
    assert len(few)
    said = HIDDEN.sentence() + " ".join(HIDDEN.warnings)
    for figure in (HIDDEN.figure(), HIDDEN.reach_figure(), HIDDEN.dose_figure()):
        said += json.dumps(json.loads(figure.to_json()), ensure_ascii=False)
    for row in few.itertuples():
        assert not re.search(rf"\b{row.exposed_macros} of {row.macros} conversions after", said)
        assert f"({row.reach_k:.0f} of {row.converters:.0f})" not in said
    assert "too few people" in " ".join(HIDDEN.warnings)


def test_few_conversions_in_all():
    frame = LOG.to_frame()
    bought = frame[frame["event"] == "purchase"]["user"].unique()[4:]
    log = type(LOG).from_frame(frame[~frame["user"].isin(bought)], covers_until=LOG.covers_until)
    result = micro_to_macro(log, SHOP, min_cell=5)
    assert result.sentence() == "Fewer than 5 users converted: there is nothing to tell."
    assert result.table[["macros", "exposed_macros", "crude"]].isna().all(axis=None)
    assert " 4 " not in " ".join(result.warnings)


def test_stability_hides_groups():
    one = stability(LOG, SHOP, "view_reviews").table
    two = stability(LOG, SHOP, "view_reviews", min_cell=5)
    few = small(one["exposed_macros"], 5)
    assert few.any()
    assert two.table.loc[few, ["macros", "exposed_macros", "odds_ratio"]].isna().all(axis=None)
    assert "too few people to show" in two.figure().layout.meta["alt"]


def test_doses_and_horizons_hide_too():
    dose = dose_response(LOG, SHOP, "newsletter_sign_up", min_cell=5)
    open_dose = dose_response(LOG, SHOP, "newsletter_sign_up")
    few = small(open_dose.table["k"], 5)
    assert dose.table.loc[few, ["k", "n", "odds_ratio"]].isna().all(axis=None)
    assert dose.sentence() == open_dose.sentence()
    one, two = (
        compare_horizons(LOG, SHOP, min_cell=cell).table.set_index(["event", "measure"])
        for cell in (1, 5)
    )
    two = two.loc[one.index]
    few = small(one["n"], 5) | small(one["others"], 5)
    assert few.any()
    assert two.loc[few, ["n", "others", "ratio", "low", "high"]].isna().all(axis=None)
    assert (
        "too few people to show"
        in compare_horizons(LOG, SHOP, min_cell=5).figure().layout.meta["alt"]
    )


def test_wrong_use():
    for wrong in (0, 2.5, True):
        with pytest.raises(UsageError, match="whole number from 1"):
            micro_to_macro(LOG, SHOP, min_cell=wrong)
