"""After a rollback, the store holds for readers what one holds that never migrated."""

from __future__ import annotations

import random

import numpy as np
import pytest

from worlds import NEW, OLD, World


def _changes(number):
    """The same inserts, updates and deletes each time: ids with texts, or ids to delete."""
    rng = random.Random(5)
    alive = {f"d{place}" for place in range(300)}
    for turn in range(number):
        if rng.random() < 0.1:
            id_ = rng.choice(sorted(alive))
            alive.discard(id_)
            yield id_, None
        else:
            id_ = f"d{rng.randrange(600)}"
            alive.add(id_)
            yield id_, f"written in turn {turn}"


def _apply(world, changes, encoders):
    """Apply the changes in their order, up to twenty texts at a time."""
    texts = {}
    for id_, text in changes:
        if text is None or id_ in texts or len(texts) == 20:
            world.write(texts, encoders=encoders)
            texts = {}
        if text is None:
            world.delete(id_)
        else:
            texts[id_] = text
    world.write(texts, encoders=encoders)


def _readable(world):
    """What readers can see: documents, and their vectors through the alias."""
    documents = {d.id: (d.text, d.content_hash, d.metadata) for batch in world.backend.documents.scan() for d in batch}
    return documents, world.vectors(world.served), world.backend.generations.get(world.served).space


@pytest.mark.parametrize("writes", [0, 1000])
@pytest.mark.parametrize("encoders", [(OLD, NEW), (NEW,)], ids=["both models", "new model only"])
def test_rollback_equals_never_having_migrated(places, writes, encoders):
    stayed, moved = (World.create(places / f"{name}.db", 300) for name in ("stayed", "moved"))
    migration = moved.serving()
    _apply(stayed, _changes(writes), [OLD])
    _apply(moved, _changes(writes), encoders)
    migration.rollback()

    documents, vectors, space = _readable(moved)
    expected_documents, expected_vectors, expected_space = _readable(stayed)
    assert documents == expected_documents
    assert space == expected_space
    assert list(vectors) == list(expected_vectors)
    np.testing.assert_array_equal(np.array(list(vectors.values())), np.array(list(expected_vectors.values())))
    stayed.close()
    moved.close()
