"""Where do people stop in a form? Field by field, from focus, change, error and submit.

An attempt is what one session (or user) does with a form. It is done if its last submit is not
followed by an error; else it was given up, at the field that was touched last. That a field is the
last one says where people stopped, not that the field made them stop: who changes their mind has
to do it somewhere.

What this module refuses to do: guess which events are a form's, or show what people typed (it
never reads a value).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import SESSION, UsageError, did_you_mean
from analysis.core.wording import count, estimate
from analysis.eventlog import parallel as engine
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.forms.figures_form import form_bars
from analysis.forms.form_rows import EVENTS, check_property, kinds_of, shard_fields, values_of
from analysis.forms.form_table import ends_table, field_table, readable_ends
from analysis.journeys.sequences import (
    DEPENDENT,
    Entered,
    begun,
    check,
    check_event,
    told,
    unit_word,
)

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
            f"form_fields: {form!r} is no form of this log.{did_you_mean(form, known)} "
            f"Forms: {', '.join(map(repr, known[:12])) or 'none'}."
        )
    goal = -1 if macro is None else log.event_names.index(check_event(log, "form_fields", macro))
    names = values_of(log.shards, field_property)
    places = (form_property, field_property)
    shown = begun(log, "form_fields", within, entered)
    parts = engine.over(
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
        warnings=(*_caveats(macro, within, hidden, min_cell), *hindsight(shown)),
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
