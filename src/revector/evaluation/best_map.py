"""The best map for some pairs: candidates compared by what searches through them find, never by how close rows come.

A map that brings rows closer on average need not keep the order of neighbours, and the order is what a search returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from revector._arguments import shown, whole_number
from revector._arrays import as_float32
from revector.errors import InvalidArgumentError, ShapeError
from revector.evaluation.metrics import as_array, checked_grade, per_query
from revector.evaluation.significance import Interval, Values, mean_interval, paired_lift
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, RidgeMap, SpaceMap
from revector.similarity import cosine_topk, normalize
from revector.spaces import EmbeddingSpace

Rows = NDArray[np.float32]
Places = NDArray[np.int64]
Judgements = Mapping[int, Mapping[int, int]]
"""Row of a query -> row of a pair -> grade; above 0 is relevant."""

DEPTH = 10
LEAST_PAIRS = 200
"""Fewer cannot be split into pairs to fit and documents to search."""
HELD_OUT = 1 / 5
MOST_HELD_OUT = 5000
MOST_QUERIES = 1000

OWN_TOP = f"the new model's own top {DEPTH}"
JUDGED = f"the judged quality (nDCG@{DEPTH})"
ENOUGH = {OWN_TOP: 0.6, JUDGED: 0.95}
"""Below this a map should not serve alone. A top 10 holds much that is no answer: between real models, maps that kept
.95 of the judged quality kept .47 to .53 of the top 10, and those that kept .8 or less at most .43."""


@dataclass(frozen=True)
class Contender:
    """A candidate and how it did on held-out pairs.

    Parameters
    ----------
    name : str
    retention : Interval
        Share of what the re-embedded documents would give, by the ground truth of the report.
    behind : Interval
        How much the chosen map is ahead of it, query by query; 0 for the chosen one, below 0 for a better one of more
        parameters that is not better beyond chance.
    n_parameters : int
        Numbers that it holds.
    """

    name: str
    retention: Interval
    behind: Interval
    n_parameters: int


@dataclass(frozen=True)
class MapReport:
    """What was compared, on what, and what came of it.

    Parameters
    ----------
    chosen : str
        Name of the map that was taken: the best, or one of fewer parameters that is not worse beyond chance.
    ground_truth : str
        What a search had to find to count as right.
    retention : Interval
        Of the chosen map.
    contenders : tuple of Contender
        All candidates, best first.
    residual : float
        ``||map(x) - y||_F / ||y - mean||_F`` of unit rows on held-out pairs; 0 is perfect, 1 no better than the mean.
    condition, effective_rank : float
        Of the cross-covariance of the fitted pairs, see `revector.mapping.ProcrustesDiagnostics`.
    n_pairs, n_held_out, n_queries : int
        Pairs given, documents searched, queries asked.
    warning : str or None
        In words, if even this map should not serve alone.
    """

    chosen: str
    ground_truth: str
    retention: Interval
    contenders: tuple[Contender, ...]
    residual: float
    condition: float
    effective_rank: float
    n_pairs: int
    n_held_out: int
    n_queries: int
    warning: str | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a line for each candidate, and the warning."""
        lines = [f"share kept of {self.ground_truth}, {self.n_queries} queries in {self.n_held_out} held-out documents"]
        for contender in self.contenders:
            mark = "*" if contender.name == self.chosen else " "
            lines.append(f"{mark} {contender.name:24}{contender.retention}  {contender.n_parameters:,} parameters")
        return "\n".join([*lines, *([] if self.warning is None else [self.warning])])


