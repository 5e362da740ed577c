"""The best map for some pairs: candidates compared by what searches through them find, never by how close rows come.

A map that brings rows closer on average need not keep the order of neighbours, and the order is what a search returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from revector._arguments import shown, whole_number
from revector._arrays import as_float32
from revector.errors import InvalidArgumentError
from revector.evaluation import map_trials
from revector.evaluation.map_trials import JUDGED, OWN_TOP, Judgements, Rows, Serves, Trial, together
from revector.evaluation.metrics import checked_grade
from revector.evaluation.significance import Interval, Values, paired_lift
from revector.mapping import LocalResidualMap, LowRankMap, Procrustes, RidgeMap, SpaceMap
from revector.spaces import EmbeddingSpace

MARGIN = 0.01
"""A map of fewer parameters is taken where what it keeps is behind the best by less than this share."""

CHOSEN_ON = 2_048
"""Pairs that `quick_map` chooses on, at most: more of them change the choice rarely, and it takes seconds."""
NEIGHBOURHOOD_OF_FEW = (16, 0.1, 1.0)
"""Of a map from fewer pairs than can be chosen on; see `Neighbourhood`."""

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
        parameters that is not better by `MARGIN`.
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
        Name of the map that was taken: the best, or one of fewer parameters that is not worse by `MARGIN`.
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
        Pairs given, documents searched (over all parts of the pairs that were held out in turn), queries asked.
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


def quick_candidates() -> dict[str, SpaceMap]:
    """Return the maps that a migration chooses from while it runs: quick to fit, and between them near the best."""
    return {"Procrustes": Procrustes(), "local residual": LocalResidualMap(Procrustes())}


def quick_map(
    old: Rows, new: Rows, *, serves: Serves = "documents", like: SpaceMap | None = None, seed: int = 0
) -> SpaceMap:
    """Return the map to fit to some pairs, not fitted: chosen by retrieval, where there are enough to choose on.

    Nothing that the extra ``eval`` brings is needed.

    Parameters
    ----------
    old, new : ndarray of float32, shape (n, d_old), (n, d_new)
        Row i of both is the same document.
    serves, seed
        As for `fit_best`.
    like : SpaceMap, optional
        What was chosen on fewer pairs: that kind it is, where there are more than `CHOSEN_ON`.
    """
    if len(old) < map_trials.LEAST_PAIRS:
        spans = len(old) > max(old.shape[1], new.shape[1])  # or a rotation is anybody's guess where no pair leads
        return LocalResidualMap(Procrustes() if spans else RidgeMap(1.0), *NEIGHBOURHOOD_OF_FEW)
    kinds = quick_candidates()
    alike = [kind for kind in kinds.values() if type(kind) is type(like)]
    if alike and len(old) > CHOSEN_ON:
        return alike[0]
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(old))[:CHOSEN_ON]
    trials = map_trials.draw(old[some], new[some], None, None, serves, rng)
    fitted, values = _tried(trials, kinds)
    return kinds[_choose(values, fitted)]


def fit_best(
    old: Any,
    new: Any,
    *,
    queries: Any = None,
    judgements: Judgements | None = None,
    serves: Serves = "documents",
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
    trials = map_trials.draw(x, y, queries, judgements, serves, np.random.default_rng(seed))
    fitted, values = _tried(trials, tried)
    chosen = _choose(values, fitted)
    contenders = tuple(
        Contender(
            name,
            trials[0].retention(values[name]),
            paired_lift(values[name], values[chosen]),
            fitted[name].n_parameters,
        )
        for name in sorted(values, key=lambda name: -float(values[name].mean()))
    )
    spaces = (old_space, new_space) if serves == "documents" else (new_space, old_space)
    best = tried[chosen].unfitted().set_params(source=spaces[0], target=spaces[1])
    best.fit(*((x, y) if serves == "documents" else (y, x)))
    return best, _report(trials, chosen, contenders, fitted[chosen], len(x))


def _tried(
    trials: Sequence[Trial], candidates: Mapping[str, SpaceMap]
) -> tuple[dict[str, SpaceMap], dict[str, Values]]:
    """Fit and score the candidates; return them as the first trial has fitted them, and a value a query."""
    fitted = {name: trials[0].fit(candidate) for name, candidate in candidates.items()}
    values = {
        name: together(
            trials, [trials[0].score(fitted[name]), *(trial.score(trial.fit(candidate)) for trial in trials[1:])]
        )
        for name, candidate in candidates.items()
    }
    return fitted, values


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


def _choose(values: Mapping[str, Values], fitted: Mapping[str, SpaceMap]) -> str:
    """Return the best; of those that are not behind by `MARGIN`, the one with the fewest parameters."""
    means = {name: float(each.mean()) for name, each in values.items()}
    level = [name for name, mean in means.items() if mean >= (1 - MARGIN) * max(means.values())]
    return min(level, key=lambda name: fitted[name].n_parameters)


def _report(
    trials: Sequence[Trial], chosen: str, contenders: tuple[Contender, ...], fitted: SpaceMap, n_pairs: int
) -> MapReport:
    retention = next(contender.retention for contender in contenders if contender.name == chosen)
    shape = trials[0].fit(Procrustes())
    assert isinstance(shape, Procrustes)
    return MapReport(
        chosen=chosen,
        ground_truth=trials[0].ground_truth,
        retention=retention,
        contenders=contenders,
        residual=trials[0].residual(fitted),
        condition=shape.diagnostics.condition,
        effective_rank=shape.diagnostics.effective_rank,
        n_pairs=n_pairs,
        n_held_out=sum(len(trial.searched[0]) for trial in trials),
        n_queries=retention.n_queries,
        warning=_warning(chosen, retention, trials[0].ground_truth),
    )


def _warning(chosen: str, retention: Interval, ground_truth: str) -> str | None:
    if retention.value >= ENOUGH[ground_truth]:
        return None
    return (
        f"The spaces are too different for a map to serve alone: {chosen} keeps {retention.value:.1%} "
        f"[{retention.low:.1%}, {retention.high:.1%}] of {ground_truth}. Re-score its best hits with true new vectors, "
        "serve the old model until documents are re-embedded, or give more pairs."
    )
