"""The command ``workbook``: what a person types and what a program calls.

Every command is a thin layer over one function of the library and imports it only when it runs,
so that ``workbook --help`` does not wait for what it does not need. Exit codes: 0 done, 1 the data
or a quality gate says no, 2 wrong usage. An error is one line that says what to do; what is not
an error of the person or the data (a mistake in this program) is not hidden behind such a line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from analysis.cli.memory import is_out_of_memory, refuse_little_memory
from analysis.cli.terminal import INTERRUPTED, complain
from analysis.core.schema import WorkbookError
from analysis.core.wording import NO_MEMORY, system_error

_NOTHING = "interrupted. Nothing was published."
_INTERRUPTED = {
    **dict.fromkeys(("import", "forget", "demo"), _NOTHING),
    "report": "interrupted. Reports that were done stay; the next call makes the others.",
}

app = typer.Typer(
    help="Funnels, segments and micro-to-macro answers on your own event log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

Folder = Annotated[Path, typer.Argument(help="The folder of a log.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def main() -> None:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command; returns the exit code.

    Examples
    --------
    >>> run(["info", "no/such/folder"])
    1
    """
    known = {
        command.name or command.callback.__name__
        for command in app.registered_commands
        if command.callback
    }
    name = next((word for word in arguments if word in known), None)
    command = f"workbook {name}" if name else "workbook"
    try:
        if name:
            refuse_little_memory()
        code = app(args=list(arguments), prog_name="workbook", standalone_mode=False)
    except WorkbookError as error:
        complain(command, error)
        return error.exit_code
    except TyperException as error:
        message = error.format_message().rstrip(".")
        stop = "" if message.endswith("?") else "."
        complain(command, f"{message}{stop} See: {command} --help")
        return error.exit_code
    except BrokenPipeError:
        return 1
    except Exception as error:
        if is_out_of_memory(error):
            complain(command, f"{NO_MEMORY}.")
        elif isinstance(error, OSError):
            complain(command, system_error(error))
        else:
            raise
        return 1
    if code == INTERRUPTED:
        complain(command, _INTERRUPTED.get(name or "", "interrupted."))
    return code or 0


