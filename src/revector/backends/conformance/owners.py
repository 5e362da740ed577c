"""Owners of leases for the suites."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

ME, YOU = "elsewhere:1:1:1", "elsewhere:2:1:1"  # another machine's: nobody here can tell that they are dead


@cache
def dead_owner() -> str:
    """Return the name of a process of this machine that has ended."""
    code = "from revector.ledger.owners import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
