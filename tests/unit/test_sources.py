"""Encoders by name."""

from __future__ import annotations

import pytest

from revector.encoders.sources import OPENAI, SENTENCE_TRANSFORMERS, load_encoder, read_source, write_source
from revector.errors import InvalidArgumentError

READERS = {"text": str, "number": int}


@pytest.mark.parametrize("name", ["a-model", "org/model", "/models/50% off?/e5", "C:model", "/a/%3F", "ein Modell"])
@pytest.mark.parametrize("text", ["", "a&b=c?d", "find: ", "Straße %", "https://host:1/v1"])
def test_what_is_written_is_read_again(name, text):
    source = write_source(SENTENCE_TRANSFORMERS, name, {"text": text, "number": 7})
    assert read_source(source, SENTENCE_TRANSFORMERS, READERS) == (name, {"text": text, "number": 7})


def test_without_options_a_source_is_what_people_write():
    assert write_source(OPENAI, "org/a-model:latest", {"text": None}) == "openai:org/a-model:latest"


def test_an_encoder_is_chosen_by_its_scheme(static_model):
    assert type(load_encoder("openai:a-model")).__name__ == "OpenAIEncoder"
    assert type(load_encoder(str(static_model("static", 4, ["a"])))).__name__ == "Encoder"


def test_an_option_that_does_not_exist_is_refused():
    with pytest.raises(InvalidArgumentError, match="no option 'speed'; there are text, number"):
        read_source("openai:m?speed=1", OPENAI, READERS)
