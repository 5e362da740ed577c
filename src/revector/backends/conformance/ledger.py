"""The suite that the ledger of every backend passes: migrations, events, jobs and leases. It needs pytest."""

from __future__ import annotations

import subprocess
import sys
import threading
from functools import cache

from revector.backends.contracts import Backend

_ME, _YOU = "elsewhere:1:1:1", "elsewhere:2:1:1"  # another machine's: nobody here can tell that they are dead


@cache
def _dead_owner() -> str:
    """Return the name of a process of this machine that has ended."""
    code = "from revector.ledger.owners import new_owner; print(new_owner())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


class LeaseConformance:
    """What `revector.backends.contracts.Leases` promises, one behaviour a test."""

    def test_a_lease_has_one_holder(self, backend: Backend) -> None:
        """Whoever asks second does not get it."""
        assert backend.ledger.leases.acquire("build", _ME, 60.0)
        assert not backend.ledger.leases.acquire("build", _YOU, 60.0)

    def test_leases_of_other_names_are_other_leases(self, backend: Backend) -> None:
        """Two processes may do two different things."""
        assert backend.ledger.leases.acquire("build", _ME, 60.0)
        assert backend.ledger.leases.acquire("fit", _YOU, 60.0)

    def test_the_holder_renews_a_lease_by_asking_again(self, backend: Backend) -> None:
        """It had run out; from now on it is held again."""
        backend.ledger.leases.acquire("build", _ME, 0.0)
        assert backend.ledger.leases.acquire("build", _ME, 60.0)
        assert not backend.ledger.leases.acquire("build", _YOU, 60.0)

    def test_a_lease_that_ran_out_is_taken_over(self, backend: Backend) -> None:
        """The one who held it does not get it back meanwhile."""
        backend.ledger.leases.acquire("build", _ME, 0.0)
        assert backend.ledger.leases.acquire("build", _YOU, 60.0)
        assert not backend.ledger.leases.acquire("build", _ME, 60.0)

    def test_a_lease_that_is_given_back_is_free(self, backend: Backend) -> None:
        """Somebody else gets it at once."""
        backend.ledger.leases.acquire("build", _ME, 60.0)
        backend.ledger.leases.release("build", _ME)
        assert backend.ledger.leases.acquire("build", _YOU, 60.0)

    def test_nobody_gives_back_what_somebody_else_holds(self, backend: Backend) -> None:
        """A process that was slow, and lost it, does no harm."""
        backend.ledger.leases.acquire("build", _ME, 60.0)
        backend.ledger.leases.release("build", _YOU)
        assert not backend.ledger.leases.acquire("build", _YOU, 60.0)

    def test_the_lease_of_a_process_that_ended_is_taken_over_at_once(self, backend: Backend) -> None:
        """Nobody waits for a process of this machine that was killed."""
        backend.ledger.leases.acquire("build", _dead_owner(), 60.0)
        assert backend.ledger.leases.acquire("build", _ME, 60.0)

    def test_one_of_many_that_ask_at_once_gets_it(self, backend: Backend) -> None:
        """The others are told so."""
        got: list[bool] = []
        owners = [f"elsewhere:{number}:1:1" for number in range(8)]
        threads = [
            threading.Thread(target=lambda owner=owner: got.append(backend.ledger.leases.acquire("build", owner, 60.0)))
            for owner in owners
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [False] * 7 + [True]
