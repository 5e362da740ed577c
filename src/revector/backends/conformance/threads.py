"""What several threads are told at the same time, for the suites."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from revector.backends.contracts import Backend
from revector.errors import RevectorError

T = TypeVar("T")


def at_once(times: int, ask: Callable[[int], T]) -> list[T | RevectorError]:
    """Ask from so many threads at once, each with its number; return the answers, or the errors."""
    answers: list[T | RevectorError] = []
    together = threading.Event()

    def run(number: int) -> None:
        together.wait()
        answers.append(_answer(lambda: ask(number)))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    together.set()
    for thread in threads:
        thread.join()
    return answers


def meanwhile(backend: Backend, first: Callable[[], object], second: Callable[[], T]) -> T | RevectorError:
    """Do something in a transaction, ask for something else before it commits; return that answer, or the error."""
    answers: list[T | RevectorError] = []
    other = threading.Thread(target=lambda: answers.append(_answer(second)))
    with backend.transaction():
        first()
        other.start()
        other.join(0.1)
    other.join()
    return answers[0]


def _answer(ask: Callable[[], T]) -> T | RevectorError:
    try:
        return ask()
    except RevectorError as error:
        return error
