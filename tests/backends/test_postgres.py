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


class TestPostgres(BackendConformance):
    pass
