"""The model that made stored vectors is told from those that did not, by the rows that can tell."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from revector import Encoder
from revector.encoders.base import Kind
from revector.encoders.identify import TOLERANCE, Share, identify
from revector.errors import EncoderError, InvalidArgumentError, NumericalError, ShapeError, SpaceMismatchError
from revector.formats.judgements import Corpus
from revector.testing import HashEncoder

DIMENSION = 64
WORDS = ["rivers", "Trains", "law", "bread"]
TEXTS = [f"Text {i} is about {WORDS[i % 4]} and {i % 7} more" for i in range(100)]


class Altered:
    """An encoder that is given its texts in another form, and makes its vectors of another length."""

    source = None

    def __init__(
        self, name: str, change: Callable[[str], str] = str, *, factor: float = 1.0, query: str = "", seed: int = 0
    ) -> None:
        self._inner, self._change, self._factor = HashEncoder(DIMENSION, seed), change, factor
        self.space = dataclasses.replace(
            self._inner.space, model=name, revision=name, query_prefix=query, normalized=factor == 1.0
        )
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> np.ndarray:
        self.asked += texts
        if "refused" in texts:
            raise EncoderError("too strange")
        prefix = self.space.query_prefix if kind == "query" else ""
        return self._inner.encode([prefix + self._change(text) for text in texts]) * np.float32(self._factor)


def first_words(n: int) -> Callable[[str], str]:
    return lambda text: " ".join(text.split()[:n])


@pytest.fixture
def model() -> Altered:
    return Altered("model")


@pytest.fixture
def other() -> Altered:
    return Altered("other", seed=1)


def test_the_model_that_made_the_vectors_is_named(model: Altered, other: Altered) -> None:
    found = identify(TEXTS, model.encode(TEXTS), [other, model])
    assert found.best == model.space
    assert found.reason == "100 of 100 vectors (96.3–100.0 %) are model's"


def test_each_row_is_attributed_to_its_own_model(model: Altered, other: Altered) -> None:
    vectors = np.concatenate([model.encode(TEXTS[:70]), other.encode(TEXTS[70:])])
    found = identify(TEXTS, vectors, [other, model])
    assert [each.rows for each in found.attributions] == [30, 70]
    assert found.best == model.space
    assert found.reason == "70 of 100 vectors (60.4–78.1 %) are model's; 30 are other's"


def test_halves_of_two_models_name_neither(model: Altered, other: Altered) -> None:
    found = identify(TEXTS, np.concatenate([model.encode(TEXTS[:50]), other.encode(TEXTS[50:])]), [other, model])
    assert found.best is None
    assert found.reason == "no candidate made most of 100 vectors; 50 are other's; 50 are model's"


def test_rows_that_fit_no_candidate_are_counted_and_shown(model: Altered) -> None:
    vectors = model.encode(TEXTS)
    vectors[[3, 8]] = HashEncoder(DIMENSION, 5).encode(["a", "b"])
    found = identify(TEXTS, vectors, [model])
    assert (found.best, found.unmatched, [misfit.place for misfit in found.misfits]) == (model.space, 2, [3, 8])
    assert found.misfits[0].cosine == pytest.approx(float(vectors[3] @ model.encode(TEXTS[3:4])[0]), abs=1e-6)
    assert "98 of 100 vectors" in found.reason
    assert "; 2 fit no candidate: vectors[3], say" in found.reason


def test_at_most_five_misfits_are_shown(model: Altered, other: Altered) -> None:
    found = identify(TEXTS, other.encode(TEXTS), [model])
    assert (found.best, found.unmatched, len(found.misfits)) == (None, 100, 5)
    assert found.reason.startswith("all 100 fit no candidate: vectors[0], say")


def test_texts_shorter_than_both_limits_do_not_tell_them_apart() -> None:
    short, long = Altered("short", first_words(8)), Altered("long", first_words(100))
    found = identify(TEXTS, long.encode(TEXTS), [short, long])
    assert (found.best, found.ambiguous) == (None, 100)
    assert found.reason.startswith("100 of 100 vectors fit several candidates")


def test_the_few_texts_that_are_long_enough_tell_for_all() -> None:
    short, long = Altered("short", first_words(8)), Altered("long", first_words(100))
    texts = [*TEXTS, "one two three four five six seven eight nine ten"]
    found = identify(texts, long.encode(texts), [short, long])
    assert (found.best, found.ambiguous) == (long.space, 100)
    assert [(each.rows, each.alone) for each in found.attributions] == [(0, 0), (101, 1)]
    assert found.reason == "101 of 101 vectors (96.3–100.0 %) are long's, of which 100 fit another candidate as well"


def test_few_rows_that_disagree_do_not_name_a_model_for_all() -> None:
    short, long = Altered("short", first_words(8)), Altered("long", first_words(100))
    told = [f"one two three four five six seven eight nine {i}" for i in range(3)]
    vectors = np.concatenate([long.encode(TEXTS), long.encode(told[:2]), short.encode(told[2:])])
    assert identify(TEXTS + told, vectors, [short, long]).best is None


def test_candidates_that_make_the_same_vectors_are_not_told_apart(model: Altered) -> None:
    assert identify(TEXTS, model.encode(TEXTS), [model, Altered("same by another name")]).best is None


@pytest.mark.parametrize(("factor", "lengths"), [(1.0, "as made"), (2.5, "scaled"), (0.1, "scaled")])
def test_a_constant_factor_is_found(model: Altered, factor: float, lengths: str) -> None:
    found = identify(TEXTS, factor * model.encode(TEXTS), [model])
    assert found.best == model.space
    assert found.attributions[0].lengths == lengths
    assert found.attributions[0].factor == pytest.approx(factor)
    assert any(f"{factor:g} times as long" in hint for hint in found.hints) == (lengths == "scaled")


def test_lengths_of_every_kind_are_found(model: Altered) -> None:
    lengths = np.random.default_rng(0).uniform(0.5, 2, (100, 1)).astype(np.float32)
    assert identify(TEXTS, lengths * model.encode(TEXTS), [model]).attributions[0].lengths == "different"


def test_vectors_that_were_normalised_are_found() -> None:
    long_rows = Altered("long rows", factor=3.0)
    found = identify(TEXTS, long_rows.encode(TEXTS) / 3, [long_rows])
    assert found.attributions[0].lengths == "normalised"
    assert found.hints == ("the vectors are of length 1, which long rows does not make them",)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_models_that_differ_in_length_alone_are_told_apart_by_it(model: Altered, factor: float) -> None:
    candidates = [model, Altered("long rows", factor=3.0)]
    found = identify(TEXTS, factor * model.encode(TEXTS), candidates)
    assert found.best == candidates[int(factor == 3.0)].space
    assert found.ambiguous == 0


def test_a_zero_vector_fits_no_candidate(model: Altered) -> None:
    vectors = model.encode(TEXTS)
    vectors[5] = 0
    found = identify(TEXTS, vectors, [model])
    assert (found.zero, found.unmatched) == (1, 1)
    assert found.hints == ("1 vector is zero, which no model makes of a text that it knows",)


def test_a_text_that_a_candidate_refuses_is_not_its(model: Altered) -> None:
    texts = [*TEXTS[:9], "refused"]
    found = identify(texts, np.eye(10, DIMENSION, dtype=np.float32), [model])
    assert "model has no vector for 1 text (too strange)" in found.hints


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: f"passage: {text}", "given with 'passage: ' before it"),
        (lambda text: text.partition("\n\n")[2], "without its first line"),
    ],
)
def test_a_form_of_the_texts_that_fits_is_named(model: Altered, change: Callable[[str], str], said: str) -> None:
    texts = [f"Title {i}\n\n{text}" for i, text in enumerate(TEXTS)]
    found = identify(texts, Altered("made", change).encode(texts), [model])
    assert f"20 of 20 that fit none are model's of the text {said}" in found.hints


def test_a_text_in_lower_case_or_stripped_is_tried() -> None:
    exact = Altered("exact", lambda text: text.replace(" ", "_").replace("T", "capital "))
    lower = identify(TEXTS, exact.encode([text.lower() for text in TEXTS]), [exact])
    assert "20 of 20 that fit none are exact's of the text in lower case" in lower.hints
    padded = [f" {text} " for text in TEXTS]
    stripped = identify(padded, exact.encode(TEXTS), [exact])
    assert "20 of 20 that fit none are exact's of the text stripped of white space at its ends" in stripped.hints


def test_vectors_made_as_queries_are_found() -> None:
    asymmetric = Altered("asymmetric", query="what is ")
    found = identify(TEXTS, asymmetric.encode(TEXTS, kind="query"), [asymmetric])
    assert "20 of 20 that fit none are asymmetric's of the text encoded as a query" in found.hints


def test_variants_of_the_caller_are_tried_where_vectors_fit_none(model: Altered) -> None:
    titled = [f"River: {text}" for text in TEXTS]
    vectors = np.concatenate([model.encode(TEXTS[:60]), model.encode(titled[60:])])
    found = identify(TEXTS, vectors, [model], variants={"with the title before it": titled})
    assert "20 of 20 that fit none are model's of the text with the title before it" in found.hints
    assert found.best == model.space


def test_no_form_is_tried_where_all_vectors_fit(model: Altered) -> None:
    vectors = model.encode(TEXTS)
    model.asked.clear()
    identify(TEXTS, vectors, [model], variants={"in another language": ["?"] * 100})
    assert model.asked == TEXTS


def test_candidates_of_another_dimension_are_not_asked(model: Altered) -> None:
    wider = HashEncoder(DIMENSION + 1)
    found = identify(TEXTS, model.encode(TEXTS), [wider, model])
    assert (found.best, found.impossible) == (model.space, (wider.space,))
    none = identify(TEXTS, HashEncoder(DIMENSION, 9).encode(TEXTS), [wider, model])
    assert any(hint.startswith("not asked") for hint in none.hints)


def test_models_of_one_name_are_told_apart_by_their_fingerprints(model: Altered) -> None:
    twin = Altered("twin", seed=1)
    twin.space = dataclasses.replace(twin.space, model="model")
    assert twin.space.fingerprint[:8] in identify(TEXTS, twin.encode(TEXTS), [model, twin]).reason


def test_all_of_it_is_json(model: Altered, other: Altered) -> None:
    vectors = np.concatenate([model.encode(TEXTS[:70]), other.encode(TEXTS[70:])])
    written = json.loads(json.dumps(identify(TEXTS, vectors, [model, HashEncoder(8)]).to_json()))
    assert written["best"]["model"] == "model"
    assert written["attributions"][0]["share"]["value"] == 0.7


def test_two_vectors_of_a_table_that_has_no_more_are_enough(model: Altered) -> None:
    assert identify(TEXTS[:2], model.encode(TEXTS[:2]), [model]).best == model.space


@pytest.mark.parametrize(("rows", "n"), [(196, 200), (0, 10), (10, 10), (1, 1), (1, 3)])
def test_the_interval_is_wilsons(rows: int, n: int) -> None:
    share, expected = Share.of(rows, n), binomtest(rows, n).proportion_ci(method="wilson")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize(
    ("texts", "vectors", "error"),
    [
        ([], np.empty((0, DIMENSION)), InvalidArgumentError),
        ("text", np.ones((1, DIMENSION)), InvalidArgumentError),
        (["a"], np.ones((2, DIMENSION)), ShapeError),
        (["a"], np.ones(DIMENSION), ShapeError),
        (["a", "b"], np.where(np.arange(2)[:, None] == 1, np.nan, np.ones((2, DIMENSION))), NumericalError),
        (["a"], np.full((1, DIMENSION), np.inf), NumericalError),
        (["a"], np.ones((1, DIMENSION + 1)), SpaceMismatchError),
    ],
)
def test_what_is_no_sample_is_refused(
    model: Altered, texts: list[str], vectors: np.ndarray, error: type[Exception]
) -> None:
    with pytest.raises(error):
        identify(texts, vectors, [model])


def test_candidates_must_be_there_and_differ(model: Altered) -> None:
    with pytest.raises(InvalidArgumentError, match="candidates is empty"):
        identify(TEXTS, model.encode(TEXTS), [])
    with pytest.raises(InvalidArgumentError, match=r"candidates\[1\] is model .* once more"):
        identify(TEXTS, model.encode(TEXTS), [model, model])
    with pytest.raises(ShapeError, match=r"variants\['v'\] holds 1 texts"):
        identify(TEXTS, model.encode(TEXTS), [model], variants={"v": ["one"]})
    with pytest.raises(InvalidArgumentError, match="tolerance"):
        identify(TEXTS, model.encode(TEXTS), [model], tolerance=-1)


# With real models


class Once:
    """A real model that encodes each text once for all tests."""

    source = None

    def __init__(self, folder: Path) -> None:
        self._model, self._known = Encoder.from_pretrained(folder, precision="float32"), {}
        self.space = self._model.space

    def encode(self, texts: Sequence[str], *, kind: Kind = "document") -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if (kind, text) not in self._known]
        self._known |= {(kind, text): row for text, row in zip(new, self._model.encode(new, kind=kind), strict=True)}
        return np.stack([self._known[kind, text] for text in texts])


@pytest.fixture(scope="module")
def texts(docstring_corpus: Corpus) -> list[str]:
    documents = list(docstring_corpus.documents.values())
    return [*documents[:15], *(" ".join(documents[start : start + 4]) for start in (15, 19, 23))]


@pytest.fixture(scope="module")
def minilm(minilm_folder: Path) -> Once:
    return Once(minilm_folder)


@pytest.fixture(scope="module")
def neighbours(minilm_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Once]:
    """The same weights with a prefix, with the other pooling, and with two other limits."""
    prompts = {"prompts": {"query": "query: ", "document": "passage: "}}
    changes = {
        "passage": ("config_sentence_transformers.json", prompts),
        "cls": ("1_Pooling/config.json", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        "128": ("sentence_bert_config.json", {"max_seq_length": 128}),
        "512": ("sentence_bert_config.json", {"max_seq_length": 512}),
    }
    folder = tmp_path_factory.mktemp("neighbours")
    for name, (file, fields) in changes.items():
        shutil.copytree(minilm_folder, folder / name)
        written = folder / name / file
        written.write_text(json.dumps({**json.loads(written.read_text()), **fields}))
    return [Once(folder / name) for name in changes]


def test_a_real_model_is_told_from_its_nearest_neighbours(
    minilm: Once, neighbours: list[Once], wordllama_folder: Path, texts: list[str]
) -> None:
    wordllama = Once(wordllama_folder)
    found = identify(texts, minilm.encode(texts), [*neighbours, minilm, wordllama])
    assert found.best == minilm.space
    assert found.unmatched == 0
    assert 0 < found.ambiguous < len(texts)
    assert found.impossible == (wordllama.space,)


@pytest.mark.parametrize("place", [0, 1], ids=["prefix", "pooling"])
def test_what_a_neighbour_made_is_not_the_models(
    place: int, minilm: Once, neighbours: list[Once], texts: list[str]
) -> None:
    vectors = neighbours[place].encode(texts)
    assert identify(texts, vectors, [minilm]).best is None
    assert identify(texts, vectors, [minilm, *neighbours]).best == neighbours[place].space


def test_a_prefix_that_no_candidate_has_is_found(minilm: Once, neighbours: list[Once], texts: list[str]) -> None:
    found = identify(texts, neighbours[0].encode(texts), [minilm])
    assert "18 of 18 that fit none are all-MiniLM-L6-v2's of the text given with 'passage: ' before it" in found.hints


def int8(rows: np.ndarray) -> np.ndarray:
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.asarray(np.round(rows / scale) * scale, dtype=np.float32)


@pytest.mark.parametrize("stored", [lambda rows: rows.astype(np.float16), int8], ids=["halfvec", "int8"])
@pytest.mark.parametrize("name", ["minilm", "wordllama"])
def test_a_real_model_is_found_however_its_vectors_are_stored(
    name: str, stored: Callable[[np.ndarray], np.ndarray], request: pytest.FixtureRequest, texts: list[str]
) -> None:
    model = Once(request.getfixturevalue("wordllama_folder")) if name == "wordllama" else request.getfixturevalue(name)
    found = identify(texts, stored(model.encode(texts)), [model])
    assert (found.best, found.unmatched) == (model.space, 0)
    assert found.attributions[0].lowest_cosine > 1 - TOLERANCE / 5


def test_a_real_model_is_found_when_it_computed_in_int8(
    minilm_folder: Path, minilm: Once, neighbours: list[Once], texts: list[str]
) -> None:
    vectors = Encoder.from_pretrained(minilm_folder, precision="int8").encode(texts)
    found = identify(texts, vectors, [minilm, *neighbours])
    assert (found.best, found.unmatched) == (minilm.space, 0)
