"""What a forked child must not inherit, and when a fork has to wait.

A child has the memory of its parent and one of its threads. Whatever the other threads held stays held for ever: locks,
half-written state, and what SQLite remembers of the locks of this process. So two things happen around a fork:

- it waits until no other thread is inside `holding_off_forks` (a transaction), and nobody enters meanwhile; a child
  that was made in the middle of one all the same is told (`is_torn`);
- in the child, everything that has locks or buffers is renewed before anybody can use it.

Forks of `multiprocessing`, gunicorn and Celery come this way; those of `subprocess` do not copy Python, and pass by.
"""

from __future__ import annotations

import ctypes
import logging  # its locks are taken at a fork as well: first those that are registered last, hence ours
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

__all__ = ["holding_off_forks", "is_torn", "keep_for_ever", "renew_in_child", "settle_before_fork"]

PATIENCE_SECONDS = 30.0
"""So long a fork waits for the transactions of other threads; then it happens, and the child is told."""

Hook = Callable[[], None]

_log = logging.getLogger(__name__)


class _Hooks:
    """Functions to be called at a fork; methods for as long as their objects live."""

    def __init__(self) -> None:
        self._functions: list[Hook] = []
        self._methods: weakref.WeakKeyDictionary[object, list[Callable[[Any], None]]] = weakref.WeakKeyDictionary()

    def add(self, hook: Hook) -> None:
        if isinstance(hook, MethodType):
            self._methods.setdefault(hook.__self__, []).append(hook.__func__)
        else:
            self._functions.append(hook)

    def call(self) -> None:
        for hook in self._functions:
            hook()
        for owner, methods in list(self._methods.items()):
            for method in methods:
                method(owner)


class _Gate:
    """Keeps transactions and forks apart. A thread that is inside may enter again, whatever waits."""

    def __init__(self) -> None:
        self.torn = False
        self._inside: dict[int, int] = {}
        self.renew()

    def renew(self) -> None:
        self.torn |= bool(self._inside)
        self._changed = threading.Condition()
        self._inside = {}
        self._forks = 0

    def enter(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            if thread not in self._inside:
                self._changed.wait_for(lambda: not self._forks)
            self._inside[thread] = self._inside.get(thread, 0) + 1

    def leave(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            depth = self._inside.pop(thread, 0) - 1  # a child may leave what its parent has entered
            if depth > 0:
                self._inside[thread] = depth
            elif self._forks:
                self._changed.notify_all()

    def close(self) -> bool:
        """Let nobody in, and wait for the other threads that are inside; tell whether they left in time.

        Forks wait for each other as well: what one settles, the other must not find half done.
        """
        own = {threading.get_ident()}
        with self._changed:
            self._changed.wait_for(lambda: not self._forks, 2 * PATIENCE_SECONDS)
            self._forks += 1
            return self._changed.wait_for(lambda: self._inside.keys() <= own, PATIENCE_SECONDS)

    def open(self) -> None:
        with self._changed:
            self._forks -= 1
            self._changed.notify_all()


_gate = _Gate()
_renewals, _settlements = _Hooks(), _Hooks()


@contextmanager
def holding_off_forks() -> Iterator[None]:
    """Let no fork of another thread happen inside this block, or only after `PATIENCE_SECONDS`."""
    _gate.enter()
    try:
        yield
    finally:
        _gate.leave()


def is_torn() -> bool:
    """Tell whether this process was forked by a thread inside `holding_off_forks`, or after `PATIENCE_SECONDS`."""
    return _gate.torn


def renew_in_child(renew: Hook) -> None:
    """Call a function in each forked child, before anything else runs there.

    Parameters
    ----------
    renew : callable
        Replaces locks by new ones and drops what the parent will see to. It must not wait for anything. The object of a
        method is not kept alive.
    """
    _renewals.add(renew)


def settle_before_fork(settle: Hook) -> None:
    """Call a function, or the method of an object for as long as that lives, in the parent before each fork."""
    _settlements.add(settle)


def keep_for_ever(thing: object) -> None:
    """Never finalise an object of the parent, not even when this process ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _before() -> None:
    if not _gate.close():
        _log.warning("a fork did not wait any longer for the transactions of other threads")
    _settlements.call()


def _in_child() -> None:
    _gate.renew()
    _renewals.call()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_gate.open, after_in_child=_in_child)
