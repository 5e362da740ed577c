"""Putting a file with the vectors that serve in the place of the one that was adopted."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import ALIAS
from revector.backends.contracts.adoption import Released, Tell
from revector.backends.index_files.adopting import NOTE, labels_of
from revector.backends.index_files.formats import FORMATS
from revector.backends.sqlite import SqliteBackend
from revector.errors import GateRefusedError, StoreError

if TYPE_CHECKING:
    from revector.backends.index_files.kind import FilePlace

Matrix = NDArray[np.float32]


def release(backend: SqliteBackend, where: FilePlace, *, allow_missing: bool, dry_run: bool, tell: Tell) -> Released:
    """Write a file of the same kind, with the same parameters, beside the old one, and rename it into its place.

    ``FILE.ids.jsonl`` says which document each of its labels is, and is there first: labels stay what they were, but
    where a kind of files has none, and counts places.

    Parameters
    ----------
    backend : SqliteBackend
        It is closed.
    where : FilePlace
    allow_missing : bool
        Whether documents without a vector of their present text may be left out.
    dry_run : bool
    tell : callable

    Raises
    ------
    GateRefusedError
        A migration is under way, or documents have no vector of their present text.
    StoreError
        The collection was not made of a file.
    """
    with closing(backend):
        note, alias = backend.ledger.notes.get(NOTE), backend.generations.alias(ALIAS)
        if note is None or alias is None:
            raise StoreError(f"{where.url} was not adopted, so that there is nothing to give back")
        missing = backend.generations.count_stale(alias.generation)
        _require_ready(backend, 0 if allow_missing else missing)
        tell("reading the vectors")
        ids, labels, vectors = _contents(backend, alias.generation, note["label"])
        has_labels = FORMATS[where.scheme].has_labels(note["parameters"])
        labels = labels if has_labels else np.arange(len(labels))
    if not dry_run:
        tell("writing the file")
        _write(where, ids, labels, vectors, note["parameters"])
    places = () if has_labels else (f"a vector is known by its place: {_beside(where.file)} has the ids in that order",)
    return Released(str(where.file), len(ids), (where.scheme,), (), missing=missing, notices=places)


def _require_ready(backend: SqliteBackend, missing: int) -> None:
    active, reasons = backend.ledger.active(ALIAS), []
    if active is not None:
        reasons.append(f"migration {active.id} is {active.phase}; retire it, or roll it back and retire it")
    if missing:
        reasons.append(
            f"{missing:,} documents have no vector of their present text; embed them (run --follow), or "
            "--accept-missing to leave them out"
        )
    if reasons:
        raise GateRefusedError("release", tuple(reasons))


def _contents(backend: SqliteBackend, generation: int, field: str) -> tuple[list[str], NDArray[np.int64], Matrix]:
    """Return ids, labels and vectors of the documents that have one, in the order of the labels."""
    ids: list[str] = []
    labels: list[int | None] = []
    rows: list[Matrix] = []
    for some in backend.documents.scan():
        keys, vectors = backend.generations.vectors(generation, [document.key for document in some], current=True)
        known = set(keys.tolist())
        taken = [document for document in some if document.key in known]
        ids += [document.id for document in taken]
        labels += labels_of([document.metadata for document in taken], field)
        rows.append(vectors)
    given = [label for label in labels if label is not None]
    free = iter(range(max(given, default=-1) + 1, max(given, default=-1) + 1 + len(labels)))
    whole = np.array([next(free) if label is None else label for label in labels], np.int64)
    order = np.argsort(whole, kind="stable")
    dimension = backend.generations.get(generation).space.dimension
    matrix = np.concatenate([np.empty((0, dimension), np.float32), *rows])
    return [ids[place] for place in order.tolist()], whole[order], matrix[order]


def _write(where: FilePlace, ids: list[str], labels: NDArray[np.int64], vectors: Matrix, parameters: Any) -> None:
    lines = [json.dumps({"label": label, "id": id_}) for label, id_ in zip(labels.tolist(), ids, strict=True)]
    parts = [file.with_name(f"{file.name}.{os.getpid()}.part") for file in (_beside(where.file), where.file)]
    try:
        parts[0].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        FORMATS[where.scheme].write(parts[1], labels, vectors, parameters)
        for part, file in zip(parts, (_beside(where.file), where.file), strict=True):
            _to_disk(part)
            part.replace(file)
    except OSError as error:
        raise StoreError(f"{where.file} cannot be written: {error}; it is as it was") from error
    finally:
        for part in parts:
            with suppress(FileNotFoundError):
                part.unlink()


def _to_disk(file: Path) -> None:
    """Wait until a file is on the disk: its new name must not survive a power cut without what it names."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}.ids.jsonl")
