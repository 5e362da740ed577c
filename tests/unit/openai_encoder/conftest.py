"""The encoder behind HTTP, against a real service on this machine that limits, fails, stalls and lies."""

from __future__ import annotations

import pytest

from revector.encoders.service.openai import OpenAIEncoder
from revector.encoders.service.pacing import Pacer
from services import DIMENSION, KEY, FakeClock, Service, running


@pytest.fixture
def service():
    with running(Service()) as service:
        yield service


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def encoder(service, clock):
    """Return a maker of encoders for the service, on a clock that nobody has to wait for."""
    made = []

    def make(**options):
        options = {"dimensions": DIMENSION, "pacer": Pacer(clock=clock), "api_key": KEY, "concurrency": 1, **options}
        made.append(OpenAIEncoder("a-model", base_url=service.url, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
