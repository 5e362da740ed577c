"""A unit of work is done by a function that needs nothing but the encoder, in whatever process."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from revector.backends.contracts import content_hash
from revector.errors import EncoderError, SpendCapError
from revector.migration.filling.unit import Unit, run_unit
from worlds import NEW


class Choosy:
    """The new encoder, as far as a text is not bad and the money lasts; it travels to other processes."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        if any("bad" in text for text in texts):
            raise EncoderError("a bad text")
        if any("poor" in text for text in texts):
            raise SpendCapError("no money left")
        return NEW.encode(texts)


def unit_of(*texts, known=()):
    hashes = [content_hash(text) for text in texts]
    vectors = {content_hash(text): np.ones(NEW.space.dimension, np.float32) for text in known}
    return Unit(1, np.arange(len(texts)), hashes, list(texts), vectors)


def test_documents_of_the_same_text_share_one_vector():
    result = run_unit(Choosy(), unit_of("same", "other", "same"))
    np.testing.assert_array_equal(result.rows.vectors, NEW.encode(["same", "other", "same"]))
    assert result.embedded == 2


def test_what_is_known_is_not_embedded():
    result = run_unit(Choosy(), unit_of("bad but known", known=["bad but known"]))
    assert (len(result.rows), result.embedded, result.errors) == (1, 0, {})


def test_a_part_knows_what_is_known_of_its_texts_alone():
    part = unit_of("a", "b", "c", known=["a", "c"]).part(1, 3)
    assert (part.texts, list(part.known)) == (["b", "c"], [content_hash("c")])


def test_what_was_embedded_before_the_encoder_stopped_is_kept_although_another_text_was_bad():
    """The batch is halved for the bad text; the half that was paid for is not lost with the other."""
    result = run_unit(Choosy(), unit_of("one", "two", "bad", "poor"))
    assert (result.rows.keys.tolist(), isinstance(result.stopped, SpendCapError)) == ([0, 1], True)


@pytest.mark.parametrize(("text", "field"), [("bad", "errors"), ("poor", "stopped")])
def test_a_spawned_process_gives_the_same_answer(text, field):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(run_unit, Choosy(), unit_of("one", "two", text)).result()
    here = run_unit(Choosy(), unit_of("one", "two", text))
    np.testing.assert_array_equal(there.rows.vectors, here.rows.vectors)
    assert repr(getattr(there, field)) == repr(getattr(here, field))
    assert getattr(there, field)
