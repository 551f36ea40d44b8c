"""What did the import lose, and how much of it matters? `EventLog.losses`, in words and as a table.

Shares are of the rows that the files had: the log's events and what is not among them. A blanked
cell is no lost row, so its share is of the log's events. What was there already (duplicates) is
counted and not called a loss.
"""

from __future__ import annotations

import pandas as pd

from analysis.core.wording import count, day, isolate, label, percent, share
from analysis.eventlog.log import EventLog
from analysis.quality.result import GateResult

_LOST = ("quarantined", "excluded")
_SAID = {
    "quarantined": "could not be read as events and are in the quarantine",
    "excluded": "are left out (no consent)",
}
_MOST_COLUMNS = 3
_MANY = 0.5
"""The share of all losses from which on a single week is named."""


def loss_table(log: EventLog) -> pd.DataFrame:
    """A row per fate, cell and event: how many rows, and what share of those there were.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["visit"]}))
    >>> loss_table(log).columns.to_list()
    ['fate', 'column', 'event', 'rows', 'of', 'share']
    """
    lost = log.losses()
    keys = ["fate", "column", "event"]
    table = lost.groupby(keys, sort=False)["rows"].sum().reset_index()
    known = log.summary().set_index("event")["events"]
    gone = lost[lost["fate"].isin(_LOST)].groupby("event")["rows"].sum()
    of = []
    for row in table.itertuples():
        kept, more = (known.get(row.event, 0), gone.get(row.event, 0))
        if not row.event:
            kept, more = log.events, int(gone.sum())
        of.append(int(kept if row.fate == "blanked" else kept + more))
    table["of"] = of
    table["share"] = table["rows"] / table["of"].where(table["of"] > 0)
    return table.sort_values(
        ["rows", *keys], ascending=[False, True, True, True], ignore_index=True
    )


def loss_notes(
    log: EventLog, macro: str = "", *, gate: GateResult | None = None
) -> tuple[str, ...]:
    """What was lost, in sentences: of all rows, of the macro conversion's, and in which week.

    Parameters
    ----------
    macro : the event that pays; a loss among its rows is said for itself.
    gate : of the same page; what it tells of the losses is not told again.
    """
    if gate is not None and gate.tells_losses:
        return ()
    lost = log.losses()
    gone = lost[lost["fate"].isin(_LOST)]
    read = log.events + int(gone["rows"].sum())
    notes = []
    for fate in _LOST:
        own = lost[lost["fate"] == fate]
        if len(own):
            text = f"{_part(own, read, 'rows of the files')} {_SAID[fate]}"
            notes.append(f"{text}{_of_macro(log, own, gone, macro)}.{_reason(own)}{_week(own)}")
    blanked = lost[lost["fate"] == "blanked"]
    sizes = blanked.groupby("column")["rows"].sum().sort_values(ascending=False, kind="stable")
    for column in sizes.index[:_MOST_COLUMNS]:
        own = blanked[blanked["column"] == column]
        text = f"In {_part(own, log.events, 'events')} the cell {column!r} could not be read"
        kept = gone.iloc[:0]
        more = _of_macro(log, own, kept, macro)
        notes.append(f"{text}{more}. It is missing there.{_reason(own)}{_week(own)}")
    return tuple(notes)


def _part(own: pd.DataFrame, of: int, what: str) -> str:
    k = int(own["rows"].sum())
    return f"{count(k)} of {count(of)} {what} ({percent(k / max(of, 1))})"


def _of_macro(log: EventLog, own: pd.DataFrame, gone: pd.DataFrame, macro: str) -> str:
    k = int(own.loc[own["event"] == macro, "rows"].sum()) if macro else 0
    if not k:
        return ""
    summary = log.summary().set_index("event")["events"]
    of = int(summary.get(macro, 0)) + int(gone.loc[gone["event"] == macro, "rows"].sum())
    return f"; of “{label(macro)}” {share(k, of, k / of)}"


def _reason(own: pd.DataFrame) -> str:
    reasons = own[own["reason"] != ""].groupby("reason")["rows"].sum()
    if not len(reasons):
        return ""
    return f" Most frequent reason: {isolate(reasons.idxmax()).removesuffix('.')}."


def _week(own: pd.DataFrame) -> str:
    weeks = own[own["week"] != ""].groupby("week")["rows"].sum()
    if len(weeks) < 2 or weeks.max() < _MANY * own["rows"].sum():
        return ""
    name = day(pd.Timestamp(str(weeks.idxmax())), year=True)
    return f" Most in the week of {name}: {count(weeks.max())}."
