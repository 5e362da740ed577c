from __future__ import annotations

import time

import pytest

from revector.errors import EncoderError
from revector.migration.estimate import estimate
from revector.testing import RecordingEncoder
from worlds import NEW


class Paced:
    """A hundred documents a second."""

    space, source = NEW.space, None

    def encode(self, texts, *, kind="document"):
        time.sleep(len(texts) / 100)
        return NEW.encode(texts, kind=kind)


def test_time_is_documents_over_measured_speed(world):
    cost = estimate(world.backend, world.served, Paced(), sample=20).cost
    assert cost.documents == 40
    assert cost.documents_per_second == pytest.approx(100, rel=0.5)
    assert cost.seconds == pytest.approx(40 / cost.documents_per_second)
    assert estimate(world.backend, world.served, Paced(), sample=20, workers=4).cost.seconds < cost.seconds / 2


def test_each_text_of_the_sample_is_embedded_once_and_one_more_to_warm_up(world, tmp_path):
    record = tmp_path / "embedded"
    estimate(world.backend, world.served, RecordingEncoder(NEW, record), sample=20)
    assert len(record.read_text().splitlines()) == 20 + 1


class Picky(Paced):
    """Does not take every text."""

    def __init__(self, refused):
        self.refused = refused

    def encode(self, texts, *, kind="document"):
        if any(text.endswith(self.refused) for text in texts):
            raise EncoderError("too long")
        return NEW.encode(texts, kind=kind)


def test_a_text_that_the_model_does_not_take_does_not_stop_the_measurement(world):
    assert estimate(world.backend, world.served, Picky("number 7"), sample=40).cost.documents_per_second > 0


def test_a_model_that_takes_no_text_cannot_be_measured(world):
    with pytest.raises(EncoderError, match="too long"):
        estimate(world.backend, world.served, Picky(""))


def test_price_is_tokens_times_price(world):
    plan = estimate(world.backend, world.served, NEW, price_per_million_tokens=2.0)
    assert plan.characters == sum(len(f"text number {place}") for place in range(40))
    assert plan.price == pytest.approx(plan.characters // 4 * 2e-6)


def test_storage_peaks_while_both_generations_live(world):
    cost = estimate(world.backend, world.served, NEW).cost
    assert cost.peak_bytes > cost.target_bytes > 40 * 12 * 4


def test_an_empty_collection_costs_nothing(empty_world):
    plan = estimate(empty_world.backend, empty_world.served, NEW, price_per_million_tokens=1.0)
    assert (plan.cost.documents, plan.cost.seconds, plan.price, plan.cost.peak_bytes) == (0, 0.0, 0.0, 0)
    assert plan.cost.documents_per_second is None
