"""A magic that fails in a report fails the report: `%cd`, `%pip` and the like only print why.

IPython's magics that run a program, or change the folder, print what went wrong and go on. In a
notebook somebody sees that. In a report nobody does, and the next cells read another folder or an
older package. So the kernel of a report loads this extension. A program of your own (`!program`)
is left alone: there a code other than 0 may be an answer, as with `!grep`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_EXIT_CODE = "_exit_code"
_CHANGE_FOLDER = ("cd", "pushd", "popd")
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def load_ipython_extension(shell: Any) -> None:
    """Have the line magics of this shell raise where they only print that they failed."""
    run = shell.run_line_magic

    def strict(name: str, line: str, _stack_depth: int = 1) -> Any:
        shell.user_ns.pop(_EXIT_CODE, None)
        with _heard() as heard, _refused() as refused:
            result = run(name, line, _stack_depth=_stack_depth + 1)
        if refused and name in _CHANGE_FOLDER:
            raise refused[-1]
        if code := shell.user_ns.get(_EXIT_CODE, 0):
            what = f"%{name} {line}".strip()
            raise RuntimeError(f"{what} ended with exit code {code}{_reason(''.join(heard))}")
        return result

    shell.run_line_magic = strict


def _reason(printed: str) -> str:
    """The last line that says what is wrong, or else the last one."""
    lines = [line.strip() for line in _COLORS.sub("", printed).splitlines() if line.strip()]
    wrong = [line for line in lines if "error" in line.lower()] or lines
    return f": {wrong[-1]}" if wrong else ""


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What is printed, which is printed all the same."""
    out, heard = sys.stdout, list[str]()

    class Both:
        def write(self, text: str) -> Any:
            heard.append(text)
            return out.write(text)

        def __getattr__(self, name: str) -> Any:
            return getattr(out, name)

    both: Any = Both()
    sys.stdout = both
    try:
        yield heard
    finally:
        # A magic that redirects what is printed has put its own in this place.
        if sys.stdout is both:
            sys.stdout = out


@contextmanager
def _refused() -> Iterator[list[OSError]]:
    """The folders that could not be entered, whoever catches the error."""
    enter, refused = os.chdir, list[OSError]()

    def chdir(path: Any) -> None:
        try:
            enter(path)
        except OSError as error:
            refused.append(error)
            raise

    os.chdir = chdir
    try:
        yield refused
    finally:
        os.chdir = enter
