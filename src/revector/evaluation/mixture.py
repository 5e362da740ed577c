"""Whether a collection holds vectors of more than one embedding space, told from the vectors alone.

Topics split a collection as spaces do, so a gap between two groups of rows proves nothing. Two things tell them apart:

- *The frame.* What is left of a row after its neighbours' mean is taken off depends little on the topic and much on the
  model: its covariance has the model's own preferred directions. Groups of one space share them, whatever they are
  about; frames that have nothing to do with each other agree by 0 ± √2/d (the correlation of two symmetric traceless
  d × d matrices after a random rotation, of which there are d(d+1)/2 - 1 independent entries).
- *The neighbours.* Rows of one space find some of their nearest neighbours in the other topics; rows of another space
  do not.

The sample is cut into small groups, groups are joined while either of the two ties them, and what cannot be joined is
another space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import whole_number
from revector._arrays import as_float32
from revector.errors import ShapeError
from revector.evaluation.exact import nearest_others
from revector.similarity import cosine_topk, normalize

THRESHOLD = 1 / 3
"""Parts with a weaker tie are two spaces. A frame and its random rotation tend to 0; in samples of 5,000 rows the tie
of minilm and bge was up to 0.25, that of topics of one space 0.54 or more (`benchmarks/bench_mixture.py`)."""
MIN_ROWS = 200
MIN_DIMENSION = 8
"""In fewer there is no room for two frames."""
MIN_PART = 50
"""The covariance of fewer rows is noise: they are given to the part that they are tied to most."""

_NEIGHBOURS = 5
_ROWS_A_GROUP = 60
_MAX_GROUPS = 64
_ROUNDS = 12
_VOTES = 3
_COLUMNS_A_BLOCK = 64

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Mixture:
    """What was found.

    Parameters
    ----------
    mixed : bool
        The rows come from more than one embedding space.
    labels : ndarray of int64, shape (n,)
        The space of each row; 0 is the one with most rows.
    shares : tuple of float
        Share of the rows in each space, largest first.
    tie : float
        How much ties the parts together, 1 for all, about 0 for unrelated spaces: the strongest tie between two spaces
        if they are mixed, else the weakest one that held the sample together.
    threshold : float
        Parts whose tie is below it are different spaces.
    """

    mixed: bool
    labels: Labels
    shares: tuple[float, ...]
    tie: float
    threshold: float = THRESHOLD

    def __str__(self) -> str:
        """Return the finding in a sentence."""
        rows, parts = len(self.labels), ", ".join(f"{share:.1%}" for share in self.shares)
        if self.mixed:
            found = f"MIXED: {rows:,} rows of {len(self.shares)} embedding spaces ({parts})"
            return f"{found}; the strongest tie between two of them is {self.tie:.2f}, under {self.threshold:.2f}"
        return (
            f"one embedding space in {rows:,} rows; the weakest tie is {self.tie:.2f}, {self.threshold:.2f} or more is "
            f"one space (spaces with fewer than {MIN_PART} rows in the sample are not seen)"
        )


def detect_mixture(vectors: Any, *, seed: int = 0) -> Mixture:
    """Tell whether a sample of a collection holds more than one embedding space, and which rows belong to which.

    Two spaces of the same frame are one to it: the same model with other texts, or a model and its slight fine-tuning.

    Parameters
    ----------
    vectors : array_like of float, shape (n, d)
        A random sample of the collection; lengths of rows do not count. A space is seen if it has `MIN_PART` rows in
        it, so a share of 1 % needs about 5,000 rows.
    seed : int
        Of the grouping.

    Returns
    -------
    Mixture

    Raises
    ------
    ShapeError
        `vectors` is not a matrix, or has fewer than `MIN_ROWS` rows or `MIN_DIMENSION` columns.
    NumericalError
        A row holds NaN or infinity.

    Notes
    -----
    Costs n² d for the neighbours and n d² for the covariances: seconds for 20,000 rows of 384.
    """
    seed = whole_number(seed, "seed", least=0)
    rows = _centred(as_float32(vectors, "vectors"))
    near = nearest_others(rows, np.arange(len(rows)), _NEIGHBOURS)
    group = _groups(rows, np.random.default_rng(seed))
    parts, tie = _join(_Ties.between(group, near, _residuals(rows, near)))
    labels = _by_size(_vote(parts[group], near)) if parts.any() else np.zeros(len(rows), dtype=np.int64)
    shares = tuple((np.bincount(labels) / len(labels)).tolist())
    return Mixture(len(shares) > 1, labels, shares, tie)


def _centred(vectors: Rows) -> Rows:
    """Return unit rows about the common mean: a model's mean vector would make all its rows alike."""
    n, d = vectors.shape
    if n < MIN_ROWS or d < MIN_DIMENSION:
        least = f"{MIN_ROWS} rows of {MIN_DIMENSION} dimensions"
        raise ShapeError(f"got vectors of shape {vectors.shape}, expected at least {least}")
    unit = normalize(vectors)
    return normalize(unit - unit.mean(axis=0))


