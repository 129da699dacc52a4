"""Put the rows of a listing into the order of their keys, without holding all of them."""

import heapq
from collections.abc import Iterator

from lamina.engine.objects.store import ObjectInfo
from lamina.failures import Fault


def in_key_order(rows: Iterator[ObjectInfo], prefix: str) -> Iterator[ObjectInfo]:
    """Rows by the bytes of their keys, from a server that lists so, or that walks folders.

    SeaweedFS walks folders: it gives `a/1` before `a-b`, since it compares the names `a` and `a-b`, where S3
    compares `/` and `-`. So the rows of a folder directly below the prefix wait until none can precede them.

    Raises:
        Fault: the server's order is a third one. Rows that came late would look like lost objects.
    """
    given = ""
    for key, size in _hold_back(rows, prefix):
        if key <= given:
            raise Fault(
                f"the server lists {key!r} after {given!r}; use a service that lists keys in order",
                retryable=False,
            )
        yield ObjectInfo(key=key, size_bytes=size)
        given = key


def _hold_back(rows: Iterator[ObjectInfo], prefix: str) -> Iterator[tuple[str, int]]:
    waiting: list[tuple[str, int]] = []
    for row in rows:
        heapq.heappush(waiting, (row.key, row.size_bytes))
        slash = row.key.find("/", len(prefix))
        # In a walk, behind folder `a` still come `a-b` and `a.b`; `-` is the lowest character of all keys.
        lowest_to_come = row.key if slash < 0 else row.key[:slash] + "-"
        while waiting and waiting[0][0] < lowest_to_come:
            yield heapq.heappop(waiting)
    yield from sorted(waiting)
