"""Whom to write to, and whom to leave alone to see what the writing does?

An audience is a segment on its way out: only people whose last word on consent was yes, split by
a hash of their id, so that a person is in the same part today, tomorrow and on any machine. The
part held out is what the campaign is later compared with; without it nobody can tell what would
have happened anyway, and no rate printed here says it.

In the file nothing runs. Ids come from other people's browsers, and a CSV cell that begins with
``=``, ``+``, ``-`` or ``@`` is a formula to a spreadsheet, so such an id gets an apostrophe before
it and a warning says so: the id matches nothing until the apostrophe is off again. Parquet has no
formulas, and every id as it is.

What this module refuses to do: send anything anywhere, take a missing consent for a yes, or
write a file over another one halfway.
"""

from __future__ import annotations

import csv
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.core import checks
from analysis.core.result import Result, small
from analysis.core.schema import USER, DataError, UsageError, did_you_mean, timestamp
from analysis.core.wording import count, percent, share
from analysis.eventlog import filters, parallel
from analysis.eventlog.filters import GRANTED, Consent, granted_rows
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard, TextColumn, string_hashes
from analysis.segments import kernels
from analysis.segments.evaluate import RuleContext, check_rule, holds, scan
from analysis.segments.figures import audience_rates
from analysis.segments.result import Segment, as_segment
from analysis.segments.rules import Did, did, last
from analysis.statistics.rates import wilson

FORMATS: Final = (".csv", ".parquet")
AUDIENCE, HOLDOUT, ALL = "audience", "holdout", "all"

_FORMULA: Final = r"^(?:\s*[=+\-@＝＋－＠]|[\t\r\n])"
_HASHES: Final = 2.0**64
_SINCE: Final = ["k", "rate", "low", "high"]
_BEFORE: Final = [f"{name}_before" for name in _SINCE]


@dataclass(frozen=True, eq=False, kw_only=True)
class AudienceResult(Result):
    """The answer of `audience`.

    ``table`` has a row per group (``all``, ``audience``, ``holdout``): ``group``, ``users``, ``k``
    (did the macro conversion from the segment's instant on, until the log ends) with ``rate, low,
    high``, and ``k_before`` (did it before) with ``rate_before, low_before, high_before``; all of
    ``users``. ``people`` has a row per person: ``user``, ``group``.
    """

    people: pd.DataFrame
    at: pd.Timestamp
    until: pd.Timestamp
    macro: str

    def sentence(self) -> str:
        """How many people, how many of them held out, and how many convert without any of it."""
        rows: dict[Any, dict[Any, Any]] = self.table.set_index("group").to_dict("index")
        whole = rows[ALL]
        text = f"{count(whole['users'])} people"
        if HOLDOUT in rows:
            text += f", {count(rows[HOLDOUT]['users'])} of them held out"
        if not whole["users"]:
            return "Nobody is in this audience."
        when = f"{self.at:%Y-%m-%d %H:%M} UTC"
        text += f". {_share_of(whole, '_before')} had done {self.macro} before {when}"
        text += _interval(whole, "_before")
        if self.until > self.at:
            text += f", {_share_of(whole, '')} have done it since{_interval(whole, '')}"
        return f"{text}."

    def figure(self) -> Any:
        """The rate of the macro conversion in each group, with intervals."""
        return audience_rates(self.table)


def _share_of(row: dict[Any, Any], ends: str) -> str:
    if pd.isna(row[f"rate{ends}"]):
        return "Too few to show" if ends else "too few to show"
    return share(row[f"k{ends}"], row["users"], row[f"rate{ends}"])


def _interval(row: dict[Any, Any], ends: str) -> str:
    if pd.isna(row[f"rate{ends}"]):
        return ""
    return f" (95% interval {percent(row[f'low{ends}'])} to {percent(row[f'high{ends}'])})"


