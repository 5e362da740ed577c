"""What was begun with an earlier release goes on with this one (see tests/golden/make_release.py)."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from revector import Collection
from revector.errors import GateRefusedError
from revector.testing import HashEncoder

RELEASES = sorted((Path(__file__).parents[1] / "golden" / "releases").iterdir())
OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
SERVES = {"filling": OLD, "serving": NEW}
UNPACKED = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Debian 12's Python 3.11.2 has no filters


@dataclass
class Left:
    """What a release left behind in some phase: the collection, and what was known of it."""

    phase: str
    path: Path
    known: dict[str, Any]

    def open(self, *encoders, **options):
        return Collection.open(self.path, encoders=encoders, **options)

    def answers(self, docs):
        return {query: [hit.id for hit in docs.search(query, k=5)] for query in self.known["answers"]["old"]}


@pytest.fixture(params=RELEASES, ids=lambda release: release.name)
def unpacked(request, tmp_path):
    """Return what unpacks the collection of a phase."""

    def unpack(phase):
        with tarfile.open(request.param / f"{phase}.tar.xz") as archive:
            archive.extractall(tmp_path, **UNPACKED)
        known = json.loads((request.param / f"{phase}.json").read_text(encoding="utf-8"))
        return Left(phase, tmp_path / "docs.db", known)

    return unpack


@pytest.fixture(params=["filling", "serving"])
def left(request, unpacked):
    return unpacked(request.param)


@pytest.fixture
def filling(unpacked):
    return unpacked("filling")


@pytest.fixture
def serving(unpacked):
    return unpacked("serving")


@pytest.mark.parametrize("read_only", [False, True])
def test_searches_find_what_they_found(left, read_only):
    model = SERVES[left.phase]
    with left.open(model, read_only=read_only) as docs:
        assert left.answers(docs) == left.known["answers"][model.space.model]


@pytest.mark.parametrize("read_only", [False, True])
def test_every_document_is_there_and_no_deleted_one(left, read_only):
    with left.open(SERVES[left.phase], read_only=read_only) as docs:
        assert _documents(docs) == left.known["documents"]


def test_a_migration_stands_where_it_stood(left):
    with left.open(OLD, NEW, read_only=True) as docs:
        status = docs.migration.status().to_json()
    outstanding = {state: n for state, n in left.known["jobs"].items() if state != "done"}
    assert (status["phase"], status["target_jobs"]) == (left.phase, outstanding)


def test_what_waited_or_was_leased_to_a_dead_process_is_embedded_and_nothing_else(filling):
    jobs = filling.known["jobs"]
    with filling.open(OLD, NEW) as docs:
        assert docs.migration.run().embedded == jobs["pending"] + jobs["leased"]


def test_a_failed_document_can_be_retried(filling):
    with filling.open(OLD, NEW) as docs:
        failed = [failure.id for failure in docs.migration.failures()]
        docs.migration.retry_failed()
        docs.migration.run()
        assert (failed, docs.migration.failures()) == (filling.known["failed"], [])


def test_a_half_filled_migration_goes_on_to_the_cut_over_back_and_to_the_end(filling):
    with filling.open(OLD, NEW) as docs:
        docs.migration.retry_failed()
        _do(docs.migration, "run", "verify", "cutover")
        assert filling.answers(docs) == filling.known["answers"]["new"]
        _do(docs.migration, "rollback")
        assert filling.answers(docs) == filling.known["answers"]["old"]
        _do(docs.migration, "start", "run", "verify", "cutover")
        docs.migration.retire(confirm=True, force=True)
    _require_moved(filling)


def test_a_collection_that_was_cut_over_keeps_its_way_back(serving):
    with serving.open(OLD, NEW) as docs:
        with pytest.raises(GateRefusedError, match="retention"):
            docs.migration.retire(confirm=True)
        _do(docs.migration, "rollback")
        assert serving.answers(docs) == serving.known["answers"]["old"]


def test_a_collection_that_was_cut_over_can_be_cut_over_again_and_retired(serving):
    with serving.open(OLD, NEW) as docs:
        _do(docs.migration, "rollback", "start", "run", "verify", "cutover")
        docs.migration.retire(confirm=True, force=True)
    _require_moved(serving)


def test_the_next_migration_can_follow(serving):
    with serving.open(NEW) as docs:
        docs.migration.retire(confirm=True, force=True)
        _do(docs.migrate(HashEncoder(16, seed=3)), "start", "run", "verify", "cutover")
        assert _documents(docs) == serving.known["documents"]


def _do(migration, *verbs):
    for verb in verbs:
        getattr(migration, verb)()


def _require_moved(left):
    """The new model alone opens the collection, which has lost nothing and finds what it should."""
    with left.open(NEW) as docs:
        assert docs.migration is None
        assert _documents(docs) == left.known["documents"]
        assert left.answers(docs) == left.known["answers"]["new"]


def _documents(docs):
    return {document.id: [document.text, document.metadata] for document in docs.documents(docs.ids())}
