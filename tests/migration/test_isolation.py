"""A batch in which some texts cannot be encoded."""

from __future__ import annotations

import numpy as np
import pytest

from revector.encoders.isolation import encode_each
from revector.errors import EncoderError, RateLimitedError, RefusedTextsError, ServiceError, SpendCapError
from worlds import NEW


class Refusing:
    """An encoder that knows itself which texts it refuses."""

    space, source = NEW.space, None

    def __init__(self, spoil=lambda rows: None):
        self.calls, self._spoil = 0, spoil

    def encode(self, texts, *, kind="document"):
        self.calls += 1
        rows = NEW.encode(texts)
        reasons = {place: f"{text} is too long" for place, text in enumerate(texts) if text.startswith("bad")}
        rows[list(reasons)] = np.nan
        self._spoil(rows)
        if reasons:
            raise RefusedTextsError(reasons, rows)
        return rows


class Failing:
    space, source = NEW.space, None

    def __init__(self, error):
        self.error, self.calls = error, 0

    def encode(self, texts, *, kind="document"):
        self.calls += 1
        raise self.error


def test_what_an_encoder_isolated_itself_is_not_encoded_again():
    texts = ["one", "bad two", "three", "bad four"]
    encoder = Refusing()
    outcomes = encode_each(encoder, texts)
    assert encoder.calls == 1
    assert [str(o) for o in outcomes if isinstance(o, EncoderError)] == ["bad two is too long", "bad four is too long"]
    np.testing.assert_array_equal([outcomes[0], outcomes[2]], NEW.encode(["one", "three"]))


def test_nothing_but_refused_texts_is_nothing_but_errors():
    outcomes = encode_each(Refusing(), ["bad one", "bad two"])
    assert all(isinstance(outcome, EncoderError) for outcome in outcomes)


def test_broken_rows_beside_a_refused_text_are_found():
    def spoil(rows):
        rows[0] = np.inf

    broken, good, _ = encode_each(Refusing(spoil), ["broken", "good", "bad"])
    assert "NaN or infinity" in str(broken)
    np.testing.assert_array_equal(good, NEW.encode(["good"])[0])


@pytest.mark.parametrize(
    "error", [RateLimitedError("later"), SpendCapError("poor"), ServiceError("no key", status=401)]
)
def test_a_service_that_refuses_is_asked_once(error):
    encoder = Failing(error)
    with pytest.raises(type(error)):
        encode_each(encoder, ["a", "b", "c", "d"])
    assert encoder.calls == 1


def test_the_message_names_the_first_refused_texts_and_counts_the_rest():
    error = RefusedTextsError({7: "g", 1: "b", 2: "c", 3: "d"}, np.zeros((9, 2), np.float32))
    assert str(error) == "4 of 9 texts were refused: texts[1]: b; texts[2]: c; texts[3]: d; and 1 more"


@pytest.mark.parametrize("error", [MemoryError("out of memory"), RuntimeError("CUDA"), TypeError("x"), OSError(5, "x")])
def test_whatever_an_encoder_raises_is_the_fault_of_one_text(error):
    class Fails:
        space, source = NEW.space, None

        def encode(self, texts, *, kind="document"):
            if "huge" in texts:
                raise error
            return NEW.encode(texts, kind=kind)

    good, bad, other = encode_each(Fails(), ["a", "huge", "b"])
    assert isinstance(bad, EncoderError)
    assert type(error).__name__ in str(bad)
    np.testing.assert_array_equal([good, other], NEW.encode(["a", "b"]))


def test_an_interruption_is_nobodys_fault():
    class Interrupted:
        space, source = NEW.space, None

        def encode(self, texts, *, kind="document"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_each(Interrupted(), ["a", "b"])


def test_an_encoder_that_fails_with_every_text_is_itself_at_fault():
    with pytest.raises(TypeError, match="a bug"):
        encode_each(Failing(TypeError("a bug")), ["a", "b", "c"])
