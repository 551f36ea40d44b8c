"""Ids of people: replaced by a keyed hash when the import is told to, and no e-mail addresses.

The hash is HMAC-SHA-256 (RFC 2104, FIPS 180-4) of the id's UTF-8 bytes, in hexadecimal: the same
person has the same id in every import with the same key, and who does not have the key can
neither turn an id back nor try out addresses. So the key lies in a file outside of everything
that is shared, and neither the key nor an id stands in any message.
"""

from __future__ import annotations

import hashlib
import hmac
import string
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import DataError, UsageError

SHORTEST_KEY: Final = 16
"""Bytes: 128 bits cannot be guessed."""

_TEXT: Final = pa.large_string()
_EMAIL: Final = r"^[^@\s]+(@|%40)[^@\s]+\.[^@\s]+$"
_SIGNS: Final = ("@", "%40")
_SHARED: Final = (".git", "pyproject.toml")
_PRINTABLE: Final = frozenset(string.printable.encode())
_MAKE_ONE: Final = (
    "Make a key in a folder of your own: head -c 32 /dev/urandom > ~/.workbook-id.key"
)


class IdKey:
    """The key of the hash; it shows itself to nobody."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "IdKey(…)"

    @property
    def mark(self) -> str:
        """Tells keys apart, and says nothing about them: 16 hexadecimal digits."""
        return self._digest(b"workbook: which key is it?")[:16]

    def hashed(self, ids: pa.Array) -> pa.Array:
        """The ids' hashes, 64 hexadecimal digits each; missing stays missing.

        Examples
        --------
        >>> IdKey(b"key").hashed(pa.array(["ann"]))[0].as_py()[:8]
        '9d77c318'
        """
        encoded = ids.dictionary_encode()
        words = [self._digest(name.encode()) for name in encoded.dictionary.to_pylist()]
        return pa.array(words, _TEXT).take(encoded.indices)

    def _digest(self, content: bytes) -> str:
        return hmac.digest(self._key, content, hashlib.sha256).hex()


def read_key(path: str | Path, *, log: Path) -> IdKey:
    """The key in a file; the line end of a text does not count.

    Parameters
    ----------
    log : the folder of the log, in which a key must not lie.

    Raises
    ------
    UsageError
        If the file cannot be read, is shorter than 16 bytes, or lies where it would be shared:
        in the log's folder, or in a project (a folder with ``.git`` or ``pyproject.toml``).
    """
    place = Path(path).expanduser().resolve()
    shared = [folder for folder in place.parents if any((folder / s).exists() for s in _SHARED)]
    shared += [log.resolve()] if place.is_relative_to(log.resolve()) else []
    if shared:
        raise UsageError(
            f"the key '{path}' lies in '{shared[-1]}', where it would be shared together with the "
            f"data. Move it out of there. {_MAKE_ONE}"
        )
    try:
        key = place.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the key '{path}' cannot be read: {error.strerror}. {_MAKE_ONE}"
        ) from error
    if _PRINTABLE.issuperset(key):
        key = key.rstrip(b"\r\n")
    if len(key) < SHORTEST_KEY:
        raise UsageError(
            f"the key '{path}' has {len(key)} bytes. Allowed: {SHORTEST_KEY} or more. {_MAKE_ONE}"
        )
    return IdKey(key)


def refuse_addresses(ids: pa.Array, column: str) -> None:
    """Are there e-mail addresses among the ids?

    Raises
    ------
    DataError
        If there is one; it says how many, and not which.

    Examples
    --------
    >>> refuse_addresses(pa.array(["ann", "@ann", "a@b"]), "user")
    """
    coded = pa.types.is_dictionary(ids.type)
    known = ids.dictionary if coded else ids
    # Looking for the sign alone is quicker by far, and nearly always the end of it.
    if not any(pc.any(pc.match_substring(known, sign)).as_py() for sign in _SIGNS):
        return
    if coded:  # not all of the values need be in use
        ids = known.take(pc.unique(ids.indices))
    distinct = pc.drop_null(pc.unique(ids))
    found = pc.sum(pc.match_substring_regex(distinct, _EMAIL)).as_py() or 0
    if found:
        raise DataError(
            f"{found:,} of {len(distinct):,} ids in a batch of column {column!r} look like e-mail "
            "addresses. Replace them by a keyed hash: --hash-ids KEYFILE; or name another column "
            "with --user."
        )
