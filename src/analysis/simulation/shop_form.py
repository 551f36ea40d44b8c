"""The demo shop's contact form: what is true of it, and the rows that it leaves.

People come to it at any moment, the active ones more often, and neither coming nor sending it
changes what anybody does in the shop: its rows lie between the others, and its draws come from
generators of their own. So every other row of the log is the same with the form as without it.

An attempt goes through the fields in their order; at each it may stop for good. A field that is
filled in may show an error, which is mended at once; before they send it some go back to a field
and fill it in again; and some who send it had pressed the button once before they began.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import pandas as pd

from analysis.simulation import kernels as browsing

EVENTS: Final = ("form_focus", "form_change", "form_error", "form_submit")


FOCUS, CHANGE, ERROR, SUBMIT = range(4)


# In milliseconds: until the form is there, before the next field, before an error shows.
_ARRIVE, _PAUSE, _CHECKED = 200, 100, 100


# Nobody begins it without that much time, or takes longer. Visits are split by pauses of half an
# hour after the last row that the shop's pass knows of; its next one is later by more than this.
_LONGEST = 20_000


_BEGINNINGS, _FILLING = 1, 2


_PACES = 4096


@dataclass(frozen=True)
class Field:
    """What is true of a field.

    `stop` is the share of those who come to it that go no further; `blank` the share of the others
    that leaves it empty; `error` the share of those who fill it in that is told an error; `refill`
    the share of those who filled it in and send the form that comes back to it. `seconds` is the
    typical time in it.
    """

    name: str
    stop: float
    blank: float
    error: float
    refill: float
    seconds: float


@dataclass(frozen=True)
class Form:
    """A form: `begins` is the chance to begin it per browsing moment that leaves the time for it,
    at average activity (the last time of a visit counts); `hasty` the share of those who send it
    that press the button at once."""

    name: str
    fields: tuple[Field, ...]
    begins: float
    hasty: float


CONTACT: Final = Form(
    name="contact",
    fields=(
        Field("email", 0.08, 0.0, 0.06, 0.03, 3.0),
        Field("topic", 0.03, 0.0, 0.0, 0.02, 1.0),
        Field("order_number", 0.22, 0.5, 0.15, 0.04, 2.0),
        Field("message", 0.10, 0.0, 0.02, 0.05, 4.0),
        Field("phone", 0.05, 0.7, 0.05, 0.0, 1.0),
    ),
    begins=0.008,
    hasty=0.03,
)


def form_truth(form: Form) -> pd.DataFrame:
    """What is planted in a form, a row per field: ``form, field, stop, blank, error, refill,
    seconds``, as `Field` says them.

    Examples
    --------
    >>> facts = form_truth(CONTACT)
    >>> facts.loc[facts["stop"].idxmax(), "field"]
    'order_number'
    """
    facts = pd.DataFrame([vars(field) for field in form.fields]).rename(columns={"name": "field"})
    facts.insert(0, "form", form.name)
    return facts


def with_form(
    form: Form,
    made: tuple[np.ndarray, np.ndarray],
    partition: np.ndarray,
    *,
    seed: int,
    end: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the people of the shop with the rows of the form between them.

    Parameters
    ----------
    made : array of shop_tables.ROW, person by person; array of shop_tables.VISITOR.
    partition : of each person, ascending: each has generators of its own.
    seed : of the log. end : of the period, in milliseconds since 1970 UTC.
    """
    rows, people = made
    counts = people["row"] - people["first_row"]
    who = np.repeat(np.arange(len(people)), counts)
    begun = _begun(form, rows, (who, partition, people["activity"]), seed, end)
    chance = _draws((seed, _FILLING), partition[who[begun]], 1 + 5 * len(form.fields))
    present, at, total = _attempts(form, chance)
    span = np.minimum(total, _LONGEST)
    places, slots = np.nonzero(present)
    added = rows[begun[places]]
    # Whole numbers all the way, so that every machine comes to the same instants.
    added["time"] += at[places, slots] * span[places] // total[places]
    kinds, fields = _slots(len(form.fields))
    added["event"] = len(browsing.EVENTS) + kinds[slots]
    added["field"] = fields[slots]
    added["hazard"] = added["outcome"] = 0
    grown = people.copy()
    more = np.bincount(who[begun[places]], minlength=len(people))
    grown["row"] = np.cumsum(counts + more)
    grown["first_row"] = np.append(0, grown["row"][:-1])
    return np.insert(rows, begun[places] + 1, added), grown


