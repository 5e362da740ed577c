"""Answers that cannot be right."""

from __future__ import annotations

import numpy as np
import pytest

from revector.errors import RefusedTextsError, ServiceError
from services import DIMENSION, TEXTS, altered, assert_rows, honest


def _drop_a_row(document):
    del document["data"][1]


def _add_a_row(document):
    document["data"].append(document["data"][0])


def _repeat_an_index(document):
    document["data"][1]["index"] = 0


def _number_from_one(document):
    for item in document["data"]:
        item["index"] += 1


def _lose_an_index(document):
    del document["data"][1]["index"]


def _shorten_a_row(document):
    document["data"][1]["embedding"] = document["data"][1]["embedding"][:8]


def _shorten_all(document):
    for item in document["data"]:
        item["embedding"] = [0.5] * 8


def _no_row(document):
    document["data"][0]["embedding"] = None


def _text_in_a_row(document):
    document["data"][0]["embedding"] = ["0.5"] * DIMENSION


def _bad_base64(document):
    document["data"][0]["embedding"] = "not base64!"


def _odd_base64(document):
    document["data"][0]["embedding"] = "QUJD"


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (_drop_a_row, "22 rows for 23 texts"),
        (_add_a_row, "24 rows for 23 texts"),
        (_repeat_an_index, "expected each of 0 to 22 once"),
        (_number_from_one, "expected each of 0 to 22 once"),
        (_lose_an_index, "expected each of 0 to 22 once"),
        (_shorten_a_row, f"rows have 8, {DIMENSION} numbers, expected {DIMENSION} numbers each"),
        (_shorten_all, f"rows have 8 numbers, expected {DIMENSION} numbers each"),
        (_no_row, "an embedding is NoneType"),
        (_text_in_a_row, "an embedding is list"),
        (_bad_base64, "cannot be read"),
        (_odd_base64, "cannot be read"),
        (lambda document: {"data": "none"}, "expected an object with a list 'data'"),
        (lambda document: {"data": [1] * 23}, "expected an object with a list 'data'"),
        (lambda document: [1, 2], "expected an object with a list 'data'"),
    ],
)
def test_lies_about_rows_are_found(encoder, service, lie, message):
    service.otherwise = altered(lie)
    with pytest.raises(ServiceError, match=message) as error:
        encoder(encoding_format="float").encode(TEXTS)
    assert error.value.status == 200
    assert len(service.exchanges) == 1


def test_rows_out_of_order_are_put_in_order(encoder, service):
    service.otherwise = altered(lambda document: document["data"].reverse())
    assert_rows(encoder().encode(TEXTS), TEXTS)


def test_rows_without_an_index_are_taken_in_order(encoder, service):
    def strip(document):
        for item in document["data"]:
            del item["index"]

    service.otherwise = altered(strip)
    assert_rows(encoder().encode(TEXTS), TEXTS)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e39, 10**400])
def test_a_row_that_is_no_number_is_the_fault_of_its_text(encoder, service, bad):
    def spoil(document):
        document["data"][5]["embedding"][3] = bad

    service.otherwise = altered(spoil)
    one = encoder(encoding_format="float")
    if bad == 10**400:  # JSON knows no limit; float64 does
        with pytest.raises(ServiceError, match="cannot be read"):
            one.encode(TEXTS)
        return
    with pytest.raises(RefusedTextsError, match=r"texts\[5\]: the service returned NaN") as error:
        one.encode(TEXTS)
    assert list(error.value.reasons) == [5]
    assert np.isnan(error.value.rows[5]).all()
    assert_rows(np.delete(error.value.rows, 5, axis=0), TEXTS[:5] + TEXTS[6:])


def test_another_model_half_way_is_refused(encoder, service):
    service.then(honest, altered(lambda document: document.update(model="another-model")))
    one = encoder()
    one.encode(["a"])
    with pytest.raises(ServiceError, match="'another-model' by now, and did with 'a-model'"):
        one.encode(["b"])


def test_names_of_one_model_can_be_accepted(encoder, service):
    service.then(honest, altered(lambda document: document.update(model="a-model-v2")))
    one = encoder(check_model=False)
    assert_rows(one.encode(["a"]), ["a"])
    assert_rows(one.encode(["b"]), ["b"])
