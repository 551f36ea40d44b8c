"""A form's attempt by plain Python, row by row: what the kernel must find."""

from __future__ import annotations

from typing import Any

import numpy as np

FIELDS = ("x", "y", "z")
KINDS = ("form_focus", "form_change", "form_error", "form_submit")


def attempt(rows: list[tuple[str, Any, float]]) -> dict[str, Any]:
    """One attempt by hand: (event, field or None, seconds) in order of time and arrival.

    Rows of one instant count in the order that helps: errors, fields, submits.
    """
    arrived, helps = rows, {"form_error": 0, "form_submit": 2}
    rows = sorted(rows, key=lambda r: (r[2], helps.get(r[0], 1)))
    kinds = [event for event, _, _ in rows]
    submits = [i for i, kind in enumerate(kinds) if kind == "form_submit"]
    errors = [i for i, kind in enumerate(kinds) if kind == "form_error"]
    changes = [i for i, r in enumerate(rows) if r[0] == "form_change" and r[1] is not None]
    touches = [r for r in rows if r[0] in KINDS[:2] and r[1] is not None]
    done = bool(submits) and not any(i > submits[-1] for i in errors)
    named = [r[1] for r in rows if r[0] != "form_submit" and r[1] is not None]
    first = {f: min(r[2] for r in rows if r[1] == f and r[0] != "form_submit") for f in named}
    # In the other order: submits, fields, errors.
    hinders = sorted(
        arrived, key=lambda r: (r[2], {"form_error": 2, "form_submit": 0}.get(r[0], 1))
    )
    back = [i for i, r in enumerate(hinders) if r[0] == "form_submit"]
    wrong = [i for i, r in enumerate(hinders) if r[0] == "form_error"]
    undone = bool(back) and any(i > back[-1] for i in wrong)
    filled = [i for i, r in enumerate(hinders) if r[0] == "form_change" and r[1] is not None]
    blank = any(not any(c < s for c in filled) for s in back)
    # Runs of rows in one field, between submits; errors happen beside them.
    walk = [r for r in rows if r in touches or r[0] == "form_submit"]
    visits: list[list[Any]] = []
    for event, field, at in walk:
        if visits and visits[-1][3] is None:
            if event != "form_submit" and visits[-1][0] == field:
                visits[-1][4] += event == "form_change"
                continue
            visits[-1][3] = at
        if event != "form_submit":
            visits.append([field, at, None, None, int(event == "form_change")])
    seconds: dict[str, float] = dict.fromkeys(named, 0.0)
    for field, begin, _, end, _ in visits:
        seconds[field] += np.nan if end is None else end - begin
    return {
        "done": done,
        "submitted": bool(submits),
        "nothing": any(not any(c < s for c in changes) for s in submits),
        "tied": (done and undone) or blank != any(not any(c < s for c in changes) for s in submits),
        "mixed": any(a[2] == b[2] and a[1] != b[1] for a in touches for b in touches),
        "place": {f: sum(first[g] < first[f] for g in first) for f in first},
        "last": touches[-1][1] if touches else None,
        "order": list(dict.fromkeys(named)),
        "seconds": seconds,
        "refilled": {f for f in FIELDS if sum(v[4] > 0 for v in visits if v[0] == f) > 1},
        "errors": [rows[i][1] for i in errors if rows[i][1] is not None],
        "changed": {rows[i][1] for i in changes},
    }
