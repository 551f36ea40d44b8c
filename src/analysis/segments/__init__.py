"""Who are they? People picked by what they did, and what is asked of such a group.

What this package refuses to do: look past the instant that a group is picked at, or say that
belonging to a group makes anybody do anything.

In the order to read them: `rules` (frozen rules and the words they are written in), `written`
(rules as TOML tables and in words), `evaluate` (a rule's mask on a shard), `result` (`segment`,
`Segment`, `overlaps`); then what is asked of a segment: `comparison` (in what do two differ?),
`audiences` (whom to write to?), `rfm` (who bought lately, often and for much?) and `clusters`
(which kinds of visitors are there?). `figures` draws them, `kernels` has the compiled loops.
"""

from analysis.segments.result import Segment, catalog_segments, picked, segment
from analysis.segments.rules import (
    abandoned,
    did,
    first,
    frequency,
    is_in,
    last,
    recency,
    sequence,
    tenure,
    value,
)
from analysis.segments.written import as_rule, as_table

__all__ = [
    "Segment",
    "abandoned",
    "as_rule",
    "as_table",
    "catalog_segments",
    "did",
    "first",
    "frequency",
    "is_in",
    "last",
    "picked",
    "recency",
    "segment",
    "sequence",
    "tenure",
    "value",
]
