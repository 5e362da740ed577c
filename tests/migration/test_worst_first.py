"""What the map between two spaces answers for worst is embedded first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from revector.encoders.base import Kind
from revector.mapping import LocalResidualMap, Procrustes
from revector.migration.filling.worst_first import put_worst_first
from revector.migration.priorities import PRIORITY_REST
from revector.migration.strategies import Background
from revector.testing import HashEncoder

ROWS = np.random.default_rng(0).standard_normal((900, 16), dtype=np.float32)
ODD = ROWS[:, 0] > 1.0
"""Here the new model sees what the old one does not."""


def _new_rows() -> np.ndarray:
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)))
    noise = np.random.default_rng(2).standard_normal(ROWS.shape)
    return (ROWS @ turn + 3.0 * ODD[:, None] * noise).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> LocalResidualMap:
    return LocalResidualMap().fit(ROWS[:600], _new_rows()[:600])


def test_doubt_is_larger_where_the_map_is_wrong(fitted: LocalResidualMap) -> None:
    doubt, odd = fitted.doubt(ROWS[600:]), ODD[600:]
    assert np.median(doubt[odd]) > 2 * np.median(doubt[~odd])


def test_doubt_survives_a_file(fitted: LocalResidualMap) -> None:
    again = LocalResidualMap.from_bytes(fitted.to_bytes())
    np.testing.assert_allclose(again.doubt(ROWS[600:]), fitted.doubt(ROWS[600:]), rtol=0.02)


class Looked(HashEncoder):
    """Gives the row that a text names."""

    def __init__(self, rows: np.ndarray, seed: int, name: str) -> None:
        super().__init__(16, seed=seed, name=name)
        self._rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def encode(self, texts: Any, *, kind: Kind = "document") -> Any:
        return self._rows[[int(text.split()[-1]) for text in texts]]


def _started(empty: Any, space_map: Any) -> Any:
    """A migration of 300 documents, with a map that knows 600 others."""
    from revector.collection import Collection

    old, new = Looked(ROWS, 1, "old"), Looked(_new_rows(), 2, "new")
    docs = Collection.open(empty, old)
    docs.upsert([str(row) for row in range(600, 900)], [f"row {row}" for row in range(600, 900)])
    docs.migrate(new, strategy=Background(worst_first=True)).start()
    backend, spaces = docs._backend, (old.space, new.space)
    x, y = old._rows[:600], new._rows[:600]
    fitted = space_map.set_params(source=spaces[0], target=spaces[1]).fit(x, y)
    backend.generations.save_map(spaces[0].fingerprint, spaces[1].fingerprint, fitted.to_bytes())
    keys = [document.key for batch in backend.documents.scan() for document in batch]
    backend.ledger.jobs.set_priority(2, keys, PRIORITY_REST)  # none of them was queried or changed of late
    return docs


def test_the_quarter_of_the_rest_that_the_map_is_worst_for_comes_first(places: Any) -> None:
    with _started(places / "docs.db", LocalResidualMap()) as docs:
        assert put_worst_first(docs._backend, 1, 2) == 300
        claims = docs._backend.ledger.jobs.claim(2, "me", 75, 60.0)
        first = {int(d.id) for d in docs._backend.documents.by_key([claim.document_key for claim in claims])}
        odd = set((600 + np.flatnonzero(ODD[600:])).tolist())
        assert len(first & odd) > 0.7 * len(odd)


def test_without_a_map_that_knows_its_pairs_the_order_stays(places: Any) -> None:
    with _started(places / "docs.db", Procrustes(center=True)) as docs:
        assert put_worst_first(docs._backend, 1, 2) == 0


def test_a_migration_that_goes_worst_first_embeds_everything(places: Any) -> None:
    with _started(places / "docs.db", LocalResidualMap()) as docs:
        migration = docs.migration
        migration.run()
        assert str(migration.phase) == "proving"
        assert migration.verify(sample=20).passed
