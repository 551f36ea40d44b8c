"""How many lines of the chain search run for a funnel of one unit with so many rows in one instant?

Run as a program: ``python counted_lines.py CASE SIZE …`` prints a number per size. The kernels run
as plain Python there, because what is compiled cannot be watched; what they do is the same.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "attempts": {"steps": ["a", "b"], "count": "attempts"},
    "attempts, one step": {"steps": ["a"], "count": "attempts"},
    "attempts, exclusion": {
        "steps": ["a", "b", "a"],
        "count": "attempts",
        "exclude": ["x"],
        "on_exclude": "drop_attempt",
    },
    "attempts, any order": {"steps": ["a", "b"], "count": "attempts", "order": "any"},
    "any order": {"steps": ["a", "b", "c"], "order": "any"},
    "any order, strict ties": {"steps": ["a", "b", "c"], "order": "any", "ties": "strict"},
    "optional": {"steps": ["a", {"event": "b", "optional": True}, "c"]},
    "shared": {"steps": [["a", "b"], ["a", "x"], "c"]},
    "exclusion": {"steps": ["a", "b", "c"], "exclude": ["x"], "on_exclude": "drop_unit"},
    "neighbors": {"steps": ["a", "b", "c"], "order": "strict"},
    "sessions": {"steps": ["a", "b"], "unit": "session", "count": "attempts"},
}


def counted(case: str, size: int) -> int:
    import pandas as pd

    from analysis.eventlog.log import EventLog
    from analysis.funnels import search
    from analysis.funnels.chains import chains_of
    from analysis.funnels.result import funnel

    names = ["abxc"[k % 4] for k in range(size)] + ["c"]
    frame = pd.DataFrame({"user": "u", "event": names, "time": pd.Timestamp("2026-01-01")})
    log = EventLog.from_frame(frame, covers_until="2026-02-01")
    steps, options = CASES[case]["steps"], {**CASES[case]}
    del options["steps"]
    asked = funnel(log, steps, **options).question
    folder, lines = str(Path(search.__file__).parent), 0

    def watch(frame: FrameType, what: str, _: object) -> Any:
        nonlocal lines
        lines += what == "line"
        return watch if frame.f_code.co_filename.startswith(folder) else None

    sys.settrace(watch)
    chains_of(log, asked)
    sys.settrace(None)
    return lines


if __name__ == "__main__":
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    for name in sys.argv[2:]:
        print(counted(sys.argv[1], int(name)))
