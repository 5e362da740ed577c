"""Make releases/NAME/: two collections as a release leaves them, and what they hold and answer.

Run it with the code of that release, whose public interface it uses alone::

    git worktree add /tmp/release COMMIT    # with the built core in /tmp/release/src/revector
    PYTHONPATH=/tmp/release/src python tests/golden/make_release.py NAME

``filling`` is in the middle of a migration: of its documents some have a new vector, one has failed, some are leased to
a process that died, some were written or changed without the new model, the others wait. ``serving`` has been cut over,
keeps its old generation for centuries, and has a document without an old vector. Both have tombstones and counts of
accesses.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from revector import Background, Collection
from revector.errors import EncoderError
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
DELETED, DELETED_LATER, REFUSED = "d07", "d03", "d05"
CENTURIES = 1e10
WORDS = [
    "ash",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "larch",
    "lime",
    "maple",
    "oak",
    "pine",
    "poplar",
    "rowan",
    "spruce",
    "walnut",
    "willow",
    "yew",
]
QUERIES = ["ash larch", "oak", "willow by the rowan", "pine, fir and spruce"]


class Slow(HashEncoder):
    """The new model on a bad day: slow, and it refuses one text."""

    def encode(self, texts: Any, *, kind: Any = "document") -> Any:
        """Leave the refused text the time to be tried again before all others are done."""
        if TEXTS[REFUSED] in texts:
            raise EncoderError("too long")
        time.sleep(0.4)
        return super().encode(texts, kind=kind)


class Deadly(HashEncoder):
    """The new model in a process that does not come back."""

    def encode(self, texts: Any, *, kind: Any = "document") -> Any:
        """Die."""
        os._exit(1)


def _texts(count: int) -> dict[str, str]:
    draw = random.Random(17)
    return {f"d{place:02}": " ".join(draw.sample(WORDS, 4)) + f" {place}" for place in range(count)}


TEXTS = _texts(44)
METADATA = {id_: {"place": int(id_[1:]), "tree": text.split()[0], "old": None} for id_, text in TEXTS.items()}


def _write(docs: Collection, *ids: str, prefix: str = "") -> None:
    docs.upsert(ids, [prefix + TEXTS[id_] for id_ in ids], [METADATA[id_] for id_ in ids])


def _populate(path: Path) -> None:
    """Write all documents but four, search, delete one."""
    with Collection.open(path, OLD) as docs:
        _write(docs, *list(TEXTS)[:-4])
        docs.search(QUERIES)
        docs.delete([DELETED])


def _fill(path: Path) -> None:
    """Leave a migration half done."""
    _populate(path)
    new = Slow(12, seed=2, name="new")
    with Collection.open(path, encoders=[OLD, new]) as docs:
        migration = docs.migrate(new, strategy=Background(batch=2))
        migration.start()
        enough = threading.Event()
        migration.run(lambda _: enough.set() if migration.failures() else None, enough)
        _write(docs, "d40")
        docs.delete([DELETED_LATER])
    with Collection.open(path, encoders=[OLD]) as docs:
        _write(docs, "d41", "d42")
        _write(docs, "d00", "d01", prefix="changed ")
        docs.search(QUERIES)
    child = multiprocessing.get_context("fork").Process(target=_die, args=(path,))
    child.start()
    child.join()
    Collection.open(path, encoders=[OLD]).close()


def _die(path: Path) -> None:
    with Collection.open(path, encoders=[OLD, Deadly(12, seed=2, name="new")]) as docs:
        docs.migration.run()


def _serve(path: Path) -> None:
    """Leave a migration that was cut over."""
    _populate(path)
    with Collection.open(path, encoders=[OLD, NEW]) as docs:
        _finish(docs.migrate(NEW, retention_seconds=CENTURIES))
    with Collection.open(path, encoders=[NEW]) as docs:
        _write(docs, "d41")
        docs.search(QUERIES)


def _finish(migration: Any) -> None:
    for verb in ("start", "retry_failed", "run", "verify", "cutover"):
        getattr(migration, verb)()


def _described(path: Path) -> dict[str, Any]:
    """Return what a collection holds, and what it answers in either space; the file is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(path.parent, folder, dirs_exist_ok=True), path.name)
        with Collection.open(copy, encoders=[OLD, NEW]) as docs:
            status = docs.migration.status().to_json()
            failed = [failure.id for failure in docs.migration.failures()]
            documents = {each.id: [each.text, each.metadata] for each in docs.documents(docs.ids())}
            answers = {}
            if docs.migration.phase == "serving":
                answers["new"] = _answers(docs)
                docs.migration.rollback()
                answers["old"] = _answers(docs)
        with Collection.open(copy, encoders=[OLD]) as docs:
            answers.setdefault("old", _answers(docs))
        with Collection.open(copy, encoders=[OLD, NEW]) as docs:
            _finish(docs.migration)
            answers.setdefault("new", _answers(docs))
    return {"jobs": status["target_jobs"], "failed": failed, "documents": documents, "answers": answers}


def _answers(docs: Collection) -> dict[str, list[str]]:
    return {query: [hit.id for hit in docs.search(query, k=5)] for query in QUERIES}


def main(name: str) -> None:
    """Write both collections."""
    target = Path(__file__).with_name("releases") / name
    target.mkdir(parents=True, exist_ok=True)
    for phase, make in (("filling", _fill), ("serving", _serve)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "docs.db")
            make(path)
            described = json.dumps(_described(path), indent=1)
            (target / f"{phase}.json").write_text(described + "\n", encoding="utf-8")
            with tarfile.open(target / f"{phase}.tar.xz", "w:xz") as archive:
                archive.add(folder, ".", filter=lambda entry: None if entry.name.endswith("-shm") else entry)


if __name__ == "__main__":
    main(*sys.argv[1:])
