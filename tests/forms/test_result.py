"""Forms against plain Python, attempt by attempt (`tests/simulation` has what was planted)."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.form_oracle import FIELDS, KINDS, attempt

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.forms.result import form_fields
from analysis.simulation.log import simulate

EVENTS = (*KINDS, "page_view")


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Few users, two forms, fields that may be missing, ties."""
    row = st.tuples(
        st.sampled_from("uvw"),
        st.integers(0, 6),
        st.sampled_from([*EVENTS, "form_change", "form_focus"]),
        st.sampled_from([*FIELDS, None]),
        st.sampled_from(["f", "f", "f", "g"]),
    )
    rows = draw(st.lists(row, min_size=1, max_size=25))
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "field", "form"])
    frame["time"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(frame["time"], unit="s")
    return frame.astype(dict.fromkeys(("user", "event", "field", "form"), "str"))


@given(frames(), st.sampled_from([1, 2]))
def test_fields_are_those_counted_by_hand(frame: pd.DataFrame, shards: int) -> None:
    frame["form"] = frame["form"].where(frame.index > 0, "f")
    frame["field"] = frame["field"].where(frame.index > 0, "x")
    frame["event"] = frame["event"].where(frame.index > 0, "form_focus")
    log = EventLog.from_frame(frame, shards=shards)
    macro = "page_view" if "page_view" in set(frame["event"]) else None
    found = form_fields(log, "f", within="user", macro=macro, min_cell=1)
    own = frame[(frame["form"] == "f") & (frame["event"] != "page_view")]
    own = own.sort_values(["user", "time"], kind="stable")
    tried = []
    for user, part in own.groupby("user", sort=False):
        at = (part["time"] - frame["time"].min()).dt.total_seconds()
        fields = [None if pd.isna(f) else f for f in part["field"]]
        after = frame[(frame["user"] == user) & (frame["time"] >= part["time"].iloc[-1])]
        came = {"came": "page_view" in set(after["event"])}
        tried.append(attempt(list(zip(part["event"], fields, at, strict=True))) | came)
    ends = found.ends.set_index("end")["k"]
    macros = found.ends.set_index("end")["macros"]
    wanted = {
        "done": sum(t["done"] and t["came"] for t in tried),
        "given up": sum(not t["done"] and t["came"] for t in tried),
        "blank submit": sum(t["nothing"] and t["came"] for t in tried),
    }
    for end, k in wanted.items():
        # Of nobody there is no share; without a macro there is none of anybody.
        assert np.isnan(macros[end]) if macro is None or not ends[end] else macros[end] == k
    assert ends["done"] == sum(t["done"] for t in tried)
    assert ends["blank submit"] == sum(t["nothing"] for t in tried)
    assert ends["nothing touched"] == sum(not t["done"] and t["last"] is None for t in tried)
    assert set(found.table["field"]) == {f for t in tried for f in t["order"]}
    for row in found.table.itertuples():
        name = row.field
        touched = [t for t in tried if name in t["order"]]
        assert (row.n, row.attempts) == (len(touched), len(tried))
        assert row.k == sum(t["last"] == name and not t["done"] for t in tried)
        assert row.last == sum(t["last"] == name for t in tried)
        assert row.refills == sum(name in t["refilled"] for t in tried)
        assert row.failed == sum(name in t["errors"] for t in tried)
        assert row.errors == sum(t["errors"].count(name) for t in tried)
        assert row.submits == sum(t["submitted"] for t in tried)
        assert row.blanks == sum(t["submitted"] and name not in t["changed"] for t in tried)
        wanted = pd.Series([t["seconds"][name] for t in touched]).median()
        assert row.median_seconds == pytest.approx(wanted, nan_ok=True)


@given(frames(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing_in_silence(frame: pd.DataFrame, luck: Random) -> None:
    """Rows of one instant in another order: the same answer, or how much hangs on it is said."""
    frame.loc[0, ["form", "field", "event"]] = ["f", "x", "form_focus"]
    rows = list(range(len(frame)))
    luck.shuffle(rows)
    one, two = (
        form_fields(EventLog.from_frame(own), "f", within="user", min_cell=1)
        for own in (frame, frame.iloc[rows])
    )
    pd.testing.assert_frame_equal(one.ends, two.ends)
    assert one.warnings == two.warnings
    assert one.parameters["tied"] == two.parameters["tied"]
    order_free = ["field", "n", "failed", "errors", "blanks", "attempts", "submits"]
    pd.testing.assert_frame_equal(one.table[order_free], two.table[order_free])
    if not any("several fields in one instant" in warning for warning in one.warnings):
        pd.testing.assert_frame_equal(one.table, two.table)


@pytest.mark.parametrize("order", [["submit", "error"], ["error", "submit"]])
def test_an_error_in_the_second_of_the_submit_undoes_it_in_no_order_of_arrival(
    order: list[str],
) -> None:
    rows = [
        (f"u{k}", minute, f"form_{what}")
        for k in range(20)
        for minute, what in [(0, "change"), *((1, what) for what in order)]
    ]
    frame = pd.DataFrame(rows, columns=["user", "minute", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame.pop("minute"), unit="min")
    found = form_fields(EventLog.from_frame(frame.assign(form="f", field="x")), "f")
    assert found.ends.set_index("end")["k"].to_dict() == {
        "done": 20, "given up": 0, "blank submit": 0, "nothing touched": 0
    }  # fmt: skip
    assert found.parameters["tied"] == 1.0
    assert any(w.startswith("100% (20 of 20) of the sessions would end") for w in found.warnings)


def test_a_macro_in_the_instant_of_the_last_row_comes_later_in_any_order() -> None:
    rows = [("u", 0, "form_change"), ("u", 1, "form_submit"), ("u", 1, "purchase")]
    for own in (rows, rows[:1] + rows[:0:-1]):
        frame = pd.DataFrame(own, columns=["user", "minute", "event"])
        frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["minute"], unit="min")
        log = EventLog.from_frame(frame.drop(columns="minute").assign(form="f", field="x"))
        found = form_fields(log, "f", macro="purchase", min_cell=1)
        assert found.ends.set_index("end").loc["done", "macros"] == 1
        assert any("in the very instant of their last row" in w for w in found.warnings)
        # What ends an attempt is not what comes after it.
        own_end = form_fields(log, "f", macro="form_submit", min_cell=1).ends.set_index("end")
        assert own_end.loc["done", "macros"] == 0


def form_log(touched: dict[str, int], stopped: int) -> EventLog:
    """A hundred attempts; of each field how many change it; the last `stopped` never submit."""
    rows = [
        (f"u{k:03}", place, "form_change", field)
        for place, (field, many) in enumerate(touched.items())
        for k in range(many)
    ]
    rows += [(f"u{k:03}", 50, "form_submit", None) for k in range(100 - stopped)]
    frame = pd.DataFrame(rows, columns=["user", "second", "event", "field"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame.pop("second"), unit="s")
    return EventLog.from_frame(frame.assign(form="f"))


def test_few_of_many_are_shown_and_few_people_are_hidden() -> None:
    """Four of a hundred give up: that is shown. A field that three touched is not."""
    found = form_fields(form_log({"mail": 100, "fax": 3}, stopped=4), "f")
    fields = found.table.set_index("field")
    assert fields.loc["mail", ["k", "n", "rate"]].tolist() == [4.0, 100.0, 0.04]
    assert fields.loc["fax"].drop("attempts").isna().all()
    ends = found.ends.set_index("end")
    assert ends["k"].tolist() == [96.0, 4.0, 0.0, 0.0]
    assert ends["rate"].notna().all()
    assert "96.0% (96 of 100" in found.sentence()
    assert any("hidden in 1 field." in warning for warning in found.warnings)
    few = form_fields(form_log({"mail": 100}, stopped=4), "f", min_cell=101)
    assert few.ends.drop(columns="end").isna().all(axis=None)
    assert few.table.drop(columns="field").isna().all(axis=None)
    assert few.sentence() == "Too few people began the form 'f' to show a rate."


def test_many_attempts_of_few_people_are_hidden() -> None:
    """Four people try ten times each, in a session a day."""
    rows = [
        (f"u{k}", day, what) for k in range(4) for day in range(10) for what in ("change", "submit")
    ]
    frame = pd.DataFrame(rows, columns=["user", "day", "event"])
    frame["event"] = "form_" + frame["event"]
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    log = EventLog.from_frame(frame.assign(form="f", field="x"))
    hidden = form_fields(log, "f")
    assert hidden.ends.drop(columns="end").isna().all(axis=None)
    assert hidden.table.drop(columns="field").isna().all(axis=None)
    assert not any("%" in warning for warning in hidden.warnings)
    assert form_fields(log, "f", min_cell=4).ends["k"].tolist() == [40, 0, 0, 0]


def test_the_macro_s_share_is_of_those_who_ended_so() -> None:
    log = form_log({"mail": 100}, stopped=4)
    bought = pd.DataFrame({"user": [f"u{k:03}" for k in range(0, 100, 50)], "event": "purchase",
                           "time": pd.Timestamp("2026-03-01 12:00")})  # fmt: skip
    log = EventLog.from_frame(pd.concat([log.to_frame(), bought]).assign(session=None))
    ends = form_fields(log, "f", within="user", macro="purchase").ends.set_index("end")
    assert ends.loc["done", ["macros", "macro_rate"]].tolist() == [2.0, 2 / 96]
    assert ends.loc["given up", ["macros", "macro_rate"]].isna().all()  # of four people


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "contct"}, "Did you mean 'contact'?"),
        ({"form_property": "forms"}, "Did you mean 'form'?"),
        ({"events": {"focuss": "form_focus"}}, "Did you mean 'focus'?"),
        ({"events": {"focus": "form_focuss"}}, "Did you mean 'form_focus'?"),
        ({"within": "visit"}, "within='visit'"),
        ({"min_cell": 0}, "min_cell=0"),
    ],
)
def test_bad_input_raises_one_line(options: dict[str, Any], message: str) -> None:
    log = simulate(users=200).log
    with pytest.raises(UsageError) as error:
        form_fields(log, **({"form": "contact"} | options))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_log_without_form_events_says_how_to_name_them() -> None:
    frame = pd.DataFrame(
        {
            "user": ["u"],
            "time": pd.to_datetime(["2026-01-01"]),
            "event": ["a"],
            "form": ["f"],
            "field": ["x"],
        }
    )
    with pytest.raises(UsageError, match="Name its own: events="):
        form_fields(EventLog.from_frame(frame), "f")


