"""Run a pass over every shard, in threads.

A pass releases the GIL, so threads are enough: one per core. Results come back in the order of the
shards, whichever was finished first, and they are integers that add up: neither the number of
threads nor the number of shards changes a digit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

Part = TypeVar("Part")
Summary = TypeVar("Summary")
_END: Final[Any] = object()


def map_shards(parts: Iterable[Part], run: Callable[[Part], Summary]) -> list[Summary]:
    """Run a function on every part, in threads; results come in the order of the parts.

    Examples
    --------
    >>> map_shards([1, 2, 3], lambda part: part * part)
    [1, 4, 9]
    """
    waiting = list(parts)
    workers = min(len(waiting), os.cpu_count() or 1)
    if workers < 2:
        return [run(part) for part in waiting]
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, waiting))


def prefetch(items: Iterable[Part]) -> Generator[Part]:
    """Yield the items; a thread makes the next one while one is being worked on.

    An error in the making is raised where the item would have come.

    Examples
    --------
    >>> list(prefetch(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    iterator = iter(items)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(next, iterator, _END)
            while (item := waiting.result()) is not _END:
                waiting = pool.submit(next, iterator, _END)
                yield item
    finally:
        if isinstance(iterator, Generator):
            iterator.close()