def audience(
    log: EventLog,
    segment: Segment,
    *,
    macro: str = "purchase",
    path: Path | str | None = None,
    holdout: float = 0.0,
    seed: int | str = 0,
    consent: str | Consent | None = None,
    min_cell: int = 1,
) -> AudienceResult:
    """Who is in the audience, who is held out, and how many of them convert?

    Parameters
    ----------
    log : see `analysis.core.checks`.
    segment : as `segment` returns it. macro : the event that pays.
    path : a ``.csv`` or ``.parquet`` file to write: ``user``, ``group``, ``at``. It is replaced in
        one step. In a CSV file an id that a spreadsheet would run as a formula has an apostrophe
        before it, and a warning says so.
    holdout : the share of people to hold out, from 0 to below 1.
    seed : of the split: a campaign's name or number. The same person is in the same part for the
        same seed, no matter who else is in the segment; a larger share holds out the same people
        and more.
    consent : a property, or `Consent` with the words that grant. Only people whose last known
        value in the log grants it are in, whenever the segment was asked: a no that came later is
        a no. Nobody's silence counts as a yes.
    min_cell : rates of fewer people than this are hidden in the table; 1 shows all.

    Raises
    ------
    UsageError
        If an event, property or option is unknown or out of range.
    DataError
        If the file cannot be written.

    Notes
    -----
    A person is held out if the keyed hash of the id (64 bits, the key made of the seed), as a
    fraction of 2**64, is below the share.

    Examples
    --------
    >>> from analysis.segments.result import segment
    >>> from analysis.segments.rules import did
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob", "bob"], "event": ["cart", "cart", "purchase"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-01", "2026-01-05"])}))
    >>> found = audience(log, segment(log, did("cart"), at="2026-01-02"))
    >>> found.table[["group", "users", "k", "rate"]].to_dict("records")
    [{'group': 'all', 'users': 2, 'k': 1, 'rate': 0.5}]
    """
    as_segment(segment, "audience")
    target = _target(path)
    _check(holdout, seed)
    check_rule(log, did(macro), "audience: macro")
    least = checks.min_cell("audience", min_cell)
    granted = _granted(log, consent)
    chosen = filters.chosen(log.shards, len(log.event_names), segment)

    def rows_of(pair: tuple[Shard, np.ndarray]) -> np.ndarray:
        return _people(pair[0], pair[1], log, segment.at_us, did(macro), granted)

    parts = parallel.map_shards(list(zip(log.shards, chosen, strict=True)), rows_of)
    cells = filters.in_order(log.shards, len(log.event_names), parts).reshape(-1, 4)
    kept = cells[:, 0] & cells[:, 1]
    ids = log.user_ids[kept]
    held = _held_out(ids, holdout, seed)
    frame = pd.DataFrame({USER: ids, "group": np.where(held, HOLDOUT, AUDIENCE)})
    followed = segment.at_us < log.covers_until_us
    table = _table(cells[kept, 2:], held, split=holdout > 0, followed=followed)
    written = () if target is None else _write(frame.assign(at=segment.at), target)
    without = int((cells[:, 0] & ~cells[:, 1]).sum())
    return AudienceResult(
        table=_without_few(table, least),
        parameters={
            **segment.parameters,
            "macro": macro,
            "holdout": holdout,
            "seed": seed,
            "consent": consent.column if isinstance(consent, Consent) else consent,
            "min_cell": least,
        },
        warnings=(*_warnings(log, segment, consent, without), *written),
        people=frame,
        at=segment.at,
        until=timestamp(log.covers_until_us),
        macro=macro,
    )


def _check(holdout: float, seed: int | str) -> None:
    numeric = isinstance(holdout, (int, float)) and not isinstance(holdout, bool)
    if not numeric or not 0 <= holdout < 1:
        raise UsageError(
            f"audience: holdout={holdout!r}. Allowed: a share from 0 to below 1, such as 0.1."
        )
    if isinstance(seed, bool) or not isinstance(seed, (int, str)):
        raise UsageError(f"audience: seed={seed!r}. Allowed: a whole number, or a campaign's name.")


def _target(path: Path | str | None) -> Path | None:
    """The file to write, checked before anything is counted."""
    if path is None:
        return None
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        near = did_you_mean(target.suffix, FORMATS)
        raise UsageError(
            f"audience: path={str(path)!r} ends in {target.suffix!r}.{near} "
            f"Allowed: {', '.join(FORMATS)}."
        )
    if not target.parent.is_dir():
        raise UsageError(
            f"audience: path={str(path)!r}: there is no folder {str(target.parent)!r}. Make it, or "
            "choose another."
        )
    return target


def _granted(log: EventLog, consent: str | Consent | None) -> Any:
    """The rule that people who consent keep, in the words of this log; None: nobody is asked."""
    if consent is None:
        return None
    asked_for = Consent(consent, GRANTED) if isinstance(consent, str) else consent
    check_rule(log, last(asked_for.column, "yes"), "audience: consent")
    words: set[Any] = set()
    others: set[Any] = set()
    for shard in log.shards:
        column = shard.columns[asked_for.column]
        if isinstance(column, TextColumn):
            hits = granted_rows(column.values, asked_for)
            words |= set(column.values.filter(pa.array(hits)).to_pylist())
            others |= set(column.values.filter(pa.array(~hits)).to_pylist())
        else:
            numbers = {word for word in asked_for.granted if word.strip().isdigit()}
            words |= {float(word) for word in numbers}
            others |= set(column.numbers[~np.isnan(column.numbers)].tolist())
    others -= words
    # Where nobody ever granted it, nothing can match: a missing value never does.
    granted = last(asked_for.column, sorted(words, key=str) or ["\0nobody"])
    # A yes and a no of one instant: no order of arrival makes them a yes.
    return granted & ~last(asked_for.column, sorted(others, key=str)) if others else granted


