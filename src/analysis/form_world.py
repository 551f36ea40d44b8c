"""A form whose truth is known: at which field people stop, fail and go back, and how often.

It stands beside the simulated shop and changes nothing in it. Each attempt goes through the fields
in their order; at each it may stop for good; a field that is filled in may show an error, which is
mended at once; before the submit some go back to a field and fill it in again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.eventlog.log import EventLog
from analysis.schema import UsageError


class Field(NamedTuple):
    """What is true of a field: shares of those who come to it, and its typical seconds."""

    name: str
    stop: float
    error: float
    refill: float
    blank: float
    seconds: float


FIELDS: Final = (
    Field("email", 0.08, 0.06, 0.03, 0.0, 7.0),
    Field("password", 0.12, 0.15, 0.05, 0.0, 12.0),
    Field("company", 0.03, 0.0, 0.02, 0.30, 5.0),
    Field("phone", 0.20, 0.08, 0.04, 0.0, 9.0),
    Field("comment", 0.02, 0.0, 0.01, 0.70, 15.0),
)


class FormSimulation(NamedTuple):
    """A simulated log of one form, and what was planted: a row per field."""

    log: EventLog
    truth: pd.DataFrame


def simulate_form(
    seed: int = 2026,
    users: int = 2_000,
    *,
    form: str = "sign_up",
    fields: tuple[Field, ...] = FIELDS,
) -> FormSimulation:
    """What does the log of a form look like in which we know where people stop?

    Parameters
    ----------
    seed : the same seed gives the same log. users : how many try the form, once each.
    form : its name. fields : what is true of its fields.

    Raises
    ------
    UsageError
        If there are no users or no fields.

    Examples
    --------
    >>> made = simulate_form(users=100)
    >>> made.log.users, made.truth["field"].tolist()
    (100, ['email', 'password', 'company', 'phone', 'comment'])
    """
    if users < 1 or not fields:
        raise UsageError(f"simulate_form: users={users!r}, {len(fields)} fields. Allowed: from 1.")
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, float, str, str | None]] = []
    for number in range(users):
        start = float(rng.integers(0, 28 * 86_400))
        own = _attempt(rng, fields)
        rows += [(f"f{number:06d}", start + at, event, field) for at, event, field in own]
    frame = pd.DataFrame(rows, columns=["user", "seconds", "event", "field"])
    instants = np.rint(frame.pop("seconds").to_numpy() * 1e6).astype("timedelta64[us]")
    frame["time"] = pd.Timestamp("2026-09-01", tz="UTC") + pd.Series(instants)
    frame["field"] = frame["field"].astype("str")
    log = EventLog.from_frame(frame.assign(form=form), covers_until="2026-10-01")
    truth = pd.DataFrame(fields).rename(columns={"name": "field"})
    return FormSimulation(log, truth)


def _attempt(
    rng: np.random.Generator, fields: tuple[Field, ...]
) -> list[tuple[float, str, str | None]]:
    """Seconds since its beginning, event and field of each row."""
    rows: list[tuple[float, str, str | None]] = []
    at = 0.0
    for field in fields:
        rows.append((at, "form_focus", field.name))
        if rng.random() < field.stop:
            return rows
        at += field.seconds * float(rng.lognormal(0, 0.4))
        if rng.random() < field.blank:
            continue
        rows.append((at, "form_change", field.name))
        if rng.random() < field.error:
            rows.append((at, "form_error", field.name))
            at += field.seconds / 2
            rows.append((at, "form_change", field.name))
        at += 0.5
    for field in fields:
        filled = (row for row in rows if row[1:] == ("form_change", field.name))
        if rng.random() < field.refill and any(filled):
            rows.append((at, "form_focus", field.name))
            at += field.seconds / 2
            rows.append((at, "form_change", field.name))
            at += 0.5
    return [*rows, (at + 1.0, "form_submit", None)]
