"""Compiling the kernels before somebody waits for one.

A kernel is compiled when it is first called and kept beside its source. The funnel's exact search
takes the better part of a minute; `workbook lab` has that done while the first notebook is read.
The counts of micro-to-macro take some ten seconds.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from analysis.catalog import Catalog
from analysis.correlation.counts import exposure_counts
from analysis.funnels.result import funnel
from analysis.simulation.log import simulate

_SHOP: Final = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "purchase": {"role": "macro"},
            "video_start": {"role": "secondary"},
            "footer_click": {"role": "control"},
        },
    }
)


def compile_kernels() -> None:
    """Ask a small log one question of each kind, so that the next to ask finds compiled code."""
    log = simulate(users=200).log
    steps = ["view_item", "add_to_cart", "purchase"]
    for options in ({}, {"order": "any"}):
        funnel(log, steps, **options)  # type: ignore[arg-type]
    exposure_counts(log, _SHOP)


def compile_beside(environment: Mapping[str, str]) -> None:
    """Have it done by a process of its own, and go on."""
    subprocess.Popen(
        [sys.executable, "-m", "analysis.cli.kernels"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


if __name__ == "__main__":
    compile_kernels()
