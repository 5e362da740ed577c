"""Metrics are read when Prometheus asks for them."""

from __future__ import annotations

import sys
import urllib.request

import pytest

from revector.collection import Collection
from revector.errors import MissingExtraError
from revector.metrics import measured, serving_metrics
from revector.migration.signs import SearchSigns
from revector.testing import HashEncoder

OLD, NEW = HashEncoder(8, seed=1, name="old"), HashEncoder(12, seed=2, name="new")


@pytest.fixture
def docs(places):
    with Collection.open(places / "docs.db", OLD, encoders=[NEW]) as docs:
        docs.upsert(["a", "b"], ["one", "two"])
        yield docs


def _values(docs):
    return {(metric.name, *metric.labels.values()): metric.value for metric in measured(docs)}


def test_a_migration_is_measured_as_it_goes_on(docs):
    assert _values(docs)["revector_documents",] == 2
    migration = docs.migrate(NEW)
    migration.start()
    before = _values(docs)
    migration.run()
    after = _values(docs)
    assert (before["revector_migration_documents", "left"], before["revector_phase", "filling"]) == (2, True)
    assert (after["revector_migration_documents", "done"], after["revector_migration_share",]) == (2, 1.0)
    assert (after["revector_phase", "filling"], after["revector_phase", "proving"]) == (False, True)


def test_how_long_searches_take_is_told_in_seconds(docs):
    SearchSigns(docs._backend).say([0.081] * 10)
    values = _values(docs)
    assert values["revector_search_p50_seconds",] == pytest.approx(0.081)
    assert values["revector_search_p99_seconds",] == pytest.approx(0.081)


def test_money_that_services_took_is_summed(docs):
    docs._encoders.loaded[0].spent = 0.25
    try:
        assert _values(docs)["revector_embedding_cost",] == 0.25
    finally:
        del docs._encoders.loaded[0].spent


def test_prometheus_is_answered_for_as_long_as_it_is_served(docs):
    docs.migrate(NEW).start()
    with serving_metrics(docs, 0) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    assert 'revector_migration_documents{state="left"} 2.0' in lines
    assert "revector_up 1.0" in lines
    assert any(line.startswith("process_cpu_seconds_total ") for line in lines)


def test_a_store_that_does_not_answer_is_down(docs):
    with serving_metrics(docs, 0) as port:
        docs.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert "revector_up 0.0" in answer.read().decode().splitlines()


def test_without_the_extra_the_error_says_how_to_install_it(docs, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"revector\[metrics\]"), serving_metrics(docs, 0):
        pass
