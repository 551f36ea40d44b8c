"""How is a number written: a count, a rate, a ratio, a p-value, a date, the name of an event?

The one place for it, so that no two views write a number differently. A percent never stands
without the count that it is a share of: `share` writes both. Undefined is ``n/a``, minus is a true
minus sign, and digits that the data cannot bear are left out. Months are spelled here and not by
the machine's locale: the same report comes out everywhere.

The sections, in order: counts and rates, differences, ratios, p- and q-values, names, text that
runs from right to left, days, the times on an axis. Durations are written by
`schema.human_duration`. Whole sentences stand where they are said, in the ``result.py`` of each
question.
"""

from __future__ import annotations

import errno
import html
import math
import re
import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

UNDEFINED = "n/a"

_MINUS = "−"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_TICK_STEPS = (1, 2, 5, 8, 10, 15, 20, 30, 60, 90, 120, 180, 365)

_MOST_TICKS = 3.5
"""After the first; more numbers of users would overlap on a phone."""

_OPEN, _CLOSE = "\u2068", "\u2069"
"""First strong isolate, and pop directional isolate: what stands between turns nothing outside."""

_OPENERS = frozenset("\u2066\u2067\u2068")

ISOLATES = _OPENERS | {_CLOSE}
"""Marks that are no letter and have to be kept: they hold the direction of a name."""
_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_LEFT_TO_RIGHT = frozenset({"L", "EN"})
_LINE_ENDS = re.compile("[\n\r\x1c-\x1e\x85\u2029]+")
_ELEMENT = re.compile("(<[^>]*>)")

# Counts and rates


def count(number: float) -> str:
    """A whole number with thousands separated; undefined is ``n/a``.

    Examples
    --------
    >>> count(1730), count(float("nan"))
    ('1,730', 'n/a')
    """
    return UNDEFINED if math.isnan(number) else f"{number:,.0f}"


def counted(number: float, what: str) -> str:
    """A whole number of things, in the singular or the plural.

    Examples
    --------
    >>> counted(1, "event"), counted(1730, "event")
    ('1 event', '1,730 events')
    """
    return f"{count(number)} {what}" if number == 1 else f"{count(number)} {what}s"


def tenths(number: float) -> str:
    """A mean, a median or a score, with one decimal; undefined is ``n/a``.

    Examples
    --------
    >>> tenths(1234.56), tenths(3), tenths(float("nan"))
    ('1,234.6', '3.0', 'n/a')
    """
    if math.isnan(number):
        return UNDEFINED
    return f"{_MINUS if number < 0 else ''}{abs(number):,.1f}"


def money(amount: float) -> str:
    """An amount with two decimals; its currency is said beside it.

    Examples
    --------
    >>> money(250000), money(-3.5), money(float("nan"))
    ('250,000.00', '−3.50', 'n/a')
    """
    if math.isnan(amount):
        return UNDEFINED
    return f"{_MINUS if amount < 0 else ''}{abs(amount):,.2f}"


def percent(rate: float) -> str:
    """A rate as percent with one decimal, two below 1 %; a rate of all or nothing has none.

    Examples
    --------
    >>> percent(0.04624), percent(0.0042), percent(1.0), percent(0.99999), percent(float("nan"))
    ('4.6%', '0.42%', '100%', '>99.9%', 'n/a')
    """
    if math.isnan(rate):
        return UNDEFINED
    if rate in (0.0, 1.0):
        return f"{rate:.0%}"
    if rate < 0.0001:
        return "<0.01%"
    if rate > 0.9995:
        return ">99.9%"
    return f"{rate:.1%}" if rate >= 0.01 else f"{rate:.2%}"


def share(k: float, n: float, rate: float) -> str:
    """A rate with its count and its denominator.

    Examples
    --------
    >>> share(80, 1730, 80 / 1730)
    '4.6% (80 of 1,730)'
    """
    return f"{percent(rate)} ({count(k)} of {count(n)})"


def estimate(row: Any) -> str:
    """A rate with its count, its denominator and its interval.

    Parameters
    ----------
    row : ``k, n, rate, low, high``, a mapping or a row of a table.

    Examples
    --------
    >>> estimate({"k": 80, "n": 1730, "rate": 80 / 1730, "low": 0.0373, "high": 0.0572})
    '4.6% (80 of 1,730; 95% interval 3.7% to 5.7%)'
    """
    many = share(row["k"], row["n"], row["rate"]).removesuffix(")")
    return f"{many}; 95% interval {percent(row['low'])} to {percent(row['high'])})"


