"""Numbers that are text, read with a decimal comma or a decimal point.

Most cells say themselves what they mean: ``19,99`` and ``1.234,5`` have a decimal comma, ``19.99``
and ``1,234.5`` a point. ``1,234`` can be both. Then the other cells decide, and where these say
nothing, or contradict each other, the import stops and asks: a factor of a thousand is no matter
for a guess. ``1.234`` is a point as programs write it, unless other cells have a comma.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import UsageError, one_of
from analysis.eventlog.shard import TEXT

SIGNS: Final = {",": "a decimal comma", ".": "a decimal point"}

_COMMA: Final = r"^[+-]?([0-9]*,[0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]+)$"
_POINT: Final = r"^[+-]?([0-9]*\.[0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+\.[0-9]+)$"
_COMMAS: Final = r"^[+-]?[1-9][0-9]{0,2}(,[0-9]{3})+$"  # of thousands, or one decimal comma
_POINTS: Final = r"^[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+$"
_SINGLE: Final = r"^[^.,]*[.,][^.,]*$"


def check_sign(sign: str) -> str:
    """Return the decimal sign if it is ``,`` or ``.``, else raise a `UsageError`."""
    return one_of("decimal", sign, SIGNS)


class Decimals:
    """Reads the numbers of an import, and remembers which decimal sign its cells have.

    Parameters
    ----------
    declared : the sign that was given; None: the cells say it.
    """

    def __init__(self, declared: str | None = None) -> None:
        self._declared = declared
        self._seen: dict[str, tuple[str, str]] = {}
        self._taken: dict[str, tuple[str, str]] = {}

    @property
    def sign(self) -> str | None:
        """The sign that was given, or a comma where cells have one and none has a point."""
        if self._declared is not None:
            return self._declared
        return "," if set(self._seen) == {","} else None

    @property
    def note(self) -> str | None:
        """What has been found without being told, as a sentence."""
        if self._declared is not None or "," not in self._seen:
            return None
        cell, column = self._seen[","]
        number = _canonical(cell, ",")
        return (
            f"Column {column!r} has decimal commas: {cell!r} is read as {number}. To settle it, "
            "say --decimal ,"
        )

    def read(self, words: pa.Array, column: str) -> np.ndarray:
        """Texts as float64, NaN where they are no finite number.

        Raises
        ------
        UsageError
            If a cell can mean two numbers, and no other says which.

        Examples
        --------
        >>> Decimals().read(pa.array(["19,99", "1,250", "x"]), "value").tolist()
        [19.99, 1.25, nan]
        """
        if self._declared != "," and "," not in self._seen:
            commas = pc.any(pc.match_substring(words, ",")).as_py()
            if not commas:
                self._learn_points(words, column)
                return _floats(words)
        cells = words.dictionary_encode()
        texts = pc.utf8_trim_whitespace(cells.dictionary)
        signs = self._signs(texts, column)
        texts = [
            _canonical(text, sign) for text, sign in zip(texts.to_pylist(), signs, strict=True)
        ]
        numbers = pa.array(_floats(pa.array(texts, TEXT)))
        return pc.fill_null(numbers.take(cells.indices), math.nan).to_numpy(zero_copy_only=False)

    def _learn_points(self, words: pa.Array, column: str) -> None:
        if self._declared is not None:
            return
        # Lengths are quicker than patterns, and nearly always say that there is nothing to ask.
        place = pc.fill_null(pc.find_substring(words, "."), -1).to_numpy(zero_copy_only=False)
        after = pc.fill_null(pc.binary_length(words), 0).to_numpy(zero_copy_only=False) - place
        three = (place > 0) & (after == 4)
        if "." not in self._seen:
            dotted = words.filter(pa.array((place >= 0) & ~three))
            self._learn(".", dotted, _matching(dotted, _POINT), column)
        if "." not in self._taken and three.any():
            dotted = words.filter(pa.array(three))
            self._take(".", dotted, _matching(dotted, _POINTS), column)

    def _signs(self, texts: pa.Array, column: str) -> list[str]:
        """The decimal sign of each text."""
        if self._declared is not None:
            return [self._declared] * len(texts)
        commas, points = _matching(texts, _COMMAS), _matching(texts, _POINTS)
        single = _matching(texts, _SINGLE)
        # Two groups of thousands have no other reading: 1,234,567 has a decimal point.
        comma = (_matching(texts, _COMMA) & ~commas) | (points & ~single)
        point = (_matching(texts, _POINT) & ~points) | (commas & ~single)
        self._learn(",", texts, comma, column)
        self._learn(".", texts, point, column)
        signs = np.where(comma, ",", ".")
        for doubtful, alone in ((commas & single, None), (points & single, ".")):
            if doubtful.any():
                sign = next(iter(self._seen)) if len(self._seen) == 1 else alone
                if sign is None or len(self._seen) > 1:
                    raise _doubt(texts.filter(pa.array(doubtful))[0].as_py(), column)
                self._take(sign, texts, doubtful, column)
                signs[doubtful] = sign
        return signs.tolist()

    def _learn(self, sign: str, texts: pa.Array, found: np.ndarray, column: str) -> None:
        if sign in self._seen or not found.any():
            return
        self._seen[sign] = texts.filter(pa.array(found))[0].as_py(), column
        for taken, place in self._taken.items():
            if taken != sign:
                raise _doubt(*place)

    def _take(self, sign: str, texts: pa.Array, found: np.ndarray, column: str) -> None:
        if found.any():
            self._taken.setdefault(sign, (texts.filter(pa.array(found))[0].as_py(), column))


def _matching(texts: pa.Array, pattern: str) -> np.ndarray:
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return found.to_numpy(zero_copy_only=False)


def _doubt(cell: str, column: str) -> UsageError:
    return UsageError(
        f"{cell!r} in column {column!r} can mean {_canonical(cell, '.')} or "
        f"{_canonical(cell, ',')}, and the other numbers do not say which. Which is it? "
        "Say --decimal . for the first, --decimal , for the second."
    )


def _canonical(text: str | None, sign: str) -> str | None:
    """A number's text with a decimal point and without groups; None where it is none."""
    if text is None:
        return None
    groups = "," if sign == "." else "."
    whole, _, rest = text.partition(sign)
    if groups in rest:
        return None
    if groups in whole:
        first, *others = whole.lstrip("+-").split(groups)
        if (
            first.startswith("0")
            or not 1 <= len(first) <= 3
            or any(len(group) != 3 for group in others)
        ):
            return None
    return text.replace(groups, "").replace(sign, ".")


def _floats(words: pa.Array) -> np.ndarray:
    try:
        numbers = pc.fill_null(words.cast(pa.float64()), math.nan).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        numbers = np.fromiter(map(_number, words.to_pylist()), np.float64, len(words))
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _number(word: str | None) -> float:
    try:
        return float((word or "nan").replace("_", "?"))
    except ValueError:
        return math.nan
