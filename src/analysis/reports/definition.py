"""What is to be reported: a TOML file of a dozen lines, written by hand or by a widget.

A definition is plain data: which notebook, on which log, every day, week or month of which time
zone, with which parameters. It holds no code, no path to an output and no date, so the same file
renders any period again. Names become folders and addresses, so they are held to lower-case
letters, digits, ``-`` and ``_``; that also keeps a name from reaching outside its folder.

The parameters are checked against the notebook's cell tagged ``parameters``, which is read without
running it. The cell is Python, so Python's own parser reads it: names, annotations and defaults
come out exactly, also for ``x: str | None`` and for text that holds ``=``, which reading line by
line gets wrong. Values are checked before anything runs, because a notebook that gets a wrong
value fails late and far from the cause, and one that gets an unknown name does not fail at all: it
quietly answers the question it was not asked.

Values are text, numbers, true and false, lists and tables of these. What else a program might pass
(sets, dates, None) has no form in a definition file and is refused, since a notebook would receive
its text instead.
"""

from __future__ import annotations

import ast
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from analysis.core import checks
from analysis.core.checks import Checked, Table
from analysis.core.schema import DataError, UsageError, WorkbookError, did_you_mean, time_zone_of
from analysis.eventlog.store import replace_file

FOLDER = "definitions"

RESERVED = ("data", "period_start", "period_end", "time_zone", "report")
"""What the run itself sets in a notebook; no definition may."""

TAG = "parameters"
WAITS = "waits:"
"""Begins a tag of the parameters cell that names a parameter for whose time reports wait."""

_REPORT_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NOTEBOOK_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_LONGEST_NUMBER = 4_096
"""Bits of a whole number; Python writes none of more than 4,300 digits."""

_PLAIN_ALLOWED = "Allowed: text, numbers, true/false, lists and tables of these"


@dataclass(frozen=True)
class Definition:
    """A report as it is scheduled.

    Parameters
    ----------
    name : of the report and its folder; see `check_name`.
    notebook : a file of ``notebooks/``, without ``.ipynb``.
    title : of the page, in one line.
    data : the log's folder, seen from the project's.
    period : ``"day"``, ``"week"`` or ``"month"``.
    time_zone : whose midnights bound the periods.
    parameters : of the notebook. Tuples and numpy's numbers become lists and numbers.

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
        parts = {key: value for key, value in vars(self).items() if key != "name"}
        checked = checks.definition(DefinitionFile, parts, self.name)
        object.__setattr__(self, "parameters", checked.parameters)


def _one_line(what: str, given: Any) -> str:
    if not isinstance(given, str) or not given.strip() or not given.isprintable():
        raise UsageError(f"{what}={given!r} must be text in one line. Write it in quotes.")
    return given


def _notebook(what: str, given: Any) -> str:
    if not _NOTEBOOK_NAME.fullmatch(_one_line(what, given)):
        raise UsageError(
            f"{what}={given!r} is not a name of a notebook. Name a file of notebooks/ without "
            "folder and without .ipynb, such as '90_weekly_report'."
        )
    return str(given)


def _time_zone(what: str, given: Any) -> str:
    return time_zone_of(_one_line(what, given), what).key


def _parameters(what: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise UsageError(
            f"{what}={given!r} must be a table. "
            "Write [parameters] on its own line, then one name = value a line."
        )
    for key in given:
        if key in RESERVED:
            raise UsageError(
                f"{what}.{key} is set by the run itself, from 'data', 'period' and 'time_zone' of "
                "the definition. Leave it out of [parameters]."
            )
    return {key: plain(value, f"{what}.{key}") for key, value in given.items()}


@dataclass(frozen=True, kw_only=True)
class DefinitionFile(Table):
    """The form of a definition's file."""

    notebook: Annotated[str, Checked(_notebook)]
    title: Annotated[str, Checked(_one_line)]
    data: Annotated[str, Checked(_one_line)]
    period: Literal["day", "week", "month"]
    time_zone: Annotated[str, Checked(_time_zone)] = "UTC"
    parameters: Annotated[Mapping[str, Any], Checked(_parameters)] = field(default_factory=dict)


