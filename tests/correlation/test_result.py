"""Micro-to-macro whole: bad input, words, figures, invariances; the demo's truth is found."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles.hand_counts import catalog_of

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.result import micro_to_macro, simpson
from analysis.correlation.verdict import VerdictLimits
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=6000).log
RESULT = micro_to_macro(LOG, SHOP)
CAUSAL = re.compile(
    r"\b(driv\w+|caus\w+|harm\w*|lifts?|impact\w*|boosts?|effects?)\b", re.IGNORECASE
)


def without(log: EventLog, event: str) -> EventLog:
    frame = log.to_frame()
    return EventLog.from_frame(frame[frame["event"] != event], covers_until=log.covers_until)


def test_every_number_has_its_n_and_interval() -> None:
    table = RESULT.table
    for name in ("crude", "adjusted", "calibrated", "total", "peers", "reach", "dose"):
        known = table[name].notna()
        assert table.loc[known, [f"{name}_low", f"{name}_high"]].notna().all(axis=None)
        assert (table.loc[known, f"{name}_low"] <= table.loc[known, name]).all()
    assert (table["macros"] >= table["exposed_macros"]).all()
    assert (table["converters"] >= table["macros"]).all()
    assert table["reason"].str.endswith(".").all()


def test_what_is_planted_is_found_in_its_order() -> None:
    table = RESULT.table.set_index("event")
    left = table["calibrated"]
    raises, lowers = left[["video_start", "view_reviews"]], left["file_download"]
    assert raises.min() > 1 > lowers
    assert table.loc["add_to_wishlist", "verdict"] not in ("leads", "inverse")
    milestones = table[table["role"] == "milestone"]
    assert set(milestones["verdict"]) == {"structural"}
    assert table.loc["logo_click", "verdict"] == "control"


def test_words_are_of_association() -> None:
    said = [RESULT.sentence(), *RESULT.warnings, *RESULT.table["reason"]]
    said += [figure.layout.meta["alt"] for figure in figures(RESULT)]
    # The one sentence that says what is not said.
    said = [text for text in said if "question for an experiment" not in text]
    assert not [text for text in said if CAUSAL.search(text)]
    assert any("experiment" in text for text in RESULT.warnings)


def figures(result: Any) -> Any:
    return [result.figure(), result.reach_figure(), result.dose_figure()]


def test_the_share_of_the_first_period_is_always_told() -> None:
    assert re.search(
        r"\d[\d.]*% \(\d+ of \d+\) of the conversions come within 1 min of entry",
        " ".join(RESULT.warnings),
    )


def test_shards_and_the_order_of_rows_change_nothing() -> None:
    # Ties keep their order of arrival, so users are moved as a whole.
    frame = LOG.to_frame().sort_values("user", ascending=False, kind="stable")
    other = EventLog.from_frame(frame, covers_until=LOG.covers_until, shards=4)
    pd.testing.assert_frame_equal(micro_to_macro(other, SHOP).table, RESULT.table)


def test_parameters_are_plain_and_ask_the_same_again() -> None:
    asked = RESULT.parameters
    again = micro_to_macro(
        LOG,
        SHOP,
        **{name: asked[name] for name in ("macro", "micros", "controls", "horizon", "adjust")},
        limits=VerdictLimits(**asked["limits"]),
    )
    pd.testing.assert_frame_equal(again.table, RESULT.table)


def test_groups() -> None:
    result = micro_to_macro(LOG, SHOP, by="device", micros=["video_start"])
    groups = result.table["group"].drop_duplicates().to_list()
    assert groups == ["all", "mobile", "desktop", "tablet"]
    assert "mobile" not in result.sentence()
    assert result.figure("mobile").layout.meta["alt"]


def test_adjusting_for_properties_changes_the_strata_only() -> None:
    result = micro_to_macro(LOG, SHOP, micros=["video_start"], adjust=["activity", "device"])
    one, two = (r.table.set_index("event").loc["video_start"] for r in (RESULT, result))
    assert one["exposed_macros"] == two["exposed_macros"]
    assert one["adjusted"] != two["adjusted"]
    assert micro_to_macro(LOG, SHOP, micros=["video_start"], adjust="activity").parameters[
        "adjust"
    ] == ["activity"]


def test_a_control_that_is_asked_for_is_judged_next_to_the_others() -> None:
    table = micro_to_macro(LOG, SHOP, micros=["logo_click"]).table.set_index("event")
    assert table.loc["logo_click", "role"] == "context"
    assert table.loc["logo_click", "controls"] == 7
    assert table.loc["logo_click", "verdict"] not in ("control", "leads", "inverse")
    assert np.isfinite(table.loc["logo_click", "q_value"])


def test_the_macro_among_the_micros_is_one_line() -> None:
    with pytest.raises(UsageError, match="'purchase' is the macro conversion") as caught:
        micro_to_macro(LOG, SHOP, micros=["video_start", "purchase"])
    assert "\n" not in str(caught.value)


def test_limits_that_are_none_are_one_line() -> None:
    with pytest.raises(UsageError, match=r"limits=.*Allowed: wb\.VerdictLimits") as caught:
        micro_to_macro(LOG, SHOP, limits={"max_q": 0.05})
    assert "\n" not in str(caught.value)


def test_a_misspelled_micro_is_one_line() -> None:
    with pytest.raises(UsageError, match="Did you mean 'video_start'"):
        micro_to_macro(LOG, SHOP, micros=["vide_start"])


def test_a_catalog_without_controls_warns_and_names_no_leader() -> None:
    bare = Catalog.from_mapping(
        {
            "name": "bare",
            "events": {"purchase": {"role": "macro"}, "video_start": {"role": "secondary"}},
        }
    )
    result = micro_to_macro(LOG, bare)
    found = result.table.iloc[0]
    assert np.isnan(found["calibrated"])
    assert found["verdict"] == "goes_along"
    assert any("control" in text for text in result.warnings)
    assert all(figure.layout.meta["alt"] for figure in figures(result))
    assert "Video start does not stand out: goes along." in result.sentence()
    assert "without calibration" in result.sentence()


def test_a_horizon_longer_than_the_log_warns() -> None:
    result = micro_to_macro(LOG, SHOP, horizon="400d", micros=["video_start"])
    assert any("400 days" in text or "horizon" in text for text in result.warnings)
    assert result.table["total"].isna().all()
    assert result.sentence()


def test_no_macro_at_all_is_a_result_with_a_warning_and_nan() -> None:
    result = micro_to_macro(without(LOG, "purchase"), SHOP)
    ratios = ["crude", "peers", "adjusted", "total", "calibrated", "reach"]
    assert result.table[ratios].isna().all(axis=None)
    secondary = result.table[result.table["role"] == "secondary"]
    assert set(secondary["verdict"]) == {"not_enough_data"}
    assert any("purchase" in text.lower() for text in result.warnings)
    assert "Nobody of 6,000 users converted" in result.sentence()
    assert all("too few" in figure.layout.meta["alt"] for figure in figures(result))
    assert result._repr_html_()


def test_no_micro_in_the_log() -> None:
    catalog = catalog_of(["never_seen"])
    frame = pd.DataFrame(
        {"user": ["a", "a", "b"], "event": ["visit", "buy", "visit"], "time": "2026-01-01"}
    )
    log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame["time"])))
    result = micro_to_macro(log, catalog)
    assert not len(result.table)
    assert "no micro conversion to judge" in result.sentence()
    assert all(figure.layout.meta["alt"] for figure in figures(result))


def test_simpsons_paradox_is_named() -> None:
    """Most of those who do it are busy; the busy convert often, and less so after it."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(6000):
        busy = user % 2
        did = rng.random() < (0.8 if busy else 0.1)
        bought = rng.random() < ((0.15 if did else 0.30) if busy else (0.01 if did else 0.02))
        rows += [(user, "09:00", "visit")] + [
            (user, f"09:{10 + i}", "visit") for i in range(9 * busy)
        ]
        rows += [(user, "10:00", "share")] * did + [(user, "15:00", "buy")] * bought
    frame = pd.DataFrame(rows, columns=["user", "time", "event"]).astype({"user": str})
    frame["time"] = pd.to_datetime("2026-01-01 " + frame["time"])
    log = EventLog.from_frame(frame, covers_until="2026-02-01")
    result = micro_to_macro(log, catalog_of(["share"]), period="4h", horizon="1d")
    found = result.table.iloc[0]
    assert found["crude_low"] > 1
    assert found["adjusted_high"] < 1
    assert (
        "Simpson's paradox: Share goes with more conversions over all people and periods"
        in result.simpson[0]
    )
    assert result.simpson[0] in result.warnings
    assert not RESULT.simpson


