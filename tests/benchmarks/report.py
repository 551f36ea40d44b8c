"""The table of a benchmark, in Markdown and JSON, with what it was measured on."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import questions
from rounds import Timed, ratio

_PEERS: Final = ("chdb", "duckdb", "polars", "numpy", "numba", "pyarrow")
_HEAD: Final = [
    "| task | engine | ms | least-most | workbook / engine |",
    "|---|---|---|---|---|",
]


def table(results: Sequence[Timed]) -> list[str]:
    """Markdown: a row per task and engine; the first engine of a task is what is compared."""
    first: dict[Any, Any] = {}
    lines = list(_HEAD)
    for result in results:
        entry = result.entry
        ours = first.setdefault(entry.task, result)
        cells = [entry.task, entry.engine, result.note, "", ""]
        if result.seconds:
            low, high = min(result.seconds) * 1000, max(result.seconds) * 1000
            cells[2:4] = [_number(result.milliseconds), f"{_number(low)}-{_number(high)}"]
            found = ratio(ours, result) if ours is not result else None
            cells[4] = _ratio(found)
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _number(ms: float) -> str:
    return f"{ms:,.0f}" if ms >= 100 else f"{ms:.3g}"


def _ratio(found: tuple[float, float, float] | None) -> str:
    return "" if found is None else "{:.3g} ({:.3g}-{:.3g})".format(*found)


def within(results: Sequence[Timed], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Markdown: the workbook against itself, a row per pair of tasks."""
    own = {r.entry.task: r for r in results if r.entry.engine == "workbook"}
    lines = ["| the workbook against itself | ratio |", "|---|---|"]
    for one, other in pairs:
        if one in own and other in own and (found := ratio(own[one], own[other])):
            lines.append(f"| {one} / {other} | {_ratio(found)} |")
    return lines


def growth(sizes: Mapping[int, Sequence[Timed]]) -> list[str]:
    """Markdown: how many times as long from each size to the next, and per doubling of it.

    Per doubling is the ratio's root: what takes 4.4 times as long for four times the rows takes
    2.1 times as long for twice as many. A column per step.
    """
    steps = list(zip(list(sizes), list(sizes)[1:], strict=False))
    if not steps:
        return []
    heads = [f"{b / 1e6:g} / {a / 1e6:g} million ({b / a:g} x)" for a, b in steps]
    lines = ["| task | engine | " + " | ".join(heads) + " |", "|---" * (2 + len(steps)) + "|"]
    for number, result in enumerate(next(iter(sizes.values()))):
        cells = []
        for a, b in steps:
            one, other = sizes[a][number], sizes[b][number]
            known = one.seconds and other.seconds
            grown = other.milliseconds / one.milliseconds if known else math.nan
            doubled = grown ** (1 / math.log2(b / a))
            cells.append(f"{grown:.2f} ({doubled:.2f})" if known else "")
        if any(cells):
            name = f"| {result.entry.task} | {result.entry.engine} | "
            lines.append(name + " | ".join(cells) + " |")
    return lines


def machine() -> dict[str, Any]:
    """What a reader needs to judge the times."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": questions.THREADS,
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _PEERS},
        "load_before": [round(x, 2) for x in os.getloadavg()],
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")


def write(
    folder: Path,
    facts: dict[str, Any],
    sizes: dict[int, list[Timed]],
    pairs: Sequence[tuple[str, str]],
) -> str:
    """Write ``bench.md`` and ``bench.json``; returns the Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    lines = [
        f"{facts['date']}, {facts['processor']}, {facts['threads']} threads of {facts['cores']} "
        f"cores, {facts['memory_gb']} GB, {facts['system']}, Python {facts['python']}, {versions}; "
        f"load before: {facts['load_before'][0]}",
    ]
    for events, results in sizes.items():
        lines += ["", f"## {events / 1e6:g} million events", "", *table(results), ""]
        lines += within(results, pairs)
    if grown := growth(sizes):
        lines += ["", "## Growth: times as long (per doubling)", "", *grown]
    content = "\n".join(lines) + "\n"
    (folder / "bench.md").write_text(content)
    rows = {
        str(events): [
            {
                "task": r.entry.task,
                "engine": r.entry.engine,
                "seconds": r.seconds,
                "note": r.note,
            }
            for r in results
        ]
        for events, results in sizes.items()
    }
    (folder / "bench.json").write_text(json.dumps({"machine": facts, "sizes": rows}, indent=1))
    return content
