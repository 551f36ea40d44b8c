"""What commands say to a person: one line when something is wrong, a bar while they wait.

Text from data may hold anything, so what cannot be printed is shown as an escape, and nothing is
taken as markup. Results go to standard output and everything else to standard error: a program
reads the one, a person the other.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from analysis.core.wording import ISOLATES, isolate, isolate_within

INTERRUPTED: Final = 130
"""The exit code of a command that was interrupted."""

Tell = Callable[[str, int, int, int], None]
"""Takes the name of a stage, how much of it is done, of how much, and how many rows that was."""


def printable(text: object) -> str:
    r"""A text on one line that changes nothing but the cursor, and turns no number behind a name.

    Examples
    --------
    >>> print(printable("a\x1b[31m b\nc"))
    a\x1b[31m b c
    """
    words = " ".join(str(text).split())
    escaped = "".join(
        letter
        if letter.isprintable() or letter in ISOLATES
        else letter.encode("unicode_escape").decode()
        for letter in words
    )
    return isolate_within(escaped)


def complain(command: str, message: object) -> None:
    """Print what is wrong to standard error, on one line."""
    print(f"{command}: {printable(message)}", file=sys.stderr)


def print_json(content: Any) -> None:
    """Print what a program reads to standard output."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table to standard output; the first column is text, the others are numbers."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title)), title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(cell)) for cell in row))
    Console().print(table)


def _cell(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.2f}" if isinstance(cell, float) else printable(isolate(cell))


@contextlib.contextmanager
def progress() -> Iterator[Tell]:
    """A bar with rows per second and the time left on a terminal, a plain line per tenth elsewhere.

    Both on standard error.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TextColumn("{task.fields[rate]:,.0f} rows/s"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        tasks: dict[str, Any] = {}

        def tell(stage: str, done: int, total: int, rows: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, rows=0, rate=0)
            seconds = next(task.elapsed for task in bar.tasks if task.id == tasks[stage])
            rate = rows / seconds if seconds else 0
            bar.update(tasks[stage], completed=done, total=total, rows=rows, rate=rate)

        yield tell


def _lines() -> Tell:
    printed: dict[str, int] = {}

    def tell(stage: str, done: int, total: int, rows: int) -> None:
        tenth = 10 * done // max(total, 1)
        if tenth > printed.get(stage, 0):
            printed[stage] = tenth
            print(f"{stage}: {10 * tenth} %, {rows:,} rows", file=sys.stderr)

    return tell
