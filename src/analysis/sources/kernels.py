"""Compiled loops over the bytes of text files: where cells and records end, how deep JSON nests.

A cell of a CSV is one of these:

=========  =========================================================================================
plain      does not begin with a quote; quotes inside are text: ``5" screen``
quoted     begins with a quote and ends with one, with nothing behind it; inside, quotes are doubled
escaped    the same, with a backslash before each quote inside, as Spark writes it
literal    begins with a quote, and is none of the two: all of it is text, quotes included
=========  =========================================================================================
"""

from __future__ import annotations

import numba as nb
import numpy as np

_LF, _CR, _QUOTE, _BACKSLASH = 10, 13, 34, 92
_OPEN, _PLAIN, _QUOTED, _BROKEN, _ESCAPED, _LITERAL = 0, 1, 2, 3, 4, 5
"""Kinds of cells; ``_BROKEN`` is quoted and holds a line break, ``_OPEN`` not complete."""

_HIGHEST = 59
"""No delimiter and no line end is a higher byte (a semicolon)."""

FINE, IRREGULAR, UNCLOSED = 0, 1, 2

_DOUBLED, _BACKSLASHED, _LENIENT = 0, 1, 2
"""How quotes inside a quoted cell are told from its end. Lenient: text behind its last quote is
part of the cell, with all that was between its quotes: ``"Best, really" deal``."""

_DIGITS = 4
"""A cell with so many digits (a time, an id) has a shape by which records are recognized."""


@nb.njit(cache=True, nogil=True)
def _plain_end(text, place, end, delimiter):
    while place < end:
        c = text[place]
        if c <= _HIGHEST and (c == delimiter or c == _LF or c == _CR):
            return place
        place += 1
    return end


@nb.njit(cache=True, nogil=True)
def _ends(text, place, end, delimiter):
    """Does a cell end before this place?"""
    if place >= end:
        return True
    c = text[place]
    return c == delimiter or c == _LF or c == _CR


@nb.njit(cache=True, nogil=True)
def _escaped_end(text, place, end, delimiter, whole):
    """The kind and the end of a cell that begins with a quote, if backslashes escape."""
    i = place + 1
    while i < end:
        c = text[i]
        if c == _BACKSLASH:
            i += 2
            continue
        if c == _QUOTE:
            if i + 1 == end and not whole:
                return _OPEN, end
            if _ends(text, i + 1, end, delimiter):
                return _ESCAPED, i + 1
            return _LITERAL, _plain_end(text, place, end, delimiter)
        i += 1
    if whole:
        return _LITERAL, _plain_end(text, place, end, delimiter)
    return _OPEN, end


@nb.njit(cache=True, nogil=True)
def _cell(text, place, end, delimiter, whole, way):
    """The kind of the cell that begins at `place`, and its end."""
    if place >= end or text[place] != _QUOTE:
        stop = _plain_end(text, place, end, delimiter)
        if stop == end and not whole:
            return _OPEN, end
        return _PLAIN, stop
    if way == _BACKSLASHED:
        return _escaped_end(text, place, end, delimiter, whole)
    i, closed = place + 1, _QUOTED
    while i < end:
        c = text[i]
        if c != _QUOTE:
            if c <= _CR and (c == _LF or c == _CR):
                closed = _BROKEN
            i += 1
            continue
        if i + 1 == end and not whole:
            return _OPEN, end
        if i + 1 < end and text[i + 1] == _QUOTE:
            i += 2
            continue
        if _ends(text, i + 1, end, delimiter):
            return closed, i + 1
        if way == _LENIENT:
            return _LITERAL, _plain_end(text, i + 1, end, delimiter)
        if text[i - 1] == _BACKSLASH:
            return _escaped_end(text, place, end, delimiter, whole)
        return _LITERAL, _plain_end(text, place, end, delimiter)
    return _OPEN, end


@nb.njit(cache=True, nogil=True)
def _line_end(text, place, end):
    while place < end and text[place] != _LF and text[place] != _CR:
        place += 1
    return place


