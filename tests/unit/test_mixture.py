"""Two spaces are told apart from the vectors alone; two topics of one space are not."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from revector import Encoder
from revector.demo.docstrings import python_corpus
from revector.errors import InvalidArgumentError, NumericalError, ShapeError
from revector.evaluation.mixture import MIN_DIMENSION, MIN_PART, MIN_ROWS, THRESHOLD, Mixture, detect_mixture

DIMENSION = 64
RANK = 24


@dataclass(frozen=True)
class Space:
    """A model: a mean, and directions of its own along which texts differ; topics are places in it."""

    mean: np.ndarray
    frame: np.ndarray

    @classmethod
    def draw(cls, seed: int) -> Space:
        rng = np.random.default_rng(seed)
        frame = rng.standard_normal((RANK, DIMENSION)) * np.geomspace(1.0, 0.3, RANK)[:, None]
        return cls(0.5 * rng.standard_normal(DIMENSION), frame)

    def rows(self, n: int, *, topics: int = 6, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        places = 1.5 * rng.standard_normal((topics, RANK))
        meanings = places[rng.integers(topics, size=n)] + rng.standard_normal((n, RANK))
        return (self.mean + meanings @ self.frame + 0.2 * rng.standard_normal((n, DIMENSION))).astype(np.float32)


def rotation(seed: int, d: int = DIMENSION) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0].astype(np.float32)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_rows_of_two_spaces_are_attributed_to_theirs(share: float) -> None:
    n_new = int(2000 * share)
    rows = np.concatenate([Space.draw(1).rows(2000 - n_new, seed=3), Space.draw(2).rows(n_new, seed=4)])
    truth = np.arange(2000) >= 2000 - n_new
    order = np.random.default_rng(0).permutation(2000)
    found = detect_mixture(rows[order])
    right = np.mean(found.labels == truth[order])
    assert found.mixed
    assert max(right, 1 - right if share == 0.5 else 0) >= 0.99
    assert found.shares == pytest.approx((1 - share, share), abs=0.01)
    assert found.tie < THRESHOLD


def test_a_space_and_its_rotation_are_two() -> None:
    space = Space.draw(1)
    found = detect_mixture(np.concatenate([space.rows(900, seed=3), space.rows(300, seed=4) @ rotation(5)]))
    assert found.mixed
    assert np.mean(found.labels == (np.arange(1200) >= 900)) >= 0.99


def test_three_spaces_are_three() -> None:
    found = detect_mixture(np.concatenate([Space.draw(s).rows(n, seed=s) for s, n in ((1, 800), (2, 500), (3, 300))]))
    assert np.bincount(found.labels) == pytest.approx([800, 500, 300], abs=5)


@pytest.mark.parametrize("topics", [1, 3, 20])
@pytest.mark.parametrize("n", [MIN_ROWS, 1500])
def test_one_space_raises_no_alarm_whatever_it_is_about(topics: int, n: int) -> None:
    alarms = [detect_mixture(Space.draw(s).rows(n, topics=topics, seed=s)).mixed for s in range(5)]
    assert not any(alarms)


def test_topics_far_apart_in_one_space_are_one_space() -> None:
    space = Space.draw(1)
    far = np.concatenate([space.rows(700, topics=1, seed=s) for s in (3, 4)])
    assert not detect_mixture(far).mixed


@pytest.mark.parametrize(("n", "dimension"), [(600, 32), (3000, 64)])
def test_noise_without_any_direction_is_one_space(n: int, dimension: int) -> None:
    assert not detect_mixture(np.random.default_rng(0).standard_normal((n, dimension))).mixed


def test_equal_rows_are_one_space() -> None:
    assert not detect_mixture(np.ones((MIN_ROWS, 8), dtype=np.float32)).mixed


def test_copies_of_a_few_texts_are_one_space() -> None:
    rows = Space.draw(1).rows(400)
    assert not detect_mixture(np.concatenate([rows, np.repeat(rows[:2], 100, axis=0)])).mixed


def test_fewer_rows_than_can_be_judged_are_no_part() -> None:
    few = MIN_PART - 5
    rows = np.concatenate([Space.draw(1).rows(1000, seed=3), Space.draw(2).rows(few, seed=4)])
    assert not detect_mixture(rows).mixed


def test_lengths_of_rows_do_not_count() -> None:
    rows = np.concatenate([Space.draw(1).rows(500, seed=3), Space.draw(2).rows(300, seed=4)])
    stretched = rows * np.random.default_rng(0).uniform(0.5, 2.0, (800, 1))
    np.testing.assert_array_equal(detect_mixture(rows).labels, detect_mixture(stretched).labels)


def test_the_same_seed_gives_the_same_labels() -> None:
    rows = np.concatenate([Space.draw(1).rows(500, seed=3), Space.draw(2).rows(300, seed=4)])
    np.testing.assert_array_equal(detect_mixture(rows, seed=3).labels, detect_mixture(rows, seed=3).labels)


def test_the_finding_is_said_in_words() -> None:
    labels = np.array([0, 0, 0, 1])
    assert "4 rows of 2 embedding spaces (75.0%, 25.0%)" in str(Mixture(True, labels, (0.75, 0.25), 0.1))
    assert str(Mixture(False, labels * 0, (1.0,), 0.5)).startswith("one embedding space in 4 rows")


@pytest.mark.parametrize(
    ("vectors", "error"),
    [
        (np.ones(500), ShapeError),
        (np.ones((MIN_ROWS - 1, 8)), ShapeError),
        (np.ones((500, MIN_DIMENSION - 1)), ShapeError),
        (np.ones((500, 8), dtype=np.int64), InvalidArgumentError),
        (np.where(np.arange(500)[:, None] == 7, np.nan, np.ones((500, 8))), NumericalError),
        (np.where(np.arange(500)[:, None] == 7, np.inf, np.ones((500, 8))), NumericalError),
    ],
)
def test_what_is_no_sample_of_vectors_is_refused(vectors: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        detect_mixture(vectors)


def test_real_texts_of_one_model_are_one_space_and_two_when_some_are_rotated(
    wordllama_folder: Path,
) -> None:
    standard_library = Path(sysconfig.get_paths()["stdlib"])  # whatever packages are installed
    corpus = python_corpus(n_documents=300, n_queries=100, roots=[standard_library])
    rows = Encoder.from_pretrained(wordllama_folder).encode(list(corpus.documents.values()))
    assert not detect_mixture(rows).mixed
    rows[:150] = rows[:150] @ rotation(3, rows.shape[1])
    found = detect_mixture(rows)
    assert found.mixed
    right = np.mean(found.labels == (np.arange(len(rows)) < 150))
    assert max(right, 1 - right) >= 0.99  # halves: either may be called the first
