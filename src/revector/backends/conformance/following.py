"""The suite that backends with a local index pass: what is told to whoever follows a generation. It needs pytest."""

from __future__ import annotations

import contextlib

from revector.backends.conformance.samples import DIMENSION, new_generation, put, write
from revector.backends.local_index.builder import IndexedBackend
from revector.backends.local_index.feed import DELETIONS_KEPT
from revector.errors import PointTooOldError


class FollowingConformance:
    """What `revector.backends.local_index.feed.VectorFeed` promises, one behaviour a test."""

    def test_there_is_nothing_to_follow_in_an_empty_generation(self, backend: IndexedBackend) -> None:
        """Its changes have the shape of its vectors."""
        generation = new_generation(backend)
        changes = backend.generations.changes_since(generation.id, 0)
        assert (changes.vectors.shape, len(changes.deleted)) == ((0, DIMENSION), 0)

    def test_changes_are_followed_from_any_point(self, backend: IndexedBackend) -> None:
        """Writes, replacements and deletions after a point; nothing before it."""
        documents, generation = write(backend, "a", "b", "c"), new_generation(backend)
        put(backend, generation, documents)
        start = backend.generations.changes_since(generation.id, 0)
        assert start.keys.tolist() == [d.key for d in documents]
        assert start.seq == backend.generations.last_seq()
        put(backend, generation, documents[:1], value=9.0)
        backend.documents.delete(["id-b"])
        later = backend.generations.changes_since(generation.id, start.seq)
        assert (later.keys.tolist(), later.deleted.tolist()) == ([documents[0].key], [documents[1].key])
        assert later.vectors[:, 0].tolist() == [9.0]
        assert not len(backend.generations.changes_since(generation.id, later.seq).keys)

    def test_a_reader_that_was_away_is_told_of_every_deletion_or_that_it_was_away_too_long(
        self, backend: IndexedBackend
    ) -> None:
        """Whatever was given back; whoever lacks few can follow, and whoever begins anew finds what is there."""
        few = DELETIONS_KEPT // 4
        documents, generation = write(backend, *map(str, range(6 * few + 1))), new_generation(backend)
        put(backend, generation, documents)
        lacking, told = {}, {}
        for start in range(0, 6 * few, few):
            lacking[backend.generations.last_seq()] = [d.key for d in documents[start : 6 * few]]
            backend.documents.delete([d.id for d in documents[start : start + few]])
        while backend.reclaim():
            pass
        for seq in lacking:
            with contextlib.suppress(PointTooOldError):
                told[seq] = sorted(backend.generations.changes_since(generation.id, seq).deleted.tolist())
        assert told == {seq: lacking[seq] for seq in told}
        assert set(told) >= set(list(lacking)[2:])
        assert backend.generations.changes_since(generation.id, 0).keys.tolist() == [documents[-1].key]

    def test_a_generation_tells_of_deletions_of_its_own_vectors_only(self, backend: IndexedBackend) -> None:
        """A document that never had a vector there is none of its affairs."""
        documents, generation, other = write(backend, "a", "b"), new_generation(backend), new_generation(backend)
        put(backend, generation, documents[:1])
        put(backend, other, documents)
        backend.documents.delete(["id-a", "id-b"])
        deleted = [backend.generations.changes_since(of.id, 0).deleted.tolist() for of in (generation, other)]
        assert [sorted(keys) for keys in deleted] == [[documents[0].key], [d.key for d in documents]]
