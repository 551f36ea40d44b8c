"""What is to be reported: a TOML file of a dozen lines, written by hand or by a widget.

A definition is plain data: which notebook, on which log, every day, week or month of which time
zone, with which parameters. It holds no code, no path to an output and no date, so the same file
renders any period again. Names become folders and addresses, so they are held to lower-case
letters, digits, ``-`` and ``_``; that also keeps a name from reaching outside its folder.
"""

from __future__ import annotations

import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.core.schema import DataError, UsageError, did_you_mean, one_of
from analysis.eventlog.store import replace_file
from analysis.reports.parameters import plain

FOLDER = "definitions"


PERIODS = ("day", "week", "month")


_REQUIRED = ("notebook", "title", "data", "period")


RESERVED = ("data", "period_start", "period_end", "time_zone", "report")
"""What a notebook is told by the run, and no definition may set."""


_KEYS = (*_REQUIRED, "time_zone", "parameters")


_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


_STEM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class Definition:
    """A report as it is scheduled; see `load_definition` for the meaning of the parts.

    Raises
    ------
    UsageError
        If a part is missing, of a wrong type, or not allowed.
    """

    name: str
    notebook: str
    title: str
    data: str
    period: str
    time_zone: str = "UTC"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name)
        for key in ("notebook", "title", "data", "period", "time_zone"):
            value = getattr(self, key)
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                raise UsageError(
                    f"{self.name}: {key} = {value!r} must be text in one line. Write it in quotes."
                )
        if not _STEM.fullmatch(self.notebook):
            raise UsageError(
                f"{self.name}: notebook = {self.notebook!r} is no name of a notebook. Name a file "
                "of notebooks/ without folder and without .ipynb, such as '90_weekly_report'."
            )
        one_of(f"{self.name}: period", self.period, PERIODS)
        check_time_zone(self.time_zone, self.name)
        if not isinstance(self.parameters, Mapping):
            raise UsageError(
                f"{self.name}: parameters = {self.parameters!r} must be a table. "
                "Write [parameters] on its own line, then one name = value a line."
            )
        for key, value in self.parameters.items():
            if key in RESERVED:
                raise UsageError(
                    f"{self.name}: parameter {key!r} is set by the run itself, from 'data', "
                    "'period' and 'time_zone' of the definition. Leave it out of [parameters]."
                )
            plain(value, f"{self.name}: parameter {key!r}")


def load_definition(path: Path | str) -> Definition:
    """The report that a TOML file defines; its name is the file's.

    Parameters
    ----------
    path : a file with ``notebook`` (a file of ``notebooks/``, without ``.ipynb``), ``title``,
        ``data`` (the log's folder), ``period`` (``day``, ``week`` or ``month``), optionally
        ``time_zone`` (whose midnights bound the periods; default UTC) and a table ``parameters``.

    Raises
    ------
    UsageError
        If a key is missing or unknown, or a value is not allowed.
    DataError
        If the file cannot be read or is not TOML.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> path = save_definition(folder, "weekly", notebook="90_weekly_report",
    ...     title="Weekly report", data="data/demo", period="week", parameters={"by": "device"})
    >>> load_definition(path).parameters
    {'by': 'device'}
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read ({error.strerror}). Name a file of reports/{FOLDER}/."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' is not TOML: {error}. Mend that line.") from error
    for key in content:
        if key not in _KEYS:
            listed = ", ".join(map(repr, _KEYS))
            raise UsageError(
                f"{path.name}: {key!r} is unknown.{did_you_mean(key, _KEYS)} Allowed: {listed}."
            )
    for key in _REQUIRED:
        if key not in content:
            raise UsageError(f'{path.name}: {key!r} is missing. Add a line: {key} = "…".')
    return Definition(name=path.stem, **content)


def save_definition(
    folder: Path | str,
    name: str,
    *,
    notebook: str,
    title: str,
    data: str,
    period: str,
    time_zone: str = "UTC",
    parameters: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a definition to ``folder/name.toml`` and return its path.

    Parameters
    ----------
    folder : usually ``reports/definitions``; made if it is not there.
    parameters : plain data; tuples and numpy's numbers are written as lists and numbers.
    overwrite : replace a definition of this name; without it an existing one is left alone.

    Raises
    ------
    UsageError
        If the name is taken or no name, or a part is not allowed; nothing is written then.
    """
    import tomlkit

    values = {
        key: plain(value, f"{name}: parameter {key!r}") for key, value in (parameters or {}).items()
    }
    parts = {"notebook": notebook, "title": title, "data": data, "period": period}
    Definition(name=name, **parts, time_zone=time_zone, parameters=values)
    path = Path(folder) / f"{name}.toml"
    if path.exists() and not overwrite:
        raise UsageError(
            f"'{name}' is taken: {path.name} is there already. Choose another name, or overwrite."
        )
    document = tomlkit.document()
    document.update({**parts, "time_zone": time_zone, "parameters": values})
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, tomlkit.dumps(document))
    return path


def definition_names(folder: Path | str) -> list[str]:
    """Names of the definitions in a folder, in alphabetical order; none if it is not there."""
    return sorted(path.stem for path in Path(folder).glob("*.toml"))


def check_name(name: str) -> str:
    """Return `name` if a report may be called so.

    Raises
    ------
    UsageError
        If it is not lower-case letters, digits, ``-`` and ``_``, or is ``definitions``.

    Examples
    --------
    >>> check_name("../../etc")
    Traceback (most recent call last):
    analysis.UsageError: '../../etc' is no name of a report. Did you mean 'etc'? Allowed: \
up to 64 lower-case letters, digits, '-' and '_'.
    """
    if isinstance(name, str) and _SLUG.fullmatch(name) and name != FOLDER:
        return name
    nearest = re.sub(r"[^a-z0-9_]+", "-", str(name).lower()).strip("-_")[:64]
    hint = f" Did you mean {nearest!r}?" if nearest and nearest != FOLDER else ""
    raise UsageError(
        f"{name!r} is no name of a report.{hint} "
        "Allowed: up to 64 lower-case letters, digits, '-' and '_'."
    )


def check_time_zone(name: str, where: str) -> zoneinfo.ZoneInfo:
    """The time zone of that name.

    Raises
    ------
    UsageError
        If there is no time zone of that name.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = did_you_mean(name, zoneinfo.available_timezones())
        raise UsageError(
            f"{where}: time_zone = {name!r} is unknown.{hint} "
            "Time zones look like 'Europe/Berlin' or 'UTC'."
        ) from error
