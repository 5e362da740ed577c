"""Forked children that answer a question, and processes that are born fast."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time


def in_child(question, seconds=20.0) -> bool:
    """Fork; tell whether the child answered yes, in time."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if question() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.005)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


def elsewhere(work) -> threading.Thread:
    """Do something on a thread that nobody has to end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def fork_server():
    """Return a context whose processes are born in milliseconds, without this process's threads and connections."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["revector.migration.migration", "revector.backends.sqlite", "worlds"])
    return context
