# cython: language_level=3, freethreading_compatible=True
# cython: boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# distutils: language = c++
"""Score normalisation and merging of small ranked lists.

A search over two generations ends with a handful of lists of some dozens of hits each: too small for NumPy's call
overhead to disappear, called once a query. Every function here is one pass over contiguous memory.

Scores are similarities: higher is better. Every function refuses infinity (`NumericalError`): padding of a search
(id -1, score -inf) is the caller's to cut off. NaN is refused as well, but by `line`, `on_scale` and `best`: there it is
a score that a model does not know.
"""

from collections.abc import Iterable

import numpy as np

from cython.operator cimport dereference as deref
from libc.math cimport INFINITY, isfinite, isinf, isnan, sqrt
from libc.stdint cimport int64_t
from libcpp.algorithm cimport partial_sort
from libcpp.unordered_map cimport unordered_map
from libcpp.utility cimport pair
from libcpp.vector cimport vector

from revector._arguments import number, share, shown, whole_number
from revector.errors import InvalidArgumentError, NumericalError, ShapeError


cdef const double[::1] _scores(values, str name="scores"):
    """View ``values`` as contiguous float64; refuse other ranks and anything not finite."""
    array = _numbers(values, name, "iuf", np.float64)
    cdef const double[::1] view = array
    cdef Py_ssize_t i
    for i in range(view.shape[0]):
        if not isfinite(view[i]):
            raise NumericalError(f"{name}[{i}] is {view[i]}, expected a finite number; cut the padding off first")
    return view


cdef const double[::1] _known(values, str name, Py_ssize_t expected=-1):
    """View ``values`` as contiguous float64, NaN where a score is not known; refuse infinity and another length."""
    array = _numbers(values, name, "iuf", np.float64)
    cdef const double[::1] view = array
    cdef Py_ssize_t i
    if expected >= 0 and view.shape[0] != expected:
        raise ShapeError(f"{name} has {view.shape[0]} scores, expected {expected}")
    for i in range(view.shape[0]):
        if isinf(view[i]):
            raise NumericalError(f"{name}[{i}] is {view[i]}, expected a finite number, or NaN for one that is not known")
    return view


cdef const int64_t[::1] _ids(values):
    """View ``values`` as contiguous int64."""
    return _numbers(values, "ids", "iu", np.int64)


cdef object _numbers(values, str name, str kinds, dtype):
    """View ``values`` as a contiguous vector of a type; refuse what would have to be guessed, such as strings."""
    if dtype is np.float64 and type(values) is tuple and _are_floats(values):
        return np.array(values, dtype=np.float64)  # NumPy takes twice as long to find the type out
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{name} is {shown(values)}, expected numbers") from error
    if array.ndim != 1:
        raise ShapeError(f"{name} has {array.ndim} dimensions, expected 1")
    cdef str kind = array.dtype.kind
    if kind not in kinds and array.size:
        expected = "integers" if dtype is np.int64 else "real numbers"
        raise InvalidArgumentError(f"{name} has dtype {array.dtype}, expected {expected}")
    if kind == "u" and dtype is np.int64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise InvalidArgumentError(f"{name} holds {array.max()}, expected at most 2**63 - 1")
    return np.ascontiguousarray(array, dtype=dtype)


cdef bint _are_floats(tuple values):
    for value in values:
        if type(value) is not float:
            return False
    return True


cdef list _listed(lists):
    if isinstance(lists, (str, bytes)) or not isinstance(lists, Iterable):
        raise InvalidArgumentError(f"lists is {shown(lists)}, expected a sequence of ranked lists")
    return list(lists)


def min_max(scores):
    """Stretch scores to [0, 1]: ``(s - min) / (max - min)``.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Scores of one ranked list.

    Returns
    -------
    ndarray of float64, shape (n,)
        All 0.5 where every score is the same: such a list prefers nobody.
    """
    cdef const double[::1] source = _scores(scores)
    cdef Py_ssize_t i, n = source.shape[0]
    result = np.full(n, 0.5)
    if n == 0:
        return result
    cdef double[::1] out = result
    cdef double low = source[0], high = source[0]
    for i in range(1, n):
        low = min(low, source[i])
        high = max(high, source[i])
    if high > low:
        for i in range(n):
            out[i] = (source[i] - low) / (high - low)
    return result


