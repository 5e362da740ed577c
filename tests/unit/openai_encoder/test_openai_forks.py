"""A forked child has locks and connections of its own."""

from __future__ import annotations

import os
import threading

import pytest

from children import in_child
from revector.encoders.service.pacing import Pacer
from services import TEXTS, assert_rows, honest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def encodes(one):
    def ask():
        assert_rows(one.encode(TEXTS), TEXTS)
        return True

    return ask


def test_a_child_encodes_while_a_request_of_its_parent_is_under_way(encoder, service):
    under_way, answered = threading.Event(), threading.Event()

    def slow(exchange):
        under_way.set()
        answered.wait(20)
        honest(exchange)

    service.then(slow)
    one = encoder(pacer=Pacer(requests_per_minute=6000), concurrency=1, spend_cap=1e6, price_per_million_tokens=1.0)
    asking = threading.Thread(target=one.encode, args=(["a"],))
    asking.start()
    under_way.wait(20)
    assert in_child(encodes(one))
    answered.set()
    asking.join()
    assert_rows(one.encode(TEXTS), TEXTS)


def test_a_child_does_not_use_the_connections_of_its_parent(encoder, service):
    one = encoder()
    one.encode(["a"])
    assert in_child(encodes(one))
    assert_rows(one.encode(TEXTS), TEXTS)
    ports = [exchange.handler.client_address for exchange in service.exchanges]
    assert ports[0] == ports[2] != ports[1]


def test_a_closed_encoder_is_closed_in_a_child(encoder):
    one = encoder()
    one.close()

    def is_refused():
        with pytest.raises(Exception, match="the encoder is closed"):
            one.encode(["a"])
        return True

    assert in_child(is_refused)
