"""Every error revector raises, each with the fields a caller needs to react to it.

The message of an error says what was got, what was expected and what to do. Errors that are also a kind of
``ValueError`` inherit from it, so that code which knows nothing of revector can still catch them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PortableError(Exception):
    """An exception that pickle and copy bring back as it was, whatever its constructor takes.

    Python rebuilds an exception by calling its class with `args`. Those are the message alone where the constructor
    wants fields as well, and the error of a child process would break the pool that waits for it.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to rebuild the error: class, `args` and attributes, without its constructor."""
        kind, args, *attributes = tuple(super().__reduce__())
        return (_rebuilt, (kind, args), *attributes)


def _rebuilt(kind: type[PortableError], args: tuple[Any, ...]) -> PortableError:
    error = kind.__new__(kind, *args)
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    builtin.__init__(error, *args)  # what ImportError, say, keeps beside `args`
    return error


class RevectorError(PortableError):
    """Base class of everything raised by revector on purpose."""

    @property
    def fields(self) -> dict[str, Any]:
        """The attributes that a program can react to, by name; arrays and what is private are left out."""
        return {
            name: value
            for name, value in vars(self).items()
            if not name.startswith("_") and not hasattr(value, "__array__")
        }


class InvalidArgumentError(RevectorError, ValueError):
    """An argument has a value that the function does not accept."""


class MissingExtraError(RevectorError, ImportError):
    """A package that only some users need is not installed.

    Attributes
    ----------
    module, extra : str
        The package, and the extra of revector that brings it.
    """

    def __init__(self, module: str, extra: str, purpose: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(f"{purpose} needs {module}; install it with: pip install 'revector[{extra}]'")


class NoCollectionError(InvalidArgumentError):
    """There is no collection at a place, and none can be made without an encoder.

    Attributes
    ----------
    path : str
        The file that does not exist, or holds no collection yet.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class ShapeError(RevectorError, ValueError):
    """An array has the wrong number of dimensions, rows or columns."""


class NumericalError(RevectorError, ArithmeticError):
    """The numbers do not allow the computation: NaN, infinity, or no convergence."""


class RecallNotReachedError(RevectorError):
    """No search of an index, however broad, has the recall that was asked for.

    Attributes
    ----------
    target, reached : float
        The recall asked for, and that of the broadest search.
    """

    def __init__(self, message: str, *, target: float, reached: float) -> None:
        super().__init__(message)
        self.target = target
        self.reached = reached


class CorruptIndexError(RevectorError):
    """An index file is truncated, inconsistent, or something else altogether."""


class UnsupportedIndexError(InvalidArgumentError):
    """An index file is sound, as far as one can see, but of a kind or with contents that are not supported."""


class DeviceUnavailableError(RevectorError):
    """The requested instruction set or device is not there."""


class SpaceMismatchError(RevectorError, ValueError):
    """Vectors of one embedding space were used where another is needed.

    Attributes
    ----------
    expected, found : str
        Description of the two spaces, or of the dimensions when no more is known.
    """

    def __init__(self, message: str, *, expected: str, found: str) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class StoreError(RevectorError):
    """A store cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Others were in the way for longer than was waited; nothing has happened, and it can be tried again.

    Attributes
    ----------
    waited_seconds : float
        How long a lock was waited for; 0 where it was something else.
    """

    def __init__(self, message: str, *, waited_seconds: float) -> None:
        super().__init__(message)
        self.waited_seconds = waited_seconds


class StoreUnavailableError(StoreError):
    """A store could not be reached, or was lost in the middle of a transaction, which is undone; try it again.

    Attributes
    ----------
    committing : bool
        It was lost in the very moment of the commit: what was written may be stored. Look, or write the same again.
    """

    def __init__(self, message: str, *, committing: bool = False) -> None:
        super().__init__(message)
        self.committing = committing


class DamagedStoreError(StoreError):
    """A store's file is damaged, truncated, or something else; only a backup helps."""


class GoneError(StoreError):
    """What a collection is made of is gone, as when it was released or dropped; it does not help to try again."""


