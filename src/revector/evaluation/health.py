"""What a collection looks like from outside: its file, its vectors, its index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from revector._display import fields_as_html, fields_as_text
from revector.backends.contracts import Backend, Generation, IndexHealth
from revector.encoders.ends import ModelEnd
from revector.evaluation.findings import (
    Finding,
    left_out,
    mixture_of,
    of_documents,
    of_ends,
    of_index,
    of_migration,
    of_models,
    of_vectors,
)
from revector.migration.beside import notice_of_left
from revector.migration.canaries import CanaryHealth
from revector.migration.insurance import Insurance, insurance_of


@dataclass(frozen=True)
class CollectionHealth:
    """What was found.

    Parameters
    ----------
    documents : int
        That are live.
    stale : int
        Documents without a vector of their present text in the generation that serves.
    accepted : int
        Those of them that a cut-over was allowed to leave behind.
    foreign : int or None
        About how many vectors are of another embedding space; ``None`` where there are too few to tell.
    damage : tuple of str
        What the backend's own check found wrong, each with what helps.
    index : IndexHealth
        Of the generation that serves.
    notices : tuple of str
        What happened that is mended by now, such as an index that was built anew after a backup was restored.
    canaries : tuple of CanaryHealth
        What the fixed texts of each generation say of its model.
    insurance : Insurance or None
        What would answer without the present model.
    findings : tuple of Finding
        What is wrong, and what is worth knowing, each with the commands that mend it.
    """

    documents: int
    stale: int
    damage: tuple[str, ...]
    index: IndexHealth
    notices: tuple[str, ...] = ()
    canaries: tuple[CanaryHealth, ...] = ()
    insurance: Insurance | None = None
    accepted: int = 0
    foreign: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, each with what to do about it; empty for a sound collection."""
        return tuple(str(finding) for finding in self.findings if finding.is_problem)

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {**asdict(self), "problems": self.problems}

    def rows(self) -> dict[str, str]:
        """Return it as people read it, by subject."""
        index = self.index
        foreign = "" if self.foreign is None else f"; of another embedding space: about {self.foreign:,}"
        found = {
            "documents": f"{self.documents:,}",
            "vectors": f"{self.stale:,} stale or missing{foreign}",
            "index": f"{index.live:,} vectors, {index.scanned:,} of them in no graph; {index.graphs} graphs with "
            f"{index.deleted:,} deleted nodes",
            "recall": f"{index.recall:.4f} of the {index.k} nearest ({index.queries} queries)",
            "models": "\n".join(map(str, self.canaries)),
            "insurance": "" if self.insurance is None else str(self.insurance),
            "notices": "\n".join((*self.notices, *(str(each) for each in self.findings if not each.is_problem))),
            "problems": "\n".join(self.problems) or "none",
        }
        return {name: value for name, value in found.items() if value}

    def __str__(self) -> str:
        """Return it in lines."""
        return fields_as_text(self.rows())

    def _repr_html_(self) -> str:
        return fields_as_html(self.rows(), "how the collection is")


def examine_collection(
    backend: Backend,
    serving: Generation,
    canaries: tuple[CanaryHealth, ...] = (),
    ends: Sequence[ModelEnd] = (),
) -> CollectionHealth:
    """Look at the generation that serves.

    Parameters
    ----------
    backend : Backend
        Holds it.
    serving : Generation
        Which one.
    canaries : tuple of CanaryHealth
        What was found of the models.
    ends : sequence of ModelEnd
        Models with an announced end.
    """
    with backend.snapshot():
        documents, without = backend.documents.count(), left_out(backend, serving)
        vectors, mixture = backend.generations.count(serving.id), mixture_of(backend, serving)
        record = backend.ledger.active(backend.alias)
    health, notice = backend.index.check(serving), backend.index.notice(serving)
    found = (f"the index was built anew: {notice}" if notice else "", notice_of_left(backend))
    notices = tuple(each for each in found if each)
    damage = tuple(backend.check())
    insurance = insurance_of(backend)
    models = [serving.space.model, *([] if record is None else [record.target_space.model])]
    findings = (
        *of_index(health, damage),
        *of_documents(documents, without),
        *of_vectors(vectors, mixture),
        *of_models(canaries),
        *of_ends(models, ends, insurance),
        *of_migration(backend),
    )
    return CollectionHealth(
        documents=documents,
        stale=without.stale,
        damage=damage,
        index=health,
        notices=notices,
        canaries=canaries,
        insurance=insurance,
        accepted=without.accepted,
        foreign=None if mixture is None else round((1 - mixture.shares[0]) * vectors),
        findings=findings,
    )
