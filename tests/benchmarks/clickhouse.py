"""ClickHouse inside this process (chdb): `windowFunnel`, on the two tables it is best on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import questions

TABLES = {"Memory": "bench.memory", "MergeTree": "bench.tree"}


class ClickHouse:
    """Both tables are sorted by user and time, event and group are LowCardinality."""

    def __init__(self, source: Path, place: Path) -> None:
        from chdb import session

        self._session = session.Session(str(place))
        self._ask(f"SET max_threads={questions.THREADS}")
        self._ask("CREATE DATABASE bench ENGINE=Atomic")
        rows = (
            "SELECT assumeNotNull(user) AS user, "
            "toUInt64(toUnixTimestamp64Micro(assumeNotNull(time))) AS us, "
            "CAST(assumeNotNull(event), 'LowCardinality(String)') AS event, "
            f"CAST(assumeNotNull({questions.GROUP}), 'LowCardinality(String)') AS grp, "
            f"CAST(assumeNotNull({questions.HOLD}), 'LowCardinality(String)') AS held "
        )
        self._ask(
            "CREATE TABLE bench.tree ENGINE=MergeTree ORDER BY (user, us) AS "
            f"{rows} FROM file('{source}', Parquet)"
        )
        self._ask("OPTIMIZE TABLE bench.tree FINAL")
        self._ask(
            "CREATE TABLE bench.memory ENGINE=Memory AS SELECT * FROM bench.tree ORDER BY user, us"
        )

    def close(self) -> None:
        """Give the memory back."""
        self._session.close()

    def _ask(self, query: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(str(self._session.query(query, "CSV")))))

    def plain(self, table: str) -> questions.Counts:
        """Users by step, in all. Rows of other events are left out before they are grouped."""
        rows = self._ask(f"SELECT {_counts()} FROM ({_levels(TABLES[table], '')})")
        return {"": [int(n) for n in rows[0]]}

    def by_group(self, table: str) -> questions.Counts:
        """Users by step and group."""
        levels = _levels(TABLES[table], "any(grp) AS grp, ")
        rows = self._ask(f"SELECT grp, {_counts()} FROM ({levels}) GROUP BY grp ORDER BY grp")
        return {name: [int(n) for n in counts] for name, *counts in rows}

    def holding(self, table: str) -> questions.Counts:
        """Users with a value by step, every step on that value."""
        rows = self._ask(f"SELECT {_counts()} FROM ({_levels(TABLES[table], '', ', held')})")
        return {"": [int(n) for n in rows[0]]}


def _levels(table: str, group: str, unit: str = "") -> str:
    steps = [f"event = '{name}'" for name in questions.STEPS]
    names = ", ".join(f"'{name}'" for name in questions.STEPS)
    return (
        f"SELECT user, {group}windowFunnel({questions.WINDOW_US})(us, {', '.join(steps)}) AS level "
        f"FROM {table} WHERE event IN ({names}) GROUP BY user{unit}"
    )


def _counts() -> str:
    return ", ".join(f"countIf(level >= {k + 1})" for k in range(len(questions.STEPS)))