class ChangedTableError(StoreError):
    """A user's table is not what was adopted, since a column was renamed, say; nothing is moved until it is so again.

    Attributes
    ----------
    table : str
        Its name, as it was adopted.
    """

    def __init__(self, message: str, *, table: str) -> None:
        super().__init__(message)
        self.table = table


class ReadOnlyError(StoreError):
    """Something was to be written to a collection that is only read; nothing was embedded or paid for.

    Attributes
    ----------
    path : str
        The collection.
    """

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be written: {reason}")


class ClosedError(StoreError):
    """Something that was closed is used.

    Attributes
    ----------
    path : str
        What was closed.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"{path} was closed; open it again")


class UnknownDocumentError(StoreError, KeyError):
    """Document ids that the collection does not hold.

    Attributes
    ----------
    ids : tuple of str
        The unknown ids.
    """

    def __init__(self, ids: tuple[str, ...]) -> None:
        self.ids = ids
        shown = ", ".join(repr(i) for i in ids[:5]) + (", …" if len(ids) > 5 else "")
        super().__init__(f"{len(ids)} unknown document id(s): {shown}; list the ids with Collection.ids()")

    def __str__(self) -> str:
        """Return the message itself (``KeyError`` would show its repr)."""
        return str(self.args[0])


class PointTooOldError(StoreError):
    """What happened to a generation after a point cannot be told any more: some of its deletions were given back.

    Attributes
    ----------
    generation, seq : int
        What was asked for.
    oldest : int
        The first point that can be followed from.
    """

    def __init__(self, *, generation: int, seq: int, oldest: int) -> None:
        self.generation, self.seq, self.oldest = generation, seq, oldest
        super().__init__(
            f"deletions of generation {generation} up to point {oldest} were given back, so that it cannot be followed "
            f"from point {seq}; read it anew, from point 0"
        )


class EncoderError(RevectorError):
    """A model cannot be loaded, or did not encode a text.

    Attributes
    ----------
    rows : ndarray of float32, shape (len(texts), dimension), or None
        What was encoded before the failure, where an encoder keeps it, so that nothing has to be paid for twice; NaN
        elsewhere.
    stored : int
        Documents that `Collection.upsert` had stored before; the same call again embeds only the others.
    """

    rows: NDArray[np.float32] | None = None
    stored: int = 0


class ModelChangedError(EncoderError):
    """A model gives other numbers than when the vectors of a generation were made, under the same contract.

    Attributes
    ----------
    model : str
        Its name.
    similarity : float
        Lowest cosine between what it gave for a fixed text and what it gives now.
    expected : float
        The least that is taken for the same.
    """

    def __init__(self, message: str, *, model: str, similarity: float, expected: float) -> None:
        super().__init__(message)
        self.model = model
        self.similarity = similarity
        self.expected = expected


class ModelDownloadError(EncoderError):
    """A package index gave no file for a model: there is no network, most of the time."""


class RefusedTextsError(EncoderError):
    """Some texts were refused, and all others were encoded.

    Attributes
    ----------
    reasons : dict of int to str
        Position of each refused text, and why it was refused.
    rows : ndarray of float32, shape (len(texts), dimension)
        What the call would have returned; NaN where a text was refused.
    """

    rows: NDArray[np.float32]

    def __init__(self, reasons: Mapping[int, str], rows: NDArray[np.float32]) -> None:
        self.reasons, self.rows = dict(sorted(reasons.items())), rows
        shown = "; ".join(f"texts[{i}]: {reason}" for i, reason in list(self.reasons.items())[:3])
        more = f"; and {len(reasons) - 3} more" if len(reasons) > 3 else ""
        super().__init__(f"{len(reasons)} of {len(rows)} texts were refused: {shown}{more}")


class RefusedDocumentsError(EncoderError):
    """The model refused some documents, and all others were stored.

    Attributes
    ----------
    refused : dict of str to str
        Id of each refused document, and why it was refused.
    stored : int
        Documents that were stored.
    """

    def __init__(self, refused: Mapping[str, str], *, stored: int) -> None:
        self.refused, self.stored = dict(refused), stored
        shown = "; ".join(f"{id_!r}: {reason}" for id_, reason in list(self.refused.items())[:3])
        more = f"; and {len(refused) - 3} more" if len(refused) > 3 else ""
        super().__init__(
            f"{len(refused)} of {len(refused) + stored} documents were refused, the others are stored: {shown}{more}"
        )


class ServiceError(EncoderError):
    """An embedding service cannot be reached, refuses every request, or gives answers that cannot be right.

    No text is at fault.

    Attributes
    ----------
    status : int or None
        HTTP status of the answer; ``None`` if there was none.
    body : str
        The beginning of the answer.
    """

    def __init__(self, message: str, *, status: int | None = None, body: str = "") -> None:
        super().__init__(message)
        self.status, self.body = status, body


class RateLimitedError(EncoderError):
    """The embedding service refused for now.

    Attributes
    ----------
    retry_after_seconds : float or None
        The pause that the service asked for.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class SpendCapError(EncoderError):
    """The next request would cost more than the budget still holds.

    Attributes
    ----------
    spent, cap : float or None
        Money spent so far and the most that may be spent, both in the currency of the price.
    """

    def __init__(self, message: str, *, spent: float | None = None, cap: float | None = None) -> None:
        super().__init__(message)
        self.spent, self.cap = spent, cap