@nb.njit(cache=True, nogil=True)
def _record(text, start, end, delimiter, whole, way):
    """Where a record ends (before its line end), its cells, and what is about them.

    Returns
    -------
    (stop, cells, irregular, quoted_break, open) : `irregular` says that a cell is escaped or
        literal, `quoted_break` that a line break lies within quotes, `open` the kind of the last
        cell if it is not complete: 1 in a plain cell, 2 within quotes.
    """
    place, cells = start, np.int64(0)
    irregular, quoted_break = False, False
    while True:
        kind, stop = _cell(text, place, end, delimiter, whole, way)
        if kind == _OPEN:
            quoted = place < end and text[place] == _QUOTE
            return start, cells, irregular, quoted_break, 2 if quoted else 1
        cells += 1
        if kind > _QUOTED:
            irregular |= kind != _BROKEN
            quoted_break |= kind == _BROKEN
            if kind == _ESCAPED:
                quoted_break |= _line_end(text, place, stop) < stop
        if stop < end and text[stop] == delimiter:
            place = stop + 1
            continue
        return stop, cells, irregular, quoted_break, 0


@nb.njit(cache=True, nogil=True)
def _class(c):
    """Digits are alike, letters are alike, everything else is itself."""
    if 48 <= c <= 57:
        return 48
    if 65 <= c <= 90 or 97 <= c <= 122:
        return 65
    return c


@nb.njit(cache=True, nogil=True)
def _same_shape(text, a, a_end, b, b_end):
    """Do two cells have the same shape, as two times have, and enough digits to tell?"""
    digits = 0
    while a < a_end and b < b_end:
        kind = _class(text[a])
        if kind != _class(text[b]):
            return False
        if kind == 48 or kind == 65:
            while a < a_end and _class(text[a]) == kind:
                a += 1
                digits += kind == 48
            while b < b_end and _class(text[b]) == kind:
                b += 1
        else:
            a += 1
            b += 1
    return a == a_end and b == b_end and digits >= _DIGITS


@nb.njit(cache=True, nogil=True)
def _resembles(text, first, line, end, delimiter, cells):
    """Has a line as many cells as it should, one of them in the shape of the first line's?"""
    a, b, found, alike = first, line, np.int64(0), False
    while True:
        a_end = _plain_end(text, a, end, delimiter)
        b_end = _plain_end(text, b, end, delimiter)
        found += 1
        alike |= _same_shape(text, a, a_end, b, b_end)
        more_a = a_end < end and text[a_end] == delimiter
        more_b = b_end < end and text[b_end] == delimiter
        if not (more_a and more_b):
            return found == cells and alike and not more_a and not more_b
        a, b = a_end + 1, b_end + 1


@nb.njit(cache=True, nogil=True)
def _holds_records(text, start, stop, delimiter, cells):
    """Is what looks like a record with line breaks in quotes many records, a line each?

    So it is where nine of ten lines, the first among them, have all their cells, and one of these
    has the shape of the first line's in that place. A text that was cut short has no such lines.
    """
    if cells < 2 or not _resembles(text, start, start, stop, delimiter, cells):
        return False
    lines, alike, place = np.int64(0), np.int64(0), start
    while place < stop:
        end = _line_end(text, place, stop)
        if end > place:
            lines += 1
            alike += _resembles(text, start, place, stop, delimiter, cells)
        place = end + 1
    return lines > 1 and 10 * alike >= 9 * lines


@nb.njit(cache=True, nogil=True)
def _write_cell(text, place, stop, kind, out, at):
    """Write a cell as a well-quoted one; returns the place behind it."""
    if kind <= _BROKEN:
        for i in range(place, stop):
            out[at] = text[i]
            at += 1
        return at
    out[at] = _QUOTE
    at += 1
    i, last = (place, stop) if kind == _LITERAL else (place + 1, stop - 1)
    while i < last:
        c = text[i]
        if kind == _ESCAPED and c == _BACKSLASH and i + 1 < last:
            following = text[i + 1]
            if following == _QUOTE or following == _BACKSLASH:
                c = following
                i += 1
        out[at] = c
        at += 1
        if c == _QUOTE:
            out[at] = _QUOTE
            at += 1
        i += 1
    out[at] = _QUOTE
    return at + 1