def _residuals(rows: Rows, near: Labels) -> Rows:
    """Return what is left of each row without its neighbours' mean; one neighbour at a time, for the memory of one."""
    total = np.zeros_like(rows)
    for nth in near.T:
        total += rows[nth]
    return rows - total / np.float32(near.shape[1])


def _groups(rows: Rows, rng: np.random.Generator) -> Labels:
    """Cut the rows in groups of some sixty by spherical k-means; return the group of each row."""
    centres = _first_centres(rows, min(len(rows) // _ROWS_A_GROUP, _MAX_GROUPS), rng)
    for _ in range(_ROUNDS):
        nearest = cosine_topk(rows, centres, 1)[1][:, 0]
        centres = normalize(np.stack([rows[nearest == c].sum(axis=0) for c in np.unique(nearest)]))
    _, group = np.unique(cosine_topk(rows, centres, 1)[1][:, 0], return_inverse=True)
    return group.astype(np.int64)


def _first_centres(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Draw rows far from those already drawn, so small parts get one (k-means++, Arthur & Vassilvitskii 2007)."""
    chosen = [int(rng.integers(len(rows)))]
    distance = np.full(len(rows), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.maximum(1.0 - rows @ rows[chosen[-1]], 0.0))
        total = distance.sum()
        chosen.append(int(rng.choice(len(rows), p=distance / total if total > 0 else None)))
    return rows[chosen]


@dataclass(frozen=True)
class _Ties:
    """Sums over the rows of each group, from which the tie of any two unions of groups follows.

    With S = Σ r rᵀ over the residuals r of a group: `products` holds <S_a, S_b>, (g, g); `traces` tr S, `fourths`
    Σ |r|⁴, `sizes` the rows, (g,). `links` counts the neighbours that rows of a have in b, (g, g).
    """

    sizes: Values
    traces: Values
    fourths: Values
    products: Values
    links: Values
    dimension: int

    @classmethod
    def between(cls, group: Labels, near: Labels, residuals: Rows) -> _Ties:
        count = int(group.max()) + 1
        squares = np.einsum("ij,ij->i", residuals, residuals, dtype=np.float64)
        links = np.zeros((count, count))
        np.add.at(links, (np.repeat(group, near.shape[1]), group[near].ravel()), 1.0)
        return cls(
            sizes=np.bincount(group).astype(np.float64),
            traces=np.bincount(group, squares).astype(np.float64),
            fourths=np.bincount(group, squares**2).astype(np.float64),
            products=_scatter_products([residuals[group == g] for g in range(count)]),
            links=links,
            dimension=residuals.shape[1],
        )

    def join(self, a: int, b: int) -> _Ties:
        """Return the ties after group b has become part of a."""

        def added(sums: Values) -> Values:
            for axis in range(sums.ndim):
                moved = np.moveaxis(sums, axis, 0).copy()
                moved[a] += moved[b]
                sums = np.moveaxis(np.delete(moved, b, axis=0), 0, axis)
            return sums

        return _Ties(
            added(self.sizes),
            added(self.traces),
            added(self.fourths),
            added(self.products),
            added(self.links),
            self.dimension,
        )

    def matrix(self) -> Values:
        """Return the tie of each two groups, (g, g), with -inf on the diagonal.

        One of three is enough: a common frame f, or neighbours that either has in the other, as shares s of all its
        neighbours: ``1 - (1 - f)(1 - s_ab)(1 - s_ba)``.
        """
        apart = 1.0 - self.links / (_NEIGHBOURS * self.sizes[:, None])
        ties = 1.0 - (1.0 - self._frames()) * apart * apart.T
        np.fill_diagonal(ties, -np.inf)
        return ties

    def _frames(self) -> Values:
        """How much of one group's frame is in the other's, and two standard errors, (g, g).

        A frame is the traceless part of a covariance of trace 1. Their inner product is divided by the smaller of the
        two squared norms: a topic adds directions of its own to the model's frame, which must not hide it. Products of
        a row with itself are left out of the norms, which they would inflate. The standard error is that of rows
        without any direction, √2 / (d √(n n)): where there is no direction to compare, or there are too few rows to
        see it, nothing speaks against one space.
        """
        n, d = self.sizes, self.dimension
        trace = np.where(self.traces > 0, self.traces, 1.0)  # copies of one text: all sums are 0
        shared = self.products / np.outer(trace, trace) - 1.0 / d
        error = np.sqrt(2.0 / np.outer(n, n)) / d
        norms = (np.diag(self.products) - self.fourths) / trace**2 * n / np.maximum(n - 1, 1) - 1.0 / d
        smaller = np.minimum.outer(norms, norms)
        bound = np.divide(shared + 2.0 * error, smaller, out=np.ones_like(shared), where=smaller > 0)
        return np.asarray(np.clip(bound, 0.0, 1.0))


def _scatter_products(members: list[Rows]) -> Values:
    """Return <S_a, S_b> of the scatter matrices of groups, some columns at a time so that few of them are held."""
    products = np.zeros((len(members), len(members)))
    for at in range(0, members[0].shape[1], _COLUMNS_A_BLOCK):
        columns = slice(at, at + _COLUMNS_A_BLOCK)
        scatter = np.stack([(rows.T @ rows[:, columns]).ravel() for rows in members]).astype(np.float64)
        products += scatter @ scatter.T
    return products


def _join(ties: _Ties) -> tuple[Labels, float]:
    """Join the groups of the strongest tie until no tie holds; return each group's part, and the tie to report."""
    part = np.arange(len(ties.sizes))
    weakest = 1.0
    while len(ties.sizes) > 1:
        strength = ties.matrix()
        small = ties.sizes < MIN_PART
        open_pairs = np.where((strength >= THRESHOLD) | small[:, None] | small, strength, -np.inf)
        a, b = sorted(np.unravel_index(int(open_pairs.argmax()), strength.shape))
        if open_pairs[a, b] == -np.inf:
            return part, float(strength.max())
        if not (small[a] or small[b]):
            weakest = min(weakest, float(strength[a, b]))
        ties = ties.join(int(a), int(b))
        part = np.where(part == b, a, part) - (part > b)
    return part, weakest


def _vote(labels: Labels, near: Labels) -> Labels:
    """Give each row the label of most of its neighbours, a few times: groups at the border hold rows of both."""
    for _ in range(_VOTES):
        counts = np.stack([(labels[near] == part).sum(axis=1) for part in range(int(labels.max()) + 1)], axis=1)
        labels = counts.argmax(axis=1)
    return labels


def _by_size(labels: Labels) -> Labels:
    """Renumber the parts from the largest to the smallest."""
    _, labels, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")[labels], dtype=np.int64)
