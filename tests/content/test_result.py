"""Contents against pandas, the truth that was planted, and what small pages must not do."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.content.result import channel_strength, content_conversion
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.segments.result import segment
from analysis.segments.rules import did
from analysis.simulation.log import simulate
from analysis.statistics.pooling import pooled
from analysis.statistics.rates import wilson

START = pd.Timestamp("2026-01-01", tz="UTC")
END = START + pd.Timedelta(days=12)
EVENTS = ["visit", "sign_up", "purchase"]
rows = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "ü"]),
        st.sampled_from([0, 1, 2, 4, 9]),  # many ties: what counts at one instant is the question
        st.sampled_from(EVENTS),
        st.sampled_from([None, "/a", "/b", "/ç"]),
    ),
    min_size=1,
    max_size=30,
)
days = st.one_of(st.none(), st.integers(0, 11))


def log_of(found: Any, shards: int = 1) -> EventLog:
    always = [("z", 0, name, "/a") for name in EVENTS]
    frame = pd.DataFrame([*found, *always], columns=["user", "day", "event", "page"])
    frame["time"] = START + pd.to_timedelta(frame.pop("day"), unit="D")
    return EventLog.from_frame(frame.astype({"page": "str"}), covers_until=END, shards=shards)


def oracle(
    frame: pd.DataFrame, window: Any, event: str, touch: str, since: Any, until: Any
) -> dict[Any, Any]:
    """Per value (and None for people) who is followed, who converts, who pays, who is too late."""
    counts: dict[str | None, list[int]] = {}
    for _, own in frame.groupby("user"):
        target = own.loc[own["event"] == "sign_up", "time"].min()
        pays = own.loc[own["event"] == "purchase", "time"]
        seen = own[own["page"].notna() & ((own["event"] == event) | (event == "*"))]
        if touch == "first":
            seen = seen.head(1)
        seen = seen[(seen["time"] >= since) & (seen["time"] < until)]
        seen = seen[~(seen["time"] >= target)]
        firsts = seen.groupby("page")["time"].min().to_dict()
        if firsts:
            firsts[None] = min(firsts.values())
        for page, t in firsts.items():
            cell = counts.setdefault(page, [0, 0, 0, 0])
            if t + window > END:
                cell[3] += 1
                continue
            cell[0] += 1
            cell[1] += bool(target <= t + window)
            cell[2] += bool(((pays > t) & (pays <= t + window)).any())
    return counts


@settings(max_examples=150)
@given(
    rows,
    st.sampled_from([1, 4]),
    st.sampled_from([1, 2, 3, 30]),
    st.sampled_from(["*", "visit", "sign_up"]),
    st.sampled_from(["any", "first"]),
    days,
    days,
)
def test_counts_are_those_of_pandas(
    found: Any, shards: int, length: int, event: str, touch: str, low: Any, high: Any
) -> None:
    since, until = (START if low is None else START + pd.Timedelta(days=low), END)
    if high is not None:
        until = START + pd.Timedelta(days=high)
    if until <= since:
        return
    log = log_of(found, shards)
    result = content_conversion(
        log,
        window=f"{length}d",
        event=event,
        touch=touch,
        since=None if low is None else since,
        until=None if high is None else until,
        min_cell=1,
    )
    frame = log.to_frame()
    expected = oracle(frame, pd.Timedelta(days=length), event, touch, since, until)
    people = expected.pop(None, [0, 0, 0, 0])
    columns = ["n", "k", "macro_k", "open"]
    assert result.everybody[columns].tolist() == people
    shown = result.table.set_index("value")
    assert {value: row.tolist() for value, row in shown[columns].iterrows()} == expected
    for row in result.table.itertuples():
        low_end, high_end = wilson(row.k, row.n)  # type: ignore[arg-type]
        assert (row.low, row.high) == pytest.approx((float(low_end), float(high_end)), nan_ok=True)
    seen = result.table[result.table["n"] > 0]
    again = pooled(seen["k"], seen["n"])
    assert seen["pooled"].tolist() == pytest.approx(again.rate.tolist(), nan_ok=True)
    assert (np.diff(seen["pooled"].dropna()) <= 0).all()


def test_views_show_what_they_show() -> None:
    found = [("u1", 1, "visit", "/a"), ("u1", 2, "sign_up", None), ("u2", 1, "visit", "/b")]
    view = log_of(found).where(page="/b")
    table = content_conversion(view, min_cell=1).table
    assert table["value"].tolist() == ["/b"]
    assert table["n"].tolist() == [1]


def world(rates: dict[str, float], sizes: dict[str, int], seed: int = 1) -> EventLog:
    """People who each see one page, and then sign up with the page's own probability."""
    rng = np.random.default_rng(seed)
    parts = []
    for page, size in sizes.items():
        users = [f"{page}{i}" for i in range(size)]
        parts.append(pd.DataFrame({"user": users, "event": "visit", "page": page, "time": START}))
        hit = rng.random(size) < rates[page]
        later = START + pd.Timedelta(days=1)
        mine = [user for user, yes in zip(users, hit, strict=True) if yes]
        parts.append(
            pd.DataFrame({"user": mine, "event": "sign_up", "page": "/sign-up", "time": later})
        )
    parts.append(
        pd.DataFrame({"user": ["x"], "event": "purchase", "page": "/sign-up", "time": START})
    )
    return EventLog.from_frame(pd.concat(parts), covers_until=END)