def _people(
    shard: Shard, chosen: np.ndarray, log: EventLog, at: int, macro: Did, granted: Any
) -> np.ndarray:
    """Per user: is chosen, consents, did the macro since, and before."""
    context = RuleContext.of(log, shard, at).at_users(chosen)
    later = context._replace(at=log.covers_until_us)
    consents = chosen if granted is None else holds(later, granted)
    since = scan(later, macro.match, kernels.found_first, since=at) >= 0
    before = holds(context, macro)
    return np.column_stack([chosen, consents, since, before])


def _held_out(ids: pd.Index, holdout: float, seed: int | str) -> np.ndarray:
    texts = pa.array(ids.to_numpy(object), pa.large_string())
    hashes = string_hashes(texts, f"holdout {seed}")[:, 0]
    return hashes.astype(np.float64) / _HASHES < holdout


def _table(did_it: np.ndarray, held: np.ndarray, *, split: bool, followed: bool) -> pd.DataFrame:
    """A row per group: its people, and their rates since the instant and before it.

    `did_it` has two columns, since and before. Without `followed` nothing is known of since.
    """
    groups = {ALL: np.ones(len(held), np.bool_)}
    if split:
        groups |= {AUDIENCE: ~held, HOLDOUT: held}
    table = pd.DataFrame(
        [(name, int(own.sum()), *did_it[own].sum(axis=0)) for name, own in groups.items()],
        columns=["group", "users", "k", "k_before"],
    )
    for k, rate, low, high in (_SINCE, _BEFORE):
        table[rate] = table[k] / table["users"].where(table["users"] > 0)
        table[low], table[high] = wilson(table[k], table["users"])
    if not followed:
        table[_SINCE] = np.nan
    return table[["group", "users", *_SINCE, *_BEFORE]]


def _without_few(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table without the rates of few people."""
    parts = (table["group"] != ALL).to_numpy()
    for columns in (_SINCE, _BEFORE):
        hidden = small(table["users"], min_cell)
        # The two parts add up to all: one that is shown would give the other away.
        hidden |= parts & bool(hidden[parts].any())
        if hidden.any():
            table[columns] = table[columns].astype(float)
            table.loc[hidden, columns] = np.nan
    return table


def _write(frame: pd.DataFrame, target: Path) -> tuple[str, ...]:
    """Write the people, replacing the file in one step, and return what must be said about it."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    text: tuple[str, ...] = ()
    try:
        if target.suffix.lower() == ".csv":
            text = _write_csv(frame, beside)
        else:
            frame.to_parquet(beside, index=False)
        os.replace(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise DataError(
            f"audience: cannot write '{target}': {error.strerror}. Choose another place."
        ) from error
    return text


def _write_csv(frame: pd.DataFrame, target: Path) -> tuple[str, ...]:
    ids = frame[USER].astype("str")
    runs = ids.str.contains(_FORMULA, regex=True).to_numpy(bool)
    # A carriage return ends a line for most readers, and csv does not quote it by itself.
    broken = bool(ids.str.contains("\r", regex=False).any())
    shown = frame.assign(**{USER: ids.where(~runs, "'" + ids)})
    quoting: Literal[0, 1] = csv.QUOTE_ALL if broken else csv.QUOTE_MINIMAL
    shown.to_csv(target, index=False, quoting=quoting)
    if not runs.any():
        return ()
    k = int(runs.sum())
    return (
        f"{count(k)} of the ids begin like a formula, so the CSV file has an apostrophe before "
        f"{'it' if k == 1 else 'them'}: take it off to match, or write a .parquet file.",
    )


def _warnings(
    log: EventLog, segment: Segment, consent: str | Consent | None, without: int
) -> tuple[str, ...]:
    notes = [*segment.warnings, *look_ahead_warnings(log, segment.at_us)]
    if without:
        notes.append(f"{count(without)} people left out: their last known word is no consent.")
    named = [name for name in log.properties if "consent" in name.lower()]
    if consent is None and named:
        notes.append(
            f"The log has the property {named[0]!r}, and consent= is not given: people who said no "
            "may be in the audience."
        )
    if segment.at_us >= log.covers_until_us:
        notes.append(
            "The segment is as of the log's end, so nothing is known of what they did since: rates "
            "since then are undefined."
        )
    return tuple(notes)
