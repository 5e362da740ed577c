"""What is tested here holds of every kind of backend."""

import pytest


@pytest.fixture(scope="module", params=["sqlite", "memory"])
def kind(request):
    return request.param