def of_ratios(crude: tuple[float, ...], adjusted: tuple[float, ...], **more: str) -> pd.DataFrame:
    row = {"label": "Video", "group": "all", "verdict": "inverse"} | more
    for name, ratio in (("crude", crude), ("adjusted", adjusted)):
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), ratio, strict=True))
    return pd.DataFrame([row])


@pytest.mark.parametrize(
    ("crude", "adjusted", "named"),
    [
        ((1.5, 1.2, 1.9), (0.7, 0.5, 0.9), "more conversions over all people and periods"),
        ((0.7, 0.5, 0.9), (1.5, 1.2, 1.9), "fewer conversions over all people and periods"),
        # Both have to be clear of 1, and on opposite sides.
        ((1.5, 0.99, 1.9), (0.7, 0.5, 0.9), ""),
        ((1.5, 1.2, 1.9), (0.7, 0.5, 1.01), ""),
        ((0.7, 0.5, 1.01), (1.5, 1.2, 1.9), ""),
        ((0.7, 0.5, 0.9), (1.5, 0.99, 1.9), ""),
        ((1.5, 1.2, 1.9), (2.0, 1.5, 2.9), ""),
        ((0.7, 0.5, 0.9), (0.5, 0.4, 0.6), ""),
    ],
)
def test_simpsons_paradox_takes_two_clear_intervals(crude: Any, adjusted: Any, named: str) -> None:
    said = " ".join(simpson(of_ratios(crude, adjusted)))
    assert named in said
    assert bool(said) == bool(named)
    for verdict in ("structural", "control"):
        assert simpson(of_ratios(crude, adjusted, verdict=verdict)) == []