def load_definition(path: Path | str) -> Definition:
    """The report that a TOML file defines; its name is the file's.

    Parameters
    ----------
    path : a file with the parts of a `Definition`; ``time_zone`` and the table ``parameters`` may
        be left out.

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
    >>> weekly = Definition("weekly", notebook="90_weekly_report", title="Weekly report",
    ...     data="data/demo", period="week", parameters={"by": "device"})
    >>> load_definition(save_definition(folder, weekly)).parameters
    {'by': 'device'}
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise DataError(f"'{path}' is not a file. Name a file of reports/{FOLDER}/.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        written = checks.definition(DefinitionFile, content, path.name)
    except WorkbookError:
        raise
    except RecursionError as error:
        raise DataError(
            f"'{path}' is nested too deeply to be read. Write lists and tables less deep."
        ) from error
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read ({error.strerror}). Name a file of reports/{FOLDER}/."
        ) from error
    except ValueError as error:  # of TOML, of UTF-8, of a number with thousands of digits
        raise DataError(f"'{path}' is not TOML: {error}. Mend that line.") from error
    return Definition(name=path.stem, **vars(written))


def save_definition(folder: Path | str, definition: Definition, *, overwrite: bool = False) -> Path:
    """Write a definition to ``folder/name.toml`` and return its path.

    Parameters
    ----------
    folder : usually ``reports/definitions``; made if it is not there.
    overwrite : replace a definition of this name; without it an existing one is left alone.

    Raises
    ------
    UsageError
        If the name is taken; nothing is written then.
    """
    import tomlkit

    path = Path(folder) / f"{definition.name}.toml"
    if path.exists() and not overwrite:
        raise UsageError(
            f"'{definition.name}' is taken: {path.name} is there already. Choose another name, or "
            "overwrite."
        )
    document = tomlkit.document()
    document.update({key: part for key, part in vars(definition).items() if key != "name"})
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
    analysis.UsageError: '../../etc' is not a name of a report. Did you mean 'etc'? Allowed: \
up to 64 lower-case letters, digits, '-' and '_'.
    """
    if isinstance(name, str) and _REPORT_NAME.fullmatch(name) and name != FOLDER:
        return name
    nearest = re.sub(r"[^a-z0-9_]+", "-", str(name).lower()).strip("-_")[:64]
    hint = f" Did you mean {nearest!r}?" if nearest and nearest != FOLDER else ""
    raise UsageError(
        f"{name!r} is not a name of a report.{hint} "
        "Allowed: up to 64 lower-case letters, digits, '-' and '_'."
    )


# The parameters of a notebook


@dataclass(frozen=True)
class Parameter:
    """One assignment of a parameters cell: its name, its annotation as text, its default.

    `waited` says that a tag ``waits:NAME`` of the cell names it: reports wait for that long.
    """

    name: str
    annotation: str
    default: Any = None
    waited: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether a plain value fits the annotation; where that says nothing, everything does.

        Examples
        --------
        >>> Parameter("by", "str | None").accepts("device"), Parameter("n", "int").accepts("5")
        (True, False)
        """
        return not self.annotation or _fits(ast.parse(self.annotation, mode="eval").body, value)


def read_parameters(notebook: Mapping[str, Any], name: str) -> dict[str, Parameter]:
    """Which parameters does a notebook have, of which type, with which default?

    Parameters
    ----------
    notebook : the notebook as nbformat reads it.
    name : its name in an error.

    Returns
    -------
    A `Parameter` per assignment of the first cell tagged ``parameters``, by name.

    Raises
    ------
    UsageError
        If no cell has the tag, or the cell is not Python.

    Examples
    --------
    >>> cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]},
    ...         "source": 'by: str | None = "a=b"'}
    >>> read_parameters({"cells": [cell]}, "weekly")["by"]
    Parameter(name='by', annotation='str | None', default='a=b', waited=False)
    """
    cell = _parameters_cell(notebook, name)
    waited = {tag.removeprefix(WAITS) for tag in cell["metadata"]["tags"] if tag.startswith(WAITS)}
    try:
        body = ast.parse(str(cell["source"])).body
    except SyntaxError as error:
        raise UsageError(
            f"{name}: the parameters cell is not Python (line {error.lineno}: {error.msg}). "
            "Mend the cell, then run again."
        ) from error
    found: dict[str, Parameter] = {}
    for line in body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            default = _literal(line.value) if line.value is not None else None
            name, annotation = line.target.id, ast.unparse(line.annotation)
            found[name] = Parameter(name, annotation, default, name in waited)
        elif isinstance(line, ast.Assign):
            default = _literal(line.value)
            for target in line.targets:
                if isinstance(target, ast.Name):
                    kind = _type_name(default)
                    found[target.id] = Parameter(target.id, kind, default, target.id in waited)
    return found


def _parameters_cell(notebook: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and TAG in cell["metadata"].get("tags", []):
            found: Mapping[str, Any] = cell
            return found
    raise UsageError(
        f"{name}: the notebook has no cell with the tag '{TAG}', so nothing can be set in it. "
        "Add the tag to the cell that assigns the parameters."
    )


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _type_name(default: Any) -> str:
    return "" if default is None else type(default).__name__


def check_values(
    values: Mapping[str, Any], parameters: Mapping[str, Parameter], where: str
) -> dict[str, Any]:
    """The values as plain data, once every name and type fits the notebook's parameters.

    Raises
    ------
    UsageError
        If a name is no parameter of the notebook, or a value is of another type.

    Examples
    --------
    >>> known = {"window": Parameter("window", "str", "7d")}
    >>> check_values({"windw": "7d"}, known, "weekly")
    Traceback (most recent call last):
    analysis.UsageError: weekly: 'windw' is not a parameter of the notebook. Did you mean \
