"""The file of a map: tensors as safetensors, and a description of JSON types in its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from revector.errors import InvalidArgumentError, RevectorError

Tensors = dict[str, NDArray[Any]]
"""Of float32, or of float16 where that is all the precision there is."""
State = tuple[Tensors, dict[str, Any]]

_KEY = "revector"


def pack(state: State) -> bytes:
    """Serialise tensors and description as one safetensors file."""
    from safetensors.numpy import save

    tensors, description = state
    rows = {
        name: np.ascontiguousarray(tensor, np.float16 if tensor.dtype == np.float16 else np.float32)
        for name, tensor in tensors.items()
    }
    return save(rows, metadata={_KEY: json.dumps(description)})


def unpack(blob: bytes) -> State:
    """Return what `pack` serialised; raises whatever damage there causes, see `refusing_damage`."""
    from safetensors.numpy import load

    tensors = load(blob)
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    return tensors, json.loads(header["__metadata__"][_KEY])


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn what a damaged or foreign file causes into `InvalidArgumentError`."""
    from safetensors import SafetensorError

    try:
        yield
    except RevectorError:
        raise
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InvalidArgumentError(f"these bytes are not a map written by revector: {error}") from error


def nested(name: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Name tensors of a part within a whole."""
    return {f"{name}.{key}": tensor for key, tensor in tensors.items()}


def part(name: str, tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return the tensors that `nested` named."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
