"""Errors cross processes and are copied without loss, whatever their constructors take."""

import copy
import importlib
import inspect
import multiprocessing
import pickle
import pkgutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

import revector
from revector.errors import MissingExtraError, RefusedTextsError, RevectorError, UnknownDocumentError
from revector.testing import HashEncoder

SAMPLES = {
    "str": "x",
    "str | None": "x",
    "int": 7,
    "bool": True,
    "float": 0.5,
    "float | None": 0.5,
    "int | None": 7,
    "tuple[str, ...]": ("a", "b"),
    "Mapping[int, str]": {1: "too long"},
    "Mapping[str, str]": {"a": "too long"},
    "NDArray[np.float32]": np.array([[1.0], [np.nan]], dtype=np.float32),
}


def descendants(kind):
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def our_errors():
    """All exception classes of the package, those that never leave it included."""
    for module in pkgutil.walk_packages(revector.__path__, "revector."):
        if not module.name.endswith("__main__"):
            with suppress(MissingExtraError):  # of a framework that is not here
                importlib.import_module(module.name)
    found = {kind for kind in descendants(BaseException) if kind.__module__.startswith("revector")}
    return sorted(found, key=lambda kind: kind.__qualname__)


def made(kind):
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return kind("x")
    positional = [SAMPLES[p.annotation] for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return kind(*positional, **{p.name: SAMPLES[p.annotation] for p in parameters if p.kind is p.KEYWORD_ONLY})


def everything(error):
    state = {
        name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in error.__dict__.items()
    }
    return type(error), error.args, str(error), state


WAYS = {
    "pickle": lambda error: pickle.loads(pickle.dumps(error)),
    "pickle 2": lambda error: pickle.loads(pickle.dumps(error, protocol=2)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", our_errors(), ids=lambda kind: kind.__qualname__)
def test_every_error_survives_with_its_fields_and_message(kind, way):
    error = made(kind)
    assert everything(WAYS[way](error)) == everything(error)


def test_a_future_error_that_takes_anything_survives():
    error = FutureError(left="a", right="b")
    error.__notes__ = ["seen at night"]
    assert everything(pickle.loads(pickle.dumps(error))) == everything(error)


class FutureError(MissingExtraError, KeyError):
    def __init__(self, *, left, right):
        self.left = left
        RevectorError.__init__(self, f"{left} is not {right}")


def test_what_an_import_error_keeps_beside_its_arguments_survives():
    assert pickle.loads(pickle.dumps(MissingExtraError("scipy", "eval", "evaluation"))).msg.startswith("evaluation")


def mismatch(_):
    HashEncoder(32).space.require(HashEncoder(16).space, purpose="x")


def refusal(_):
    raise RefusedTextsError({1: "too long"}, np.array([[1.0], [np.nan]], dtype=np.float32))


def caught(call):
    with pytest.raises(RevectorError) as raised:
        call()
    return raised.value


SPAWN = multiprocessing.get_context("spawn")


@pytest.mark.parametrize("work", [mismatch, refusal])
def test_a_pool_of_processes_hands_on_the_error_of_a_child(work):
    with ProcessPoolExecutor(1, mp_context=SPAWN) as pool, SPAWN.Pool(1) as other:
        raised = [
            caught(lambda: list(pool.map(work, [0]))),
            caught(lambda: other.map_async(work, [0]).get(timeout=60)),
        ]
    assert [everything(error) for error in raised] == 2 * [everything(caught(lambda: work(0)))]


def test_fields_are_what_a_program_reacts_to():
    refused = RefusedTextsError({1: "too long"}, np.zeros((2, 1), dtype=np.float32))
    assert refused.fields == {"reasons": {1: "too long"}}


def test_an_error_without_attributes_has_no_fields():
    assert RevectorError("x").fields == {}
    assert UnknownDocumentError(("a",)).fields == {"ids": ("a",)}
