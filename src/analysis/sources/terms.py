"""Under which terms a log was imported, so that what is added later agrees with it.

One person must not have two ids in one log, and a row's session must not depend on which file it
came in. So the manifest has the mark of the key (never the key), where sessions end, and which
column holds consent; an append takes these over, or is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.core.schema import UsageError, human_duration
from analysis.eventlog.consent import Consent
from analysis.eventlog.sessions import SessionRule
from analysis.sources.mapping import ColumnMapping
from analysis.sources.privacy import read_key


def terms_of(mapping: ColumnMapping) -> dict[str, Any]:
    """What the manifest keeps of a mapping.

    Examples
    --------
    >>> terms_of(ColumnMapping(consent=Consent("cookies", ("all",))))
    {'consent': {'column': 'cookies', 'granted': ['all']}}
    """
    terms: dict[str, Any] = {}
    if mapping.key is not None:
        terms["ids"] = mapping.key.mark
    if mapping.sessions is not None:
        terms["sessions"] = dataclasses.asdict(mapping.sessions)
    if mapping.consent is not None:
        consent = mapping.consent
        terms["consent"] = {"column": consent.column, "granted": list(consent.granted)}
    return terms


def agreed(mapping: ColumnMapping, before: Mapping[str, Any] | None, log: Path) -> ColumnMapping:
    """The mapping with its key read, and with the terms of the log it adds to.

    Parameters
    ----------
    before : what the log's manifest keeps; None: there is no log.
    log : its folder.

    Raises
    ------
    UsageError
        If the key cannot be used, or key or sessions are others than the log's.
    """
    if mapping.hash_key_file is not None:
        mapping = dataclasses.replace(mapping, key=read_key(mapping.hash_key_file, log=log))
    if before is None:
        return mapping
    mark = mapping.key.mark if mapping.key is not None else None
    if mark != before.get("ids"):
        has = "not hashed" if "ids" not in before else "hashed with another key"
        then = "without --hash-ids" if "ids" not in before else "with --hash-ids and that key"
        raise UsageError(
            f"the ids of the log in '{log}' are {has}: the same people would be there under two "
            f"ids. Add to it {then}, or import all files into a new folder."
        )
    mapping = _same_sessions(mapping, before.get("sessions"), log)
    if mapping.consent is None and "consent" in before:
        column, granted = before["consent"]["column"], before["consent"]["granted"]
        mapping = dataclasses.replace(mapping, consent=Consent(column, tuple(granted)))
    return mapping


def _same_sessions(
    mapping: ColumnMapping, before: Mapping[str, Any] | None, log: Path
) -> ColumnMapping:
    rule = None if before is None else SessionRule(**before)
    if mapping.sessions is None and rule is not None and mapping.session is None:
        return dataclasses.replace(mapping, sessions=rule)
    if mapping.sessions != rule:
        there = "come from a column, or from pauses of 30 min"
        if rule is not None:
            there = f"were computed ({_words(rule)})"
        raise UsageError(
            f"the sessions of the log in '{log}' {there}. Add to it without naming sessions, or "
            "import all files into a new folder."
        )
    return mapping


def _words(rule: SessionRule) -> str:
    words = [f"gap {human_duration(rule.gap_us)}"]
    words += [f"campaign {rule.campaign!r}"] if rule.campaign else []
    words += [f"midnight {rule.midnight}"] if rule.midnight else []
    return ", ".join(words)
