"""What a funnel says in words: its sentence, and the caveats that travel with its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.core.schema import SESSION, USER, human_duration
from analysis.funnels.counts import FunnelSums
from analysis.funnels.spec import Question
from analysis.statistics.stats import wilson


def noun(question: Question) -> str:
    """What is counted, in the plural."""
    if question.attempts:
        return "attempts"
    if question.hold:
        return f"units ({', '.join((question.unit, *question.hold))})"
    return {USER: "users", SESSION: "sessions"}.get(question.unit, f"units ({question.unit})")


def funnel_warnings(sums: FunnelSums, question: Question, rows_left_out: int) -> tuple[str, ...]:
    """What a reader of the numbers must know; `rows_left_out` had no value of the unit."""
    entered, immature, tied = sums.entered, sums.immature, sums.tied
    who = noun(question)
    said = []
    if immature:
        said.append(
            f"{immature:,} of {entered:,} {who} entered less than "
            f"{human_duration(question.window_us)} before the log ends: they are counted, and left "
            "out of every rate."
        )
    if tied:
        said.append(
            f"{tied:,} of {entered:,} {who} got as far as they did only because events at the "
            "same instant count in whichever order helps (ties='strict' tells without them)."
        )
    without = rows_left_out + sums.left_out
    if without:
        missing = question.inside_user or (question.unit,)
        said.append(
            f"{without:,} {'row' if without == 1 else 'rows'} without a value of "
            f"{', '.join(map(repr, missing))} belong to no unit: left out."
        )
    if sums.ungrouped:
        said.append(
            f"{sums.ungrouped:,} {who} never reach step {question.by_at}, whose "
            f"{', '.join(map(repr, question.by))} makes the groups: they are in none."
        )
    if question.repeats_users:
        said.append(
            f"One user can be several {who}: the intervals take users as the independent units."
        )
    return tuple(said)


def funnel_sentence(table: pd.DataFrame, question: Question, immature: int) -> str:
    """How many of those who entered converted, with the interval, and where most were lost."""
    totals = table.groupby("step")["k"].sum().to_numpy()
    names = table["event"].iloc[: len(totals)].tolist()
    who = noun(question)
    last = question.conversion
    n, k = int(totals[0]), int(totals[last - 1])
    if not n:
        why = "entered so long ago that their window is over" if immature else "entered"
        none = "No user" if who == "users" else f"None of the {who}"
        return f"{none} {why}: there is no rate to tell ({names[0]} to {names[last - 1]})."
    if last == 1:
        return f"{n:,} {who} did {names[0]}."
    reached = f" that reached step {question.by_at}" if isinstance(question.by_at, int) else ""
    said = (
        f"{k / n:.1%} of {n:,} {who}{reached} got from {names[0]} to {names[last - 1]} "
        f"within {human_duration(question.window_us)}{_interval(table, question, k, n, last)}."
    )
    required = [i for i, step in enumerate(question.steps) if not step.optional]
    lost = totals[required][:-1] - totals[required][1:]
    worst = int(np.argmax(lost)) if len(lost) else 0
    if len(lost) and lost[worst]:
        of = int(totals[required[worst]])
        said += (
            f" Most were lost between {names[required[worst]]} and {names[required[worst + 1]]}: "
            f"{lost[worst]:,} of {of:,} ({lost[worst] / of:.1%})."
        )
    return said


def _interval(table: pd.DataFrame, question: Question, k: int, n: int, last: int) -> str:
    """The interval of the rate of all groups together."""
    mine = table[table["step"] == last]
    if len(mine) == 1:
        low, high = mine["rate_low"].iloc[0], mine["rate_high"].iloc[0]
    elif question.repeats_users:
        return ""
    else:
        low, high = (float(limit) for limit in wilson(k, n))
    return f" (95 % interval {low:.1%} to {high:.1%})"
