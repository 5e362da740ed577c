"""A plan is measured beside what serves, leaves nothing but itself, and says what follows from what was asked."""

from __future__ import annotations

import threading
import time

import pytest

from revector.collection import Collection
from revector.encoders.shortened import Shortened
from revector.encoders.templated import Templated
from revector.errors import CancelledError, EncoderError, InvalidArgumentError, MigrationError
from revector.planning import probe
from revector.planning.cost import Cost
from revector.planning.indexing import Indexed
from revector.planning.plan import Plan
from revector.planning.prices import Prices
from revector.planning.probe import Filled, encoder_rate
from revector.planning.texts import texts_of
from revector.spaces import Template
from revector.testing import HashEncoder, RecordingEncoder
from services import DIMENSION, Service, running
from worlds import NEW, left_of

OLD, OTHER = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")
TEXTS = [f"text number {place}" for place in range(60)]


class Paced:
    """A hundred documents a second."""

    space, source = NEW.space, None

    def __init__(self, rate=100):
        self._rate = rate

    def encode(self, texts, *, kind="document"):
        time.sleep(len(texts) / self._rate)
        return NEW.encode(texts, kind=kind)


class Picky(Paced):
    """Does not take every text."""

    def __init__(self, refused):
        super().__init__(1e6)
        self.refused = refused

    def encode(self, texts, *, kind="document"):
        if any(text.endswith(self.refused) for text in texts):
            raise EncoderError("too long")
        return super().encode(texts, kind=kind)


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD, encoders=[OTHER]) as docs:
        docs.upsert(TEXTS, TEXTS)
        yield docs


# The rate


def test_a_rate_is_documents_by_seconds(world):
    assert encoder_rate(world.backend, Paced(), sample=20) == pytest.approx(100, rel=0.5)


def test_each_text_of_the_sample_is_embedded_once_and_one_more_to_warm_up(world, tmp_path):
    record = tmp_path / "embedded"
    encoder_rate(world.backend, RecordingEncoder(NEW, record), sample=20)
    assert len(record.read_text().splitlines()) == 20 + 1


def test_a_text_that_the_model_does_not_take_does_not_stop_the_measurement(world):
    assert encoder_rate(world.backend, Picky("number 7"), sample=40) > 0


def test_a_model_that_takes_no_text_cannot_be_measured(world):
    with pytest.raises(EncoderError, match="too long"):
        encoder_rate(world.backend, Picky(""))