# Differences


def points(change: float, *, signed: bool = True) -> str:
    """A difference of two rates in percentage points, with a true minus sign.

    Examples
    --------
    >>> points(-0.0091), points(0.016), points(-0.0091, signed=False), points(-0.0001)
    ('−0.9', '+1.6', '0.9', '0.0')
    """
    if math.isnan(change):
        return UNDEFINED
    text = f"{100 * abs(change):.1f}"
    if not signed or float(text) == 0:
        return text
    return f"{_MINUS if change < 0 else '+'}{text}"


def relative(change: float) -> str:
    """A relative change in percent, with its sign.

    Examples
    --------
    >>> relative(-0.121), relative(0.05)
    ('−12%', '+5%')
    """
    if math.isnan(change):
        return UNDEFINED
    text = f"{abs(change):.0%}"
    return text if text == "0%" else f"{_MINUS if change < 0 else '+'}{text}"


# Ratios and correlations


def times(ratio: float) -> str:
    """A ratio with as many digits as it can bear.

    Examples
    --------
    >>> times(1.4142), times(0.0312), times(23.44), times(1234.5), times(float("nan"))
    ('1.41', '0.031', '23.4', '1,234', 'n/a')
    """
    if math.isnan(ratio):
        return UNDEFINED
    if ratio >= 100:
        return f"{ratio:,.0f}"
    if ratio >= 10:
        return f"{ratio:.1f}"
    return f"{ratio:.2f}" if ratio >= 0.1 or ratio == 0 else f"{ratio:.2g}"


def between(low: float, high: float) -> str:
    """The limits of a ratio.

    Examples
    --------
    >>> between(1.2, 1.66)
    '1.20 to 1.66'
    """
    return f"{times(low)} to {times(high)}"


def with_interval(ratio: float, low: float, high: float) -> str:
    """A ratio with its interval of 95 percent.

    Examples
    --------
    >>> with_interval(1.41, 1.2, 1.66)
    '1.41 (95% interval 1.20 to 1.66)'
    """
    return f"{times(ratio)} (95% interval {between(low, high)})"


def coefficient(r: float) -> str:
    """A correlation, with a true minus sign.

    Examples
    --------
    >>> coefficient(-0.137), coefficient(-0.001), coefficient(0.5)
    ('−0.14', '0.00', '0.50')
    """
    text = f"{abs(r):.2f}"
    return f"{_MINUS}{text}" if r < 0 and float(text) else text


# p- and q-values


def significance(p: float) -> str:
    """A p- or q-value; below a thousandth its digits say nothing.

    Examples
    --------
    >>> significance(0.0312), significance(0.00001), significance(float("nan"))
    ('0.031', 'below 0.001', 'n/a')
    """
    if math.isnan(p):
        return UNDEFINED
    return "below 0.001" if p < 0.001 else f"{p:.2g}"


def q_equals(q_value: float) -> str:
    """A q-value with its letter, where `significance` says the number alone.

    Examples
    --------
    >>> q_equals(0.012), q_equals(1e-9)
    ('q = 0.012', 'q < 0.001')
    """
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.2g}"


# Names


def label(event: Any) -> str:
    """An event's name as people say it; what has spaces or capitals already is one.

    Examples
    --------
    >>> label("view_item"), label("Viewed a product"), label("signUp")
    ('View item', 'Viewed a product', 'signUp')
    """
    text = str(event)
    if " " in text.strip() or text != text.lower():
        return isolate(text)
    words = " ".join(text.replace("_", " ").split())
    return isolate(words[:1].upper() + words[1:] or text)


def group_name(group: Any) -> str:
    """A breakdown's group in words; the values of several properties are joined.

    Examples
    --------
    >>> group_name(("mobile", "DE")), group_name("mobile")
    ('mobile · DE', 'mobile')
    """
    return " · ".join(map(isolate, group)) if isinstance(group, tuple) else isolate(group)


def subject(kind: str, name: str, value: str) -> str:
    """What a row of a comparison is about: an event, a value of a property, or a funnel.

    Examples
    --------
    >>> subject("event", "view_item", ""), subject("property", "device", "mobile")
    ('View item', 'Device: mobile')
    """
    if kind == "property":
        return f"{label(name)}: {isolate(value)}"
    return f"{label(name)} ({isolate(value)})" if kind == "funnel" else label(name)


