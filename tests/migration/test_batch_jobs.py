"""A generation filled by the batch jobs of a service that loses, doubles, mixes and cuts off what it answers."""

from __future__ import annotations

import json
import threading
from collections import Counter

import numpy as np
import pytest

from batch_desk import BatchDesk, lost_answer, refusing
from revector.collection import Collection
from revector.encoders.service.client import RetryPolicy
from revector.encoders.service.openai import OpenAIEncoder
from revector.encoders.service.pacing import Pacer
from revector.encoders.templated import Templated
from revector.errors import InvalidArgumentError, MigrationError, ServiceError, SpendCapError
from revector.ledger.state import Phase
from revector.migration.batches.book import BatchTurn
from revector.migration.batches.jobs import BatchJobs, BatchStage, batch_jobs_of
from revector.migration.strategies import Background
from revector.spaces import Template
from revector.testing import HashEncoder
from services import DIMENSION, KEY, MODEL, FakeClock, Service, refuses, running, status, tokens_of
from worlds import World

DOCUMENTS = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits for long."""
    for name in ("FIRST_POLL_SECONDS", "LONGEST_POLL_SECONDS"):
        monkeypatch.setattr(f"revector.migration.batches.filler.{name}", 0.01)
    for name in ("FIRST_RETRY_SECONDS", "LONGEST_RETRY_SECONDS"):
        monkeypatch.setattr(f"revector.migration.batches.sending.{name}", 0.01)


@pytest.fixture
def service():
    with running(Service(desk=BatchDesk())) as service:
        yield service


@pytest.fixture
def desk(service):
    return service.desk


@pytest.fixture
def encoder(service):
    """Return a maker of encoders for the service."""
    made = []

    def make(**options):
        options = {"dimensions": DIMENSION, "pacer": Pacer(clock=FakeClock()), "api_key": KEY, **options}
        made.append(OpenAIEncoder("a-model", base_url=service.url, retries=RetryPolicy(attempts=3), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(places):
    world = World.create(places / "world.db", documents=DOCUMENTS)
    yield world
    world.close()


@pytest.fixture
def migration(world, encoder):
    return world.started(encoder=encoder(), strategy=Background(batch=4))


def texts_of(world):
    with world.backend.snapshot():
        return {d.id: d.text for batch in world.backend.documents.scan() for d in batch}


def assert_filled(world, migration):
    """Every document has one vector, that of its present text, and the migration goes on."""
    texts, found = texts_of(world), world.vectors(migration.record.target_generation)
    assert found.keys() == texts.keys()
    rows = np.array([found[id_] for id_ in texts])
    np.testing.assert_allclose(rows, MODEL.encode(list(texts.values())), atol=1e-6)
    assert world.backend.ledger.jobs.counts(migration.record.target_generation).total == 0
    assert migration.phase is Phase.PROVING


def online(service):
    """Texts that were asked for at once, but for those that every run asks to know the model again."""
    canaries = {"a"}
    return Counter(text for batch in service.batches for text in batch if text.startswith("text") or text in canaries)


def jobs_of(world, migration):
    return batch_jobs_of(world.backend, migration.record.target_generation)


def test_all_documents_are_filled_by_jobs_alone_each_text_once(world, migration, service, desk):
    report = migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert report.embedded == DOCUMENTS
    assert desk.paid == Counter(texts_of(world).values())
    assert not online(service)
    assert [job.stage for job in jobs_of(world, migration)] == [BatchStage.ENDED]


def test_a_model_with_a_template_is_filled_by_jobs_too(tmp_path, encoder, desk):
    with Collection.open(tmp_path / "docs.db", HashEncoder(8)) as docs:
        docs.upsert(["a", "b"], ["one", "two"], [{"title": "First"}, {"title": "Second"}])
        migration = docs.migrate(Templated(encoder(), Template(("title", "text"), separator=": ")))
        migration.start()
        migration.run(batch_jobs=BatchJobs())
        assert migration.phase is Phase.PROVING
    assert desk.paid == Counter(["First: one", "Second: two"])


def test_identical_texts_are_sent_once_over_all_jobs(world, encoder, desk):
    world.write({f"twin {i}": "the same text" for i in range(10)})
    migration = world.started(encoder=encoder())
    migration.run(batch_jobs=BatchJobs(requests=4))
    assert_filled(world, migration)
    assert desk.paid["the same text"] == 1
    assert max(desk.paid.values()) == 1


def test_jobs_stay_within_requests_bytes_and_tokens(world, migration, desk):
    desk.looks = 3
    most_out = []
    migration.run(lambda _: most_out.append(desk.tokens_out), batch_jobs=BatchJobs(requests=7, tokens=300))
    assert_filled(world, migration)
    assert max(len(job.lines) for job in desk.jobs.values()) <= 7
    # a text of four words is counted as 17 tokens at most where no tokenizer is at hand
    assert max(most_out) <= 300 / 17 * 5


def test_a_file_is_no_longer_than_it_may_be(world, migration, desk):
    migration.run(batch_jobs=BatchJobs(bytes=1000))
    assert_filled(world, migration)
    sent = [content for content in desk.files.values() if b'"method"' in content]
    assert len(sent) > 3
    assert max(map(len, sent)) <= 1000


def test_lines_that_come_twice_or_for_nobody_change_nothing(world, migration, service, desk):
    def changed(lines):
        stranger = json.loads(json.dumps(lines[0])) | {"custom_id": "nobody"}
        return [stranger, *lines, *lines]

    desk.changes = changed
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert max(desk.paid.values()) == 1
    assert not online(service)


def test_lines_that_get_lost_are_asked_for_online(world, migration, service, desk):
    desk.changes = lambda lines: lines[5:]
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert sum(online(service).values()) == 5


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_file_that_is_cut_off_is_read_again_and_then_given_up(world, migration, service, desk, cuts):
    desk.cuts = cuts
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert bool(online(service)) == (cuts == 3)


def test_errors_by_line_are_tried_again_online(world, migration, service, desk):
    desk.refuses = lambda text: text.endswith(("1", "2"))
    report = migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    refused = [text for text in texts_of(world).values() if desk.refuses(text)]
    assert online(service) == Counter(refused)
    assert report.failed == len(refused)


def test_errors_by_line_are_left_by_choice_and_tried_by_the_next_run(world, migration, service, desk):
    desk.refuses = lambda text: text.endswith("1")
    migration.run(batch_jobs=BatchJobs(online=False))
    refused = [text for text in texts_of(world).values() if desk.refuses(text)]
    assert migration.status().target_jobs.pending == len(refused)
    assert (migration.phase, online(service)) == (Phase.FILLING, Counter())
    desk.refuses = lambda text: False
    migration.run()
    assert_filled(world, migration)


def test_what_is_refused_online_too_has_failed(world, migration, service, desk):
    desk.refuses = lambda text: text.endswith("number 7")
    service.otherwise = refuses(desk.refuses)
    migration.run(batch_jobs=BatchJobs())
    assert [failure.id for failure in migration.failures()] == ["d7"]
    assert migration.phase is Phase.PROVING


def test_a_job_that_expires_is_finished_online(world, migration, service, desk):
    desk.ends = "expired"
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert desk.paid + online(service) == Counter(texts_of(world).values())
    assert sum(desk.paid.values()) == DOCUMENTS // 2


def test_more_tokens_than_may_be_out_are_sent_in_parts(world, migration, service, desk):
    desk.most_tokens = 40
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert desk.paid == Counter(texts_of(world).values())
    assert not online(service)


def test_documents_that_change_or_go_meanwhile_get_the_vector_of_their_present_text(world, migration, desk):
    desk.looks = 4
    looks = []

    def write(progress):
        looks.append(progress)
        if len(looks) == 2:
            assert desk.jobs
            world.write({"d1": "text that has changed", "new": "text that is new"}, encoders=[])
            world.delete("d2")

    migration.run(write, batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert "new" in texts_of(world)


def test_a_service_that_is_away_or_overloaded_is_waited_for(world, migration, service, desk):
    no, busy = refusing(status(500)), refusing(status(429, retry_after="0"))
    for pattern in ("POST /files", "GET /batches/", "GET /files", "POST /batches$"):
        desk.then(pattern, no, busy, no, no, busy, no)
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert desk.paid == Counter(texts_of(world).values())
    assert not online(service)


@pytest.mark.parametrize("losses", [1, 2, 7])
def test_a_job_whose_beginning_got_no_answer_is_not_begun_twice(world, migration, desk, losses):
    desk.then("POST /batches$", *[lost_answer] * losses)
    migration.run(batch_jobs=BatchJobs(requests=10))
    assert_filled(world, migration)
    assert max(desk.paid.values()) == 1


def test_a_service_that_refuses_for_good_holds_no_document(world, migration, desk):
    desk.then("POST /batches$", refusing(status(401)))
    with pytest.raises(ServiceError, match="check the API key"):
        migration.run(batch_jobs=BatchJobs())
    assert jobs_of(world, migration) == []
    assert migration.status().target_jobs.leased == 0
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)


def test_a_job_that_is_gone_at_the_service_is_embedded_anew(world, migration, service, desk):
    desk.then("GET /batches/", refusing(status(404)))
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert sum(online(service).values()) == DOCUMENTS


def test_a_run_that_is_stopped_leaves_its_jobs_out_and_the_next_one_goes_on(world, migration, service, desk):
    desk.looks, stop = 1000, threading.Event()
    migration.run(lambda _: stop.set(), stop, batch_jobs=BatchJobs())
    (job,) = migration.status().batch_jobs
    assert (job.stage, job.requests) == (BatchStage.OUT, DOCUMENTS)
    assert migration.status().target_jobs.leased == DOCUMENTS
    (at_service,) = desk.jobs.values()
    at_service.looks_left = 0
    migration.run(batch_jobs=BatchJobs())
    assert_filled(world, migration)
    assert max(desk.paid.values()) == 1


def test_leases_of_a_job_outlive_other_workers_and_end_only_with_it(world, migration, desk):
    desk.looks, stop = 1000, threading.Event()
    migration.run(lambda _: stop.set(), stop, batch_jobs=BatchJobs())
    jobs, target = world.backend.ledger.jobs, migration.record.target_generation
    jobs.release_dead_owners()
    assert jobs.claim(target, "another:1:1:1", 10, 60.0) == []
    assert jobs.counts(target).leased == DOCUMENTS


def test_a_job_that_nobody_looks_at_for_days_is_given_up(world, migration, service, desk, monkeypatch):
    monkeypatch.setattr("revector.migration.batches.jobs.ABANDONED_AFTER_SECONDS", -1.0)
    monkeypatch.setattr("revector.migration.batches.filler.ABANDONED_AFTER_SECONDS", -1.0)
    desk.looks, stop = 1000, threading.Event()
    migration.run(lambda _: stop.set(), stop, batch_jobs=BatchJobs())
    migration.run()
    assert_filled(world, migration)
    assert sum(online(service).values()) == DOCUMENTS


def test_one_process_at_a_time_has_the_jobs(world, migration):
    with (
        BatchTurn(world.backend, migration.record.target_generation),
        pytest.raises(MigrationError, match="another process is at the batch jobs"),
    ):
        migration.run(batch_jobs=BatchJobs())


def test_a_model_without_batch_jobs_is_refused(world):
    with pytest.raises(InvalidArgumentError, match="is not a model of a service with batch jobs"):
        world.started().run(batch_jobs=BatchJobs())


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"requests": -1}, {"bytes": 1.5}, {"online": "yes"}])
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        BatchJobs(**wrong)


@pytest.mark.parametrize("says_usage", [True, False])
def test_jobs_cost_half_and_that_is_told(world, encoder, desk, says_usage):
    desk.says_usage = says_usage
    paid = encoder(price_per_million_tokens=1e6)
    migration = world.started(encoder=paid)
    migration.run(batch_jobs=BatchJobs())
    tokens = sum(map(tokens_of, texts_of(world).values()))
    assert sum(job.cost for job in jobs_of(world, migration)) == pytest.approx(tokens / 2)
    canaries = paid.spent - tokens / 2
    assert migration.status().spent == pytest.approx(tokens / 2)
    assert canaries >= 0


def test_the_spend_cap_holds_over_jobs_and_over_runs(world, encoder, service, desk):
    count = {"count_tokens": lambda texts: [tokens_of(text) for text in texts]}
    options = {"price_per_million_tokens": 1e6, "spend_cap": 40.0, "check_model": False, **count}
    migration = world.started(encoder=encoder(**options))
    for _ in range(2):
        world.encoders.add(encoder(**options))
        with pytest.raises(SpendCapError, match="set aside for batch jobs"):
            world.active(world.encoders).run(batch_jobs=BatchJobs(requests=5))
        assert desk.tokens / 2 <= 40
    assert desk.tokens / 2 > 30
    assert migration.status().target_jobs.leased == 0


def test_what_jobs_have_left_is_free_also_where_the_next_job_is_refused(world, migration, desk):
    desk.refuses = lambda text: text.endswith("1")
    desk.then("POST /batches$", lambda desk, exchange, answer: exchange.send(*answer()), refusing(status(401)))
    with pytest.raises(ServiceError):
        migration.run(batch_jobs=BatchJobs(requests=10, tokens=180))
    assert desk.paid
    assert migration.status().target_jobs.leased == 0


def test_a_service_that_calls_a_job_by_the_key_is_refused(world, migration, desk):
    desk.then("POST /batches$", refusing(status(200, {"id": KEY, "status": KEY})))
    with pytest.raises(ServiceError, match="cannot be written down"):
        migration.run(batch_jobs=BatchJobs())
    assert KEY not in json.dumps(world.backend.ledger.notes.under(""))


def test_no_key_is_written_down(world, migration, desk):
    desk.then("GET /batches/", refusing(status(500, f"{KEY}".encode())))
    desk.refuses = lambda text: text.endswith("1")
    migration.run(batch_jobs=BatchJobs())
    assert desk.keys == {f"Bearer {KEY}"}
    assert KEY not in json.dumps(world.backend.ledger.notes.under(""))
