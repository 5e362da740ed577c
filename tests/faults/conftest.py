"""What is tested here holds of every kind of backend that several processes have in common."""

import pytest

from worlds import SHARED_KINDS


@pytest.fixture(scope="module", params=SHARED_KINDS)
def kind(request):
    return request.param
