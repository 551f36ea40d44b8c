"""Whose rows may be used? Only those that say yes.

Where a mapping names a consent column, a row counts as consented if its cell is one of the
granted words; an empty cell, any other word and a file without the column are a no. Rows without
consent are counted, and then nothing of them is read any further or kept anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import UsageError

GRANTED: Final = ("yes", "true", "granted", "1")


@dataclass(frozen=True)
class Consent:
    """The column that holds consent, and the words that grant it (upper or lower case)."""

    column: str
    granted: tuple[str, ...] = GRANTED

    def __post_init__(self) -> None:
        if not self.column or not self.granted or not all(map(str.strip, self.granted)):
            raise UsageError(
                f"consent: column {self.column!r}, granted {list(self.granted)}. Name a column and "
                "at least one word that means yes: --consent COLUMN=yes,granted."
            )


def consent_of(text: str) -> Consent:
    """What the option says: ``COLUMN`` or ``COLUMN=VALUE,VALUE``.

    Raises
    ------
    UsageError
        If the column or a value is empty.

    Examples
    --------
    >>> consent_of("analytics_storage=G111,G101")
    Consent(column='analytics_storage', granted=('G111', 'G101'))
    >>> consent_of("consent").granted
    ('yes', 'true', 'granted', '1')
    """
    column, given, words = text.partition("=")
    return Consent(column, tuple(words.split(","))) if given else Consent(column)


def granted_rows(cells: pa.Array, consent: Consent) -> np.ndarray:
    """A boolean per row: does the text cell of the consent column grant it?

    Examples
    --------
    >>> granted_rows(pa.array(["Yes", "no", None, ""]), Consent("consent"))
    array([ True, False, False, False])
    """
    encoded = cells.dictionary_encode()
    words = {word.strip().casefold() for word in consent.granted}
    known = encoded.dictionary.to_pylist()
    hits = pa.array([str(word).strip().casefold() in words for word in known], pa.bool_())
    return pc.fill_null(hits.take(encoded.indices), False).to_numpy(zero_copy_only=False)
