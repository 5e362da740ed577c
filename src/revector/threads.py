"""How many threads the core uses, and what memory they leave."""

from __future__ import annotations

from revector import _core
from revector._arguments import whole_number

__all__ = ["set_num_threads"]

_MOST = 1024


def set_num_threads(n: int) -> None:
    """Change how many threads the core uses, the calling one included.

    By default that is ``REVECTOR_NUM_THREADS`` if it is set; otherwise the least of: the CPUs that the process may run
    on, the CPU quota of its container (control groups of version 1 or 2, rounded up), ``OMP_NUM_THREADS``.
    `num_threads_reason` says what decided. Not to be called while other threads use the core.

    Parameters
    ----------
    n : int
        1 to 1,024.

    Raises
    ------
    InvalidArgumentError
        Anything else.
    """
    _core.set_num_threads(whole_number(n, "n", least=1, most=_MOST))


def return_freed_memory() -> None:
    """Hand blocks of memory that were freed back to the operating system.

    glibc keeps them for each thread that freed some: where threads pass on what they make, they come to hundreds of MB.
    It takes some milliseconds, without the interpreter; with another C library nothing happens.
    """
    _core.return_freed_memory()


def thread_limit(threads: int | None) -> int:
    """Return at most how many threads a call may use, as the core takes it; 0 stands for all of them."""
    return 0 if threads is None else whole_number(threads, "threads", least=1)
