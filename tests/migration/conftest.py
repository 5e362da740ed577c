"""What is tested here holds of every kind of backend."""

import pytest

from worlds import PLACES


@pytest.fixture(scope="module", params=PLACES)
def kind(request):
    return request.param