def listed(names: list[str]) -> str:
    """Names as a sentence lists them.

    Examples
    --------
    >>> listed(["mobile", "desktop", "tablet"])
    'mobile, desktop and tablet'
    """
    names = [isolate(name) for name in names]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


# Text that runs from right to left
#
# The numbers behind a Hebrew or Arabic name, or behind a mark that turns the direction, are shown
# in another place than they were written: "12 of 30" becomes "30 of 12". A name between U+2068 and
# U+2069 is laid out by itself and turns nothing (Unicode Standard Annex 9, section 2.4).


def isolate(text: Any) -> str:
    r"""A text from the data, so marked that it cannot turn the words and numbers around it.

    U+2068 and U+2069 stand around a text that has letters from right to left, or marks of
    direction. Any other text is unchanged.

    Examples
    --------
    >>> isolate("mobile")
    'mobile'
    >>> print(ascii(isolate("קנייה")), ascii(isolate("a\u202eb")))
    '\u2068\u05e7\u05e0\u05d9\u05d9\u05d4\u2069' '\u2068a\u202eb\u2069'
    """
    text = str(text)
    if _is_plain(text):
        return text
    # The end of a line would end the isolation, too.
    letters, ends = _paired(_LINE_ENDS.sub(" ", text))
    one_already = bool(ends) and ends.get(0) == len(letters) - 1 and letters[0] == _OPEN
    inner = "".join(letters)
    return inner if one_already else f"{_OPEN}{inner}{_CLOSE}"


def isolate_within(text: Any) -> str:
    r"""A sentence in which no name can turn the numbers behind it, whoever wrote the sentence.

    Words from right to left that are not marked yet are marked, and marks of direction that stand
    outside of any name are left out.

    Examples
    --------
    >>> print(ascii(isolate_within("קנייה: 12 of 30")))
    '\u2068\u05e7\u05e0\u05d9\u05d9\u05d4\u2069: 12 of 30'
    """
    text = str(text)
    if _is_plain(text):
        return text
    letters, ends = _paired(text)
    done: list[str] = []
    place = 0
    while place < len(letters):
        if place in ends:
            done += letters[place : ends[place] + 1]
            place = ends[place] + 1
        elif _runs_left(letters[place]):
            end = _end_of_words(letters, place)
            done += [_OPEN, *(each for each in letters[place:end] if each not in _MARKS), _CLOSE]
            place = end
        else:
            done += [letters[place]] if letters[place] not in _MARKS else []
            place += 1
    return "".join(done)


def as_html(text: Any) -> str:
    """Plain text as HTML: escaped, its isolated names in ``<bdi>``.

    Examples
    --------
    >>> as_html("1 < 2"), as_html("קנייה: 12")
    ('1 &lt; 2', '<bdi>קנייה</bdi>: 12')
    """
    return _with_elements(html.escape(isolate_within(text)))


def isolate_html(markup: str) -> str:
    """HTML whose text is isolated like that of `as_html`; elements and attributes stay.

    Parameters
    ----------
    markup : no "<" and no ">" may stand in its attributes and its text but as entities.

    Examples
    --------
    >>> isolate_html("<td>קנייה 12</td>")
    '<td><bdi>קנייה</bdi> 12</td>'
    """
    if _is_plain(markup):
        return markup
    parts = _ELEMENT.split(markup)
    for place in range(0, len(parts), 2):
        isolated = parts[max(place - 1, 0)] == "<bdi>"
        text = "".join(_paired(parts[place])[0]) if isolated else isolate_within(parts[place])
        parts[place] = _with_elements(text)
    return "".join(parts)


def _is_plain(text: str) -> bool:
    return text.isascii() or not any(
        _runs_left(letter) or letter in _MARKS or letter in ISOLATES for letter in text
    )


