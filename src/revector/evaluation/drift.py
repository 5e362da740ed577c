"""How far two sets of vectors have moved apart: two models on the same texts, or two snapshots of one collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector._arguments import number, whole_number
from revector._arrays import as_float32
from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.evaluation.exact import nearest_others
from revector.evaluation.significance import Interval, mean_interval

MIN_ROWS = 20
PERMUTATIONS = 999
TESTED_ROWS = 2000
"""Rows of each snapshot that the permutations use; their cost grows with the square."""

Rows = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ModelDrift:
    """Two models (or versions of one) on the same texts.

    Parameters
    ----------
    overlap : Interval
        Share of the `k` nearest texts that both agree on, mean over a sample of texts.
    k : int
        Depth of a neighbourhood.
    cka : float
        Linear centred kernel alignment, 0 to 1; blind to rotation and scale.
    row_cosine : float or None
        Mean cosine of a text's two vectors: 1 if nothing changed, about 0 for other models; ``None`` where the
        dimensions differ.
    spectrum_shift : float
        Share of the variance that lies at another rank of the spectrum, 0 to 1.
    effective_ranks : tuple of float
        Of the old and the new vectors' covariance.
    """

    overlap: Interval
    k: int
    cka: float
    row_cosine: float | None
    spectrum_shift: float
    effective_ranks: tuple[float, float]

    def __str__(self) -> str:
        """Return the figures in words."""
        same = "" if self.row_cosine is None else f"; a text's two vectors have cosine {self.row_cosine:.3f}"
        old, new = self.effective_ranks
        return (
            f"{self.overlap.value:.0%} [{self.overlap.low:.0%}, {self.overlap.high:.0%}] of the {self.k} nearest texts "
            f"stay; CKA {self.cka:.3f}{same}; effective rank {old:.0f} → {new:.0f}, {self.spectrum_shift:.0%} of the "
            "variance at another rank"
        )


@dataclass(frozen=True)
class SnapshotDrift:
    """Two samples of one space with different texts.

    Parameters
    ----------
    drifted : bool
        The samples are not of one distribution: ``min(1, 2 min(mean_p, spectrum_p)) <= false_alarms``.
    false_alarms : float
        How often `drifted` may be true of two random samples of one distribution, at most.
    mean_shift : float
        Distance of the means, in standard deviations of a row about its own sample's mean.
    mean_p, spectrum_p : float
        How often a random split of all rows moves the mean, or the covariance, at least as far.
    mean_cosine : float
        Cosine of the means.
    frechet : float
        Squared Fréchet distance of the Gaussians with the samples' moments; grows when rows are few.
    spectrum_shift : float
        Share of the variance that lies at another rank of the spectrum, 0 to 1.
    effective_ranks : tuple of float
        Before and after.
    """

    drifted: bool
    false_alarms: float
    mean_shift: float
    mean_p: float
    spectrum_p: float
    mean_cosine: float
    frechet: float
    spectrum_shift: float
    effective_ranks: tuple[float, float]

    def __str__(self) -> str:
        """Return the finding in a sentence."""
        before, after = self.effective_ranks
        head = "DRIFTED: not one distribution" if self.drifted else "no drift seen"
        return (
            f"{head} (at most {self.false_alarms:.0%} false alarms); the mean moved by {self.mean_shift:.3f} standard "
            f"deviations (p = {self.mean_p:.3f}), covariance p = {self.spectrum_p:.3f}, effective rank {before:.0f} → "
            f"{after:.0f}, Fréchet distance² {self.frechet:.4f}"
        )


@dataclass(frozen=True, eq=False)
class _Moments:
    """Mean (d,), covariance (d, d) and its eigenvalues as shares of their sum, largest first (d,)."""

    mean: Values
    covariance: Values
    shares: Values

    @classmethod
    def of(cls, rows: Rows) -> _Moments:
        exact = rows.astype(np.float64)
        mean = exact.mean(axis=0)
        centred = exact - mean
        covariance = centred.T @ centred / len(rows)
        values = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0.0)
        if not values.sum() > 0:
            raise NumericalError("all rows are equal: there is no spread to compare; pass vectors of different texts")
        return cls(mean, covariance, values / values.sum())

    @property
    def spread(self) -> float:
        """Variance of a row, summed over dimensions."""
        return float(np.trace(self.covariance))

    @property
    def effective_rank(self) -> float:
        """Exponential of the entropy of the spectrum (Roy & Vetterli 2007)."""
        shares = self.shares[self.shares > 0]
        return float(np.exp(-np.sum(shares * np.log(shares))))


def model_drift(old: Any, new: Any, *, k: int = 10, queries: int = 500, seed: int = 0) -> ModelDrift:
    """Compare two models by their vectors of the same texts.

    Parameters
    ----------
    old, new : array_like of float, shape (n, d_old) and (n, d_new)
        Row i of both belongs to the same text. Neighbours are found by cosine.
    k : int
        Depth of a neighbourhood; below n.
    queries : int
        Texts whose neighbourhoods are compared; all, if there are fewer.
    seed : int
        Of their choice and of the interval.

    Raises
    ------
    ShapeError
        Not two matrices with the same rows, or fewer than `MIN_ROWS`.
    InvalidArgumentError
        `k` is not between 1 and n - 1, or `queries` is below 2.
    NumericalError
        NaN or infinity, or all rows are equal.
    """
    k, queries = whole_number(k, "k", least=1), whole_number(queries, "queries", least=2)
    seed = whole_number(seed, "seed", least=0)
    x, y = _checked(old, "old"), _checked(new, "new")
    if len(x) != len(y):
        raise ShapeError(f"old has {len(x)} rows and new {len(y)}, expected one of each for the same texts")
    if k >= len(x):
        raise InvalidArgumentError(f"k is {k}, expected at most {len(x) - 1}, one less than there are rows")
    before, after = _Moments.of(x), _Moments.of(y)
    return ModelDrift(
        overlap=mean_interval(_overlaps(x, y, k, queries, seed), seed=seed),
        k=k,
        cka=_cka(x, y, before, after),
        row_cosine=_row_cosine(x, y) if x.shape == y.shape else None,
        spectrum_shift=_spectrum_shift(before, after),
        effective_ranks=(before.effective_rank, after.effective_rank),
    )


def snapshot_drift(before: Any, after: Any, *, false_alarms: float = 0.05, seed: int = 0) -> SnapshotDrift:
    """Tell whether two samples of one space are of the same distribution, and what has moved.

    Mean and covariance are each tested by random splits of all rows (up to `TESTED_ROWS` of each sample), which makes
    the levels exact whatever the distribution; the smaller of the two counts double (Bonferroni).

    Parameters
    ----------
    before, after : array_like of float, shape (n, d) and (m, d)
        Random samples, of different texts; nothing is paired.
    false_alarms : float
        The share of alarms that is accepted where nothing has changed.
    seed : int
        Of the splits.

    Raises
    ------
    ShapeError
        Not two matrices of one dimension, or fewer than `MIN_ROWS` rows.
    InvalidArgumentError
        `false_alarms` is below what `PERMUTATIONS` splits can tell, or not below 1.
    NumericalError
        NaN or infinity, or all rows are equal.
    """
    accepted, seed = number(false_alarms, "false_alarms"), whole_number(seed, "seed", least=0)
    x, y = _checked(before, "before"), _checked(after, "after")
    if x.shape[1] != y.shape[1]:
        raise ShapeError(f"before has {x.shape[1]} columns and after {y.shape[1]}, expected two samples of one space")
    least = 2 / (PERMUTATIONS + 1)
    if not least <= accepted < 1:
        raise InvalidArgumentError(f"false_alarms is {false_alarms}, expected at least {least} and below 1")
    old, new = _Moments.of(x), _Moments.of(y)
    mean_p, spectrum_p = _levels(x, y, np.random.default_rng(seed))
    return SnapshotDrift(
        drifted=2 * min(mean_p, spectrum_p) <= accepted,
        false_alarms=accepted,
        mean_shift=float(np.linalg.norm(old.mean - new.mean) / np.sqrt((old.spread + new.spread) / 2)),
        mean_p=mean_p,
        spectrum_p=spectrum_p,
        mean_cosine=_cosine(old.mean, new.mean),
        frechet=_frechet(old, new),
        spectrum_shift=_spectrum_shift(old, new),
        effective_ranks=(old.effective_rank, new.effective_rank),
    )


def _checked(vectors: Any, name: str) -> Rows:
    rows = as_float32(vectors, name)
    if len(rows) < MIN_ROWS:
        raise ShapeError(f"{name} has {len(rows)} rows, expected at least {MIN_ROWS}")
    if not np.isfinite(rows).all():
        first = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise NumericalError(f"row {first} of {name} holds NaN or infinity; leave it out or embed its text again")
    return rows


def _overlaps(x: Rows, y: Rows, k: int, queries: int, seed: int) -> Values:
    """Return the share of common neighbours of each of a sample of texts, (q,)."""
    sample = np.random.default_rng(seed).choice(len(x), size=min(len(x), queries), replace=False)
    pairs = zip(nearest_others(x, sample, k), nearest_others(y, sample, k), strict=True)
    return np.array([len(np.intersect1d(a, b)) / k for a, b in pairs])


def _cka(x: Rows, y: Rows, before: _Moments, after: _Moments) -> float:
    """Linear CKA by its feature-space form, n d² (Kornblith et al., ICML 2019, section 3.3)."""
    cross = (x - before.mean).T @ (y - after.mean) / len(x)
    norms = np.linalg.norm(before.covariance) * np.linalg.norm(after.covariance)
    return float(np.sum(cross**2) / norms)


def _row_cosine(x: Rows, y: Rows) -> float:
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return float(np.mean(np.einsum("ij,ij->i", x, y) / np.where(norms > 0, norms, 1.0)))


def _cosine(a: Values, b: Values) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0


def _spectrum_shift(a: _Moments, b: _Moments) -> float:
    """Total variation of the two spectra; the shorter one ends in zeros."""
    size = max(len(a.shares), len(b.shares))
    shares = [np.pad(moments.shares, (0, size - len(moments.shares))) for moments in (a, b)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _frechet(a: _Moments, b: _Moments) -> float:
    """Return |m_a - m_b|² + tr(A + B - 2 (A^½ B A^½)^½) (Dowson & Landau 1982)."""
    values, vectors = np.linalg.eigh(a.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    common = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ b.covariance @ root), 0.0)).sum()
    return max(0.0, float(np.sum((a.mean - b.mean) ** 2) + a.spread + b.spread - 2 * common))


def _levels(x: Rows, y: Rows, rng: np.random.Generator) -> tuple[float, float]:
    """Return how often a random split moves the mean, and the second moments about the common mean, as far.

    With s = 1/n in one sample and -1/m in the other, the squared shifts are sᵀ G s, where G holds the products of the
    rows for the mean and their squares for the moments (a squared maximum mean discrepancy; Gretton et al., JMLR 2012).
    """
    parts = [rng.choice(part, min(len(part), TESTED_ROWS), replace=False) for part in (x, y)]
    rows = np.concatenate(parts)
    rows = rows - rows.mean(axis=0)
    gram = rows @ rows.T
    signs = np.repeat([1 / len(parts[0]), -1 / len(parts[1])], [len(part) for part in parts]).astype(np.float32)
    splits = np.stack([signs, *(rng.permutation(signs) for _ in range(PERMUTATIONS))], axis=1)
    return _level(gram, splits), _level(gram**2, splits)


def _level(gram: Rows, splits: Rows) -> float:
    """Return the share of splits, the true one (the first) among them, that move at least as far as the true one."""
    shifts = np.einsum("ij,ij->j", splits, gram @ splits)
    return float(np.mean(shifts >= shifts[0]))
