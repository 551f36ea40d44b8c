"""Forms against plain Python, attempt by attempt (`tests/simulation` has what was planted)."""

from __future__ import annotations

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
        everything = frame[frame["user"] == user].sort_values("time", kind="stable")
        after = everything["event"][list(everything.index).index(part.index[-1]) + 1 :]
        came = {"came": "page_view" in set(after)}
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


def test_few_people_are_hidden() -> None:
    made = simulate(users=400)
    found = form_fields(made.log, "contact", min_cell=5)
    counts = found.table[["k", "n", "last", "refills", "failed", "blanks"]].to_numpy()
    assert not ((counts > 0) & (counts < 5)).any()
    assert np.isnan(counts).any()
    assert any("hidden" in warning for warning in found.warnings)
    assert "Too few" in form_fields(made.log, "contact", min_cell=50).sentence()


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
