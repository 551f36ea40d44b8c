"""Small logs full of ties and gaps, and rules of every kind, for hypothesis to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

START = pd.Timestamp("2026-03-28 22:00", tz="UTC")
HOURS = st.sampled_from([0, 1, 2, 3, 5, 8, 24, 25, 48, 72])
EVENTS = "abc"
SPANS = st.sampled_from(["1h", "2h", "24h", "25h", "72h"])
names = st.one_of(
    st.sampled_from([*EVENTS, "*"]), st.lists(st.sampled_from(EVENTS), min_size=2, max_size=2)
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    row = st.tuples(
        st.sampled_from(["u1", "u2", "u3", "ü"]),
        HOURS,
        st.sampled_from(EVENTS),
        st.sampled_from([None, "x", "y"]),
        st.sampled_from([np.nan, 0.0, 1.5, 10.0, -2.0]),
        st.sampled_from([None, "1", "2"]),
    )
    rows = draw(st.lists(row, min_size=1, max_size=18))
    frame = pd.DataFrame(rows, columns=["user", "hour", "event", "color", "value", "session"])
    frame["time"] = START + pd.to_timedelta(frame.pop("hour"), unit="h")
    everything = pd.DataFrame({
        "user": "z", "time": START, "event": list(EVENTS), "color": ["x", "y", None], "value": 1.0,
        "session": "1",
    })  # fmt: skip
    # Every name is known to every log drawn, so that any rule may be asked.
    frame = pd.concat([frame, everything], ignore_index=True)
    return frame.astype({"user": "str", "event": "str", "color": "str", "session": "str"})


conditions = st.one_of(
    st.fixed_dictionaries({}, optional={
        "color": st.sampled_from(["x", ["x", "y"]]),
        "value": st.sampled_from([">= 1.5", 0, [10, "< 0"]]),
    }),
)  # fmt: skip


def optional(keys: dict[str, Any], more: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(keys, optional=more)


counts = {"at_least": st.integers(1, 3), "within": SPANS, "where": conditions}
dids = optional({"did": names}, counts)
steps = st.one_of(names, optional({"event": names}, {"where": conditions}))
ranged = st.sampled_from(
    [
        {"at_least": 1},
        {"at_least": 2},
        {"at_most": 1},
        {"at_most": 2},
        {"at_least": 2, "at_most": 3},
    ]
)
durations = st.sampled_from(
    [{"at_least": "2h"}, {"at_most": "24h"}, {"at_least": "1h", "at_most": "25h"}]
)
amounts = st.sampled_from([{"at_least": 0.5}, {"at_most": 1.5}, {"at_least": -2, "at_most": 3}])
wanted = st.sampled_from(
    [("color", ["x"]), ("color", ["x", "y"]), ("value", [">= 1.5"]), ("value", [0, 10])]
)


def together(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda tables: {k: v for t in tables for k, v in t.items()})


filters = optional({}, {"where": conditions})
windows = optional({}, {"within": SPANS, "event": names, "where": conditions})


def one_of_a_property(which: str) -> st.SearchStrategy[dict[str, Any]]:
    return wanted.map(lambda found: {which: found[0], "values": found[1]})


def counted(unit: str) -> st.SearchStrategy[dict[str, Any]]:
    return together(st.just({"frequency": unit}), ranged, windows)


KINDS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "did": dids,
    "did at most": optional({"did": names, "at_most": st.integers(1, 3)}, {"within": SPANS}),
    "before": st.tuples(dids, dids).map(lambda pair: {"before": list(pair)}),
    "sequence": optional(
        {"sequence": st.lists(st.sampled_from(EVENTS), min_size=2, max_size=3)}, {"within": SPANS}
    ),
    "sequence of conditions": optional(
        {"sequence": st.lists(steps, min_size=2, max_size=3)}, {"within": SPANS}
    ),
    "first": one_of_a_property("first"),
    "last": one_of_a_property("last"),
    "is_in": one_of_a_property("is_in"),
    "recency": together(st.fixed_dictionaries({"recency": names}), durations, filters),
    "tenure": together(st.fixed_dictionaries({"tenure": names}), durations, filters),
    "sessions": counted("session"),
    "days": counted("day"),
    "events": counted("event"),
    "value": together(st.just({"value": "value"}), amounts, windows),  # type: ignore[arg-type]
    "abandoned": optional(
        {"abandoned": names, "without": names, "wait": SPANS},
        {"within": SPANS, "still": st.booleans()},
    ),
}
leaves = st.one_of(*KINDS.values())
rules = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda rule: {"not": rule}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
    ),
    max_leaves=4,
)
# Half of the instants leave all of the rows in.
instants = st.one_of(HOURS, st.just(120)).map(lambda hour: START + pd.Timedelta(hour, "h"))
