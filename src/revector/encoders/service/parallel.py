"""The same task for many items on a few threads that never hold up an interrupt."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from revector.encoders.service.pacing import Stopped

__all__ = ["run_bounded"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_bounded(
    task: Callable[[Item, threading.Event], Result], items: Sequence[Item], *, threads: int
) -> list[Result]:
    """Run a task for each item, at most so many at once.

    The first error ends the others: `stop` is set, items that have not begun are dropped, and the error is raised when
    those under way are done. ``KeyboardInterrupt`` is raised at once; what is under way then ends in the background.

    Parameters
    ----------
    task : callable
        Takes an item and an event that says when its result is no longer wanted; raises `Stopped` then.
    items : sequence
    threads : int
        With one, or with one item, the task runs in the calling thread.

    Returns
    -------
    list
        Results in the order of the items.
    """
    stop = threading.Event()
    if threads == 1 or len(items) < 2:
        return [task(item, stop) for item in items]
    todo: queue.SimpleQueue[tuple[int, Item]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Result | BaseException]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)
    # Daemons, unlike those of concurrent.futures: Python does not wait for them when it ends.
    workers = [
        threading.Thread(target=_work, args=(task, todo, done, stop), name="revector-request", daemon=True)
        for _ in range(min(threads, len(items)))
    ]
    for worker in workers:
        worker.start()
    try:
        results = _collect(done, len(items))
    except Exception:
        stop.set()
        for worker in workers:
            worker.join()
        raise
    finally:
        stop.set()
    return results


def _work(
    task: Callable[[Item, threading.Event], Result],
    todo: queue.SimpleQueue[tuple[int, Item]],
    done: queue.SimpleQueue[tuple[int, Result | BaseException]],
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            place, item = todo.get_nowait()
        except queue.Empty:
            return
        try:
            done.put((place, task(item, stop)))
        except Stopped:
            return
        except BaseException as error:
            done.put((place, error))
            return


def _collect(done: queue.SimpleQueue[tuple[int, Result | BaseException]], n: int) -> list[Result]:
    results: dict[int, Result] = {}
    while len(results) < n:
        place, outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        results[place] = outcome
    return [results[place] for place in range(n)]
