"""Who holds a lease, and whether that process is still alive."""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
from pathlib import Path

LONGEST_LEASE_SECONDS = 600.0
"""Whoever holds anything says so more often; a lease that ends later was taken by a clock that is ahead."""

UNTIL_GIVEN_BACK_SECONDS = 1e11
"""A lease for so long never runs out by itself: what a batch job of a service holds, nobody else may pay for again."""

_serial = itertools.count(1)


def new_owner() -> str:
    """Name the caller: machine, process id, start of the process, serial number inside the process."""
    pid = os.getpid()
    return f"{_machine()}:{pid}:{_started(pid)}:{next(_serial)}"


def batch_owner(handle: str) -> str:
    """Name a batch job of a service, which holds documents whatever becomes of the process that has sent them."""
    return f"batch:0:{handle}:0"


def is_dead(owner: str) -> bool:
    """Tell whether the owner's process is known to have ended.

    Only processes of this machine (this boot, this process namespace) can be judged; the lease of any other one has
    to run out.
    """
    machine, pid, started, _ = owner.split(":")
    if machine != _machine() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _machine() -> str:
    """Digest of what makes process ids comparable: host name, boot, process namespace."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()} {boot} {namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot, field 22 of /proc/PID/stat; empty where there is no /proc."""
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not after_name:
        return ""
    return "zombie" if after_name[0] in "ZX" else after_name[19]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return ""