def z_score(scores, reference=None):
    """Standardise scores: ``(s - mean) / standard deviation`` (population).

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Scores of one ranked list.
    reference : array_like of float, shape (m,), optional
        Scores whose mean and deviation are used; by default ``scores`` themselves. A list and a part of it are put
        on one scale by giving both the same reference.

    Returns
    -------
    ndarray of float64, shape (n,)
        All 0 where the reference is empty or constant.
    """
    cdef const double[::1] source = _scores(scores)
    cdef const double[::1] base = source if reference is None else _scores(reference, "reference")
    cdef Py_ssize_t i, n = source.shape[0], m = base.shape[0]
    cdef double mean = 0.0, variance = 0.0, deviation
    result = np.zeros(n)
    cdef double[::1] out = result
    for i in range(m):
        mean += base[i] / m
    for i in range(m):
        variance += (base[i] - mean) * (base[i] - mean) / m
    deviation = sqrt(variance)
    if deviation > 1e-12 * max(1.0, abs(mean)):  # below that the spread is rounding of equal scores
        for i in range(n):
            out[i] = (source[i] - mean) / deviation
    return result


def calibrated(scores, knots, values, *, extrapolate=False):
    """Pass scores through a calibration curve given by its knots, linear between them.

    An isotonic calibration is its knots. An affine one is two knots with ``extrapolate=True``.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        Scores to calibrate.
    knots : array_like of float, shape (m,)
        Scores where the curve is known; strictly increasing, at least one.
    values : array_like of float, shape (m,)
        The curve's values there; not decreasing, so that calibration never turns a ranking around.
    extrapolate : bool
        Beyond the first and last knot go on along the outermost segments (needs two knots) rather than stay flat.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    cdef const double[::1] source = _scores(scores)
    cdef const double[::1] x = _scores(knots, "knots")
    cdef const double[::1] y = _scores(values, "values")
    cdef bint flat = not extrapolate
    cdef Py_ssize_t i, n = source.shape[0], m = x.shape[0]
    _check_curve(x, y, flat)
    result = np.empty(n)
    cdef double[::1] out = result
    for i in range(n):
        out[i] = _interpolate(source[i], x, y, m, flat)
    return result


cdef object _check_curve(const double[::1] x, const double[::1] y, bint flat):
    """Raise unless (x, y) is a monotone curve with enough knots."""
    cdef Py_ssize_t i, m = x.shape[0], least = 1 if flat else 2
    if y.shape[0] != m or m < least:
        raise ShapeError(f"got {m} knots and {y.shape[0]} values, expected the same number, at least {least}")
    for i in range(1, m):
        if x[i] <= x[i - 1]:
            raise InvalidArgumentError(f"knots[{i}] is {x[i]}, expected more than knots[{i - 1}] = {x[i - 1]}")
        if y[i] < y[i - 1]:
            raise InvalidArgumentError(f"values[{i}] is {y[i]}, expected at least values[{i - 1}] = {y[i - 1]}")
    return None


cdef double _interpolate(double s, const double[::1] x, const double[::1] y, Py_ssize_t m, bint flat) noexcept nogil:
    """Value of the curve at s, by bisection for the segment that holds it."""
    cdef Py_ssize_t low = 0, high = m - 1, middle
    if flat and s <= x[0]:
        return y[0]
    if flat and s >= x[m - 1]:
        return y[m - 1]
    while high - low > 1:
        middle = (low + high) // 2
        if x[middle] <= s:
            low = middle
        else:
            high = middle
    return y[low] + (s - x[low]) * (y[high] - y[low]) / (x[high] - x[low])


def line(scores, target, *, how="zscore"):
    """Fit the line that takes one model's scores to another one's, on the documents that have both.

    Parameters
    ----------
    scores, target : array_like of float, shape (n,)
        Scores of the same documents by either model; NaN where a model does not know one.
    how : {"zscore", "minmax"}
        Whether the line takes mean and deviation (population) of the one to those of the other, or lowest and highest
        to lowest and highest.

    Returns
    -------
    pairs : int
        Documents with both scores.
    knots, values : tuple of float
        Two points of the line, or none where ``scores`` are all the same, or there are no pairs.
    """
    if how not in ("zscore", "minmax"):
        raise InvalidArgumentError(f"how is {how!r}, expected 'zscore' or 'minmax'")
    cdef const double[::1] x = _known(scores, "scores")
    cdef const double[::1] y = _known(target, "target", x.shape[0])
    cdef Py_ssize_t i, pairs = 0
    cdef double low = 0.0, high = 0.0, to_low = 0.0, to_high = 0.0
    cdef bint by_ends = how == "minmax"
    for i in range(x.shape[0]):
        if isnan(x[i]) or isnan(y[i]):
            continue
        if pairs == 0:
            low = high = x[i]
            to_low = to_high = y[i]
        elif by_ends:
            low, high = min(low, x[i]), max(high, x[i])
            to_low, to_high = min(to_low, y[i]), max(to_high, y[i])
        else:
            low += x[i]
            to_low += y[i]
        pairs += 1
    if not by_ends and pairs:
        low, to_low = low / pairs, to_low / pairs
        high, to_high = low + _deviation(x, y, x, low, pairs), to_low + _deviation(x, y, y, to_low, pairs)
    if high - low <= 1e-12 * max(1.0, abs(high)):  # below that the spread is rounding of equal scores
        return pairs, (), ()
    return pairs, (low, high), (to_low, to_high)


cdef double _deviation(
    const double[::1] x, const double[::1] y, const double[::1] of, double mean, Py_ssize_t pairs
) noexcept nogil:
    """Standard deviation of the scores of those that both models know."""
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(of.shape[0]):
        if not (isnan(x[i]) or isnan(y[i])):
            total += (of[i] - mean) * (of[i] - mean)
    return sqrt(total / pairs)


def on_scale(scores, others, knots, values, *, weight=0.0, extrapolate=False):
    """Complete one model's scores with what another one's stand for on their scale.

    Parameters
    ----------
    scores, others : array_like of float, shape (n,)
        Scores of the same documents by either model; NaN where a model does not know one.
    knots, values, extrapolate
        The curve from ``others`` to the scale of ``scores``, as `calibrated` takes it; with no knots, a score stands
        for itself.
    weight : float
        Share of what the other score stands for, where a document has both.

    Returns
    -------
    ndarray of float64, shape (n,)
        NaN where neither model knows a document.
    """
    cdef const double[::1] own = _known(scores, "scores")
    cdef const double[::1] other = _known(others, "others", own.shape[0])
    cdef const double[::1] x = _scores(knots, "knots")
    cdef const double[::1] y = _scores(values, "values")
    cdef double part = share(weight, "weight", zero=True)
    cdef bint flat = not extrapolate, as_it_is = x.shape[0] == 0 and y.shape[0] == 0
    cdef double stands_for
    cdef Py_ssize_t i
    if not as_it_is:
        _check_curve(x, y, flat)
    result = np.empty(own.shape[0])
    cdef double[::1] out = result
    for i in range(own.shape[0]):
        if isnan(other[i]) or (part == 0.0 and not isnan(own[i])):
            out[i] = own[i]
            continue
        stands_for = other[i] if as_it_is else _interpolate(other[i], x, y, x.shape[0], flat)
        out[i] = stands_for if isnan(own[i]) else (1 - part) * own[i] + part * stands_for
    return result


def best(scores, limit=None, *, ties=None):
    """Return where the best scores stand.

    Parameters
    ----------
    scores : array_like of float, shape (n,)
        NaN, a score that is not known, comes last.
    limit : int, optional
        Return at most so many.
    ties : array_like of float, shape (n,), optional
        What decides among equal scores, higher first; then, and without it, the order that they are in.

    Returns
    -------
    ndarray of int64, shape (min(n, limit),)
        Places, best first.
    """
    cdef const double[::1] source = _known(scores, "scores")
    cdef const double[::1] second = source if ties is None else _known(ties, "ties", source.shape[0])
    cdef Py_ssize_t i, n = source.shape[0], wanted = n
    if limit is not None:
        wanted = min(n, whole_number(limit, "limit", least=0))
    cdef vector[pair[double, pair[double, int64_t]]] order
    order.reserve(n)
    for i in range(n):
        order.push_back(
            pair[double, pair[double, int64_t]](_falling(source[i]), pair[double, int64_t](_falling(second[i]), i))
        )
    partial_sort(order.begin(), order.begin() + wanted, order.end())
    result = np.empty(wanted, dtype=np.int64)
    cdef int64_t[::1] out = result
    for i in range(wanted):
        out[i] = order[i].second.second
    return result


cdef double _falling(double score) noexcept nogil:
    """What sorts a score from high to low, and one that is not known last."""
    return INFINITY if isnan(score) else -score


def merge(lists, *, how="max", limit=None):
    """Unite ranked lists into one, each id once.

    Parameters
    ----------
    lists : sequence of (ids, scores)
        Ranked lists, best first, their scores on one scale: ``ids`` (n,) int64, ``scores`` (n,) float.
        An id that stands twice in one list counts once, where it stands first.
    how : {"max", "mean", "sum"}
        What becomes of an id's scores in several lists. The mean is over the lists that hold the id.
    limit : int, optional
        Return at most so many.

    Returns
    -------
    ids : ndarray of int64, shape (m,)
    scores : ndarray of float64, shape (m,)
        Best first; equal scores in the order of first appearance.
    """
    if how not in ("max", "mean", "sum"):
        raise InvalidArgumentError(f"how is {how!r}, expected 'max', 'mean' or 'sum'")
    given = _listed(lists)
    for each in given:
        if not isinstance(each, (tuple, list)) or len(each) != 2:
            raise InvalidArgumentError(f"a list is {shown(each)}, expected a pair of ids and scores")
    pairs = [(_ids(ids), _scores(scores)) for ids, scores in given]
    total = sum(len(ids) for ids, _ in pairs)
    united, combined = np.empty(total, dtype=np.int64), np.empty(total)
    cdef Py_ssize_t found = _unite(pairs, united, combined, how == "max", how == "mean")
    order = np.argsort(-combined[:found], kind="stable")[:_checked_limit(limit)]
    return united[order], combined[order]


def rrf(lists, *, k=60.0, weights=None, limit=None):
    """Reciprocal rank fusion: the score of an id is the sum over lists of ``weight / (k + rank)``, ranks from 1.

    Parameters
    ----------
    lists : sequence of array_like of int64
        Ids of each ranked list, best first.
    k : float
        Positive; the larger, the less the first ranks stand out. 60 is the value of Cormack, Clarke and Büttcher,
        "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009.
    weights : sequence of float, optional
        One weight a list, 1 by default.
    limit : int, optional
        Return at most so many.

    Returns
    -------
    ids : ndarray of int64, shape (m,)
    scores : ndarray of float64, shape (m,)
        Best first; equal scores in the order of first appearance.
    """
    k = number(k, "k", above=0)
    ranked = [np.asarray(_ids(ids)) for ids in _listed(lists)]
    shares = np.ones(len(ranked)) if weights is None else np.asarray(_scores(weights, "weights"))
    if len(shares) != len(ranked):
        raise ShapeError(f"got {len(shares)} weights, expected one for each of the {len(ranked)} lists")
    scored = [(ids, weight / (k + np.arange(1, len(ids) + 1))) for ids, weight in zip(ranked, shares)]
    return merge(scored, how="sum", limit=limit)


cdef object _checked_limit(limit):
    return None if limit is None else whole_number(limit, "limit", least=0)


cdef Py_ssize_t _unite(list pairs, int64_t[::1] united, double[::1] combined, bint largest, bint mean):
    """Write each id once, with its scores combined, in order of first appearance; return how many there are."""
    cdef unordered_map[int64_t, Py_ssize_t] slots
    cdef Py_ssize_t[::1] lists_with = np.zeros(united.shape[0], dtype=np.intp)
    cdef Py_ssize_t[::1] last_list = np.empty(united.shape[0], dtype=np.intp)
    cdef Py_ssize_t found = 0, slot, i, which
    cdef const int64_t[::1] ids
    cdef const double[::1] scores
    for which in range(len(pairs)):
        ids, scores = pairs[which]
        if ids.shape[0] != scores.shape[0]:
            raise ShapeError(f"list {which} has {ids.shape[0]} ids and {scores.shape[0]} scores, expected one each")
        for i in range(ids.shape[0]):
            slot = _slot(slots, ids[i], found)
            if slot == found:
                united[slot], combined[slot] = ids[i], scores[i]
                found += 1
            elif last_list[slot] == which:
                continue
            else:
                combined[slot] = max(combined[slot], scores[i]) if largest else combined[slot] + scores[i]
            last_list[slot] = which
            lists_with[slot] += 1
    if mean:
        for slot in range(found):
            combined[slot] /= lists_with[slot]
    return found


cdef Py_ssize_t _slot(unordered_map[int64_t, Py_ssize_t]& slots, int64_t key, Py_ssize_t unused) noexcept:
    """Slot of ``key``; ``unused`` becomes its slot if it had none."""
    cdef unordered_map[int64_t, Py_ssize_t].iterator at = slots.find(key)
    if at != slots.end():
        return deref(at).second
    slots[key] = unused
    return unused
