"""Which generation a request means: by the name of a model, by a number, or by the fingerprint of a space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from revector._arguments import shown
from revector.backends.contracts import Generation
from revector.gateway.failures import RequestError

__all__ = ["LIVE", "headers_of", "model_id", "model_named", "named", "of_vector"]

LIVE = "live"
"""The model whose generation serves, whichever it is."""
_PREFIX = "generation-"


def model_id(generation: Generation) -> str:
    """Return the name of a generation's model that stays its own when another one serves."""
    return f"{_PREFIX}{generation.id}"


def named(generation: Generation) -> dict[str, Any]:
    """Return what names a generation in an answer."""
    return {"generation": generation.id, "space": generation.space.fingerprint}


def headers_of(found: dict[str, Any]) -> dict[str, str]:
    """Return the headers that say what an answer's fields say."""
    return {f"X-Revector-{name.title()}": str(value) for name, value in found.items() if value is not None}


def model_named(answering: Sequence[Generation], name: Any) -> Generation:
    """Return the generation of a model; raise `RequestError` if it does not answer."""
    if name == LIVE:
        return answering[0]
    for generation in answering:
        if name == model_id(generation):
            return generation
    expected = ", ".join(map(repr, (LIVE, *map(model_id, answering))))
    if isinstance(name, str) and name.removeprefix(_PREFIX).isdecimal() and name.startswith(_PREFIX):
        raise _gone(f"the model {shown(name)} does not answer any more, or not yet; there are {expected}", "model")
    raise RequestError(f"model is {shown(name)}, expected one of {expected}", status=404, code="model_not_found")


def of_vector(answering: Sequence[Generation], generation: Any, space: Any) -> Generation:
    """Return the generation that the vector of a search belongs to.

    Raises
    ------
    RequestError
        The vector does not say where it is from, contradicts itself, or is of a generation that does not answer.
    """
    if generation is None and space is None:
        raise RequestError(
            "a vector needs the generation or the space that its embedding was answered with", param="generation"
        )
    for each in answering:
        fits = (generation is None or generation == each.id, space is None or space == each.space.fingerprint)
        if all(fits) and not isinstance(generation, bool):
            return each
        if generation is not None and space is not None and any(fits):
            raise RequestError(f"generation {shown(generation)} is not of the space {shown(space)}", param="space")
    name, value = ("space", space) if generation is None else ("generation", generation)
    there = ", ".join(str(each.id if name == "generation" else each.space.fingerprint) for each in answering)
    raise _gone(
        f"{name} {shown(value)} does not answer any more, or not yet; there are {there}: embed the query again", name
    )


def _gone(message: str, param: str) -> RequestError:
    return RequestError(message, status=410, code="generation_gone", param=param)
