"""A collection in LanceDB, by the whole suite of a backend."""

from __future__ import annotations

from contextlib import closing

import pytest

from revector.backends.conformance import BackendConformance
from revector.backends.lancedb import LanceKind

pytest.importorskip("lancedb", reason="pip install 'revector[lancedb]'")


class TestLanceBackend(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path):
        with closing(LanceKind.open(f"lancedb://{tmp_path}/tables?ledger={tmp_path}/docs.db#docs")) as backend:
            yield backend