def test_a_page_that_leads_is_found_and_small_ones_do_not_top_it() -> None:
    rates = {f"/p{i}": 0.05 for i in range(30)} | {"/guide": 0.15}
    sizes = {f"/p{i}": 12 if i < 20 else 600 for i in range(30)} | {"/guide": 3_000}
    result = content_conversion(world(rates, sizes), min_cell=1, macro="purchase")
    table = result.table
    assert table["value"].iloc[0] == "/guide"
    assert table["verdict"].iloc[0] == "more"
    assert table["pooled_low"].iloc[0] < 0.15 < table["pooled_high"].iloc[0]
    crude = table.sort_values("rate", ascending=False)
    assert crude["n"].iloc[0] == 12  # what a ranking by counted rates would show first
    assert not ((table["n"] == 12) & (table["verdict"] != "unclear")).any()
    said = result.sentence()
    assert "most often after “/guide”: pooled" in said
    assert "95% interval" in said
    assert f"of {table['n'].iloc[0]:,.0f})" in said
    assert "Clearly above a typical one: 1 of" in said
    shown = result.readable(most=40)
    assert shown.index[0] == "/guide"
    assert shown["than a typical one"].iloc[0] == "more"
    assert not shown.apply(lambda column: column.str.contains("nan|n/a")).any(axis=None)
    alt = result.figure().layout.meta["alt"]
    assert "/guide: pooled" in alt
    assert "above a typical one" in alt
    assert "more lie between" in alt


def test_where_nothing_differs_hardly_anything_stands_out() -> None:
    sizes = {f"/p{i}": 50 + 40 * i for i in range(20)}
    out = 0
    for seed in range(20):
        result = content_conversion(world(dict.fromkeys(sizes, 0.06), sizes, seed))
        out += (result.table["verdict"] != "unclear").sum()
    assert out <= 4  # of 400


def test_the_channels_of_the_demo_come_in_the_order_that_was_planted() -> None:
    log = simulate(users=60_000).log
    result = channel_strength(log, window="14d")
    pooled_of = result.table.set_index("value")["pooled"]
    # Factors on the hazard: social 0.60 and 0.65, direct 1.20, affiliate 1.25.
    assert pooled_of.idxmin() == "social"
    assert result.table.set_index("value").loc["social", "verdict"] == "less"
    assert pooled_of["direct"] > pooled_of["organic"] > pooled_of["social"]
    assert pooled_of["affiliate"] > pooled_of["organic"]
    assert int(result.table["n"].sum()) == int(result.everybody["n"])


def test_few_people_are_hidden_and_tell_nothing_by_their_place() -> None:
    sizes = {"/big": 400, "/other": 400, "/tiny": 3, "/rare": 30}
    rates = {"/big": 0.2, "/other": 0.1, "/tiny": 1.0, "/rare": 0.06}
    log = world(rates, sizes)
    all_of_it = content_conversion(log, min_cell=1).table
    few = all_of_it["n"] < 5
    assert (all_of_it["k"].between(1, 4) & ~few).any()  # few of many, which are shown
    result = content_conversion(log)
    table = result.table.set_index("value")
    assert table.loc["/tiny"].drop("verdict").isna().all()
    assert table["k"].notna().sum() == (~few).sum()
    assert list(table.index[-2:]) == sorted(table.index[-2:])
    said = f"no value seen by fewer than 5 people can be told: {few.sum()} of {len(few)} values"
    assert any(said in warning for warning in result.warnings)
    assert "/tiny" not in result.figure().layout.meta["alt"]
    assert any("hardly known how different" in warning for warning in result.warnings)


