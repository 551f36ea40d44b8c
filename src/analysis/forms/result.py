"""Where do people stop in a form? Field by field, from focus, change, error and submit.

An attempt is what one session (or user) does with a form. It is done if its last submit is not
followed by an error; else it was given up, at the field that was touched last. That a field is the
last one says where people stopped, not that the field made them stop: who changes their mind has
to do it somewhere.

What this module refuses to do: guess which events are a form's, or show what people typed (it
never reads a value).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import SESSION, US_PER_SECOND, UsageError, did_you_mean
from analysis.core.wording import UNDEFINED, count, estimate, percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard, TextColumn
from analysis.forms import kernels as passes
from analysis.forms.figures import form_bars
from analysis.journeys.kernels import lines
from analysis.journeys.sequences import (
    DEPENDENT,
    Entered,
    Groups,
    begun,
    check,
    session_codes,
    told,
    unit_word,
)
from analysis.statistics.rates import wilson

# ──── form_table
#
# The numbers of a form: rates per field with their intervals, and how its attempts end.


_ENDED: Final = ("k", "n", "rate", "low", "high")


_CAME: Final = ("macros", "k", "macro_rate", "macro_low", "macro_high")


_RATES: Final = {
    # What it is called: (count, denominator, rate, low, high).
    "stopped": ("k", "n", "rate", "low", "high"),
    "reached": ("n", "attempts", "reached", "reached_low", "reached_high"),
    "refilled": ("refills", "n", "refill_rate", "refill_low", "refill_high"),
    "failed": ("failed", "n", "error_rate", "error_low", "error_high"),
    "blank": ("blanks", "submits", "blank_rate", "blank_low", "blank_high"),
}


def field_table(
    names: Sequence[str], parts: Sequence[tuple[np.ndarray, ...]], min_cell: int
) -> tuple[pd.DataFrame, int]:
    """A row per field that was touched, in the order of touching, and in how many of them a
    number of few attempts is hidden.

    Parameters
    ----------
    parts : what `passes.forms.fields` found in each shard.
    """
    counts = np.sum([part[0] for part in parts], axis=0)
    ends = np.sum([part[1] for part in parts], axis=0)[0]
    order, waits, whose = (np.concatenate([part[i] for part in parts]) for i in (2, 3, 4))
    visits = pd.DataFrame({"order": order, "wait": waits, "field": whose})
    places = range(len(names))
    ranks = visits.groupby("field")["order"].mean().reindex(places).to_numpy()
    known = visits[visits["wait"] >= 0]
    medians = known.groupby("field")["wait"].median().reindex(places).to_numpy(float)
    columns = {
        "k": passes.STOPPED,
        "n": passes.TOUCHED,
        "last": passes.LAST,
        "refills": passes.REFILLED,
        "failed": passes.FAILED,
        "errors": passes.ERRORS,
        "blanks": passes.BLANK,
    }
    table = pd.DataFrame({"field": pd.array(names, dtype="str")})
    for name, place in columns.items():
        table[name] = counts[:, place].astype(float)
    table["attempts"] = float(ends[passes.ATTEMPTS])
    table["submits"] = float(ends[passes.SUBMITTED])
    table["median_seconds"] = medians / US_PER_SECOND
    for k, n, *cells in _RATES.values():
        table[cells] = np.column_stack(_rated(table[k].to_numpy(), table[n].to_numpy()))
    table = table.assign(rank=ranks)[table["n"] > 0].sort_values(["rank", "field"])
    return _hidden(table.drop(columns="rank").reset_index(drop=True), min_cell)


def ends_table(ends: np.ndarray, min_cell: int) -> pd.DataFrame:
    """How the attempts end: ``end, k, n, rate, low, high``, and how many of the k came to the macro
    later: ``macros, macro_rate, macro_low, macro_high``; what is about few is NaN.

    Examples
    --------
    >>> ends = np.array([[40, 30, 32, 2, 1], [6, 6, 6, 0, 0]])
    >>> ends_table(ends, 1)[["end", "k", "n", "rate", "macros", "macro_rate"]]
                   end     k     n   rate  macros  macro_rate
    0             done  30.0  40.0  0.750     6.0         0.2
    1         given up  10.0  40.0  0.250     0.0         0.0
    2     blank submit   2.0  40.0  0.050     0.0         0.0
    3  nothing touched   1.0  40.0  0.025     0.0         0.0
    """
    counts, later = (
        {
            "done": own[passes.DONE],
            "given up": own[passes.ATTEMPTS] - own[passes.DONE],
            "blank submit": own[passes.NOTHING],
            "nothing touched": own[passes.UNTOUCHED],
        }
        for own in ends.astype(float)
    )
    table = pd.DataFrame({"end": list(counts), "k": list(counts.values())})
    table["n"] = float(ends[0, passes.ATTEMPTS])
    k = table["k"].to_numpy()
    table[["rate", "low", "high"]] = np.column_stack(_rated(k, table["n"].to_numpy()))
    table["macros"] = list(later.values())
    told = _rated(table["macros"].to_numpy(), k)
    table[["macro_rate", "macro_low", "macro_high"]] = np.column_stack(told)
    table.loc[table["n"] < min_cell, table.columns[1:]] = np.nan
    table.loc[table["k"] < min_cell, table.columns[-4:]] = np.nan
    for first, name in ((1, "k"), (6, "macros")):
        few = (table[name] > 0) & (table[name] < min_cell)
        cells = [name, *table.columns[first + 1 :]]
        table.loc[few, [cell for cell in cells if cell != "n"]] = np.nan
    return table


def readable_ends(table: pd.DataFrame) -> pd.DataFrame:
    """How the attempts end, as text: attempts, their share, and the share with the macro later.

    Examples
    --------
    >>> ends = np.array([[400, 300, 320, 0, 0], [60, 60, 60, 0, 0]])
    >>> readable_ends(ends_table(ends, 1)).loc["done"].to_list()
    ['75.0% (300 of 400)', '70.5% to 79.0%', '20.0% (60 of 300)', '15.9% to 24.9%']
    """
    names = {"end": "how it ended", "rate": "attempts", "macro_rate": "macro later"}
    shown = pd.DataFrame({names["end"]: table["end"]})
    for k, n, rate, low, high in (_ENDED, _CAME):
        told = zip(*(table[name] for name in (k, n, rate, low, high)), strict=True)
        cells = [
            (share(*row[:3]), f"{percent(row[3])} to {percent(row[4])}")
            if not np.isnan(row[2])
            else (UNDEFINED, "")
            for row in told
        ]
        shown[names[rate]] = [cell for cell, _ in cells]
        shown[f"95 % interval of {names[rate]}"] = [cell for _, cell in cells]
    return shown.set_index(names["end"])


def _rated(k: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    low, high = wilson(k, n)
    return k / np.where(n > 0, n, np.nan), low, high


def _hidden(table: pd.DataFrame, min_cell: int) -> tuple[pd.DataFrame, int]:
    few_people = (table["n"] < min_cell).to_numpy()
    table.loc[few_people, [name for name in table if name not in ("field", "attempts")]] = np.nan
    hidden = few_people.copy()
    for k, _, *rates in _RATES.values():
        few = ((table[k] > 0) & (table[k] < min_cell)).to_numpy()
        cells = [k, *rates] + (["errors"] if k == "failed" else [])
        table.loc[few, cells] = np.nan
        hidden |= few
    last = ((table["last"] > 0) & (table["last"] < min_cell)).to_numpy()
    table.loc[last, "last"] = np.nan
    return table, int((hidden | last).sum())


# ──── form_rows
#
# Which rows of a log are a form's: its events, its fields, and the attempts of each shard.


EVENTS: Final[Mapping[str, str]] = {
    "focus": "form_focus",
    "change": "form_change",
    "error": "form_error",
    "submit": "form_submit",
}
"""Which event is what to a form, where nobody says."""


def form_names(log: EventLog, form_property: str = "form") -> list[str]:
    """The forms that a log knows: the values of a property; none if it has no such property.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> form_names(simulate(users=300).log)
    ['contact']
    """
    return values_of(log.shards, form_property) if log.kinds.get(form_property) == "text" else []


def kinds_of(log: EventLog, events: Mapping[str, str]) -> Groups:
    """What each event of the log is to a form; −1: nothing.

    Raises
    ------
    UsageError
        If `events` has an unknown kind or event, or the log has none of them.
    """
    order = tuple(EVENTS)
    lut = np.full(len(log.event_names) + 1, -1, np.int64)
    for kind, name in events.items():
        if kind not in order:
            raise UsageError(
                f"form_fields: events has {kind!r}.{did_you_mean(kind, order)} Allowed: "
                f"{', '.join(map(repr, order))}."
            )
        if name in log.event_names:
            lut[log.event_names.index(name)] = order.index(kind)
        elif events is not EVENTS:
            raise UsageError(
                f"form_fields: {name!r} is not an event of this log."
                f"{did_you_mean(name, log.event_names)} {len(log.event_names)} events: "
                "log.summary()"
            )
    if (lut < 0).all():
        raise UsageError(
            f"form_fields: the log has none of {', '.join(map(repr, events.values()))}. Name its "
            "own: events={'focus': ..., 'change': ..., 'error': ..., 'submit': ...}."
        )
    return Groups(lut, order)


def check_property(log: EventLog, name: str) -> None:
    """Raise where the log has no such property of text.

    Raises
    ------
    UsageError
        If it has not.
    """
    if log.kinds.get(name) != "text":
        raise UsageError(
            f"form_fields: {name!r} is not a property of text of this log."
            f"{did_you_mean(name, log.properties)} "
            f"Properties: {', '.join(map(repr, log.properties)) or 'none'}."
        )


def _column(shard: Shard, name: str) -> TextColumn:
    column = shard.columns[name]
    assert isinstance(column, TextColumn)
    return column


def values_of(shards: Iterable[Shard], name: str) -> list[str]:
    """The values of a property of text, sorted."""
    return sorted({text for shard in shards for text in _column(shard, name).values.to_pylist()})


def shard_fields(
    shards: tuple[Shard, Shard],
    kinds: Groups,
    asked: tuple[str, tuple[str, str], list[str]],
    within: str,
    goal: int,
) -> tuple[np.ndarray, ...]:
    """What `passes.forms.fields` finds in a shard.

    Parameters
    ----------
    shards : with the attempts asked for; and with all rows, for the macro may come later.
    asked : the form, the properties that name form and field, and the names of the fields.
    goal : code of the macro; −1: none.
    """
    shard, whole = shards
    form, (form_property, field_property), names = asked
    own = _column(shard, form_property)
    # Rows of other forms are hidden as a view hides them: by the code that is no event's.
    hidden = shard.event.dtype.type(len(kinds.lut) - 1)
    event = np.where(own.codes == own.code_of(form), shard.event, hidden)
    fields = _column(shard, field_property)
    place = {name: number for number, name in enumerate(names)}
    numbers = np.array([*(place[text] for text in fields.values.to_pylist()), -1], np.int64)
    codes, _ = session_codes(shard, within)
    rows, starts, users = lines(event, codes, shard.offsets, kinds.lut)
    came = np.flatnonzero(whole.event == goal)
    last = np.full(len(shard.offsets) - 1, -1, np.int64)
    # Ascending, so the last one of each user stays.
    last[np.searchsorted(shard.offsets, came, side="right") - 1] = came
    return passes.fields(
        kinds.lut[event[rows]],
        numbers[fields.codes[rows]],
        shard.time[rows],
        starts,
        last[users] > rows[starts[1:] - 1],
        len(names),
    )


# ──── forms


_MACRO: Final = {
    "k": "macros",
    "n": "k",
    "rate": "macro_rate",
    "low": "macro_low",
    "high": "macro_high",
}


_NOT_CAUSED: Final = (
    "Who finishes a form may have wanted to buy before: that they come to the macro more often is "
    "not what the form brings about."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FormResult(Result):
    """The answer of `form_fields`.

    ``table`` has a row per field, in the order in which people come to them: ``field``; ``k`` of
    ``n`` attempts that touched it were given up there: ``rate, low, high``; ``reached`` (n of all
    ``attempts``), ``reached_low, reached_high``; ``last`` (attempts, done or not, in which it was
    touched last); ``median_seconds`` in it; ``refills`` attempts that changed it again after being
    elsewhere (``refill_rate, refill_low, refill_high``, of n); ``errors`` and attempts ``failed``
    with one (``error_rate, error_low, error_high``, of n); ``blanks`` of ``submits`` never
    changed it before a submit (``blank_rate, blank_low, blank_high``). What is about few people
    is NaN. ``ends`` has a row per end of an attempt: ``done``, ``given up``, ``blank submit``,
    ``nothing touched``: ``k, n, rate, low, high``, and how many of the k came to the macro later:
    ``macros, macro_rate, macro_low, macro_high`` (NaN without a macro).
    """

    form: str
    within: str
    macro: str | None
    ends: pd.DataFrame

    def sentence(self) -> str:
        """How many attempts are done, and at which field the most stop."""
        done = self.ends.set_index("end").loc["done"]
        if np.isnan(done["k"]):
            return f"Too few {unit_word(self.within)} with the form {self.form!r} to tell."
        said = (
            f"{estimate(done)} of the {unit_word(self.within)} that began the form {self.form!r} "
            "finished it."
        )
        known = self.table[self.table["k"] > 0]
        if len(known):
            top = known.iloc[int(known["k"].to_numpy().argmax())]
            said += f" Most stop at {top['field']}: {estimate(top)} of those that touched it."
        return said + self._macro_words()

    def numbers(self) -> dict[str, dict[str, float]]:
        """The share of attempts that are done, as plain data: for ``numbers.json``."""
        done = self.ends.set_index("end").to_dict("index")["done"]
        names = {"value": "rate", "low": "low", "high": "high", "n": "n"}
        return {"form_done": {name: float(done[cell]) for name, cell in names.items()}}

    def readable(self) -> pd.DataFrame:
        """How the attempts end, as text."""
        return readable_ends(self.ends)

    def _macro_words(self) -> str:
        told = self.ends.set_index("end").loc[["done", "given up"]]
        if told["macro_rate"].isna().any():
            return ""
        done, rest = (
            estimate({name: row[cell] for name, cell in _MACRO.items()})
            for row in told.to_dict("records")
        )
        came = f" Of those who finished, {done} came to {self.macro} later"
        return f"{came}; of those who gave up, {rest}."

    def figure(self) -> Any:
        """Per field: how many stop there, how long it takes, how often it fails."""
        return form_bars(self.table)


def form_fields(
    log: EventLog,
    form: str,
    *,
    events: Mapping[str, str] = EVENTS,
    form_property: str = "form",
    field_property: str = "field",
    macro: str | None = None,
    within: str = SESSION,
    entered: Entered = None,
    min_cell: int = 5,
) -> FormResult:
    """At which field of a form do people stop, hesitate, go back, or fail?

    Parameters
    ----------
    form : the form's name, a value of `form_property`.
    events : which event of the log is the ``"focus"``, ``"change"``, ``"error"`` and ``"submit"``;
        what a log does not record is left out of the mapping.
    form_property, field_property : the properties that name form and field.
    macro : the event that pays: how many of those who made an attempt came to it afterwards, at
        any time that the log covers.
    within : ``"session"`` or ``"user"``: what an attempt is.
    entered : (start, end), end excluded: only attempts that begin in it, each whole; naive times
        are UTC.
    min_cell : counts of fewer attempts than this are hidden.

    Returns
    -------
    FormResult

    Raises
    ------
    UsageError
        If a property, an event, the form or an argument is unknown.
    DataError
        If the log is empty.

    Notes
    -----
    The field measures of form analytics, after Jarrett & Gaffney 2008, *Forms That Work*:
    ``rate = k / n`` with Wilson's interval. Time in a field is summed over its visits, each up to
    the next row of another field or a submit; a visit that never ended has no length.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["form_change", "form_submit", "form_focus"],
    ...     "form": "lead", "field": ["mail", None, "mail"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}))
    >>> form_fields(log, "lead", min_cell=1).table[["field", "k", "n", "rate", "median_seconds"]]
      field    k    n  rate  median_seconds
    0  mail  1.0  2.0   0.5           300.0
    """
    check(log, "form_fields", within, min_cell=min_cell)
    kinds = kinds_of(log, events)
    for name in (form_property, field_property):
        check_property(log, name)
    known = values_of(log.shards, form_property)
    if form not in known:
        raise UsageError(
            f"form_fields: {form!r} is not a form of this log.{did_you_mean(form, known)} "
            f"Forms: {', '.join(map(repr, known[:12])) or 'none'}."
        )
    goal = (
        -1 if macro is None else log.event_names.index(checks.event_name("form_fields", log, macro))
    )
    names = values_of(log.shards, field_property)
    places = (form_property, field_property)
    shown = begun(log, "form_fields", within, entered)
    parts = parallel.map_shards(
        list(zip(shown.shards, log.shards, strict=True)),
        lambda shard: shard_fields(shard, kinds, (form, places, names), within, goal),
    )
    table, hidden = field_table(names, parts, min_cell)
    ends = ends_table(np.sum([part[1] for part in parts], axis=0), min_cell)
    if macro is None:
        ends[ends.columns[-4:]] = np.nan
    return FormResult(
        table=table,
        parameters={
            "form": form,
            "events": dict(events),
            "form_property": form_property,
            "field_property": field_property,
            "macro": macro,
            "within": within,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*_caveats(macro, within, hidden, min_cell), *look_ahead_warnings(shown)),
        form=form,
        within=within,
        macro=macro,
        ends=ends,
    )


def _caveats(macro: str | None, within: str, hidden: int, min_cell: int) -> tuple[str, ...]:
    said = [*([_NOT_CAUSED] if macro else []), *([DEPENDENT] if within == SESSION else [])]
    if hidden:
        said.append(
            f"Numbers of fewer than {min_cell} attempts are hidden in {count(hidden)} "
            f"field{'s' if hidden > 1 else ''}."
        )
    return tuple(said)
