"""At which field of a form do people stop, hesitate, go back, or fail?

An attempt is everything that one session (or user) does with a form. It is done if its last submit
is not followed by an error. Otherwise it was given up, at the field that was touched last. That a
field is the last one says where people stopped, not that the field made them stop: people who
change their mind have to do it somewhere.

Rows of one instant count in the order that helps, as in a funnel: an error in the very instant of
the last submit came before it. How many attempts hang on that is said, and how many touch several
fields in one instant, where the order of arrival decides which was the last.

This file refuses to guess which events are a form's, or to show what people typed: it never reads a
value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, records, small, suppress
from analysis.core.schema import SESSION, US_PER_SECOND, UsageError, did_you_mean
from analysis.core.wording import UNDEFINED, count, estimate, isolate, percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard, TextColumn
from analysis.forms import kernels
from analysis.forms.figures import form_bars
from analysis.journeys.kernels import sequences
from analysis.journeys.sequences import (
    DEPENDENT,
    Entered,
    check_arguments,
    entered_as_text,
    entered_in,
    session_codes,
    tied_share,
    unit_word,
)
from analysis.statistics.rates import shares

EVENTS: Final[Mapping[str, str]] = {
    "focus": "form_focus",
    "change": "form_change",
    "error": "form_error",
    "submit": "form_submit",
}
"""Which event is what to a form, where nobody says."""

_LATER_CELLS: Final = ["macros", "macro_rate", "macro_low", "macro_high"]
_LATER: Final = dict(zip(["k", *_LATER_CELLS], ["n", "k", "rate", "low", "high"], strict=True))
"""Columns of `FormResult.ends` about the macro, and what each is of a rate."""

_NOT_CAUSED: Final = (
    "People who finish a form may have wanted to buy before they began it: that more of them come "
    "to the macro is not what the form brings about."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class FormResult(Result):
    """The answer of `form_fields`.

    ``table`` has a row per field, in the order in which people come to them. Numbers of few
    people are NaN.

    - ``field``; ``k`` of the ``n`` attempts that touched it were given up there: ``rate, low,
      high``; ``reached`` (n of all ``attempts``), ``reached_low, reached_high``; ``last``
      (attempts, done or not, in which it was touched last); ``median_seconds`` in it.
    - ``refills`` attempts changed it again after being elsewhere (``refill_rate, refill_low,
      refill_high``, of n).
    - ``errors``, and attempts ``failed`` with at least one (``error_rate, error_low, error_high``,
      of n).
    - ``blanks`` of the ``submits`` attempts with a submit never changed it (``blank_rate,
      blank_low, blank_high``).

    ``ends`` has a row per end of an attempt: ``done``, ``given up``, ``blank submit``,
    ``nothing touched``: ``k, n, rate, low, high``, and how many of the k came to the macro later:
    ``macros, macro_rate, macro_low, macro_high`` (NaN without a macro).

    ``parameters["tied"]`` is the share of attempts whose end hangs on the order of rows of one
    instant.
    """

    form: str
    within: str
    macro: str | None
    ends: pd.DataFrame

    def sentence(self) -> str:
        """How many attempts are done, and at which field the most stop."""
        done = self.ends.set_index("end").loc["done"]
        if np.isnan(done["k"]):
            return f"Too few people began the form {isolate(repr(self.form))} to show a rate."
        finished = (
            f"{estimate(done)} of the {unit_word(self.within)} that began the form "
            f"{isolate(repr(self.form))} finished it."
        )
        stops = ""
        known = self.table[self.table["k"] > 0]
        if len(known):
            top = known.iloc[int(known["k"].to_numpy().argmax())]
            stops = (
                f" Most stop at {isolate(top['field'])}: {estimate(top)} of the "
                f"{unit_word(self.within)} that touched it."
            )
        return finished + stops + self._macro_sentence()

    def _macro_sentence(self) -> str:
        both = self.ends.set_index("end").loc[["done", "given up"]]
        if both["macro_rate"].isna().any():
            return ""
        rates = both[[*_LATER]].rename(columns=_LATER).to_dict("records")
        done, given_up = map(estimate, rates)
        return (
            f" Of the {unit_word(self.within)} that finished it, {done} led to "
            f"{isolate(self.macro)} later; of those given up, {given_up}."
        )

    def numbers(self) -> dict[str, dict[str, float]]:
        """The share of attempts that are done, as plain data: for ``numbers.json``."""
        done = self.ends.set_index("end").to_dict("index")["done"]
        cells = {"value": "rate", "low": "low", "high": "high", "n": "n"}
        return {"form_done": {name: float(done[cell]) for name, cell in cells.items()}}

    def readable(self) -> pd.DataFrame:
        """How the attempts end, as text."""
        return _readable_ends(self.ends)

    def figure(self) -> Any:
        """Per field: how many stop there, how long it takes, how often it fails."""
        return form_bars(self.table)


def form_fields(  # noqa: PLR0913
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
    macro : the event that pays: how many attempts are followed by it, at any time that the log
        covers.
    within : ``"session"`` or ``"user"``: what an attempt is.
    entered : (start, end), end excluded: only attempts that begin in it, each whole; naive times
        are UTC.
    min_cell : rates of the attempts of fewer people than this are hidden, and medians of fewer
        attempts.

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
    the next row of another field or a submit; a visit that never ended has no length. Rows of one
    instant count in the order errors, fields, submits, and a macro in the instant of the last row
    as later.

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
    check_arguments(log, "form_fields", within, min_cell=min_cell)
    log = log.until_end()
    kinds = _kinds(log, events)
    for name in (form_property, field_property):
        _check_text_property(log, name)
    forms = _values(log.shards, form_property)
    if form not in forms:
        raise UsageError(
            f"form_fields: {form!r} is not a form of this log.{did_you_mean(form, forms)} "
            f"Forms: {', '.join(map(repr, forms[:12])) or 'none'}."
        )
    if macro is not None:
        checks.event_name("form_fields", log, macro)
    spec = _FormSpec(
        form,
        form_property,
        field_property,
        _values(log.shards, field_property),
        kinds,
        -1 if macro is None else log.event_names.index(macro),
        within,
    )
    shown = entered_in(log, "form_fields", within, entered)
    parts = parallel.map_shards(
        list(zip(shown.shards, log.shards, strict=True)),
        lambda pair: _shard_counts(*pair, spec),
    )
    counts, ends, touching, ended, order, waits, touched, at_once = zip(*parts, strict=True)
    visits = pd.DataFrame(
        {
            "field": np.concatenate(touched),
            "order": np.concatenate(order),
            "wait": np.concatenate(waits),
        }
    )
    all_ends = np.sum(ends, axis=0)
    people = np.sum(ended, axis=0)
    table = _field_table(spec.fields, np.sum(counts, axis=0), visits, all_ends[0])
    table["people"] = np.sum(touching, axis=0)[[spec.fields.index(f) for f in table["field"]]]
    table, hidden = _hide_small(table, people, min_cell)
    ends_table = _ends_table(all_ends, people, min_cell)
    attempts, tied = int(all_ends[0, kernels.ATTEMPTS]), int(all_ends[0, kernels.TIED])
    if macro is None:
        ends_table[_LATER_CELLS] = np.nan
    caveats = [*([_NOT_CAUSED] if macro else []), *([DEPENDENT] if within == SESSION else [])]
    if not small(people[kernels.TRIED], min_cell):
        caveats += _tied_notes(all_ends[0], sum(at_once), unit_word(within), macro)
    if hidden:
        caveats.append(
            f"Numbers of fewer than {min_cell} people are hidden in {count(hidden)} "
            f"field{'s' if hidden > 1 else ''}."
        )
    return FormResult(
        table=table,
        parameters={
            "form": form,
            "events": dict(events),
            "form_property": form_property,
            "field_property": field_property,
            "macro": macro,
            "within": within,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
            "tied": tied_share(tied, attempts),
        },
        warnings=(*caveats, *look_ahead_warnings(shown)),
        form=form,
        within=within,
        macro=macro,
        ends=ends_table,
    )


def _tied_notes(ends: np.ndarray, macros: int, unit: str, macro: str | None) -> list[str]:
    """What hangs on the order of rows of one instant: how attempts end, the field, the macro."""
    n = int(ends[kernels.ATTEMPTS])
    notes = [
        (
            ends[kernels.TIED],
            "would end otherwise if what happened in the very instant of a submit came after it: "
            "it counts as before",
        ),
        (
            ends[kernels.MIXED],
            "touch several fields in one instant: the order of arrival says which was last, and "
            "how long each took",
        ),
        (macros, f"have {macro} in the very instant of their last row: it counts as later"),
    ]
    return [f"{share(k, n, k / n)} of the {unit} {words}." for k, words in notes if k]


# The rows of a form


def form_names(log: EventLog, form_property: str = "form") -> list[str]:
    """The forms that a log knows: the values of a property; none if it has no such property.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> form_names(simulate(users=300).log)
    ['contact']
    """
    return _values(log.shards, form_property) if log.kinds.get(form_property) == "text" else []


def _kinds(log: EventLog, events: Mapping[str, str]) -> np.ndarray:
    """What each event code of the log is to a form: a kind of row of `kernels`; −1: nothing.

    The default names are those of any log, so it may lack some of them; names given must be there.
    """
    order = tuple(EVENTS)
    kinds = np.full(len(log.event_names) + 1, -1, np.int64)
    for kind, name in events.items():
        if kind not in order:
            raise UsageError(
                f"form_fields: events has {kind!r}.{did_you_mean(kind, order)} Allowed: "
                f"{', '.join(map(repr, order))}."
            )
        if events is not EVENTS:
            checks.event_name("form_fields", log, name)
        if name in log.event_names:
            kinds[log.event_names.index(name)] = order.index(kind)
    if (kinds < 0).all():
        raise UsageError(
            f"form_fields: the log has none of {', '.join(map(repr, events.values()))}. Name its "
            "own: events={'focus': ..., 'change': ..., 'error': ..., 'submit': ...}."
        )
    return kinds


def _check_text_property(log: EventLog, name: str) -> None:
    if log.kinds.get(name) != "text":
        raise UsageError(
            f"form_fields: {name!r} is not a property of text of this log."
            f"{did_you_mean(name, log.properties)} "
            f"Properties: {', '.join(map(repr, log.properties)) or 'none'}."
        )


def _values(shards: Iterable[Shard], name: str) -> list[str]:
    """The values of a property of text, sorted."""
    return sorted({text for shard in shards for text in _column(shard, name).values.to_pylist()})


def _column(shard: Shard, name: str) -> TextColumn:
    column = shard.columns[name]
    assert isinstance(column, TextColumn)
    return column


class _FormSpec(NamedTuple):
    """Which rows are a form's: its properties, its fields, the kind of each event code.

    `macro` is the code of the macro, −1: none.
    """

    form: str
    form_property: str
    field_property: str
    fields: list[str]
    kinds: np.ndarray
    macro: int
    within: str


def _shard_counts(shard: Shard, whole: Shard, spec: _FormSpec) -> tuple[Any, ...]:
    """What `kernels.count_fields` finds in a shard.

    Also how many attempts have their last macro at the instant of their last row.

    Parameters
    ----------
    shard, whole : the same shard, with the attempts asked for, and with all its rows: the macro
        may come later.
    """
    forms = _column(shard, spec.form_property)
    # Rows of other forms get the code that no event has, and so are hidden, as in a view.
    hidden = shard.event.dtype.type(len(spec.kinds) - 1)
    event = np.where(forms.codes == forms.code_of(spec.form), shard.event, hidden)
    fields = _column(shard, spec.field_property)
    place = {name: number for number, name in enumerate(spec.fields)}
    field_of = np.array([*(place[text] for text in fields.values.to_pylist()), -1], np.int64)
    codes, _ = session_codes(shard, spec.within)
    rows, starts, users = sequences(event, codes, shard.offsets, spec.kinds)
    macros = np.flatnonzero(whole.event == spec.macro)
    last = np.full(len(shard.offsets) - 1, -1, np.int64)
    # Ascending, so the last one of each user stays.
    last[np.searchsorted(shard.offsets, macros, side="right") - 1] = macros
    own, ends = last[users], rows[starts[1:] - 1]
    later = (own >= 0) & (shard.time[own] > shard.time[ends])
    at_once = (own >= 0) & (shard.time[own] == shard.time[ends])
    # A form's own row cannot be what comes after itself.
    at_once &= (own > ends) | (spec.kinds[spec.macro] < 0)
    found = kernels.count_fields(
        spec.kinds[event[rows]],
        field_of[fields.codes[rows]],
        shard.time[rows],
        starts,
        users,
        later | at_once,
        len(spec.fields),
    )
    return *found, int(at_once.sum())


# The fields

_COUNTS: Final = {
    "k": kernels.STOPPED,
    "n": kernels.TOUCHED,
    "last": kernels.LAST,
    "refills": kernels.REFILLED,
    "failed": kernels.FAILED,
    "errors": kernels.ERRORS,
    "blanks": kernels.BLANK,
}

_FIELD_RATES: Final = (
    ("k", "n", "rate", "low", "high"),
    ("n", "attempts", "reached", "reached_low", "reached_high"),
    ("refills", "n", "refill_rate", "refill_low", "refill_high"),
    ("failed", "n", "error_rate", "error_low", "error_high"),
    ("blanks", "submits", "blank_rate", "blank_low", "blank_high"),
)
"""Columns of each rate: count, denominator, rate, low, high."""


def _field_table(
    fields: Sequence[str], counts: np.ndarray, visits: pd.DataFrame, ends: np.ndarray
) -> pd.DataFrame:
    """A row per field that was touched, in the order in which people come to them.

    Parameters
    ----------
    counts, ends : as `kernels.count_fields` gives them, of all shards and all attempts.
    visits : a row per attempt and field touched: ``field, order, wait``.
    """
    places = range(len(fields))
    table = pd.DataFrame({"field": pd.array(fields, dtype="str")})
    for name, place in _COUNTS.items():
        table[name] = counts[:, place].astype(float)
    table["attempts"] = float(ends[kernels.ATTEMPTS])
    table["submits"] = float(ends[kernels.SUBMITTED])
    known = visits[visits["wait"] >= 0].groupby("field")["wait"]
    table["median_seconds"] = known.median().reindex(places).to_numpy(float) / US_PER_SECOND
    table["known"] = known.size().reindex(places).to_numpy(float)
    for k, n, *cells in _FIELD_RATES:
        table[cells] = _rates(table[k], table[n])
    table["rank"] = visits.groupby("field")["order"].mean().reindex(places).to_numpy()
    table = table[table["n"] > 0].sort_values(["rank", "field"], ignore_index=True)
    return table.drop(columns="rank")


def _rates(k: pd.Series, n: pd.Series) -> np.ndarray:
    """Three columns: rate, low and high."""
    return shares(k.to_numpy(), n.to_numpy())[["rate", "low", "high"]].to_numpy()


def _hide_small(table: pd.DataFrame, people: np.ndarray, min_cell: int) -> tuple[pd.DataFrame, int]:
    """Hide rates of few people and medians of few; and in how many fields some are hidden.

    Parameters
    ----------
    table : with ``people`` who touched the field, and how often its time is ``known``.
    people : by how attempts ended, as `kernels.count_fields` gives them.
    """
    numbers = [str(name) for name in table if name not in ("field", "attempts", "people")]
    table["sent"] = people[kernels.SENT]
    blanks = ["blanks", "submits", "blank_rate", "blank_low", "blank_high"]
    hidden = np.zeros(len(table), bool)
    for n, cells in (("known", ["median_seconds"]), ("sent", blanks), ("people", numbers)):
        table, few = suppress(table, min_cell=min_cell, counts=[n], columns=cells)
        hidden |= few
    if small(people[kernels.TRIED], min_cell):
        table["attempts"] = np.nan
    return table.drop(columns=["known", "people", "sent"]), int(hidden.sum())


# How the attempts end


def _ends_table(ends: np.ndarray, people: np.ndarray, min_cell: int) -> pd.DataFrame:
    """How the attempts end, and how many of those people came to the macro later.

    Columns: ``end, k, n, rate, low, high``, and of the k ``macros, macro_rate, macro_low,
    macro_high``. Rates of few `people` (by how attempts ended) are NaN.

    Examples
    --------
    >>> ends = np.array([[40, 30, 32, 2, 1], [6, 6, 6, 0, 0]])
    >>> found = _ends_table(ends, np.array([40, 30, 10, 32]), 1)
    >>> found[["end", "k", "n", "rate", "macros", "macro_rate"]]
                   end     k     n   rate  macros  macro_rate
    0             done  30.0  40.0  0.750     6.0         0.2
    1         given up  10.0  40.0  0.250     0.0         0.0
    2     blank submit   2.0  40.0  0.050     0.0         0.0
    3  nothing touched   1.0  40.0  0.025     0.0         0.0
    """
    counts, later = (
        {
            "done": own[kernels.DONE],
            "given up": own[kernels.ATTEMPTS] - own[kernels.DONE],
            "blank submit": own[kernels.BLANK_SUBMIT],
            "nothing touched": own[kernels.UNTOUCHED],
        }
        for own in ends.astype(float)
    )
    table = pd.DataFrame({"end": list(counts), "k": list(counts.values())})
    table["n"] = float(ends[0, kernels.ATTEMPTS])
    table[["rate", "low", "high"]] = _rates(table["k"], table["n"])
    table["macros"] = list(later.values())
    table[["macro_rate", "macro_low", "macro_high"]] = _rates(table["macros"], table["k"])
    # Of nobody there is no share.
    table.loc[table["k"] == 0, _LATER_CELLS] = np.nan
    table["people"] = [
        *people[[kernels.FINISHED, kernels.GAVE_UP]],
        *np.minimum(table["k"].iloc[2:], people[kernels.TRIED]),
    ]
    table, _ = suppress(table, min_cell=min_cell, counts=["people"], columns=_LATER_CELLS)
    if small(people[kernels.TRIED], min_cell):
        table[[str(name) for name in table if name != "end"]] = np.nan
    return table.drop(columns="people")


def _readable_ends(table: pd.DataFrame) -> pd.DataFrame:
    """How the attempts end, as text: attempts, their share, and the share with the macro later.

    Examples
    --------
    >>> ends = np.array([[400, 300, 320, 0, 0], [60, 60, 60, 0, 0]])
    >>> people = np.array([400, 300, 100, 320])
    >>> _readable_ends(_ends_table(ends, people, 1)).loc["done"].to_list()
    ['75.0% (300 of 400)', '70.5% to 79.0%', '20.0% (60 of 300)', '15.9% to 24.9%']
    """
    readable = pd.DataFrame({"how it ended": table["end"]})
    macros = table[[*_LATER]].rename(columns=_LATER)
    for name, cells in (("attempts", table), ("macro later", macros)):
        rows = records(cells)
        readable[name] = [
            UNDEFINED if np.isnan(row.rate) else share(row.k, row.n, row.rate) for row in rows
        ]
        readable[f"95 % interval of {name}"] = [
            "" if np.isnan(row.rate) else f"{percent(row.low)} to {percent(row.high)}"
            for row in rows
        ]
    return readable.set_index("how it ended")
