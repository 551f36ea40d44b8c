"""Who are they?"""

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
