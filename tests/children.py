"""Forked children that answer a question."""

from __future__ import annotations

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
