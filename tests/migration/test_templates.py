"""Templates: what a model is given of a document is part of its space, and of what makes a vector stale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from revector.backends.contracts import content_hash
from revector.collection import Collection
from revector.encoders.templated import Templated
from revector.errors import InvalidArgumentError, SpaceMismatchError
from revector.migration.migration import Migration
from revector.planning.texts import texts_of
from revector.spaces import EmbeddingSpace, Template
from revector.testing import HashEncoder

TITLED = Template(("title", "text"))
WRITTEN = Template(("author", "title", "text"), separator=" / ")


class Counting(HashEncoder):
    """Writes down what it is given."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.given: list[str] = []

    def encode(self, texts: Any, *, kind: Any = "document") -> Any:
        self.given += texts
        return super().encode(texts, kind=kind)


@pytest.fixture
def model() -> Counting:
    return Counting(16)


def _filled(place: Any, encoder: Any) -> Collection:
    docs = Collection.open(place, encoder)
    titles = [{"title": f"title {place}", "author": "Ada"} for place in range(6)]
    docs.upsert([f"d{place}" for place in range(6)], ["same text"] * 5 + ["another text"], titles)
    return docs


@pytest.fixture
def plain(places: Any, model: Counting) -> Iterator[Collection]:
    with _filled(places / "docs.db", model) as docs:
        yield docs


@pytest.fixture
def titled(places: Any, model: Counting) -> Iterator[Collection]:
    with _filled(places / "docs.db", Templated(model, TITLED)) as docs:
        yield docs


def _wrong(docs: Collection) -> list[tuple[str, str]]:
    """Return space and document of all vectors, of those that are there and current, that are not what they should."""
    generations, wrong = docs._backend.generations, []
    for generation in generations.all():
        for document in docs.documents(docs.ids()):
            encoder = HashEncoder(generation.space.dimension, int(generation.space.revision.split(":")[1]))
            expected = encoder.encode([generation.space.text_of(document.text, document.metadata)])
            _, found = generations.vectors(generation.id, [document.key])
            current = not len(generations.stale_keys(generation.id, [document.key]))
            if current and not np.allclose(found, expected, atol=1e-6):
                wrong.append((str(generation.space), document.id))
    return wrong


def _stale(docs: Collection) -> list[int]:
    generations, keys = docs._backend.generations, [document.key for document in docs.documents(docs.ids())]
    return [len(generations.stale_keys(generation.id, keys)) for generation in generations.all()]


def _running(migration: Migration) -> Migration:
    migration.start()
    migration.run()
    return migration


@pytest.mark.parametrize(
    ("template", "metadata", "expected"),
    [
        (TITLED, {"title": "T"}, "T\ntext"),
        (TITLED, {}, "text"),
        (TITLED, {"title": None}, "text"),
        (TITLED, {"title": ""}, "text"),
        (TITLED, {"title": ["a", "b", 1]}, "a, b, 1\ntext"),
        (TITLED, {"title": {"de": "ö"}}, '{"de": "ö"}\ntext'),
        (TITLED, {"title": True}, "true\ntext"),
        (WRITTEN, {"title": "T", "author": "A"}, "A / T / text"),
        (Template(("title",)), {"title": "T"}, "T"),
    ],
)
def test_a_template_renders_what_a_document_has(template: Template, metadata: Any, expected: str) -> None:
    assert template.render("text", metadata) == expected


@pytest.mark.parametrize("fields", [(), "title", ("a", "a"), ("",), (7,), None, ("cut \ud83d",)])
def test_fields_that_are_none_are_refused(fields: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="fields"):
        Template(fields)


def test_without_a_template_a_space_is_what_it_was_before_there_were_any() -> None:
    space = EmbeddingSpace(model="m", dimension=2, revision="1")
    assert (space.fingerprint, "template" in space.to_json()) == ("81c0c49b14c59c2809aa14ebea27a3b3", False)


def test_a_template_of_the_text_alone_is_none(model: Counting) -> None:
    assert Templated(model, Template(("text",), separator=" ")).space == model.space