def _begun(
    form: Form,
    rows: np.ndarray,
    persons: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    end: int,
) -> np.ndarray:
    """The rows after which somebody begins the form. `persons`: whose each row is; of each person
    the partition and the activity."""
    who, partition, activity = persons
    last = np.append(who[1:] != who[:-1], True)
    room = np.where(last, end, np.append(rows["time"][1:], end)) - rows["time"]
    may = (rows["hazard"] > 0) & (rows["outcome"] == 0) & (room > _LONGEST)
    chance = _draws((seed, _BEGINNINGS), partition[who], 1)[:, 0]
    begun = np.flatnonzero(may & (chance < form.begins * activity[who]))
    # The last of each visit: who comes back to it in one visit makes one attempt, not two.
    visit = np.column_stack([who[begun], rows["session"][begun]])
    return begun[np.append((visit[1:] != visit[:-1]).any(axis=1), True)[: len(begun)]]


def _draws(stream: tuple[int, int], partition: np.ndarray, many: int) -> np.ndarray:
    """Rows of draws from (seed, number): more people come after those that were there before."""
    seed, number = stream
    out = np.empty((len(partition), many))
    cuts = np.flatnonzero(np.diff(partition)) + 1
    for low, high in zip([0, *cuts], [*cuts, len(partition)], strict=True):
        if low < high:
            key = (int(partition[low]), number)
            sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
            own = np.random.Generator(np.random.PCG64(sequence))
            out[low:high] = own.random((high - low, many))
    return out


def _slots(fields: int) -> tuple[np.ndarray, np.ndarray]:
    """Kind and field (−1: none) of everything that may happen in an attempt, in its order."""
    through = [(kind, f) for f in range(fields) for kind in (FOCUS, CHANGE, ERROR, CHANGE)]
    back = [(kind, f) for f in range(fields) for kind in (FOCUS, CHANGE)]
    slots = [(SUBMIT, -1), (ERROR, -1), *through, *back, (SUBMIT, -1)]
    kinds, numbers = zip(*slots, strict=True)
    return np.array(kinds), np.array(numbers)


def _attempts(form: Form, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What happens in each attempt, a column per slot; when (ms since its start); and how long it
    takes in all. `chance`: uniform draws, a row per attempt."""
    size, many = len(form.fields), len(chance)
    stop, error, refill, blank, pace = np.moveaxis(chance[:, 1:].reshape(many, 5, size), 1, 0)
    past = np.logical_and.accumulate(stop >= [field.stop for field in form.fields], axis=1)
    came = np.hstack([np.ones((many, 1), np.bool_), past[:, :-1]])
    sent = past[:, -1:]
    filled = past & (blank >= [field.blank for field in form.fields])
    failed = filled & (error < [field.error for field in form.fields])
    again = filled & sent & (refill < [field.refill for field in form.fields])
    hasty = sent & (chance[:, :1] < form.hasty)
    took = _took(form, pace)
    through = [came, filled, failed, failed]
    waits = [took, np.where(failed, _CHECKED, _PAUSE), took // 2, np.full_like(took, _PAUSE)]
    back = [again, again]
    lasts = [took // 2, np.full_like(took, _PAUSE)]
    end = np.full((many, 1), 2 * _PAUSE)
    present = np.hstack([hasty, hasty, _by_field(through), _by_field(back), sent])
    wait = np.hstack([end, 3 * end, _by_field(waits), _by_field(lasts), end]) * present
    at = np.cumsum(wait, axis=1) - wait + _ARRIVE
    return present, at, wait.sum(axis=1) + _ARRIVE


def _by_field(columns: list[np.ndarray]) -> np.ndarray:
    """Columns per kind and field, the kinds of a field next to each other."""
    many, fields = columns[0].shape
    return np.stack(columns, axis=2).reshape(many, fields * len(columns))


def _took(form: Form, pace: np.ndarray) -> np.ndarray:
    """Milliseconds in each field: typical ones, times a log-normal pace."""
    scores = map(NormalDist(0, 0.4).inv_cdf, (np.arange(_PACES) + 0.5) / _PACES)
    factors = np.rint(1000 * np.exp(list(scores))).astype(np.int64)
    typical = np.array([round(field.seconds * 1000) for field in form.fields])
    return typical * factors[(pace * _PACES).astype(np.int64)] // 1000