@app.command("import")
def import_(  # noqa: PLR0913
    paths: Annotated[list[str], typer.Argument(metavar="PATH…", show_default=False)],
    to: Annotated[Path, typer.Option(help="Folder of the log to make.", show_default=False)],
    source: Annotated[
        str | None, typer.Option(help="A mapping: the name of a shipped one, or FILE.toml.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Column of the user's id.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of the time.")] = None,
    event: Annotated[str | None, typer.Option(help="Column of the event's name.")] = None,
    session: Annotated[str | None, typer.Option(help="Column of the session.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of the value (money).")] = None,
    event_id: Annotated[str | None, typer.Option(help="Column that names each event.")] = None,
    no_header: Annotated[
        bool, typer.Option("--no-header", help="CSV without a header: name its --columns.")
    ] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="These columns, in their order, with --no-header."),
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Zone of times without one, like Europe/Berlin.")
    ] = None,
    time_unit: Annotated[
        str | None, typer.Option(help="Unit of times that are numbers: s, ms, us, ns.")
    ] = None,
    decimal: Annotated[
        str | None,
        typer.Option(metavar="SIGN", help="Decimals of numbers that are text: , or ."),
    ] = None,
    covers_until: Annotated[
        str | None,
        typer.Option(help="The data are complete up to here. Default: the end of the last day."),
    ] = None,
    consent: Annotated[
        str | None,
        typer.Option(metavar="COLUMN[=WORD,…]", help="Leave out rows without consent there."),
    ] = None,
    hash_ids: Annotated[
        str | None, typer.Option(metavar="KEYFILE", help="Replace user ids by a keyed hash.")
    ] = None,
    session_gap: Annotated[
        str | None, typer.Option(help="Compute sessions; a longer pause than this, like 45min.")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to the log that is there.")] = False,
    max_bad: Annotated[
        str | None, typer.Option(help="More bad rows than this share, like 1%: no import.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a log of CSV, Parquet or JSON lines files (text also with .gz).

    Columns called user, time and event need no option; session and value are used where they
    are. PATH is a file, a folder, or a pattern in quotes. See data/README.md for mappings. With
    --append the files' rows are added to the log; those that it has already add nothing.

    Example: `workbook import "exports/*.csv.gz" --user client_id --time ts --to data/shop`
    """
    from analysis.cli.commands import late_interrupts, mapping_from, run_import

    roles = {"user": user, "time": time, "event": event, "session": session, "value": value}
    mapping = mapping_from(
        source,
        roles | {"event_id": event_id},
        no_header=no_header,
        names=columns,
        zone=time_zone,
        unit=time_unit,
        decimal=decimal,
        consent=consent,
        hash_key_file=hash_ids,
        session_gap=session_gap,
    )
    with late_interrupts(to):
        run_import(
            paths,
            mapping,
            to,
            append=append,
            covers_until=covers_until,
            max_bad=max_bad,
            as_json=as_json,
        )


@app.command("info")
def info(folder: Folder, as_json: AsJson = False) -> None:
    """What is in a log: how many of what, from when to when.

    Example: `workbook info data/demo`
    """
    from analysis.cli.commands import run_info

    run_info(folder, as_json=as_json)


@app.command("check")
def check(folder: Folder, as_json: AsJson = False) -> None:
    """Is every file of a log what was written? Reads all of it; exit code 1 if one is damaged.

    Example: `workbook check data/shop`
    """
    from analysis.cli.commands import run_check

    raise typer.Exit(run_check(folder, as_json=as_json))


@app.command("forget")
def forget(
    folder: Folder,
    users: Annotated[list[str], typer.Argument(metavar="USER…", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Remove people from a log, its bad rows and its caches, as if they had never been there.

    Importing files that still have them brings them back.

    Example: `workbook forget data/shop client-4711`
    """
    from analysis.cli.commands import late_interrupts, run_forget

    with late_interrupts(folder):
        run_forget(folder, users, as_json=as_json)


@app.command("demo")
def demo(
    to: Annotated[Path, typer.Option(help="Folder; a log in it is replaced.")] = Path("data/demo"),
    users: Annotated[int, typer.Option(help="How many visitors.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same shop.")] = 2026,
    as_json: AsJson = False,
) -> None:
    """Write the log of a simulated shop whose truth is known (truth.json, beside it).

    Example: `workbook demo --to data/demo`
    """
    from analysis.cli.commands import late_interrupts, run_demo

    with late_interrupts(to):
        run_demo(to, users=users, seed=seed, as_json=as_json)


@app.command("new")
def new(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", show_default=False)],
) -> None:
    """Make a project: notebooks, catalogs, a report definition, and the file that marks its root.

    Example: `workbook new my-project`
    """
    from analysis.cli.commands import run_new

    run_new(folder)


@app.command("report")
def report(
    name: Annotated[
        str | None,
        typer.Argument(help="A file of reports/definitions/ without .toml.", show_default=False),
    ] = None,
    period: Annotated[
        str | None, typer.Option(help="A day, week or month, like 2026-W46.", show_default=False)
    ] = None,
    due: Annotated[
        bool, typer.Option("--due", help="Whatever is complete and not there yet.")
    ] = False,
    now: Annotated[
        str | None,
        typer.Option(
            help="With --due: nothing that is not over by then. Default: what the clock says.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Another log than the definition's.", show_default=False)
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Default: reports/ of the project.", show_default=False)
    ] = None,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds that one cell may take.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Render a report as one offline page, with its numbers beside it.

    With --due: every complete period of every definition that has no report yet, or one that is
    no longer right, oldest first. Call that as often as you like, from cron for example.

    Example: `workbook report weekly --period 2026-W46`
    """
    from analysis.cli.commands import run_report

    where = {"data": data, "to": to, "timeout_seconds": timeout}
    raise typer.Exit(run_report(name, period=period, due=due, now=now, as_json=as_json, **where))


@app.command("lab")
def lab(
    port: Annotated[int | None, typer.Option(help="Default: 8888 or the next free one.")] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open JupyterLab in the notebooks. It talks to this machine and to no other.

    Example: `workbook lab --port 8890 --no-browser`
    """
    from analysis.cli.jupyter import open_lab

    open_lab(port=port, browser=browser)


@app.command("notebooks")
def notebooks(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Default: all of them.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Change no file; exit 1 if one would change.")
    ] = False,
) -> None:
    """Execute the notebooks anew, in place and without what differs from run to run.

    Example: `workbook notebooks 02_funnels --check`
    """
    from analysis.cli.jupyter import rerun_all

    raise typer.Exit(rerun_all(names or [], check=check))
