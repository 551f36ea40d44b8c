"""Two groups, and two funnels: the difference at each step, against published numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest
from support.funnel_view_logs import STEPS, view_log

from analysis.core.schema import ALL, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.compare import _size, compare
from analysis.funnels.overlap import correlations
from analysis.funnels.result import funnel
from analysis.statistics.rates import newcombe, wilson


def counted_log(reached: dict[str, list[int]]) -> EventLog:
    """So many users of each device at each of the steps a, b, c."""
    rows = []
    for device, counts in reached.items():
        for event, count in zip(STEPS, counts, strict=False):
            minute = pd.Timedelta(minutes=STEPS.index(event))
            time = pd.Timestamp("2026-01-01") + minute
            rows += [(f"{device}{i}", time, event, device) for i in range(count)]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "device"])
    return EventLog.from_frame(frame, covers_until="2026-03-01")


def test_the_published_interval() -> None:
    # Newcombe 1998, Stat Med 17:873, table II, example (a), method 10.
    log = counted_log({"m": [70, 56], "d": [80, 48]})
    table = compare(funnel(log, ["a", "b"], by="device"), "m", "d")
    assert table["denominator"].tolist() == ["from previous", "from first"]
    step = table.iloc[0]
    assert (step["k_a"], step["n_a"], step["k_b"], step["n_b"]) == (56, 70, 48, 80)
    assert step["difference"] == pytest.approx(0.2)
    assert (round(step["low"], 4), round(step["high"], 4)) == (0.0524, 0.3339)


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_every_number_by_other_calls(seed: int) -> None:
    result = funnel(view_log(seed, users=80), STEPS, window="3d", by="device")
    table = compare(result, "m", "d")
    counts = result.table.set_index(["group", "step"])
    shown = list(zip(table["step"], table["denominator"], strict=True))
    assert shown == [(2, "from previous"), (3, "from previous"), (3, "from first")]
    p_values = []
    for row in table.to_dict("records"):
        n = "n_first" if row["denominator"] == "from first" else "n_previous"
        cells = [int(counts.loc[(g, row["step"]), c]) for g in ("m", "d") for c in ("k", n)]
        assert [row["k_a"], row["n_a"], row["k_b"], row["n_b"]] == cells
        if not cells[1] or not cells[3]:
            assert pd.isna(row["difference"])
            continue
        rates = cells[0] / cells[1], cells[2] / cells[3]
        assert (row["rate_a"], row["rate_b"]) == pytest.approx(rates)
        assert row["difference"] == pytest.approx(rates[0] - rates[1])
        low, high = confint_proportions_2indep(*cells, method="newcomb", compare="diff")
        assert (row["low"], row["high"]) == pytest.approx((low, high))
        if 0 < cells[0] + cells[2] < cells[1] + cells[3]:
            z = proportions_ztest(cells[::2], cells[1::2])
            assert row["p_value"] == pytest.approx(z[1])
        p_values.append(row["p_value"])
    if len(p_values) == 3:
        want = stats.false_discovery_control(p_values[:2])
        assert table["q_value"].tolist() == pytest.approx([*want, float("nan")], nan_ok=True)


def test_swapping_the_two_changes_the_sign() -> None:
    result = funnel(view_log(3, users=200), STEPS, window="3d", by="device")
    one, two = compare(result, "m", "d"), compare(result, "d", "m")
    assert one["difference"].tolist() == pytest.approx((-two["difference"]).tolist())
    assert one["low"].tolist() == pytest.approx((-two["high"]).tolist())
    assert one["q_value"].equals(two["q_value"])


def test_two_funnels_all_together_and_by_group() -> None:
    log = view_log(4, users=300)
    weeks = [("2026-10-20", "2026-10-26"), ("2026-10-26", "2026-11-01")]
    first, second = (funnel(log, STEPS, window="1d", entered=week) for week in weeks)
    table = compare(first, None, second)
    assert table["k_a"].tolist() == [*first.table["k"][1:], first.table["k"].iloc[-1]]
    assert table["n_b"].tolist() == [*second.table["n_previous"][1:], second.table["n_first"][0]]
    grouped = [funnel(log, STEPS, window="1d", entered=week, by="device") for week in weeks]
    assert compare(grouped[0], None, grouped[1]).equals(table)
    own = compare(grouped[0], "m", grouped[1])
    assert own["k_a"].iloc[0] == grouped[0].table.query("group == 'm' and step == 2")["k"].iloc[0]
    assert own["k_b"].iloc[0] == grouped[1].table.query("group == 'm' and step == 2")["k"].iloc[0]


def test_groups_of_several_properties() -> None:
    result = funnel(view_log(4, users=300), STEPS, window="3d", by=["device", "currency"])
    table = compare(result, ("m", "EUR"), ("d", "EUR"))
    own = result.table[[group == ("m", "EUR") for group in result.table["group"]]]
    assert table["k_a"].tolist()[:2] == own["k"].tolist()[1:]


def test_attempts_that_always_end_alike_are_worth_one() -> None:
    once = counted_log({"m": [70, 56, 20], "d": [80, 48, 30]})
    frame = once.to_frame().drop(columns="session")
    days = [frame.assign(time=frame["time"] + pd.Timedelta(days=10 * i)) for i in range(3)]
    often = EventLog.from_frame(pd.concat(days), covers_until="2026-06-01")
    want = compare(funnel(once, STEPS, by="device"), "m", "d")
    found = compare(funnel(often, STEPS, by="device", count="attempts"), "m", "d")
    assert found["n_a"].tolist() == (3 * want["n_a"]).tolist()
    for name in ("rate_a", "rate_b", "difference", "low", "high", "p_value", "q_value"):
        assert found[name].tolist() == pytest.approx(want[name].tolist(), nan_ok=True)
    assert found["clear"].equals(want["clear"])
    # Attempts taken as independent would be too sure.
    plain = confint_proportions_2indep(168, 210, 144, 240, method="newcomb", compare="diff")
    assert found["low"][0] < plain[0] < plain[1] < found["high"][0]


@pytest.mark.parametrize("count", ["units", "attempts"])
def test_the_larger_of_two_differences_is_not_clear_by_being_the_larger(count: str) -> None:
    log = counted_log({"m": [200, 100, 50], "d": [200, 78, 39]})
    table = compare(funnel(log, STEPS, by="device", count=count), "m", "d")
    assert table["p_value"][0] == pytest.approx(0.0269, abs=1e-3)
    assert table["q_value"].tolist()[:2] == pytest.approx([2 * table["p_value"][0], 1.0])
    assert table["low"][0] > 0
    assert table["clear"].tolist() == [False, False, False]


@pytest.mark.parametrize("options", [{"count": "attempts"}, {"hold": ["value"]}])
def test_all_groups_together_are_clustered_too(options: dict[str, Any]) -> None:
    log = view_log(4, users=120)
    weeks = [("2026-10-20", "2026-10-26"), ("2026-10-26", "2026-11-01")]
    plain, grouped = (
        [funnel(log, STEPS, window="1d", entered=w, by=by, **options) for w in weeks]
        for by in (None, "device")
    )
    want = compare(plain[0], None, plain[1])
    found = compare(grouped[0], None, grouped[1])
    pd.testing.assert_frame_equal(found, want)
    assert want["low"].notna().all()
    cells = want[["k_a", "n_a", "k_b", "n_b"]].iloc[0].astype(int)
    # Never narrower than if every try were of another user, but for those in both weeks.
    shared = correlations(*plain)[ALL, 2, "step"]
    assert want["low"][0] <= newcombe(*cells, correlation=shared).low + 1e-9


@pytest.mark.parametrize(("k", "n"), [(0, 9), (9, 9), (1, 9), (50, 100), (2, 3), (999, 10**6)])
def test_the_size_behind_limits(k: int, n: int) -> None:
    low, high = map(float, wilson(k, n))
    assert _size(k / n, low, high) == pytest.approx(n)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("mobil", "desktop", r"'mobil' is not a group of this funnel. Did you mean 'mobile'\?"),
        ("mobile", "mobile", "a and b are both 'mobile'"),
        ("mobile", 3, "3 is not a group of this funnel"),
    ],
)
def test_groups_that_cannot_be_compared(a: Any, b: Any, said: str) -> None:
    result = funnel(counted_log({"mobile": [5, 2], "desktop": [4, 1]}), ["a", "b"], by="device")
    with pytest.raises(UsageError, match=said):
        compare(result, a, b)


def test_funnels_that_cannot_be_compared() -> None:
    log = view_log(4)
    with pytest.raises(UsageError, match=r"the steps of b are \['a', 'c'\]"):
        compare(funnel(log, ["a", "b"]), None, funnel(log, ["a", "c"]))
    with pytest.raises(UsageError, match="the windows are 2 days and 3 days"):
        compare(funnel(log, STEPS, window="2d"), None, funnel(log, STEPS, window="3d"))
    with pytest.raises(UsageError, match="one step has no rate"):
        compare(funnel(log, ["a"]), None, funnel(log, ["a"]))
