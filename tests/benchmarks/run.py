"""The benchmark: ``run.py [--sizes 5e6 20e6] [--rounds 6] [--folder build/bench]``."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import questions

# Before the libraries are loaded: that is when they read it.
os.environ["POLARS_MAX_THREADS"] = str(questions.THREADS)
os.environ["NUMBA_NUM_THREADS"] = str(questions.THREADS)

import people
import report
import steps_after
from clickhouse import TABLES, ClickHouse
from duck import Duck
from frames import Frame
from rounds import Entry, Timed, measure
from workbook import HARDER, NAME, Workbook

import data

HERE: Final = Path(__file__).parent
IMPORT_ROUNDS: Final = 3
LARGEST_FRAME: Final = 25_000_000
"""Rows up to which a whole table is also held in memory."""
PAIRS: Final = [
    ("funnel", "reading the bytes once"),
    ("funnel by device", "funnel"),
    (f"funnel by {questions.GROUP}", "funnel"),
    *((task, "funnel") for task in HARDER),
    ("append 1 %", "import"),
    ("from_frame", "import"),
]


def imported(engine: str, target: Path, source: Path) -> tuple[int, float]:
    """Rows and seconds of an import in a fresh process."""
    command = [sys.executable, str(HERE / "imports.py"), engine, str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{engine}: {done.stderr.strip().splitlines()[-1]}")
    found = json.loads(done.stdout)
    return found["rows"], found["seconds"]


def imports(files: data.Files, place: Path, events: int) -> list[Timed]:
    """From a Parquet file to sorted Arrow files, and the rows that come later."""
    log, sorted_rows, base, grown = (place / x for x in ("log", "sorted.arrow", "base", "grown"))

    def fresh() -> None:
        for path in (log, sorted_rows):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def entry(task: str, engine: str, program: str, target: Path, before: Any = fresh) -> Entry:
        source = files.newer if program == "append" else files.whole
        return Entry(
            task, engine, partial(imported, program, target, source), before, own_time=True
        )

    def older() -> None:
        shutil.rmtree(grown, ignore_errors=True)
        shutil.copytree(base, grown)

    entries = [
        entry("import", NAME, "workbook", log),
        entry("import", "DuckDB", "duck", sorted_rows),
    ]
    if events <= LARGEST_FRAME:
        entries.append(entry("import", "Polars", "frame", sorted_rows))
        entries.append(entry("from_frame", NAME, "from_frame", log))
    shutil.rmtree(base, ignore_errors=True)
    imported("workbook", base, files.older)
    appending = entry("append 1 %", NAME, "append", grown, older)
    note = _refused(appending)
    results = measure(entries if note else [*entries, appending], IMPORT_ROUNDS, warm=False)
    for path in (base, grown):
        shutil.rmtree(path, ignore_errors=True)
    fresh()
    return [*results, Timed(appending, note=note)] if note else results


def _refused(entry: Entry) -> str:
    """Why this cannot be measured, or nothing."""
    assert entry.before is not None
    entry.before()
    try:
        entry.run()
    except RuntimeError as error:
        return f"skipped: {str(error).split(': ', 2)[-1].split('. ')[0]}"
    return ""


@contextlib.contextmanager
def asked(source: Path, place: Path) -> Iterator[list[Entry]]:
    """Every engine loaded, and what each is asked."""
    imported("workbook", place / "log", source)
    workbook = Workbook(place / "log")
    frame, duck = Frame(source), Duck(source, place)
    clickhouse = ClickHouse(source, place / "clickhouse")
    group = f"funnel by {questions.GROUP}"
    entries = [
        Entry("open", NAME, workbook.open),
        Entry("reading the bytes once", NAME, workbook.floor),
        Entry("summary", NAME, workbook.summary),
        Entry("funnel", NAME, workbook.plain),
    ]
    peers: list[tuple[str, Any]]
    peers = [(f"ClickHouse, {t}", partial(clickhouse.plain, t)) for t in TABLES]
    peers += [("DuckDB", duck.plain), ("Polars", frame.plain)]
    entries += [Entry("funnel", name, run) for name, run in peers]
    entries.append(Entry("funnel by device", NAME, partial(workbook.by, "device")))
    entries.append(Entry(group, NAME, partial(workbook.by, questions.GROUP)))
    peers = [(f"ClickHouse, {t}", partial(clickhouse.by_group, t)) for t in TABLES]
    peers += [("DuckDB", duck.by_group), ("Polars", frame.by_group)]
    entries += [Entry(group, name, run) for name, run in peers]
    entries += [Entry(task, NAME, partial(workbook.harder, task)) for task in HARDER]
    away, back = workbook.panel()
    entries.append(Entry("a move of the funnel's panel", NAME, back, away))
    entries += [
        Entry(questions.HOLDING, f"ClickHouse, {t}", partial(clickhouse.holding, t)) for t in TABLES
    ]
    task = "micro-to-macro counts"
    entries.append(Entry(task, NAME, workbook.micro))
    entries.append(Entry(task, "DuckDB", partial(duck.micro, workbook.micros)))
    entries += people.entries(workbook, duck)
    entries += steps_after.entries(workbook)
    with contextlib.suppress(ImportError):
        entries.append(Entry("audit", NAME, workbook.audit()))
    try:
        yield entries
    finally:
        clickhouse.close()
        duck.close()


def bench(folder: Path, events: int, rounds: int) -> list[Timed]:
    """All rows of the table for one size."""
    # In a process of its own, so that what it took does not stay.
    command = [sys.executable, str(HERE / "data.py"), str(events), str(folder / "data")]
    subprocess.run(command, check=True)
    files, place = data.files(folder / "data", events), folder / f"work-{events}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        results = imports(files, place, events)
        with asked(files.whole, place) as entries:
            results += measure(entries, rounds, warm=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if not any(result.entry.task == "audit" for result in results):
        nothing = Entry("audit", NAME, lambda: None)
        results.append(Timed(nothing, note="skipped: this version has no audit"))
    return results


def main() -> None:
    """Measure, print the table and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=float, default=[5e6, 20e6])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--folder", type=Path, default=Path("build/bench"))
    options = parser.parse_args()
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    facts = report.machine()
    sizes: dict[int, list[Timed]] = {}
    for size in options.sizes:
        print(f"{size / 1e6:g} million events …", file=sys.stderr, flush=True)
        sizes[int(size)] = bench(folder, int(size), options.rounds)
        content = report.write(folder, facts, sizes, PAIRS)
    print(content, end="")
    if any(r.note.startswith("error") for results in sizes.values() for r in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