'window'? Allowed: 'window'.
    """
    checked = {}
    for name, value in values.items():
        if name not in parameters:
            allowed = ", ".join(map(repr, parameters)) or "none, its parameters cell is empty"
            raise UsageError(
                f"{where}: {name!r} is not a parameter of the notebook."
                f"{did_you_mean(name, parameters)} Allowed: {allowed}."
            )
        checked[name] = plain(value, f"{where}: parameter {name!r}")
        if not parameters[name].accepts(checked[name]):
            raise UsageError(
                f"{where}: parameter {name!r} = {value!r} is of type {type(value).__name__}, "
                f"the notebook wants {parameters[name].annotation}. Change the value."
            )
    return checked


def plain(value: Any, what: str) -> Any:
    """A value as plain data: numpy's numbers and tuples become Python's numbers and lists.

    Raises
    ------
    UsageError
        If the value has no form in a definition file: a set, a date, None, any other object.

    Examples
    --------
    >>> plain((np.int64(1), "a"), "steps")
    [1, 'a']
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    # Exact copies of the built-in types: TOML libraries hand out subclasses with baggage.
    for kind in (bool, str, int, float):
        if isinstance(value, kind):
            return value if kind is bool else _writable(kind(value), what)
    if isinstance(value, (list, tuple)):
        return [plain(item, what) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise UsageError(f"{what} has a key that is no text. {_PLAIN_ALLOWED}.")
        return {str(key): plain(item, what) for key, item in value.items()}
    raise UsageError(
        f"{what} = {value!r} is of type {type(value).__name__}. {_PLAIN_ALLOWED}: write it as one."
    )


def _writable(value: Any, what: str) -> Any:
    """The text or number, if it can be written to a file and read again."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{what} = {value} is no number. Write one, or leave the line out.")
    if isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER:
        raise UsageError(f"{what} has thousands of digits. Write a smaller number.")
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            why = f"{what} holds half a letter ({error.reason}). Write it anew."
            raise UsageError(why) from error
    return value


# Does a value fit an annotation?

_TYPES = {"str": str, "bool": bool, "list": list, "dict": dict, "Mapping": dict}
_LISTS = frozenset({"list", "List", "Sequence", "Iterable", "tuple", "Tuple"})
_TABLES = frozenset({"dict", "Dict", "Mapping"})


def _fits(node: ast.expr, value: Any) -> bool:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return Parameter("", node.value).accepts(value)
        return value is node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _fits(node.left, value) or _fits(node.right, value)
    if isinstance(node, ast.Subscript):
        return _fits_subscript(_name(node.value), node.slice, value)
    return _fits_name(_name(node), value)


def _fits_name(name: str, value: Any) -> bool:
    if name == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name in _LISTS:
        return isinstance(value, list)
    return isinstance(value, _TYPES.get(name, object))


def _fits_subscript(name: str, inner: ast.expr, value: Any) -> bool:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if name == "Literal":
        return any(isinstance(p, ast.Constant) and p.value == value for p in parts)
    if name in ("Optional", "Union"):
        return any(_fits(part, value) for part in parts)
    if name in _LISTS:
        return isinstance(value, list) and all(_fits(parts[0], item) for item in value)
    if name in _TABLES:
        return isinstance(value, dict) and all(_fits(parts[-1], v) for v in value.values())
    return True


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