def _runs_left(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT and letter not in _MARKS


def _paired(text: str) -> tuple[list[str], dict[int, int]]:
    """The letters without isolates that are not closed or not opened; where outer ones end."""
    opened: list[int] = []
    pairs: dict[int, int] = {}
    for place, letter in enumerate(text):
        if letter in _OPENERS:
            opened.append(place)
        elif letter == _CLOSE and opened:
            pairs[opened.pop()] = place
        elif _LINE_ENDS.fullmatch(letter):
            opened.clear()
    matched = {*pairs, *pairs.values()}
    kept = [
        place for place, letter in enumerate(text) if place in matched or letter not in ISOLATES
    ]
    moved = {place: new for new, place in enumerate(kept)}
    return [text[place] for place in kept], {moved[a]: moved[b] for a, b in pairs.items()}


def _end_of_words(letters: list[str], start: int) -> int:
    """Behind the last letter from right to left before a number, a Latin word or an isolate."""
    end = start + 1
    for place in range(start + 1, len(letters)):
        letter = letters[place]
        kind = unicodedata.bidirectional(letter)
        if letter in _OPENERS or kind in _LEFT_TO_RIGHT or _LINE_ENDS.fullmatch(letter):
            break
        if kind in _RIGHT_TO_LEFT or kind == "NSM":
            end = place + 1
    return end


def _with_elements(escaped: str) -> str:
    return "".join(
        "<bdi>" if letter in _OPENERS else "</bdi>" if letter == _CLOSE else letter
        for letter in escaped
    )


# What the system says


def system_error(error: BaseException) -> str:
    """Why the system would not do it, where, and what to do: a full disk, no permission, no memory.

    Examples
    --------
    >>> system_error(PermissionError(13, "Permission denied", "data/shop"))
    "permission denied: 'data/shop'. Allow it, or name another place."
    >>> system_error(MemoryError())
    'there is not enough memory. Close other programs, or take a machine with more.'
    """
    if isinstance(error, MemoryError):
        return f"{NO_MEMORY}."
    if not isinstance(error, OSError):
        return f"{type(error).__name__}: {error}".removesuffix(": ").removesuffix(".") + "."
    where = f": {error.filename!r}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{where}. Make room on it, then run this again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        said = "permission denied" if error.errno != errno.EROFS else "it is read-only"
        return f"{said}{where}. Allow it, or name another place."
    if error.errno == errno.ENOMEM:
        return f"{NO_MEMORY}{where}."
    return f"{error.strerror or error}{where}."


NO_MEMORY = "there is not enough memory. Close other programs, or take a machine with more"

# Days


def day(stamp: pd.Timestamp, *, year: bool = False) -> str:
    """A day as people write it, in any locale.

    Examples
    --------
    >>> import pandas as pd
    >>> day(pd.Timestamp("2026-11-09")), day(pd.Timestamp("2026-11-09"), year=True)
    ('9 Nov', '9 Nov 2026')
    """
    text = f"{stamp.day} {_MONTHS[stamp.month - 1]}"
    return f"{text} {stamp.year}" if year else text


def days(start: pd.Timestamp, end: pd.Timestamp) -> str:
    """The days from `start` to `end` (excluded).

    Examples
    --------
    >>> import pandas as pd
    >>> days(pd.Timestamp("2026-11-09"), pd.Timestamp("2026-11-16"))
    '9 to 15 Nov 2026'
    >>> days(pd.Timestamp("2026-10-26"), pd.Timestamp("2026-11-02"))
    '26 Oct to 1 Nov 2026'
    """
    last = end - timedelta(microseconds=1)
    if start.normalize() == last.normalize():
        return day(last, year=True)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} to {day(last, year=True)}"
    return f"{day(start, year=start.year != last.year)} to {day(last, year=True)}"


# Times on an axis


def axis_unit(days: float) -> tuple[str, float]:
    """The unit in which times up to so many days are written, and its length in days.

    Examples
    --------
    >>> axis_unit(30), axis_unit(0.25)
    (('days', 1.0), ('hours', 0.041666666666666664))
    """
    if days >= 2:
        return "days", 1.0
    return ("hours", 1 / 24) if days >= 1 / 12 else ("minutes", 1 / 1440)


def axis_ticks(until_days: float) -> list[float]:
    """The round times (days) up to `until_days` at which an axis has numbers, and a table rows.

    Examples
    --------
    >>> axis_ticks(30.0), axis_ticks(7.0)
    ([0.0, 10.0, 20.0, 30.0], [0.0, 2.0, 4.0, 6.0])
    """
    _, size = axis_unit(until_days)
    until = until_days / size
    step = next((s for s in _TICK_STEPS if until / s <= _MOST_TICKS), until / 2)
    return [i * step * size for i in range(int(until / step + 1e-9) + 1)]
