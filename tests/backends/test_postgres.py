from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import BackendConformance
from revector.backends.opening import open_backend
from worlds import places_of


@pytest.fixture
def places(tmp_path):
    with places_of("postgres", tmp_path) as places:
        yield places


@pytest.fixture
def backend(places):
    with closing(open_backend(places / "docs")) as backend:
        yield backend


def test_no_plan_is_kept_for_a_table_as_it_was(backend):
    """A queue that was empty would be read from end to end for each claim once it is long."""
    for _ in range(20):
        assert backend.ledger.jobs.claim(1, "owner", 10, 60.0) == []
    with backend.snapshot() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar() == 0


class TestPostgres(BackendConformance):
    pass
