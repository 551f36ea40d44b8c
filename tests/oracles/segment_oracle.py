"""For whom does a rule hold? The slow way: one person's rows in a pandas frame, read one by one.

Nothing here is shared with the code that is judged: rules come as the plain tables that a catalog
holds, times as Timestamps, and every question is asked of all pairs of rows.
"""

from __future__ import annotations

import itertools
import operator
import re
from typing import Any

import pandas as pd

COMPARE = {
    ">=": operator.ge, "<=": operator.le, "!=": operator.ne,
    "==": operator.eq, ">": operator.gt, "<": operator.lt,
}  # fmt: skip


def members(frame: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> set[str]:
    """Users with a row before `at` for whom the rule holds."""
    past = frame[frame["time"] < at].sort_values("time", kind="stable")
    return {str(user) for user, own in past.groupby("user", sort=False) if keeps(own, rule, at)}


def keeps(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    if "all" in rule:
        return all(keeps(own, part, at) for part in rule["all"])
    if "any" in rule:
        return any(keeps(own, part, at) for part in rule["any"])
    if "not" in rule:
        return not keeps(own, rule["not"], at)
    kind = kind_of(rule)
    return bool(LEAVES[kind](own, rule, at))


def kind_of(rule: dict[str, Any]) -> str:
    return next(key for key in rule if key in LEAVES)


def as_list(cell: Any) -> list[Any]:
    return list(cell) if isinstance(cell, (list, tuple)) else [cell]


def fits(cell: Any, wanted: list[Any]) -> bool:
    if pd.isna(cell):
        return False
    for one in wanted:
        found = re.fullmatch(r"(>=|<=|!=|==|>|<) *(-?[\d.]+)", str(one))
        if isinstance(cell, str):
            if cell == str(one):
                return True
        elif COMPARE[found[1] if found else "=="](cell, float(found[2] if found else one)):
            return True
    return False


def rows(own: pd.DataFrame, event: Any, where: dict[str, Any] | None) -> pd.DataFrame:
    names = as_list(event)
    hit = own["event"].isin(names) | ("*" in names)
    for name, wanted in (where or {}).items():
        hit &= own[name].map(lambda cell, wanted=wanted: fits(cell, as_list(wanted))).astype(bool)
    return own[hit]


def recent(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> pd.DataFrame:
    return own if "within" not in rule else own[own["time"] >= at - pd.Timedelta(rule["within"])]


def between(number: Any, rule: dict[str, Any], read: Any = lambda bound: bound) -> bool:
    low, high = rule.get("at_least"), rule.get("at_most")
    return (low is None or number >= read(low)) and (high is None or number <= read(high))


def did(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    found = rows(recent(own, rule, at), rule["did"], rule.get("where"))
    return between(len(found), {"at_least": 1, **rule})


def before(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    """Each row serves one of the two; those of one instant whichever helps."""
    one, then = rule["before"]
    starts = rows(recent(own, one, at), one["did"], one.get("where"))["time"]
    ends = rows(recent(own, then, at), then["did"], then.get("where"))["time"]
    for cut in starts:
        at_cut = [set(times.index[times == cut]) for times in (starts, ends)]
        either = len(at_cut[0] & at_cut[1])
        first = (starts < cut).sum() + len(at_cut[0] - at_cut[1])
        second = (ends > cut).sum() + len(at_cut[1] - at_cut[0])
        for given in range(either + 1):
            rest = either - given
            if min(first + given - one.get("at_least", 1),
                   second + rest - then.get("at_least", 1)) >= 0:  # fmt: skip
                return True
    return False


def sequence(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    """Rows of one instant stand in whichever order helps; each step has a row of its own."""
    found = []
    for step in rule["sequence"]:
        table = step if isinstance(step, dict) else {"event": step}
        times = rows(own, table["event"], table.get("where"))["time"]
        found.append(list(times.items()))
    longest = pd.Timedelta(rule["within"]) if "within" in rule else None
    return any(
        all(a[1] <= b[1] for a, b in itertools.pairwise(chain))
        and len({row for row, _ in chain}) == len(chain)
        and (longest is None or chain[-1][1] - chain[0][1] <= longest)
        for chain in itertools.product(*found)
    )


def holds(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    kind = kind_of(rule)
    known = own[own[rule[kind]].notna()]
    ends = {"first": known["time"].min(), "last": known["time"].max()}
    chosen = known if kind == "is_in" else known[known["time"] == ends[kind]]
    chosen = chosen[rule[kind]].tolist()
    return any(fits(cell, as_list(rule["values"])) for cell in chosen)


def since(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    kind = kind_of(rule)
    times = rows(own, rule[kind], rule.get("where"))["time"]
    if not len(times):
        return False
    ago = at - (times.max() if kind == "recency" else times.min())
    return between(ago, rule, pd.Timedelta)


def frequency(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    found = rows(recent(own, rule, at), rule.get("event", "*"), rule.get("where"))
    by = {
        "session": lambda: found["session"].nunique(),
        "day": lambda: found["time"].dt.floor("D").nunique(),
        "event": lambda: len(found),
    }
    return between(by[rule["frequency"]](), rule)


def value(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    found = rows(recent(own, rule, at), rule.get("event", "*"), rule.get("where"))
    return between(round(found[rule["value"]].sum(), 6), rule)


def abandoned(own: pd.DataFrame, rule: dict[str, Any], at: pd.Timestamp) -> bool:
    wait = pd.Timedelta(rule["wait"])
    starts, ends = (rows(own, rule[key], None)["time"] for key in ("abandoned", "without"))
    for row, start in starts.items():
        over = start + wait
        if over >= at or ("within" in rule and over < at - pd.Timedelta(rule["within"])):
            continue
        others = ends.drop(index=row, errors="ignore")
        until = at if rule.get("still") else over
        if not ((others >= start) & (others <= until)).any():
            return True
    return False


LEAVES = {
    "did": did,
    "before": before,
    "sequence": sequence,
    "first": holds,
    "last": holds,
    "is_in": holds,
    "recency": since,
    "tenure": since,
    "frequency": frequency,
    "value": value,
    "abandoned": abandoned,
}
