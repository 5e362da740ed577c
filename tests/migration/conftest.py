"""What is tested here holds of every kind of backend."""

import pytest

from worlds import KINDS


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param