def test_another_template_is_another_space_and_comes_back_from_json(model: Counting) -> None:
    spaces = [model.space, Templated(model, TITLED).space, Templated(model, WRITTEN).space]
    spaces.append(Templated(model, Template(("title", "text"), separator=" ")).space)
    assert len({space.fingerprint for space in spaces}) == 4
    assert [EmbeddingSpace.from_json(space.to_json()) for space in spaces] == spaces


@pytest.mark.parametrize("template", ["title", {"fields": ["a"]}, {"fields": 7, "separator": " "}, []])
def test_a_template_that_to_json_did_not_write_is_refused(template: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        EmbeddingSpace.from_json({"model": "m", "dimension": 2, "revision": "1", "template": template})


def test_a_collection_gives_its_model_what_the_template_says(titled: Collection, model: Counting) -> None:
    assert model.given == [*(f"title {place}\nsame text" for place in range(5)), "title 5\nanother text"]
    assert titled.search("title 3 same text", k=1)[0].text == "same text"


def test_a_collection_is_opened_with_its_template_or_with_none_given(places: Any, model: Counting) -> None:
    _filled(places / "docs.db", Templated(model, TITLED)).close()
    with pytest.raises(SpaceMismatchError, match=r"title \+ text"):
        Collection.open(places / "docs.db", model)
    with Collection.open(places / "docs.db", encoders=[model]) as docs:
        docs.upsert(["d0"], ["new text"])
        assert (model.given[-1], _wrong(docs)) == ("title 0\nnew text", [])


@pytest.mark.parametrize(
    ("text", "metadata", "given"),
    [
        ("same text", {"title": "new"}, ["new\nsame text"]),
        ("new text", None, ["title 0\nnew text"]),
        ("same text", {}, ["same text"]),
        ("same text", {"title": "title 0", "year": 2000}, []),
        ("same text", None, []),
        ("same text", {"title": "title 1"}, []),  # as d1 has it
    ],
)
def test_a_document_is_embedded_when_a_field_that_is_read_changes(
    titled: Collection, model: Counting, text: str, metadata: Any, given: list[str]
) -> None:
    model.given.clear()
    titled.upsert(["d0"], [text], [metadata])
    assert (model.given, _wrong(titled), _stale(titled)) == (given, [], [0])


def test_a_change_of_the_template_is_a_migration_like_any_other(plain: Collection, model: Counting) -> None:
    migration = plain.migrate(Templated(model, TITLED))
    migration.start()
    seen = [(_wrong(plain), _stale(plain))]
    for step in (migration.run, migration.verify, migration.cutover, migration.rollback, migration.start):
        step()
        seen.append((_wrong(plain), _stale(plain)))
    assert seen == [([], [0, 6]), *[([], [0, 0])] * 5]


def test_a_move_gives_documents_of_one_text_vectors_of_their_own(plain: Collection, model: Counting) -> None:
    model.given.clear()
    _running(plain.migrate(Templated(model, TITLED)))
    assert len({text for text in model.given if "title" in text}) == 6
    assert plain.migration is not None
    assert plain.migration.verify().passed


def test_both_templates_are_served_while_documents_change(titled: Collection, model: Counting) -> None:
    migration = titled.migrate(Templated(model, WRITTEN))
    migration.start()
    titled.upsert(["d0", "new"], ["same text", "new text"], [{"title": "t", "author": "Grace"}, {"author": "Ada"}])
    migration.run()
    titled.upsert(["d1"], ["same text"], [{"title": "title 1", "author": "Grace"}])
    assert (_wrong(titled), _stale(titled)) == ([], [0, 0])


def test_a_field_that_nobody_reads_any_longer_changes_nothing(titled: Collection, model: Counting) -> None:
    migration = _running(titled.migrate(model))
    migration.verify()
    migration.cutover()
    migration.retire(confirm=True, force=True)
    titled.upsert(["d0"], ["same text"], [{"title": "new"}])
    model.given.clear()
    titled.upsert(["d0"], ["same text"], [{"title": "newer"}])
    assert (model.given, _wrong(titled), _stale(titled)) == ([], [], [0])


def test_documents_written_after_the_plan_are_known_by_the_new_fields(plain: Collection, model: Counting) -> None:
    migration = plain.migrate(Templated(model, TITLED))
    plain.upsert(["d0", "d1"], ["same text"] * 2, [{"title": "new"}, None])
    assert _stale(plain) == [0]
    _running(migration)
    assert (_wrong(plain), _stale(plain)) == ([], [0, 0])


def test_a_start_that_was_interrupted_goes_on(
    plain: Collection, model: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = type(plain._backend.documents)
    scan = documents.scan

    def interrupted(self: Any, batch: int = 2) -> Any:
        for place, found in enumerate(scan(self, 2)):
            if place == 1:
                raise KeyboardInterrupt
            yield found

    migration = plain.migrate(Templated(model, TITLED))
    with monkeypatch.context() as patch:
        patch.setattr(documents, "scan", interrupted)
        with pytest.raises(KeyboardInterrupt):
            migration.start()
    assert (_wrong(plain), _stale(plain)) == ([], [0])
    _running(migration)
    assert (_wrong(plain), _stale(plain)) == ([], [0, 0])


def test_a_title_that_changes_while_the_text_is_embedded_is_embedded_again(places: Any) -> None:
    class Interfered(HashEncoder):
        """Another writer gives the document a title while its text is embedded."""

        docs: Collection | None = None

        def encode(self, texts: Any, *, kind: Any = "document") -> Any:
            docs, self.docs = self.docs, None
            if docs is not None:
                docs.upsert(["d0"], ["same text"], [{"title": "meanwhile"}])
            return super().encode(texts, kind=kind)

    model = Interfered(16)
    with _filled(places / "docs.db", Templated(model, TITLED)) as docs:
        model.docs = docs
        docs.upsert(["d0"], ["new text"])
        assert docs.documents(["d0"])[0].metadata == {"title": "meanwhile"}
        assert (_wrong(docs), _stale(docs)) == ([], [0])


def test_a_vector_of_the_title_before_does_not_land(titled: Collection, model: Counting) -> None:
    backend = titled._backend
    (generation,), (before,) = backend.generations.all(), titled.documents(["d0"])
    titled.upsert(["d0"], ["same text"], [{"title": "new"}])
    vectors = np.ones((1, 16), dtype=np.float32)
    assert backend.generations.put(generation.id, [before.key], [before.content_hash], vectors) == 0


def test_what_no_template_reads_leaves_the_hash_of_the_text(titled: Collection) -> None:
    (untitled,) = titled.upsert(["none"], ["a text"], [{"year": 2000}])
    assert untitled.content_hash == content_hash("a text")


def test_a_search_that_embeds_on_the_spot_gives_the_new_model_what_its_template_says(
    plain: Collection, model: Counting
) -> None:
    plain.migrate(Templated(Counting(16), TITLED)).start()
    new = plain._encoders.find(plain._backend.generations.all()[1])
    plain.search("title 3 same text", rescore=10)
    assert isinstance(new, Templated)
    assert "title 3\nsame text" in new._encoder.given
    plain._searcher.behind.flush()
    assert (_wrong(plain), _stale(plain)) == ([], [0, 0])


def test_an_assessment_gives_the_candidate_what_its_template_says(plain: Collection, model: Counting) -> None:
    queries = {"q1": "title 1", "q2": "title 2"}
    new = Counting(16)
    plain.assess(Templated(new, TITLED), queries, {"q1": {"d1": 1}, "q2": {"d2": 1}})
    assert {f"title {place}\nsame text" for place in range(5)} <= set(new.given)


def test_a_plan_counts_what_the_template_adds(plain: Collection, model: Counting) -> None:
    bare, more = (texts_of(plain._backend, each) for each in (model, Templated(model, TITLED)))
    assert (bare.different, more.different) == (2, 6)
    assert more.characters / 6 == pytest.approx(bare.characters / 2 + len("title 0\n"), abs=1)
