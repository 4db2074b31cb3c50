"""Reading ahead: a background thread makes the next items while the current one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

DEPTH = 2
"""Items that are made in advance: one is being made, one is ready."""


def ahead(items: Iterable[T], wanted: bool = True, depth: int = DEPTH) -> Iterator[T]:
    """The same items in the same order, made in advance by one background thread.

    They are made one after another, so what they draw from a generator is the same as without the thread, to the bit. Nobody else
    may draw from that generator meanwhile. An error in making an item is raised in that item's place. If the caller stops early,
    up to ``depth`` items were made in vain.

    Args:
        items: iterating makes them. What holds for one thread only, such as ``torch.no_grad``, they must set themselves.
        wanted: False passes the items on as they are, without a thread.
        depth: how many are made in advance, at least 1.
    """
    if not wanted:
        yield from items
        return
    end = object()
    iterator: Iterator[T | object] = iter(items)
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    try:
        pending = deque(pool.submit(next, iterator, end) for _ in range(depth))
        while (item := pending.popleft().result()) is not end:
            pending.append(pool.submit(next, iterator, end))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
