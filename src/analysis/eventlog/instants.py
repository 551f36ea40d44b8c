"""Which times can a log have? One set of rules for a frame and for files.

Only what starts like a date is one: pandas also reads "now" and "today", which mean another instant
at every import. A time after 2099 is a wrong unit or a broken clock; in files so is one before
1990. A frame may begin long before, because times that a program makes up often begin in 1970, but
not before 1678.
"""

from __future__ import annotations

from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import US_PER_SECOND

FIRST: Final = -9_214_560_000 * US_PER_SECOND  # 1678-01-01: pandas' nanoseconds begin in 1677
EARLIEST: Final = 631_152_000 * US_PER_SECOND  # 1990-01-01
LATEST: Final = 4_102_444_800 * US_PER_SECOND  # 2100-01-01
_DATE: Final = r"^[0-9]{4}[-/]?[0-9]"


def dated(words: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The texts that start like a date; others are missing.

    Examples
    --------
    >>> dated(pa.array(["2026-01-01", "now"])).to_pylist()
    ['2026-01-01', None]
    """
    return pc.if_else(pc.match_substring_regex(words, _DATE), words, pa.scalar(None, words.type))


def iso_stamps(words: pa.Array | pa.ChunkedArray) -> pd.Series:
    """ISO 8601 texts as instants (UTC where they have no offset), NaT where they are none.

    Examples
    --------
    >>> iso_stamps(pa.array(["2026-01-01T01:00+01:00", "now"])).isna().to_list()
    [False, True]
    """
    texts = pd.Series(dated(words).to_pylist(), dtype=object)
    return pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")


def iso_text(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Timestamps of a property as ISO 8601 text, in UTC where they have a zone.

    In local time the hour that clocks repeat would be one text for two instants.

    Examples
    --------
    >>> iso_text(pa.array([0, 500], pa.timestamp("ms", "Europe/Berlin"))).to_pylist()
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.500Z']
    """
    zone = "Z" if column.type.tz else ""
    instants = column.cast(pa.timestamp(column.type.unit, "UTC" if zone else None))
    words = pc.strftime(instants, format="%Y-%m-%dT%H:%M:%S").cast(pa.large_string())
    return pc.replace_substring_regex(words, r"(\.0+)?$", zone, max_replacements=1)