@nb.njit(cache=True, nogil=True)
def _write_record(text, start, stop, delimiter, way, out, at):
    place = start
    while True:
        kind, end = _cell(text, place, stop, delimiter, True, way)
        if kind == _OPEN:  # its quotes end in no way, or lines further on
            kind, end = _LITERAL, _plain_end(text, place, stop, delimiter)
        at = _write_cell(text, place, end, kind, out, at)
        if end >= stop:
            return at
        out[at] = delimiter
        at += 1
        place = end + 1


@nb.njit(cache=True, nogil=True)
def well_quoted(text, delimiter, cells, whole, forced, out):
    """The whole records of a text, each cell plain or well quoted.

    Parameters
    ----------
    text : uint8 array that begins with a record.
    cells : how many a record should have; 0: not known.
    whole : whether the text is all there is; else its last record may be incomplete.
    forced : whether there is no waiting for the end of the first record.
    out : uint8 array of four times the text's length and four more, or empty: then nothing is
        written, and the first irregular record ends the walk.

    Returns
    -------
    (read, written, state) : bytes; FINE, IRREGULAR (something is to be written), or UNCLOSED (the
        record that begins at `read` is incomplete within quotes).
    """
    place, at, end = np.int64(0), np.int64(0), text.size
    writes = out.size > 0
    while place < end:
        c = text[place]
        if c == _LF or c == _CR:
            if writes:
                out[at] = c
                at += 1
            place += 1
            continue
        stop, found, irregular, quoted_break, is_open = _record(
            text, place, end, delimiter, whole, _DOUBLED
        )
        way, one_line = _DOUBLED, False
        if is_open:
            last = whole or (forced and place == 0)
            if is_open == 1 or not (last and _holds_records(text, place, end, delimiter, cells)):
                return place, at, UNCLOSED if is_open == 2 else FINE
            irregular, one_line = True, True
        elif quoted_break and _holds_records(text, place, stop, delimiter, cells):
            irregular, one_line = True, True
        elif found != cells and cells > 0:
            for other in (_BACKSLASHED, _LENIENT):
                last, count, uneven, _, is_open = _record(text, place, stop, delimiter, True, other)
                if not is_open and last == stop and count == cells and uneven:
                    irregular, way = True, other
                    break
        if irregular and not writes:
            return place, at, IRREGULAR
        if one_line:
            stop = _line_end(text, place, end)
        if writes:
            at = _write_record(text, place, stop, delimiter, way, out, at)
        place = stop
        if place < end:  # its line end
            if writes:
                out[at] = text[place]
                at += 1
            place += 1
    return place, at, FINE


@nb.njit(cache=True, nogil=True)
def first_record(text, delimiter, whole):
    """Where the first record of a text ends, and how many cells it has; 0 if it is incomplete.

    Parameters
    ----------
    text : uint8 array that begins with a record.
    whole : whether the text is all there is.
    """
    stop, cells, _, _, is_open = _record(text, np.int64(0), text.size, delimiter, whole, _DOUBLED)
    return stop, np.int64(0) if is_open else cells


@nb.njit(cache=True, nogil=True)
def deepest(text):
    """How deep arrays and objects of JSON text nest, at most; text in quotes ends with its line.

    Parameters
    ----------
    text : uint8 array.
    """
    depth, most, in_text = np.int64(0), np.int64(0), False
    place, end = 0, text.size
    while place < end:
        c = text[place]
        if c == _LF:
            in_text = False
        elif in_text:
            if c == _BACKSLASH:
                if place + 1 < end and text[place + 1] != _LF:
                    place += 1
            elif c == _QUOTE:
                in_text = False
        elif c == _QUOTE:
            in_text = True
        elif c == 91 or c == 123:
            depth += 1
            most = max(most, depth)
        elif c == 93 or c == 125:
            depth = max(depth - 1, 0)
        place += 1
    return most
