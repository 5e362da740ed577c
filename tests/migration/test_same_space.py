"""Two encoders of one space: proved on texts, and taken over without a rebuild."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from revector.collection import Collection
from revector.encoders.base import Kind
from revector.errors import InvalidArgumentError, MigrationError, SpaceMismatchError
from revector.evaluation.same_space import same_space
from revector.testing import HashEncoder

TEXTS = [f"document {n} of {n % 7} about {' '.join(f'w{(n * m) % 61}' for m in range(2, 9))}" for n in range(300)]


class Provider:
    """Hosts a model under a contract of its own, whose numbers are near those of the model, or are not."""

    def __init__(self, revision: str, noise: float = 0.0, seed: int = 1) -> None:
        self._model = HashEncoder(32, seed=seed)
        self.space = replace(self._model.space, model="hosted", revision=revision)
        self.source, self._noise = f"hub/{revision}", noise

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> Any:
        rows = self._model.encode(texts, kind=kind)
        noise = np.random.default_rng(0).normal(0, self._noise / 32**0.5, rows.shape)
        return (rows + noise).astype(np.float32)


def test_another_precision_is_the_same_space() -> None:
    found = same_space(Provider("here"), Provider("there", noise=0.01), TEXTS)
    assert found.same
    assert found.lowest_cosine > 0.999
    assert found.overlap >= found.overlap_low > 0.95


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (Provider("there", seed=2), "a text has a cosine of"),
        (Provider("there", noise=0.3), "of the same documents"),
        (HashEncoder(16), "the dimension is 32, then 16"),
    ],
)
def test_another_model_is_another_space(other: Any, reason: str) -> None:
    found = same_space(Provider("here"), other, TEXTS)
    assert not found.same
    assert reason in str(found)


def test_lengths_count_where_the_metric_is_the_inner_product() -> None:
    old, new = Provider("here"), Provider("there")
    for each in (old, new):
        each.space = replace(each.space, metric="dot", normalized=False)
    encode = new.encode
    new.encode = lambda texts, *, kind="document": 1.1 * encode(texts, kind=kind)  # type: ignore[method-assign]
    assert "lengths differ by 10.0%" in str(same_space(old, new, TEXTS))


def test_few_texts_prove_nothing() -> None:
    with pytest.raises(InvalidArgumentError, match="expected 100 or more"):
        same_space(Provider("here"), Provider("there"), TEXTS[:20])


@pytest.fixture
def path(places: Any) -> Any:
    with Collection.open(places / "docs.db", Provider("here")) as collection:
        collection.upsert([str(n) for n in range(len(TEXTS))], TEXTS)
    return places / "docs.db"


def test_a_collection_goes_on_with_an_encoder_of_the_same_space(path: Any) -> None:
    there = Provider("there", noise=0.01)
    with Collection.open(path) as collection:
        collection.remember(there, same_space=True)
        assert collection.search(TEXTS[17], k=1)[0].text == TEXTS[17]
    with Collection.open(path, there) as collection:
        collection.upsert(["new"], ["a text of another runtime"])
        assert collection.serving_space == there.space
        assert collection.info(["17"])[0].revision == "there"


def test_an_encoder_of_another_space_takes_nothing_over(path: Any) -> None:
    with Collection.open(path, Provider("here")) as collection:
        with pytest.raises(SpaceMismatchError, match="no, these are two spaces"):
            collection.remember(Provider("there", seed=2), same_space=True)
        assert collection.serving_space.revision == "here"


def test_an_encoder_of_the_same_documents_and_other_queries_takes_nothing_over(path: Any) -> None:
    there = Provider("there")
    encode = there.encode
    there.encode = lambda texts, *, kind="document": np.roll(encode(texts), kind == "query", axis=1)  # type: ignore[method-assign]
    with Collection.open(path) as collection, pytest.raises(SpaceMismatchError, match="a query has a cosine"):
        collection.remember(there, same_space=True)


def test_nobody_takes_over_while_a_migration_goes_on(path: Any) -> None:
    with Collection.open(path, Provider("here")) as collection:
        collection.migrate(HashEncoder(16))
        with pytest.raises(MigrationError, match="once the migration is retired"):
            collection.remember(Provider("there"), same_space=True)


def test_without_the_proof_another_contract_is_refused_as_ever(path: Any) -> None:
    with Collection.open(path, Provider("here")) as collection, pytest.raises(SpaceMismatchError):
        collection.remember(Provider("there"))
