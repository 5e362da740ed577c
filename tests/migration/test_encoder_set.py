from __future__ import annotations

import pytest

from revector.backends.contracts import Generation
from revector.encoders.at_hand import EncoderSet
from revector.errors import EncoderError
from worlds import NEW, OLD


def _generation(source="models/new"):
    return Generation(1, NEW.space, source, 0.0)


def test_an_encoder_that_was_given_is_found_by_its_space():
    assert EncoderSet([OLD, NEW]).find(_generation(None)) is NEW


def test_an_encoder_is_loaded_once_from_the_source_of_its_generation():
    asked = []

    def load(source):
        asked.append(source)
        return NEW

    encoders = EncoderSet(loader=load)
    assert encoders.find(_generation()) is encoders.find(_generation()) is NEW
    assert asked == ["models/new"]


def _fail(source):
    raise OSError("no such folder")


@pytest.mark.parametrize(
    ("source", "loader", "reason"),
    [
        (None, _fail, "in memory"),
        ("models/new", _fail, "no such folder"),
        ("models/new", lambda source: OLD, "holds old"),
    ],
)
def test_what_is_not_at_hand_is_named_with_the_reason(source, loader, reason):
    encoders = EncoderSet(loader=loader)
    assert encoders.find(_generation(source)) is None
    with pytest.raises(EncoderError, match=f"this search needs the model of new.*{reason}"):
        encoders.require(_generation(source), purpose="this search")


def test_an_encoder_added_later_is_found():
    encoders = EncoderSet(loader=_fail)
    assert encoders.find(_generation()) is None
    encoders.add(NEW)
    assert encoders.find(_generation()) is NEW