class CancelledError(RevectorError):
    """The caller has called the work off."""


class MigrationError(RevectorError):
    """A migration cannot do what was asked of it."""


class IllegalTransitionError(MigrationError):
    """A verb does not exist in the migration's present phase.

    Attributes
    ----------
    phase : str
        The present phase.
    wanted : str
        The phase that was asked for.
    allowed : tuple of str
        The phases that can follow the present one.
    """

    def __init__(self, phase: str, wanted: str, allowed: tuple[str, ...], remedy: str = "") -> None:
        self.phase, self.wanted, self.allowed = phase, wanted, allowed
        choices = ", ".join(allowed) or "nothing: the phase is final"
        refused = f"is {phase} already" if wanted == phase else f"is {phase} and cannot become {wanted}"
        super().__init__(f"the migration {refused}; {remedy or f'from here it can become {choices}'}")


class GateRefusedError(MigrationError):
    """A gate before an irreversible or visible step did not pass.

    Attributes
    ----------
    reasons : tuple of str
        One sentence for each gate that failed.
    """

    def __init__(self, step: str, reasons: tuple[str, ...]) -> None:
        self.step, self.reasons = step, reasons
        super().__init__(f"{step} refused: " + "; ".join(reasons))


class HookFailedError(GateRefusedError):
    """A program that runs before a step ended with another exit code than 0, so that the step is not taken.

    Attributes
    ----------
    hook : str
        Its path.
    code : int
        Its exit code.
    output : str
        The end of what it wrote.
    """

    def __init__(self, step: str, *, hook: str, code: int, output: str) -> None:
        self.hook, self.code, self.output = hook, code, output
        super().__init__(step, (f"{hook} ended with exit code {code}{': ' if output else ''}{output}",))


class StaleAliasError(MigrationError):
    """An alias moved between reading it and swapping it.

    Attributes
    ----------
    alias : str
        Name of the alias.
    expected, found : int
        Version the caller had read, and the version in the store.
    """

    def __init__(self, *, alias: str, expected: int, found: int) -> None:
        self.alias, self.expected, self.found = alias, expected, found
        super().__init__(
            f"alias {alias!r} has version {found}, expected {expected}: somebody else moved it; "
            "read its state again and decide anew"
        )


class LedgerConflictError(MigrationError):
    """The ledger refused a second writer: another migration or another worker owns the row.

    Attributes
    ----------
    alias : str
        Alias of the collection that is being migrated.
    phase : str
        Where the migration that is in the way stands; empty if that is not known.
    steps : tuple of str
        The verbs that end it from there.
    """

    def __init__(self, message: str, *, alias: str, phase: str = "", steps: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.alias, self.phase, self.steps = alias, phase, steps