def test_where_people_count_once_no_value_is_hidden_alone() -> None:
    """Three came by mail: as all who came are shown, the next smallest channel is hidden too."""
    log = world({"/a": 0.2, "/b": 0.2, "/c": 0.2}, {"/a": 90, "/b": 40, "/c": 3})
    first = content_conversion(log, touch="first", event="visit")
    assert first.table["n"].notna().sum() == 1
    assert first.everybody["n"] == 133
    every = content_conversion(log, event="visit")  # people may count under several
    assert every.table["n"].notna().sum() == 2
    few = content_conversion(log, touch="first", event="visit", min_cell=134)
    assert few.everybody.drop("value").isna().all()
    assert few.sentence() == "Too few people came with a page to show a rate."
    assert not any("too lately" in warning for warning in few.warnings)


@given(rows, st.sampled_from(["any", "first"]), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing_in_silence(
    found: Any, touch: str, luck: Random
) -> None:
    mixed = list(found)
    luck.shuffle(mixed)
    one, two = (
        content_conversion(log_of(own), touch=touch, window="2d", min_cell=1)
        for own in (found, mixed)
    )
    assert one.parameters["tied"] == two.parameters["tied"]
    assert any("at one instant" in w for w in one.warnings) == (one.parameters["tied"] > 0)
    if not one.parameters["tied"]:
        pd.testing.assert_frame_equal(one.table, two.table)
        pd.testing.assert_series_equal(one.everybody, two.everybody)


def test_the_macro_stands_beside_it_and_few_of_it_are_shown() -> None:
    log = simulate(users=3_000).log
    result = content_conversion(log, to="newsletter_sign_up", window="3d")
    assert result.table["macro_k"].between(1, 4).any()
    assert "“Purchase”" in result.sentence()
    same = channel_strength(log)
    assert "of them did" not in same.sentence()
    assert same.table["macro_k"].tolist()[0] == same.table["k"].tolist()[0]


def test_shards_change_no_digit() -> None:
    one, four = (
        content_conversion(simulate(users=1_500, shards=n).log, to="share") for n in (1, 4)
    )
    pd.testing.assert_frame_equal(one.table, four.table)


def test_people_picked_by_what_they_did_then_are_said() -> None:
    log = simulate(users=1_500).log
    buyers = log.in_segment(segment(log, did("purchase")))
    assert any("picked by" in w for w in channel_strength(buyers).warnings)


def test_nobody_and_nothing_is_said() -> None:
    log = log_of([])
    late = content_conversion(log, window="30d")
    assert late.sentence() == "Nobody who saw a page could be followed for the whole window."
    assert late.figure().layout.meta["alt"] == "There are too few people to compare values."
    alone = content_conversion(world({"/a": 0.5}, {"/a": 60}), event="visit")
    assert "No page can be compared: that takes two that enough people saw." in alone.sentence()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"property": "pag"}, "Did you mean 'page'"),
        ({"property": "value"}, "not a property of this log"),
        ({"to": "signup"}, "Did you mean 'sign_up'"),
        ({"to": "*"}, "is no conversion"),
        ({"macro": "purchas"}, "Did you mean 'purchase'"),
        ({"event": "visi"}, "Did you mean 'visit'"),
        ({"touch": "last"}, "Allowed: 'any', 'first'"),
        ({"window": "7"}, "no unit"),
        ({"since": "2026-01-05", "until": "2026-01-04"}, "nothing lies between"),
        ({"since": "2027"}, "nothing lies between"),
        ({"min_cell": 0}, "whole number from 1"),
        ({"min_cell": True}, "whole number from 1"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        content_conversion(log_of([]), **arguments)
    assert "\n" not in str(raised.value)


def test_numbers_are_no_contents() -> None:
    log = simulate(users=50).log
    with pytest.raises(UsageError, match="'value' holds numbers"):
        content_conversion(log, "value", to="share")
