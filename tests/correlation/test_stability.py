"""Stability: groups against single logs, homogeneity against statsmodels, Simpson by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles.hand_counts import catalog_of
from statsmodels.stats.meta_analysis import combine_effects

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.result import micro_to_macro
from analysis.correlation.stability import stability
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=6000).log
RESULT = stability(LOG, SHOP, "video_start")


def test_everybody_and_groups_are_those_of_micro_to_macro() -> None:
    whole = micro_to_macro(LOG, SHOP, micros=["video_start"], by="device").table
    whole = whole[whole["event"] == "video_start"].set_index("group")
    own = RESULT.table[RESULT.table["dimension"].isin(["all", "device"])].set_index("group")
    for group in ("all", "mobile", "desktop"):
        expected = whole.loc[group, ["adjusted", "adjusted_low", "adjusted_high"]].to_list()
        assert own.loc[group, ["odds_ratio", "low", "high"]].to_list() == pytest.approx(expected)


def test_groups_of_a_dimension_add_up() -> None:
    parts = RESULT.table.groupby("dimension")[["macros", "exposed_macros"]].sum()
    assert (parts == parts.loc["all"]).all(axis=None)
    assert set(parts.index) == {"all", "week", "device", "channel", "returning"}


def test_homogeneity_is_that_of_statsmodels_over_groups_with_enough() -> None:
    for row in RESULT.dimensions.itertuples():
        own = RESULT.table[(RESULT.table["dimension"] == row.dimension) & RESULT.table["enough"]]
        assert (own["exposed_macros"] >= 10).all()
        if len(own) < 2:
            assert np.isnan(row.p_value)
            continue
        judge = combine_effects(np.log(own["odds_ratio"]).to_numpy(), own["se"].to_numpy() ** 2)
        assert row.p_value == pytest.approx(judge.test_homogeneity().pvalue)
        assert row.groups == len(own)


def hand_log(rates: dict[tuple[str, bool], float], doing: dict[str, float]) -> EventLog:
    """Per device and whether they share: the chance to buy an hour later; and to share at all."""
    rng = np.random.default_rng(9)
    rows = []
    for user in range(9000):
        device = ("mobile", "desktop")[user % 2]
        did = bool(rng.random() < doing[device])
        bought = rng.random() < rates[device, did]
        events = ["visit"] + ["share"] * did + ["buy"] * bought
        rows += [(str(user), device, name) for name in events]
    frame = pd.DataFrame(rows, columns=["user", "device", "event"])
    minute = frame["event"].map({"visit": 0, "share": 10, "buy": 70})
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(minute, unit="min")
    return EventLog.from_frame(frame, covers_until="2026-02-01")


def asked(log: EventLog, **options: Any) -> Any:
    options |= {"dimensions": ["device"], "period": "1h", "horizon": "1D"}
    return stability(log, catalog_of(["share"]), "share", **options)


def test_a_group_that_points_the_other_way_is_named() -> None:
    flat = {("mobile", False): 0.10, ("mobile", True): 0.22}
    turned = flat | {("desktop", False): 0.10, ("desktop", True): 0.05}
    result = asked(hand_log(turned, {"mobile": 0.5, "desktop": 0.3}))
    assert result.everybody.low > 1
    assert len(result.sign_flips) == 1
    assert result.sign_flips[0].startswith("device desktop: 0.")
    assert "The other way round: device desktop" in result.sentence()
    assert "It differs by device (2 groups, p = below 0.001)" in result.sentence()
    assert "the other way round" in result.figure().layout.meta["alt"]
    assert not result.simpson
    few = int(result.table.set_index("group").loc["desktop", "exposed_macros"]) + 1
    strict = asked(hand_log(turned, {"mobile": 0.5, "desktop": 0.3}), min_macros=few)
    # The same interval, of too few conversions to be compared.
    assert strict.table.set_index("group").loc["desktop", "high"] < 1
    assert not strict.sign_flips


def test_simpsons_paradox_by_a_property() -> None:
    """On desktop all share and buy more often; within each device sharing goes with fewer."""
    rates = {("mobile", False): 0.06, ("mobile", True): 0.03}
    rates |= {("desktop", False): 0.40, ("desktop", True): 0.28}
    result = asked(hand_log(rates, {"mobile": 0.1, "desktop": 0.9}))
    assert result.everybody.low > 1
    assert result.dimensions["within_high"].item() < 1
    assert result.simpson[0].startswith("Simpson's paradox by device: ")
    assert result.simpson[0] in result.sentence()


def test_the_share_of_the_first_period_is_told() -> None:
    assert any("of the conversions come within 1 min of entry" in w for w in RESULT.warnings)


def test_no_difference_is_said_with_its_groups() -> None:
    assert "No clear difference by" in RESULT.sentence()
    assert not RESULT.simpson
    assert RESULT.figure().layout.meta["alt"].startswith("Everybody: ")


def test_a_dimension_of_one_group() -> None:
    log = LOG.where(device="mobile")
    result = stability(log, SHOP, "video_start", dimensions=["device"])
    assert result.table["group"].to_list() == ["all", "mobile"]
    assert np.isnan(result.dimensions["p_value"].item())


def test_nothing_to_compare() -> None:
    frame = LOG.to_frame()
    bare = EventLog.from_frame(frame[frame["event"] != "purchase"], covers_until=LOG.covers_until)
    result = stability(bare, SHOP, "video_start", dimensions="device")
    assert "there is no odds ratio to compare (0 of 0 conversions" in result.sentence()
    assert "too few" in result.figure().layout.meta["alt"]


def test_wrong_use() -> None:
    with pytest.raises(UsageError, match="Did you mean 'device'"):
        stability(LOG, SHOP, "video_start", dimensions=["devise"])
    with pytest.raises(UsageError, match="whole number from 1"):
        stability(LOG, SHOP, "video_start", min_macros=0)
    with pytest.raises(UsageError, match="asks for none"):
        stability(LOG, SHOP, "video_start", dimensions=[])


def test_from_a_milestone_on() -> None:
    """Everybody and groups as the scan from there has them; a few words where nothing is shown."""
    result = stability(LOG, SHOP, "video_start", dimensions=["device"], start="view_item")
    scan = micro_to_macro(LOG, SHOP, by="device", start="view_item").table
    scan = scan[scan["event"] == "video_start"].set_index("group")
    for row in result.table.itertuples():
        assert row.odds_ratio == pytest.approx(scan.loc[row.group, "adjusted"], nan_ok=True)
        assert row.exposed_macros == scan.loc[row.group, "exposed_macros"]
    assert result.parameters["start"] == "view_item"
    assert result.everybody.odds_ratio != RESULT.everybody.odds_ratio


def test_hidden_counts_are_not_said() -> None:
    rare = LOG.where(country="GB")
    said = stability(rare, SHOP, "unsubscribe", dimensions=["device"], min_cell=5000).sentence()
    assert "n/a" not in said
