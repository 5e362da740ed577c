"""The spaces in a report: how far the two models differ on the same texts, a projection of both, index and models."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from revector.backends.contracts import Backend, Generation
from revector.errors import RevectorError
from revector.evaluation.drift import MIN_ROWS, ModelDrift, model_drift
from revector.evaluation.health import CollectionHealth
from revector.evaluation.sampling import current_sample
from revector.ledger.records import MigrationRecord
from revector.report.content import Column, Figure, LeftOut, Section, Span, Table
from revector.report.formatting import shortened

DRAWN = 600
"""Documents whose vectors are projected."""
COMPARED = 2_000
"""Documents on which the two models are compared."""
GROUPS = 5
_SEED = 0
_K = 10

Rows = NDArray[np.float32]


def spaces_section(backend: Backend, serving: Generation, record: MigrationRecord | None) -> Section | LeftOut:
    """Compare the vectors of both generations, or show those that serve where there is one."""
    title = "The two spaces"
    pair = _pair(backend, serving, record)
    keys = current_sample(backend, [each.id for each in pair], COMPARED, _SEED)
    if len(keys) < MIN_ROWS and len(pair) > 1:
        return LeftOut(title, f"{len(keys)} documents have a vector of each model, {MIN_ROWS} are compared at least")
    if len(keys) < MIN_ROWS:
        return LeftOut("The space that serves", f"fewer than {MIN_ROWS} documents have a vector")
    rows = [backend.generations.vectors(each.id, keys)[1] for each in pair]
    try:
        figure = _projection(pair, rows)
        if len(rows) < 2:
            text = f"{serving.space} serves alone; there is nothing to compare it with."
            return Section("spaces", "The space that serves", (text,), figures=(figure,))
        found = model_drift(*rows, k=min(_K, len(keys) - 1), seed=_SEED)
    except RevectorError as error:  # all vectors are equal, say
        return LeftOut(title, shortened(error))
    sentence = f"On {len(keys):,} documents that both models have embedded, {found}."
    return Section("spaces", title, (sentence,), (_drift_table(found),), (figure,))


def health_section(health: CollectionHealth | None) -> Section | LeftOut:
    """Say how the index that serves is, and whether the models give what they gave."""
    title = "Health of what serves"
    if health is None:
        return LeftOut(title, "it was not asked for")
    index = health.index
    recall = Span(
        index.recall,
        max(0.0, index.recall - 2 * index.recall_error),
        min(1.0, index.recall + 2 * index.recall_error),
        (0.9 if index.recall >= 0.9 else 0.0, 1.0),
    )
    asked = f"recall of the {index.k} nearest ({index.queries} queries, two standard errors)"
    rows: tuple[tuple[str, str | int | Span | None], ...] = (
        (asked, None if math.isnan(index.recall) else recall),
        ("vectors that are found", index.live),
        ("vectors in no graph, measured one by one", index.scanned),
        ("graphs", index.graphs),
        ("deleted nodes", index.deleted),
        ("vectors that no search reaches", index.unreachable),
        ("documents without a vector of their present text", health.stale),
        *((f"canary texts of {each.model}", _canary(each.similarity, each.problem)) for each in health.canaries),
    )
    said = tuple(f"{shortened(each, 400)}." for each in health.problems) or ("No problem was found.",)
    notices = tuple(f"{shortened(each, 400)}." for each in health.notices)
    insured = (f"Insurance: {shortened(health.insurance, 400)}.",) if health.insurance else ()
    table = Table("The index, and the models", (Column("what"), Column("found", "count")), rows)
    return Section("health", title, (*said, *notices, *insured), (table,))


def _canary(similarity: float | None, problem: str) -> str:
    if problem:
        return shortened(problem)
    return "not asked, the model is not at hand" if similarity is None else f"cosine {similarity:.4f} to what they were"


def _pair(backend: Backend, serving: Generation, record: MigrationRecord | None) -> list[Generation]:
    """Return the old and the new generation, as far as both have vectors, else the one that serves."""
    known = {each.id: each for each in backend.generations.all()}
    wanted = () if record is None else (record.source_generation, record.target_generation)
    pair = [known[each] for each in wanted if each in known]
    return pair if len(pair) == 2 and backend.generations.count(pair[1].id) else [serving]


def _drift_table(found: ModelDrift) -> Table:
    overlap = Span(found.overlap.value, found.overlap.low, found.overlap.high)
    old, new = found.effective_ranks
    rows = (
        (f"shared among the {found.k} nearest documents, 95 % interval", overlap),
        ("centred kernel alignment (CKA)", f"{found.cka:.3f}"),
        ("cosine of a text's two vectors", None if found.row_cosine is None else f"{found.row_cosine:.3f}"),
        ("effective rank, old → new", f"{old:.0f} → {new:.0f}"),
        ("variance at another rank of the spectrum", f"{found.spectrum_shift:.0%}"),
    )
    return Table("How far the spaces differ", (Column("what"), Column("found", "figure")), rows)


def _projection(pair: list[Generation], rows: list[Rows]) -> Figure:
    drawn = [part[:: max(1, len(part) // DRAWN)][:DRAWN] for part in rows]
    planes = [_plane(part) for part in drawn]
    order = np.argsort(np.argsort(planes[0][0][:, 0]))
    groups = (order * GROUPS // len(order)).tolist()
    panels = [
        {
            "model": shortened(each.space, 80),
            "x": plane[:, 0].round(4).tolist(),
            "y": plane[:, 1].round(4).tolist(),
            "explained": explained,
        }
        for each, (plane, explained) in zip(pair, planes, strict=True)
    ]
    held = " and ".join(f"{panel['explained']:.0%} of {panel['model']}" for panel in panels)
    both = (
        "The same documents in both spaces. Colours are fifths of the old space's first axis: where they mix in the "
        "new one, neighbourhoods have changed."
        if len(panels) > 1
        else "Colours are fifths of the first axis."
    )
    description = (
        f"{len(groups):,} documents on the first two principal components, which hold {held} of the variance. {both}"
    )
    return Figure(
        "projection", "The same documents, projected to a plane", description, {"panels": panels, "groups": groups}
    )


def _plane(rows: Rows) -> tuple[NDArray[np.float64], float]:
    """Return the first two principal components of some rows, and the share of the variance that they hold."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(rows), 2))
    held = min(2, len(values))
    plane[:, :held] = left[:, :held] * values[:held]
    plane *= np.where((plane**3).sum(axis=0) < 0, -1.0, 1.0)  # a sign that does not depend on the library
    total = float((values**2).sum())
    scale = np.abs(plane).max() or 1.0
    return plane / scale, float((values[:2] ** 2).sum()) / total if total > 0 else 0.0
