"""Forms against plain Python, attempt by attempt, and against what was planted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.eventlog.log import EventLog
from analysis.form_world import simulate_form
from analysis.forms import form_fields
from analysis.schema import UsageError

FIELDS = ("x", "y", "z")
KINDS = ("form_focus", "form_change", "form_error", "form_submit", "page_view")


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Few users, two forms, fields that may be missing, ties."""
    row = st.tuples(
        st.sampled_from("uvw"),
        st.integers(0, 6),
        st.sampled_from([*KINDS, "form_change", "form_focus"]),
        st.sampled_from([*FIELDS, None]),
        st.sampled_from(["f", "f", "f", "g"]),
    )
    rows = draw(st.lists(row, min_size=1, max_size=25))
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "field", "form"])
    frame["time"] = pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(frame["time"], unit="s")
    return frame.astype(dict.fromkeys(("user", "event", "field", "form"), "str"))


def attempt(rows: list[tuple[str, Any, float]]) -> dict[str, Any]:
    """One attempt by hand: (event, field or None, seconds) in order."""
    kinds = [event for event, _, _ in rows]
    submits = [i for i, kind in enumerate(kinds) if kind == "form_submit"]
    errors = [i for i, kind in enumerate(kinds) if kind == "form_error"]
    changes = [i for i, r in enumerate(rows) if r[0] == "form_change" and r[1] is not None]
    hands = [r for r in rows if r[0] in KINDS[:2] and r[1] is not None]
    done = bool(submits) and not any(i > submits[-1] for i in errors)
    named = [r[1] for r in rows if r[0] != "form_submit" and r[1] is not None]
    # Runs of rows in one field, between submits; errors happen beside them.
    walk = [r for r in rows if r in hands or r[0] == "form_submit"]
    visits: list[list[Any]] = []
    for event, field, at in walk:
        if visits and visits[-1][3] is None:
            if event != "form_submit" and visits[-1][0] == field:
                visits[-1][4] += event == "form_change"
                continue
            visits[-1][3] = at
        if event != "form_submit":
            visits.append([field, at, None, None, int(event == "form_change")])
    seconds: dict[str, float] = dict.fromkeys(named, 0.0)
    for field, begin, _, end, _ in visits:
        seconds[field] += np.nan if end is None else end - begin
    return {
        "done": done,
        "submitted": bool(submits),
        "nothing": any(not any(c < s for c in changes) for s in submits),
        "last": hands[-1][1] if hands else None,
        "order": list(dict.fromkeys(named)),
        "seconds": seconds,
        "refilled": {f for f in FIELDS if sum(v[4] > 0 for v in visits if v[0] == f) > 1},
        "errors": [rows[i][1] for i in errors if rows[i][1] is not None],
        "changed": {rows[i][1] for i in changes},
    }


@given(frames(), st.sampled_from([1, 2]))
def test_fields_are_those_counted_by_hand(frame: pd.DataFrame, shards: int) -> None:
    frame["form"] = frame["form"].where(frame.index > 0, "f")
    frame["field"] = frame["field"].where(frame.index > 0, "x")
    frame["event"] = frame["event"].where(frame.index > 0, "form_focus")
    log = EventLog.from_frame(frame, shards=shards)
    found = form_fields(log, "f", within="user", min_cell=1)
    own = frame[(frame["form"] == "f") & (frame["event"] != "page_view")]
    own = own.sort_values(["user", "time"], kind="stable")
    tried = []
    for _, part in own.groupby("user", sort=False):
        at = (part["time"] - frame["time"].min()).dt.total_seconds()
        fields = [None if pd.isna(f) else f for f in part["field"]]
        tried.append(attempt(list(zip(part["event"], fields, at, strict=True))))
    ends = found.ends.set_index("end")["k"]
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


def test_what_was_planted_is_found() -> None:
    made = simulate_form(users=3_000)
    found = form_fields(made.log, "sign_up")
    assert found.table["field"].tolist() == made.truth["field"].tolist()
    truth = made.truth.set_index("field")
    for row in found.table.itertuples():
        assert stats.binomtest(int(row.k), int(row.n), truth.loc[row.field, "stop"]).pvalue > 1e-3
        blank = truth.loc[row.field, "blank"]
        assert stats.binomtest(int(row.blanks), int(row.submits), blank).pvalue > 1e-3
        seconds = truth.loc[row.field, "seconds"]
        assert seconds * 0.85 < row.median_seconds < seconds * 1.25
    done = found.ends.set_index("end").loc["done"]
    assert done["low"] < np.prod(1 - truth["stop"]) < done["high"]
    assert "Most stop at phone" in found.sentence()
    assert "95% interval" in found.sentence()
    assert "Phone" in found.figure().layout.meta["alt"]


def test_few_people_are_hidden() -> None:
    made = simulate_form(users=40)
    found = form_fields(made.log, "sign_up", min_cell=5)
    counts = found.table[["k", "n", "last", "refills", "failed", "blanks"]].to_numpy()
    assert not ((counts > 0) & (counts < 5)).any()
    assert np.isnan(counts).any()
    assert any("hidden" in warning for warning in found.warnings)
    assert "Too few" in form_fields(made.log, "sign_up", min_cell=50).sentence()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"form": "sign_upp"}, "Did you mean 'sign_up'?"),
        ({"form_property": "forms"}, "Did you mean 'form'?"),
        ({"events": {"focuss": "form_focus"}}, "Did you mean 'focus'?"),
        ({"events": {"focus": "form_focuss"}}, "Did you mean 'form_focus'?"),
        ({"within": "visit"}, "within='visit'"),
        ({"min_cell": 0}, "min_cell=0"),
    ],
)
def test_bad_input_is_told_in_one_line(options: dict[str, Any], said: str) -> None:
    log = simulate_form(users=20).log
    with pytest.raises(UsageError) as error:
        form_fields(log, **({"form": "sign_up"} | options))
    assert said in str(error.value)
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
