"""A backend: the four parts of a collection behind one URL, and what they promise together."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from revector.backends.contracts.documents import Documents
from revector.backends.contracts.generations import Generations
from revector.backends.contracts.index import Index
from revector.backends.contracts.ledger import Ledger
from revector.backends.contracts.order import Order

ALIAS = "live"
"""The alias of a collection whose URL names none."""


@dataclass(frozen=True)
class Capabilities:
    """What a backend guarantees; the engine chooses a safer order of writes where something is missing.

    Attributes
    ----------
    transactions : bool
        Documents, vectors, aliases and the ledger commit together inside ``transaction()``. Without, each call commits
        by itself, but for those of the ledger, which commit together at the end of the outermost ``transaction()``.
    conditional_upsert : bool
        A vector lands only where its document still has the text that was embedded. Without, it lands wherever its
        document exists, and keeps the hash of its text, so that it is seen to be stale.
    several_machines : bool
        Processes of other machines may open it by its URL, and work on it together. Without, only those of the machine
        that it is on, as with a file.
    """

    transactions: bool
    conditional_upsert: bool
    several_machines: bool = False


@dataclass(frozen=True)
class Backup:
    """A backup that was made and checked.

    Parameters
    ----------
    path : Path
        The copy, a database like the one it was made of.
    documents : int
        That it holds.
    bytes : int
        Its size.
    seconds : float
        What it took, the check included.
    """

    path: Path
    documents: int
    bytes: int
    seconds: float


@runtime_checkable
class Backend(Protocol):
    """Where a collection lives. Safe to use from several threads.

    Calls inside ``with backend.transaction():`` commit together where `capabilities.transactions` says so; reads inside
    ``with backend.snapshot():`` see one moment.
    """

    @property
    def documents(self) -> Documents:
        """The texts."""
        ...

    @property
    def generations(self) -> Generations:
        """Their vectors."""
        ...

    @property
    def index(self) -> Index:
        """How the vectors are searched."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Migrations, events and jobs."""
        ...

    @property
    def alias(self) -> str:
        """The name under which readers find the generation that serves."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this backend guarantees."""
        ...

    @property
    def url(self) -> str:
        """Where it is, without secrets."""
        ...

    @property
    def place(self) -> str:
        """Where it is, as users say it: a path, or a URL without secrets."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder whose surroundings models are looked for in; ``None`` where the backend is not a file."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written; `transaction` and every method that writes raise `ReadOnlyError` then."""
        ...

    def require_writable(self) -> None:
        """Raise `ReadOnlyError` if nothing can be written, `ClosedError` after `close`: before anything is paid for.

        Where others write: raise `ChangedTableError` or `GoneError` if what they write to is not what it was.
        """
        ...

    def transaction(self, timeout_seconds: float = 30.0) -> AbstractContextManager[object]:
        """Open, or join, a write transaction of the calling thread: what is written inside commits together.

        Others may write meanwhile, unless the backend lets one transaction write at a time.

        Raises
        ------
        StoreError
            Others wrote for longer than the timeout; nothing has happened.
        """
        ...

    def exclusive(self, timeout_seconds: float = 30.0) -> AbstractContextManager[object]:
        """Open a write transaction beside which nobody else writes to the collection: keep it short.

        Raises
        ------
        StoreError
            Others wrote for longer than the timeout; nothing has happened.
        """
        ...

    def snapshot(self) -> AbstractContextManager[object]:
        """Open, or join, a consistent view for reads. It never waits for a writer."""
        ...

    def ask(self, generation: int, after: int, until: int, order: Order) -> None:
        """Ask for the vectors that the documents above key `after`, up to `until`, lack in a generation.

        A job that waits, runs or has failed for good stays as it is, as `Jobs.enqueue` says. One transaction, or part
        of the caller's; a statement where documents, vectors and jobs are in one database.
        """
        ...

    def reclaim(self) -> bool:
        """Give back a slice of what nothing needs any more; tell whether there was anything to give back.

        That is what dropped generations took, and what was kept for an index that has no use for it any more. Call it
        outside of transactions, until it says no, with a moment for other writers in between. Whoever was stopped
        half-way leaves the rest to the next one.
        """
        ...

    def recapture(self, *, anew: bool = False) -> bool:
        """Look through a slice of what others have written unseen, and ask for its vectors; tell whether there is more.

        Where nobody writes but by the backend, there is never any. Call it as `reclaim`.

        Parameters
        ----------
        anew : bool
            Begin to look through everything, whether or not anything is known to have been written unseen, and see
            from now on what can be seen.
        """
        ...

    def history(self) -> int:
        """Return a number that is another one once the backend's past was replaced under it, by a restored backup, say.

        Nothing that was learnt under another number is known to hold. Other events may change it as well.
        """
        ...

    def answer(self, query: str) -> Any:
        """Return the first value of a query of the user's in the collection's database; ``None`` without a row.

        It can write nothing, sees tables as the user's own sessions do, and is not asked inside a transaction.

        Raises
        ------
        RevectorError
            It is not a query, fails, or takes longer than some seconds.
        """
        ...

    def execute(self, statement: str) -> None:
        """Execute a statement of the user's in the collection's database, in a transaction of its own."""
        ...

    def stored_bytes(self) -> int:
        """Return about how many bytes the collection takes: texts, vectors of all generations, indexes."""
        ...

    def check(self) -> list[str]:
        """Look for damage in what is stored; return what was found and what helps, empty where all is well."""
        ...

    def backup(self, directory: Path) -> Backup:
        """Copy the collection as it is now; raise `StoreError` where the backend is backed up by other means."""
        ...

    def close(self) -> None:
        """Release what the backend holds open."""
        ...
