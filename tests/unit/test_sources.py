"""Encoders by name."""

from __future__ import annotations

import pytest

from revector.encoders.sources import (
    OPENAI,
    SENTENCE_TRANSFORMERS,
    load_encoder,
    missing,
    places,
    read_source,
    remembered,
    write_source,
)
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


def test_a_chosen_precision_is_part_of_a_source_and_the_default_is_not(static_model):
    folder = str(static_model("static", 4, ["a"]))
    assert load_encoder(folder).source == folder
    chosen = f"native:{folder}?precision=float32"
    assert load_encoder(chosen).source == chosen
    assert load_encoder(chosen).space == load_encoder(folder).space


@pytest.mark.parametrize("options", ["?precision=int4", "?dimension=2"])
def test_a_precision_that_does_not_exist_is_refused(static_model, options):
    with pytest.raises(InvalidArgumentError):
        load_encoder(f"native:{static_model('static', 4, ['a'])}{options}")


def test_a_collection_taken_elsewhere_finds_a_model_of_a_chosen_precision(tmp_path):
    home, model = tmp_path / "docs", tmp_path / "model"
    model.mkdir()
    source = f"native:{model}?precision=int8"
    assert places(remembered(source, home), home) == [source]
    assert (
        places(remembered(source, home), tmp_path / "moved" / "docs")[0]
        == f"native:{tmp_path}/moved/model?precision=int8"
    )
    assert not missing(source)