def test_a_worker_is_as_fast_as_its_model_once_it_is_warm(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert([str(place) for place in range(400)], [f"text {place}" for place in range(400)])
        plan = docs.plan(Paced(400))
    assert plan.cost.documents_per_second == pytest.approx(400, rel=0.25)
    filled = plan.measured.filled
    assert plan.cost.seconds == pytest.approx(
        400 / plan.cost.documents_per_second + filled.fixed_seconds + 400 * filled.asking_seconds
    )


def test_a_probe_ends_in_time_and_says_how_far_it_came(docs, monkeypatch):
    monkeypatch.setattr("revector.planning.planner.PROBE_SECONDS", 0.0)
    docs.upsert([str(place) for place in range(400)], [f"text {place}" for place in range(400)])
    assert 0 < docs.plan(Paced(300)).measured.filled.documents < len(docs)


# Time, storage, texts


def test_time_is_texts_over_the_rate_of_all_workers():
    one, four = (Cost.of(1000, OLD.space, NEW.space, 10.0, workers=workers) for workers in (1, 4))
    assert (one.seconds, four.seconds) == (100.0, 25.0)
    assert Cost.of(1000, OLD.space, NEW.space, 10.0, texts=500).seconds == 50.0


def test_more_workers_are_not_faster_than_the_store():
    assert Cost.of(1000, OLD.space, NEW.space, 10.0, workers=100, writes_per_second=50.0).seconds == 20.0


def test_storage_peaks_while_both_generations_live():
    cost = Cost.of(40, OLD.space, NEW.space, 10.0)
    assert cost.peak_bytes > cost.target_bytes > 40 * 12 * 4


def test_an_index_takes_a_little_longer_for_each_vector_of_a_larger_one():
    indexed = Indexed(1000, 1.0, None)
    assert 10 < indexed.seconds_for(10_000) < 15
    assert Indexed(0, 0.0, None).seconds_for(10_000) == 0.0


def test_identical_texts_are_counted_once(docs):
    docs.upsert([f"again {place}" for place in range(60)], TEXTS)
    found = texts_of(docs._backend, OTHER)
    assert (found.documents, found.different) == (120, 60)
    assert found.counted_by == "four characters each"
    assert found.tokens == pytest.approx(found.characters / 4, rel=0.01)


def test_a_model_counts_its_own_tokens_up_to_what_it_reads(docs):
    class Counting(HashEncoder):
        def count_tokens(self, texts):
            return [5_000] * len(texts)

    model = Counting(12)
    assert texts_of(docs._backend, model).tokens_a_text == 5_000
    model.space = type(model.space)("m", 12, "1", max_length=256)
    for each in (model, Templated(model, Template(("title", "text"))), Shortened(model, 6)):
        assert texts_of(docs._backend, each).tokens_a_text == 256


# What a plan leaves


def test_nothing_is_left_of_a_plan_but_itself(docs):
    before = left_of(docs)
    plan = docs.plan(OTHER)
    assert plan.measured.filled.documents == len(TEXTS)
    assert left_of(docs) == before
    assert docs.last_plan == plan == Plan.from_json(plan.to_json())
    assert docs.search(TEXTS[7], k=1)[0].id == TEXTS[7]


def test_a_plan_that_is_to_write_nothing_measures_the_model_alone(docs):
    plan = docs.plan(OTHER, try_store=False)
    assert (plan.measured.filled, plan.index_seconds, docs.last_plan) == (None, None, None)
    assert "nothing was to be written" in str(plan)
    assert plan.cost.seconds > 0


def test_a_plan_beside_a_migration_measures_the_model_alone(docs):
    docs.migrate(OTHER)
    assert "a plan is for before" in docs.plan(OTHER).notes[0]


def test_one_that_is_called_off_leaves_nothing(docs):
    before, stop = left_of(docs), threading.Event()
    stop.set()
    with pytest.raises(CancelledError):
        docs.plan(OTHER, stop=stop)
    assert (left_of(docs), docs.last_plan) == (before, None)


def test_a_model_that_embeds_nothing_leaves_nothing(docs):
    before = left_of(docs)
    with pytest.raises(EncoderError, match="too long"):
        docs.plan(Picky(""))
    assert (left_of(docs), docs.last_plan) == (before, None)


def test_the_space_that_serves_needs_no_plan(docs):
    with pytest.raises(MigrationError, match="nothing to plan"):
        docs.plan(OLD)


def test_an_empty_collection_costs_nothing(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        plan = docs.plan(OTHER, prices=Prices(per_million_tokens=1.0), deadline="2999-01-31")
        assert (plan.cost.documents, plan.seconds, plan.cost.peak_bytes, plan.prices[0].amount) == (0, 0.0, 0, 0.0)
        assert "0 documents" in str(plan)


# What was asked


def test_workers_for_a_date_are_those_of_the_measured_rate(docs):
    plan = docs.plan(OTHER, deadline="2999-01-31")
    assert (plan.schedule.workers, plan.schedule.documents) == (1, len(TEXTS))
    assert plan.command.endswith("--strategy background --deadline 2999-01-31")
    assert plan.strategy == "background"


def test_both_ways_of_a_service_have_a_price(docs):
    plan = docs.plan(OTHER, prices=Prices(per_million_tokens=2.0, currency="EUR"), try_store=False)
    online, batch = plan.prices
    assert online.amount == pytest.approx(plan.texts.tokens * 2e-6)
    assert batch.amount == pytest.approx(online.amount / 2)
    assert "half of it" in batch.how
    assert "EUR" in plan.rows()["money"]


def test_machines_have_a_price_by_the_hour(docs):
    (price,) = docs.plan(OTHER, workers=3, prices=Prices(machine_hour=10.0), try_store=False).prices
    assert price.amount > 0
    assert price.name == "machines"


def test_what_is_written_while_both_are_kept_is_embedded_twice(docs):
    plan = docs.plan(OTHER, writes_per_day=1000, prices=Prices(per_million_tokens=1.0), try_store=False)
    assert plan.both_live_seconds == pytest.approx(7 * 86400, rel=0.01)
    assert plan.write_seconds == pytest.approx(7000 / plan.measured.encoder_per_second, rel=0.01)
    assert plan.write_prices[0].amount == pytest.approx(7000 * plan.texts.tokens_a_text * 1e-6, rel=0.01)


def test_vectors_that_are_made_of_stored_ones_are_planned_so(places):
    with Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert(TEXTS, TEXTS)
        assert docs.plan(Shortened(OLD, 4)).strategy == "representation"


def test_a_service_is_asked_for_a_few_texts_and_brings_its_price(places):
    from revector.encoders.service.openai import OpenAIEncoder

    with running(Service()) as service, Collection.open(places / "docs.db", OLD) as docs:
        docs.upsert([str(place) for place in range(300)], [f"text {place}" for place in range(300)])
        model = OpenAIEncoder("m", base_url=service.url, price_per_million_tokens=3.0, known_dimension=DIMENSION)
        plan = docs.plan(model)
        assert sum(map(len, service.batches)) <= 66
    assert "a service is paid for each text" in plan.notes[0]
    assert plan.prices[0].amount == pytest.approx(plan.texts.tokens * 3e-6, rel=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"workers": 1.5},
        {"deadline": "soon"},
        {"deadline": "2001-01-01"},
        {"prices": 3.0},
        {"writes_per_day": -1},
        {"writes_per_day": float("nan")},
        {"sla_ms": 0},
        {"try_store": "no"},
    ],
    ids=str,
)
def test_a_wrong_argument_costs_nothing(docs, tmp_path, wrong):
    record = tmp_path / "embedded"
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        docs.plan(RecordingEncoder(OTHER, record), **wrong)
    assert not record.exists() or not record.read_text()


# Landings


def test_the_rate_is_that_between_landings_and_what_came_before_counts_once():
    landed = probe._Landed(lambda: None)
    landed.keys = list(range(1_100))
    landed.moments = [(0.5, 20), (2.0, 100), (3.0, 600), (4.0, 1_100)]
    rate, startup = landed.rates()
    assert rate == pytest.approx(500.0)
    assert startup == pytest.approx(2.0 - 100 / 500)


def test_a_plan_scales_the_rate_to_the_length_of_all_texts(docs):
    from revector.planning.plan import Measured
    from revector.planning.planner import _worker_rate

    texts = texts_of(docs._backend, OTHER)
    short = Filled(10, 0, 1.0, 100.0, 0.0, 0.0, texts.tokens_a_text / 2)
    assert _worker_rate(texts, Measured(None, short)) == pytest.approx(50.0)
