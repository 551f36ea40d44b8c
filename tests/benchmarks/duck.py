"""DuckDB: ASOF joins from step to step, on its own table sorted by user and time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import questions

_DAY_US = 86_400_000_000


class Duck:
    """The names of events are an ENUM, so that a comparison is one of numbers."""

    def __init__(self, source: Path, place: Path) -> None:
        self._base = duckdb.connect(str(place / "events.db"))
        self._base.sql(f"SET threads={questions.THREADS}")
        self._base.sql("SET enable_progress_bar=false")
        columns = f'"user", epoch_us(time) AS t, event, {questions.GROUP} AS grp'
        self._base.sql(
            f"CREATE TABLE e AS SELECT {columns} FROM '{source}' ORDER BY \"user\", time"
        )
        found = self._base.sql("SELECT DISTINCT event FROM e ORDER BY 1").fetchall()
        names = ", ".join(f"'{row[0]}'" for row in found)
        self._base.sql(f"CREATE TYPE names AS ENUM ({names})")
        self._base.sql("ALTER TABLE e ALTER event TYPE names")
        self._base.sql("CHECKPOINT")
        # A log is complete to the end of its last event's day.
        last = f"SELECT (max(t) // {_DAY_US} + 1) * {_DAY_US} FROM e"
        self._until = int(self._base.sql(last).fetchall()[0][0])

    def close(self) -> None:
        """Give the memory back."""
        self._base.close()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds; the table is ``e``: ``"user"``, ``t``, ``event``, ``grp``."""
        return self._base.sql(query).fetchall()

    def plain(self) -> questions.Counts:
        """Users by step, in all."""
        rows = self._base.sql(f"{_levels()} SELECT {_counts()} FROM levels").fetchall()
        return {"": list(rows[0])}

    def by_group(self) -> questions.Counts:
        """Users by step and group."""
        query = f"SELECT grp, {_counts()} FROM levels GROUP BY grp ORDER BY grp"
        return {row[0]: list(row[1:]) for row in self._base.sql(f"{_levels()} {query}").fetchall()}

    def micro(self, names: list[str]) -> questions.Counts:
        """Per micro conversion: did it, among those who converted and those who did not."""
        rows = self._base.sql(_before(names, self._until)).fetchall()
        return {name: list(counts) for name, *counts in rows}


def _before(names: list[str], until: int) -> str:
    """Per person the first time of each event: whether it came before suffices to count people.

    One pass for who converts and one for the events asked about, joined by person; the same in one
    pass, with a column per event, takes more than twice as long.
    """
    asked = ", ".join(f"'{name}'" for name in names)
    return (
        'WITH people AS (SELECT "user", min(t) AS entry, '
        f"min(t) FILTER (event = '{questions.MACRO}') AS macro FROM e GROUP BY \"user\"), "
        f'ends AS (SELECT "user", least(entry + {questions.HORIZON_US}, {until}) AS ending, '
        "CASE WHEN macro < ending THEN macro END AS bought FROM people), "
        'done AS (SELECT "user", event, min(t) AS first FROM e '
        f'WHERE event IN ({asked}) GROUP BY "user", event) '
        "SELECT event::VARCHAR, count(*) FILTER (bought IS NOT NULL), "
        "count(*) FILTER (bought IS NULL) "
        'FROM done JOIN ends USING ("user") WHERE first < coalesce(bought, ending) GROUP BY event'
    )


def _levels() -> str:
    """Per user the furthest step: each step joined to the latest chain of the step before."""
    first = questions.STEPS[0]
    parts = [
        f"r2 AS MATERIALIZED ({_events(questions.STEPS[1])})",
        # Chains that could get somewhere: only users who have the second step at all.
        f"s1 AS (SELECT *, t AS began FROM ({_events(first)}) "
        'WHERE "user" IN (SELECT "user" FROM r2))',
    ]
    for k, name in enumerate(questions.STEPS[1:], 2):
        events = "r2" if k == 2 else f"({_events(name)})"
        parts.append(
            f's{k} AS MATERIALIZED (SELECT e."user", e.grp, e.t, p.began FROM {events} e '
            f'ASOF JOIN s{k - 1} p ON e."user" = p."user" AND e.t >= p.t '
            f"WHERE e.t - p.began <= {questions.WINDOW_US})"
        )
    reached = [f"SELECT DISTINCT \"user\", grp, 1 AS level FROM e WHERE event = '{first}'"]
    reached += [f'SELECT "user", grp, {k} FROM s{k}' for k in range(2, len(questions.STEPS) + 1)]
    union = " UNION ALL ".join(reached)
    parts.append(
        'levels AS (SELECT "user", any_value(grp) AS grp, max(level) AS level '
        f'FROM ({union}) GROUP BY "user")'
    )
    return "WITH " + ", ".join(parts)


def _events(name: str) -> str:
    return f"SELECT \"user\", grp, t FROM e WHERE event = '{name}'"


def _counts() -> str:
    return ", ".join(f"count(*) FILTER (level >= {k + 1})" for k in range(len(questions.STEPS)))