def default_candidates(d_old: int, d_new: int) -> dict[str, SpaceMap]:
    """Return the maps that are tried for spaces of these dimensions."""
    return {
        "low rank": LowRankMap(max(1, min(d_old, d_new) // 3)),
        "Procrustes": Procrustes(),
        "ridge": RidgeMap(),
        "ridge toward rotation": RidgeMap(toward_rotation=True),
        "local residual": LocalResidualMap(),
    }


def fit_best(
    old: Any,
    new: Any,
    *,
    queries: Any = None,
    judgements: Judgements | None = None,
    serves: Literal["documents", "queries"] = "documents",
    candidates: Mapping[str, SpaceMap] | None = None,
    old_space: EmbeddingSpace | None = None,
    new_space: EmbeddingSpace | None = None,
    seed: int = 0,
) -> tuple[SpaceMap, MapReport]:
    """Fit several maps, compare what they keep of retrieval on held-out pairs, and return the best, fitted on all.

    Parameters
    ----------
    old, new : array_like of float, shape (n, d_old), (n, d_new)
        Row i of both is the same document.
    queries : array_like of float, shape (n_queries, d_new), optional
        Vectors of real queries by the new model; without them held-out documents stand in, which is an easier task.
    judgements : mapping of int to mapping of int to int, optional
        Row of a query to row of a pair to grade. Without them the ground truth is the new model's own top 10.
    serves : {"documents", "queries"}
        What the map is for: old documents searched by the new model's queries (a map from the old space to the new),
        or the new model's queries in an index of old documents (a map from the new space to the old).
    candidates : mapping of str to SpaceMap, optional
        Maps to try, by name; `default_candidates` by default. They are not changed.
    old_space, new_space : EmbeddingSpace, optional
        Type the map that is returned.
    seed : int
        Of the split.

    Returns
    -------
    map : SpaceMap
        Fitted on all pairs.
    report : MapReport

    Raises
    ------
    InvalidArgumentError
        Fewer than 200 pairs, judgements without queries, or nothing to choose from.
    ShapeError
        Rows or columns that do not fit.
    """
    seed = whole_number(seed, "seed", least=0)
    x, y = as_float32(old, "old"), as_float32(new, "new")
    tried = _candidates(candidates, x, y)
    for name, space in (("old_space", old_space), ("new_space", new_space)):
        if space is not None and not isinstance(space, EmbeddingSpace):
            raise InvalidArgumentError(f"{name} is {shown(space)}, expected an EmbeddingSpace")
    judgements = None if judgements is None else _checked_judgements(judgements)
    trial = _Trial.draw(x, y, queries, judgements, serves, np.random.default_rng(seed))
    fitted = {name: trial.fit(candidate) for name, candidate in tried.items()}
    values = {name: trial.score(each) for name, each in fitted.items()}
    chosen = _choose(values, {name: each.n_parameters for name, each in fitted.items()})
    contenders = tuple(
        Contender(name, trial.retention(values[name]), paired_lift(values[name], values[chosen]), each.n_parameters)
        for name, each in sorted(fitted.items(), key=lambda item: -float(values[item[0]].mean()))
    )
    spaces = (old_space, new_space) if serves == "documents" else (new_space, old_space)
    best = tried[chosen].unfitted().set_params(source=spaces[0], target=spaces[1])
    best.fit(*((x, y) if serves == "documents" else (y, x)))
    return best, _report(trial, chosen, contenders, fitted[chosen], len(x))


@dataclass(frozen=True)
class _Trial:
    """Pairs to fit on; documents and queries held out, with what the new model alone makes of them."""

    training: tuple[Rows, Rows]
    held_out: tuple[Rows, Rows]
    queries: Rows
    qrels: dict[str, dict[str, int]] | None
    serves: Literal["documents", "queries"]

    @classmethod
    def draw(
        cls,
        x: Rows,
        y: Rows,
        queries: Any,
        judgements: Judgements | None,
        serves: Literal["documents", "queries"],
        rng: np.random.Generator,
    ) -> _Trial:
        if len(x) != len(y):
            raise ShapeError(f"rows of new: got {len(y)}, expected {len(x)}")
        if len(x) < LEAST_PAIRS:
            raise InvalidArgumentError(f"got {len(x)} pairs, expected at least {LEAST_PAIRS} to compare maps on")
        if serves not in ("documents", "queries"):
            raise InvalidArgumentError(f"serves is {serves!r}, expected 'documents' or 'queries'")
        asked = None if queries is None else as_float32(queries, "queries")
        order = _judged_first(rng.permutation(len(x)), judgements, asked)
        judged = 0 if judgements is None else len(_relevant(judgements))
        n_held_out = max(judged, min(int(len(x) * HELD_OUT), MOST_HELD_OUT))
        held_out, training = order[:n_held_out], order[n_held_out:]
        if len(training) < LEAST_PAIRS // 2:
            raise InvalidArgumentError(f"{judged} of {len(x)} pairs are judged: too few are left to fit a map on")
        if asked is None:
            stand_in = min(len(held_out) // 4, MOST_QUERIES)
            asked, held_out = y[held_out[:stand_in]], held_out[stand_in:]
        qrels = None if judgements is None else _restricted(judgements, held_out)
        return cls((x[training], y[training]), (x[held_out], y[held_out]), asked, qrels, serves)

    @property
    def ground_truth(self) -> str:
        return OWN_TOP if self.qrels is None else JUDGED

    def fit(self, candidate: SpaceMap) -> SpaceMap:
        pairs = self.training if self.serves == "documents" else self.training[::-1]
        return candidate.unfitted().set_params(source=None, target=None).fit(*pairs)

    def score(self, fitted: SpaceMap) -> Values:
        """Return what each query finds through a map."""
        x = self.held_out[0]
        if self.serves == "documents":
            return self._values(self._search(self.queries, fitted.transform(x)))
        return self._values(self._search(fitted.transform(self.queries), x))

    def retention(self, values: Values) -> Interval:
        """Return the mean as a share of what re-embedded documents give."""
        if self.qrels is None:
            return mean_interval(values)  # the new model keeps all of its own
        lift = paired_lift(self._values(self._search(self.queries, self.held_out[1])), values, relative=True)
        return Interval(1 + lift.value, 1 + lift.low, 1 + lift.high, lift.deviation, lift.n_queries, lift.confidence)

    def residual(self, fitted: SpaceMap) -> float:
        x, y = self.held_out if self.serves == "documents" else self.held_out[::-1]
        wanted = normalize(y)
        spread = np.linalg.norm(wanted - wanted.mean(axis=0))
        return float(np.linalg.norm(fitted.transform(x) - wanted) / spread)

    def _search(self, queries: Rows, documents: Rows) -> Places:
        return cosine_topk(queries, documents, DEPTH)[1]

    def _values(self, found: Places) -> Values:
        if self.qrels is None:
            own = self._search(self.queries, self.held_out[1])
            return np.array([len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, own, strict=True)])
        run = {str(query): [str(place) for place in row] for query, row in enumerate(found.tolist())}
        return as_array(per_query(run, self.qrels, f"nDCG@{DEPTH}"))


def _candidates(candidates: Any, x: Rows, y: Rows) -> Mapping[str, SpaceMap]:
    if candidates is None:
        return default_candidates(x.shape[1], y.shape[1])
    if not isinstance(candidates, Mapping) or not all(isinstance(each, SpaceMap) for each in candidates.values()):
        raise InvalidArgumentError(f"candidates is {shown(candidates)}, expected maps by name")
    if not candidates:
        raise InvalidArgumentError("there are no candidates, expected at least one map")
    return candidates


def _checked_judgements(judgements: Any) -> dict[int, dict[int, int]]:
    """Return judgements with integers of Python's own."""
    if not isinstance(judgements, Mapping) or not all(isinstance(grades, Mapping) for grades in judgements.values()):
        raise InvalidArgumentError(f"judgements is {shown(judgements)}, expected query row to pair row to grade")
    return {
        whole_number(query, "a query of judgements"): {
            whole_number(row, f"a row of judgements[{shown(query)}]"): checked_grade(
                grade, f"judgements[{shown(query)}][{shown(row)}]"
            )
            for row, grade in grades.items()
        }
        for query, grades in judgements.items()
    }


def _choose(values: Mapping[str, Values], n_parameters: Mapping[str, int]) -> str:
    """Return the best; of those that are not worse beyond chance, the one with the fewest parameters."""
    best = max(values, key=lambda name: float(values[name].mean()))
    level = [name for name in values if name == best or paired_lift(values[best], values[name]).high >= 0]
    return min(level, key=lambda name: n_parameters[name])


def _report(trial: _Trial, chosen: str, contenders: tuple[Contender, ...], fitted: SpaceMap, n_pairs: int) -> MapReport:
    retention = next(contender.retention for contender in contenders if contender.name == chosen)
    shape = trial.fit(Procrustes())
    assert isinstance(shape, Procrustes)
    return MapReport(
        chosen=chosen,
        ground_truth=trial.ground_truth,
        retention=retention,
        contenders=contenders,
        residual=trial.residual(fitted),
        condition=shape.diagnostics.condition,
        effective_rank=shape.diagnostics.effective_rank,
        n_pairs=n_pairs,
        n_held_out=len(trial.held_out[0]),
        n_queries=retention.n_queries,
        warning=_warning(chosen, retention, trial.ground_truth),
    )


def _warning(chosen: str, retention: Interval, ground_truth: str) -> str | None:
    if retention.value >= ENOUGH[ground_truth]:
        return None
    return (
        f"The spaces are too different for a map to serve alone: {chosen} keeps {retention.value:.1%} "
        f"[{retention.low:.1%}, {retention.high:.1%}] of {ground_truth}. Re-score its best hits with true new vectors, "
        "serve the old model until documents are re-embedded, or give more pairs."
    )


def _relevant(judgements: Judgements) -> list[int]:
    return sorted({row for grades in judgements.values() for row, grade in grades.items() if grade > 0})


def _judged_first(order: Places, judgements: Judgements | None, queries: Rows | None) -> Places:
    """Move the rows that judgements name to the front: a query needs its documents among those held out."""
    if judgements is None:
        return order
    if queries is None:
        raise InvalidArgumentError("judgements need the queries they are about; pass queries=")
    relevant = _relevant(judgements)
    if not relevant or relevant[0] < 0 or relevant[-1] >= len(order):
        raise InvalidArgumentError(f"judgements name no relevant row, or one outside the {len(order)} pairs")
    if any(not 0 <= query < len(queries) for query in judgements):
        raise InvalidArgumentError(f"judgements name a query outside the {len(queries)} given")
    judged = np.isin(order, relevant)
    return np.concatenate([order[judged], order[~judged]])


def _restricted(judgements: Judgements, held_out: Places) -> dict[str, dict[str, int]]:
    """Name held-out documents by their place."""
    places = {int(row): place for place, row in enumerate(held_out)}
    return {
        str(query): {str(places[row]): grade for row, grade in grades.items() if row in places}
        for query, grades in judgements.items()
    }
