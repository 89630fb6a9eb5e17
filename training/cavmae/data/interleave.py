"""Many streams at once, through one bounded queue."""

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Full, Queue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
WAIT_SECONDS = 0.1  # between two looks at whether the reader has gone


def interleave(items: Iterable[T], stream: Callable[[T], Iterable[R]], workers: int) -> Iterator[R]:
    """What `stream` gives for each item, as it comes from `workers` threads that each work on one item at a time.

    They run ahead of the reader by two results each at most, and stop when the iterator is closed.
    """
    results: Queue = Queue(2 * workers)
    todo, taking, closed = iter(items), threading.Lock(), threading.Event()

    def put(kind: str, value: R | Exception | None = None) -> None:
        while not closed.is_set():
            try:
                return results.put((kind, value), timeout=WAIT_SECONDS)
            except Full:
                pass

    def taken() -> Iterator[T]:
        while not closed.is_set():
            with taking:
                try:
                    item = next(todo)
                except StopIteration:
                    return
            yield item

    def work() -> None:
        try:
            for item in taken():
                for result in stream(item):
                    put("result", result)
                    if closed.is_set():
                        return
            put("end")
        except Exception as error:
            put("error", error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        yield from _received(results, workers)
    finally:
        closed.set()
        for thread in threads:
            thread.join()


def _received(results: Queue, workers: int) -> Iterator:
    """Until each worker has ended."""
    while workers:
        kind, value = results.get()
        if kind == "error":
            raise value
        if kind == "end":
            workers -= 1
        else:
            yield value
