from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from revector import Collection
from revector.backends.local_index import builder
from revector.planning.cost import vector_bytes
from revector.testing import HashEncoder


@pytest.mark.parametrize("dimension", [64, 384, 1024])
def test_storage_is_what_a_collection_grows_by_or_a_little_more(tmp_path, monkeypatch, dimension):
    monkeypatch.setattr(builder, "SCAN_LIMIT", 1000)  # so many are worth a graph
    texts = {f"d{place}": f"text number {place}" for place in range(2000)}
    with Collection.open(tmp_path / "docs.db", HashEncoder(16)) as docs:
        docs.upsert(texts.keys(), texts.values())
        before = _stored_bytes(tmp_path)
        migration = docs.migrate(HashEncoder(dimension))
        migration.start()
        migration.run()
        migration.verify()
        migration.cutover()
        grown = _stored_bytes(tmp_path) - before
    assert grown <= vector_bytes(dimension, len(texts)) < 1.25 * grown


def _stored_bytes(folder):
    """Count what is in the database and in the indexes beside it, without what SQLite keeps to write, and the maps.

    Those of a small collection hold its pairs; of a large one they are 64 MB at most.
    """
    with closing(sqlite3.connect(folder / "docs.db")) as database:
        database.execute("DELETE FROM maps")
        database.commit()
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files if not file.name.endswith(("-wal", "-shm")))
