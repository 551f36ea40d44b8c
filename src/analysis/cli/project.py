"""`workbook new`: a folder to work in, with notebooks, catalogs and a first report.

A project is a folder with a `workbook.toml`. The commands look for it from the current folder
upward, and notebooks, catalogs, data and reports lie at the same places in every project. What a
new one gets is what this version ships: inside the wheel under ``project/``, in a checkout at its
root.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from analysis.core.schema import UsageError
from analysis.reports.runs import PROJECT

_PACKAGE: Final = Path(__file__).parents[1]
_SHIPPED: Final = ("notebooks/*.ipynb", "data/catalogs/*.toml", "reports/definitions/*.toml")

_SETTINGS = """\
# The root of a workbook project: the commands look for this file from where you are upward.
name = {name}
"""
_IGNORED = """\
# Data and what is made of it stay out of version control.
/data/*
!/data/catalogs/
/reports/*/
/reports/index.html
/reports/.*
!/reports/definitions/
.ipynb_checkpoints/
.virtual_documents/
"""
_README = """\
# {name}

Notebooks, catalogs and reports of the micro-conversion workbook.

    workbook demo                                  # writes data/demo, a shop whose truth is known
    workbook report weekly --period 2026-W46       # renders reports/weekly/2026-W46/index.html
    workbook lab                                   # opens the notebooks

Your own data: `workbook import FILES --user C --time C --event C --to data/NAME`, then name that
folder in `reports/definitions/weekly.toml` and in the first cell of a notebook. Say in a copy of
`data/catalogs/ecommerce.toml` which event is the macro conversion and which are micro conversions.
"""


def new_project(folder: Path) -> list[Path]:
    """Make a project in a new or empty folder; returns its files.

    Raises
    ------
    UsageError
        If there is something in the folder already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"new: there is something in {str(folder)!r} already. Name a new folder, or one that "
            "is empty."
        )
    made = []
    for path in shipped():
        target = folder / path.relative_to(_source())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        made.append(target)
    name = folder.resolve().name
    for file, content in {
        PROJECT: _SETTINGS.format(name=json.dumps(name, ensure_ascii=False)),
        ".gitignore": _IGNORED,
        "README.md": _README.format(name=name),
    }.items():
        (folder / file).write_text(content, encoding="utf-8", newline="\n")
        made.append(folder / file)
    return made


def shipped() -> Iterator[Path]:
    """The notebooks, catalogs and report definitions that come with this version."""
    for pattern in _SHIPPED:
        yield from sorted(_source().glob(pattern))


def _source() -> Path:
    inside = _PACKAGE / "project"
    return inside if inside.is_dir() else _PACKAGE.parents[1]
