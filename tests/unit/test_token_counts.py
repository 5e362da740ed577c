"""Upper bounds of tokens, and batches within them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from revector.encoders.service import token_counts
from revector.encoders.service.token_counts import batches, count_at_most


def test_the_upper_bound_holds_for_every_script():
    texts = ["", "words", "𓀀𓂀", "数据迁移", "🧑‍🚀", "\ud83d", "a" * 10_000]
    assert all(count >= len(text) for count, text in zip(count_at_most(texts), texts, strict=True))
    assert count_at_most(["𓀀"])[0] >= 4  # a byte-level tokeniser may need each of its bytes


def test_tiktoken_counts_where_it_knows_the_model(monkeypatch):
    library = type(sys)("tiktoken")

    class Encoding:
        def encode_ordinary(self, text):
            return text.split()

    def encoding_for_model(model):
        if model != "text-embedding-3-small":
            raise KeyError(model)
        return Encoding()

    library.encoding_for_model = encoding_for_model
    monkeypatch.setitem(sys.modules, "tiktoken", library)
    assert token_counts.counter_for("text-embedding-3-small")(["two words", "one"]) == [2, 1]
    assert token_counts.counter_for("bge-m3") is count_at_most


def test_a_vocabulary_that_can_not_be_fetched_is_done_without(monkeypatch):
    library = type(sys)("tiktoken")

    def encoding_for_model(model):
        raise ConnectionError("no network")

    library.encoding_for_model = encoding_for_model
    monkeypatch.setitem(sys.modules, "tiktoken", library)
    assert token_counts.counter_for("text-embedding-3-small") is count_at_most


@pytest.mark.parametrize("seed", range(20))
def test_batches_cover_all_texts_once_within_the_limits(seed):
    counts = np.random.default_rng(seed).integers(1, 40, 200).tolist()
    ranges = list(batches(counts, max_tokens=60, max_texts=7))
    assert [place for places in ranges for place in places] == list(range(200))
    for places, following in zip(ranges, [*ranges[1:], None], strict=True):
        tokens = sum(counts[place] for place in places)
        assert len(places) <= 7
        assert tokens <= 60
        if following:  # no batch could have taken one more
            assert len(places) == 7 or tokens + counts[following[0]] > 60