@pytest.mark.parametrize("within", ["user", "session"])
def test_a_macro_counts_where_it_comes_after_the_attempt_of_the_same_person(within: str) -> None:
    rows = [
        ("a", 0, "form_focus"),
        ("b", 0, "purchase"),  # the first row of the next person
        ("b", 1, "form_focus"),
        ("b", 2, "form_submit"),
        ("c", 0, "form_focus"),
        ("c", 1, "form_submit"),
        ("c", 540, "purchase"),  # in a later session
    ]
    frame = pd.DataFrame(rows, columns=["user", "minute", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame.pop("minute"), unit="min")
    frame["field"] = np.where(frame["event"] == "form_focus", "x", None)
    log = EventLog.from_frame(frame.assign(form=np.where(frame["event"] == "purchase", None, "f")))
    found = form_fields(log, "f", macro="purchase", within=within, min_cell=1)
    ends = found.ends.set_index("end")
    done = ends.loc["done"]
    assert (done["macros"], done["k"]) == (1, 2)
    assert ends.loc["given up", "macros"] == 0
    early = ("2026-03-01", "2026-03-01 00:30")
    cut = form_fields(log, "f", macro="purchase", within=within, entered=early, min_cell=1)
    # Only attempts that begin in the range; the purchase may come after it.
    assert cut.ends.set_index("end").loc["done", "macros"] == 1
