"""Who are they? People picked by what they did, at an instant that is always said.

A segment is a rule asked of a log at an instant. Only what happened strictly before the instant
counts, and only people seen before it can be in, turned-round rules included: who came later is
unknown then, and "has not bought" would quietly mean "will not buy". The instant travels with the
answer, and whatever compares people by it must begin no earlier (`Segment.must_precede`).

What this module refuses to do: look past the instant, or past what the log covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, one_of
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments.evaluate import Look, keeps, there
from analysis.segments.result import Segment, instant_of
from analysis.segments.segment_checks import check_rule
from analysis.segments.segment_rules import Rule
from analysis.segments.written import as_rule


def segment(
    log: EventLog,
    rule: Rule | Mapping[str, Any] | str,
    *,
    at: Any = None,
    catalog: Catalog | None = None,
    name: str | None = None,
) -> Segment:
    """Who keeps a rule, as of an instant?

    Parameters
    ----------
    rule : a rule, its table (``{"did": "purchase"}``), or with `catalog` the name of one there.
    at : only events strictly before this instant count, and only people seen before it are in;
        naive times are UTC; default: the end of what the log covers.
    name : what to call it; default: the name in the catalog.

    Returns
    -------
    Segment
        ``mask`` (a boolean per user in the order of ``log.user_ids``), ``at``, ``rule``, ``size``,
        ``sentence()``; ``log.in_segment`` takes it.

    Raises
    ------
    UsageError
        If the rule names an event or property that the log does not have, or `at` lies beyond
        what the log covers.

    Examples
    --------
    >>> from analysis.segments import did
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-02"])}))
    >>> left = segment(log, did("cart") & ~did("purchase"))
    >>> left.mask.tolist(), left.size, list(log.in_segment(left).user_ids)
    ([False, True], 1, ['bob'])
    >>> segment(log, did("cart") & ~did("purchase"), at="2026-01-02").mask.tolist()
    [True, False]
    """
    if isinstance(rule, str):
        known = catalog_segments(catalog) if catalog is not None else {}
        if not known:
            raise UsageError(
                f"segment: rule={rule!r} is a name, and no catalog with segments is given. "
                "Allowed: did(...), a table, or a name with catalog=..."
            )
        name, rule = name or rule, known[one_of("segment: rule", rule, known)]
    wanted = as_rule(rule)
    check_rule(log, wanted)
    instant = instant_of(log, at)

    def who(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        look = Look(shard, log.event_names, instant, shard.masks)
        seen = there(look)
        return keeps(look.at_users(seen), wanted) & seen, seen

    parts = engine.over(log.shards, who)
    return Segment(
        rule=wanted,
        at_us=instant,
        by_shard=tuple(own for own, _ in parts),
        seen_by_shard=tuple(seen for _, seen in parts),
        log=log,
        name=name,
    )


def catalog_segments(catalog: Catalog) -> dict[str, Rule]:
    """The rules of a catalog, by name.

    Raises
    ------
    UsageError
        If one of them is no rule.

    Examples
    --------
    >>> from analysis.segments import did
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> catalog_segments(shop)["subscribers"] == did("newsletter_sign_up")
    True
    """
    return {
        name: as_rule(entry["rule"], f"catalog {catalog.name!r}: segments.{name}.rule")
        for name, entry in catalog.segments.items()
    }