def test_a_lag_is_that_of_those_who_converted_after_it() -> None:
    found = RESULT.table.set_index("event").loc["video_start"]
    frame = LOG.to_frame()
    first = frame.groupby("user")["time"].min()
    bought = frame[frame["event"] == "purchase"].groupby("user")["time"].min()
    did = frame[frame["event"] == "video_start"].groupby("user")["time"].min()
    both = pd.concat([first, did, bought], axis=1, join="inner").set_axis(["t", "did", "b"], axis=1)
    both = both[(both["b"] < both["t"] + pd.Timedelta(30, "D")) & (both["did"] < both["b"])]
    waits = (both["b"] - both["did"]).dt.total_seconds()
    assert found["reach_k"] == len(waits)
    assert found["median_lag_seconds"] == pytest.approx(waits.median())
    assert found["median_lag_low_seconds"] <= waits.median() <= found["median_lag_high_seconds"]


def within_the_hour() -> EventLog:
    """A shop like the real ones: 33 orders of 1,700 users, 2 to 38 minutes after the first event,
    some of them after a sign-up, and page views all along."""
    rng = np.random.default_rng(33)
    rows = []
    for user in range(1700):
        buys = user < 33
        end = 2 + user * 36 / 32 if buys else rng.exponential(8)
        rows += [(user, minute, "page_view") for minute in np.r_[0, rng.random(4) * end]]
        if rng.random() < (0.4 if buys else 0.02):
            rows.append((user, 0.3 * end, "sign_up"))
        if buys:
            rows.append((user, end, "purchase"))
    frame = pd.DataFrame(rows, columns=["user", "time", "event"]).astype({"user": str})
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame["time"], unit="min")
    return EventLog.from_frame(frame, covers_until="2026-03-01")


def test_what_is_bought_within_the_hour_is_looked_at_in_minutes() -> None:
    """Whole days see nothing, and say so; "auto" looks, and what it lacks is orders."""
    catalog = Catalog.from_mapping(
        {
            "name": "shop",
            "events": {"purchase": {"role": "macro"}, "sign_up": {"role": "secondary"}},
        }
    )
    log = within_the_hour()
    days = micro_to_macro(log, catalog, period="1d")
    blind = days.table.iloc[0]
    assert (blind["macros"], blind["exposed_macros"]) == (33, 0)
    assert np.isnan(blind["adjusted"])
    assert blind["verdict"] == "not_enough_data"
    assert blind["reason"].startswith("100% (33 of 33) of the conversions come in the first period")
    assert any(text.startswith("100% (33 of 33) of the conv") for text in days.warnings)
    auto = micro_to_macro(log, catalog)
    seen = auto.table.iloc[0]
    assert seen["exposed_macros"] >= 8
    assert seen["adjusted_low"] > 1
    assert seen["verdict"] == "not_enough_data"
    assert f"with {seen['exposed_macros']} of 33 conversions after it" in seen["reason"]
    assert seen["needed_users"] > 1700
    assert any(text.startswith("0% (0 of 33) of the conversions") for text in auto.warnings)
    assert "33 conversions of 1,700 users, without calibration." in auto.sentence().lower()


def test_those_who_enter_with_an_event_are_counted_from_there() -> None:
    """The same as a log that begins with everybody's first look at a product."""
    frame = LOG.to_frame()
    looked = frame["event"].eq("view_item").groupby(frame["user"]).cumsum() > 0
    rest = EventLog.from_frame(frame[looked], covers_until=LOG.covers_until)
    found = micro_to_macro(LOG, SHOP, start="view_item")
    plain = micro_to_macro(rest, SHOP).table
    plain = plain[plain["event"] != "view_item"].reset_index(drop=True)
    shown = [name for name in plain if name != "only_after"]
    pd.testing.assert_frame_equal(found.table[shown], plain[shown])
    assert found.counts.units == frame.loc[looked, "user"].nunique()
    assert f"of {found.counts.units:,} users from “Viewed a product” on" in found.sentence()
    assert found.parameters["start"] == "view_item"


def test_a_start_that_cannot_be_is_one_line() -> None:
    for start, said in (
        ("purchase", "start='purchase' is the macro conversion"),
        ("view_itm", "Did you mean 'view_item'"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            micro_to_macro(LOG, SHOP, start=start)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="'video_start' stands among the events"):
        micro_to_macro(LOG, SHOP, micros=["video_start"], start="video_start")
    with pytest.raises(UsageError, match="'logo_click' stands among the events"):
        micro_to_macro(LOG, SHOP, controls=["logo_click"], start="logo_click")


def test_nobody_enters_with_that_event_in_the_view() -> None:
    result = micro_to_macro(LOG.where(device="no such device"), SHOP, start="view_item")
    assert "Nobody of 0 users converted" in result.sentence()
    assert result.table["verdict"].isin(["not_enough_data", "structural", "control"]).all()
