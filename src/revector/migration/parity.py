"""Whether readers meet in the new generation what they meet in the one that serves: index, rows, and rows by filter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from revector.backends.contracts import EXACT, Backend, Generation, IndexShape, Tally
from revector.backends.filters import kind_of

SAMPLE = 1_000
"""Documents whose metadata tell which fields are compared, unless these are named."""
FEW_VALUES = 20
"""A field with more values in the sample is none that is filtered by, but a name, a date, or a price."""
MOST_FIELDS = 10
MOST_VALUES = 1_000
"""So many of all fields together are compared: those that lack most, and the most frequent ones."""
_NAMED = 3


class Parity(NamedTuple):
    """What was compared, and what speaks against sending readers to the new generation."""

    reasons: tuple[str, ...]
    details: dict[str, Any]


def compared(backend: Backend, serving: Generation, new: Generation, fields: Sequence[str] | None = None) -> Parity:
    """Compare two generations as readers meet them.

    Parameters
    ----------
    backend : Backend
    serving, new : Generation
        That serves, and that shall.
    fields : sequence of str, optional
        Fields of the metadata by whose values documents are counted; by default those with few values.
    """
    shapes = backend.index.shape(serving), backend.index.shape(new)
    details: dict[str, Any] = {"index": _said(*shapes), "index_of_source": str(shapes[0])}
    reasons = index_reasons(*shapes)
    with backend.snapshot():
        failed = [job.document_key for job in backend.ledger.jobs.failures(new.id)]
        waiting = backend.ledger.jobs.counts(new.id).outstanding  # others write meanwhile
        asked = few_valued(backend) if fields is None else list(fields)
        whole, *parts = backend.generations.tally(serving.id, new.id, asked, without=failed, limit=MOST_VALUES)
    details.update(found_in_source=whole.source, found_in_target=whole.target, failed=len(failed), lost=whole.lost)
    details["counted_by"] = _counted_by(asked, parts)
    lacking = [part for part in [whole, *parts] if part.lost > waiting]
    return Parity((*reasons, *map(_lost, lacking[: 1 + _NAMED])), details)


def index_reasons(serving: IndexShape, new: IndexShape) -> list[str]:
    """Return what of the index of the new generation is worse than that of the one that serves.

    A graph stands for an index of any other kind, and so does exact search where the store says why there is no graph.
    """
    if EXACT in (serving.kind, new.kind):
        lacks_one = new.kind == EXACT != serving.kind and not new.why
        return [f"the new generation has no index, and {serving} serves; call verify()"] if lacks_one else []
    if not new.is_valid:
        return [f"the index of the new generation, {new}, is not valid; call verify()"]
    if new.kind == serving.kind and new.options != serving.options:
        return [f"the index of the new generation is {new}, and {serving} serves; remove it, and call verify()"]
    return []


def few_valued(backend: Backend) -> list[str]:
    """Return the fields of the metadata that have few values, all of them plain, those with the fewest first."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for document in backend.documents.by_key(backend.documents.sample(SAMPLE, seed=0)):
        for field, value in document.metadata.items():
            values[field][f"{kind_of(value)} {value}"] += 1
    few = {field: len(found) for field, found in values.items() if _are_plain(found) and len(found) <= FEW_VALUES}
    return sorted(few, key=lambda field: (few[field], field))[:MOST_FIELDS]


def _are_plain(values: Counter[str]) -> bool:
    return not any(value.startswith("other ") for value in values)


def _said(serving: IndexShape, new: IndexShape) -> str:
    differs = EXACT not in (serving.kind, new.kind) and new.kind != serving.kind
    return f"{new}, which stands for {serving.kind}" if differs else str(new)


def _counted_by(fields: Sequence[str], parts: Sequence[Tally]) -> str:
    values = Counter(part.field for part in parts)
    return ", ".join(f"{field} ({values[field]:,} values)" for field in fields) or "nothing"


def _lost(part: Tally) -> str:
    which = "" if part.field is None else f" with {part.field} = {part.value!r}"
    return f"{part.lost:,} of {part.source:,} documents{which} are found now, and have no vector in the new generation"
