"""Embedding spaces: the contract of a model, and the fingerprint that identifies it.

Two vectors can be compared only if they come from the same space. What makes a space is everything that changes the
numbers (weights, pooling, prefixes, maximum length, normalisation), not the name of the model: renaming a model
keeps its space, another revision of its weights does not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from revector._arguments import flag, shown, whole_number
from revector.errors import InvalidArgumentError, SpaceMismatchError

METRICS = ("cosine", "dot")
_TEXT_FIELDS = ("model", "revision", "pooling", "query_prefix", "document_prefix", "metric", "truncation")


@dataclass(frozen=True)
class EmbeddingSpace:
    """What one model contract produces.

    Parameters
    ----------
    model : str
        Name shown to people. Not part of the identity.
    dimension : int
        Length of a vector.
    revision : str
        Identifies the weights and the tokeniser: a digest of the files for local models, the version for a service.
    pooling : str
        How token states become one vector (``"mean"``, ``"cls"``, …).
    max_length : int or None
        Tokens kept of a text, special tokens included; ``None`` where the model takes any length.
    query_prefix, document_prefix : str
        Text put before every query or document.
    normalized : bool
        Whether vectors leave the encoder with unit length.
    metric : str
        ``"cosine"`` or ``"dot"``.
    truncation : str
        What happens to longer texts: ``"head"`` keeps the first tokens.
    """

    model: str
    dimension: int
    revision: str
    pooling: str = "mean"
    max_length: int | None = None
    query_prefix: str = ""
    document_prefix: str = ""
    normalized: bool = True
    metric: str = "cosine"
    truncation: str = field(default="head")

    def __post_init__(self) -> None:
        for name in _TEXT_FIELDS:
            if not isinstance(getattr(self, name), str):
                raise InvalidArgumentError(f"{name} is {shown(getattr(self, name))}, expected str")
        if not self.revision:
            raise InvalidArgumentError("revision is empty; give a digest of the weights or the service's model version")
        object.__setattr__(self, "dimension", whole_number(self.dimension, "dimension", least=1))
        if self.max_length is not None:
            object.__setattr__(self, "max_length", whole_number(self.max_length, "max_length", least=1))
        object.__setattr__(self, "normalized", flag(self.normalized, "normalized"))

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest (32 characters) of every field that changes the vectors; the model's name is not one."""
        contract = {key: value for key, value in asdict(self).items() if key != "model"}
        return hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()[:32]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> EmbeddingSpace:
        """Build a space from what `to_json` returned; raise `InvalidArgumentError` for other fields."""
        if not isinstance(fields, dict):
            raise InvalidArgumentError(f"fields is {shown(fields)}, expected what to_json returned")
        names = [item.name for item in dataclasses.fields(cls)]
        if wrong := [name for name in fields if name not in names]:
            raise InvalidArgumentError(f"a space with the field {shown(wrong[0])} is of a newer revector; use that one")
        if missing := [name for name in names[:3] if name not in fields]:
            raise InvalidArgumentError(f"a space has no field {missing[0]!r}; it was not written by to_json")
        return cls(**fields)

    def require(self, found: EmbeddingSpace, *, purpose: str) -> None:
        """Raise `SpaceMismatchError` unless `found` is this space.

        Parameters
        ----------
        found : EmbeddingSpace
            The space that was offered.
        purpose : str
            What it was offered for, for the message (``"this collection's queries"``).
        """
        if not isinstance(found, EmbeddingSpace):
            raise InvalidArgumentError(f"{purpose}: got {shown(found)}, expected an EmbeddingSpace")
        if found.fingerprint != self.fingerprint:
            raise SpaceMismatchError(
                f"{purpose} need the space {self}, got {found}; encode with {self.model!r} "
                f"(revision {self.revision[:12]}) or migrate the collection first",
                expected=str(self),
                found=str(found),
            )

    def __str__(self) -> str:
        """Return name, dimension and the start of the fingerprint."""
        return f"{self.model} ({self.dimension}-d, {self.fingerprint[:8]})"


def require_one_of(expected: Sequence[EmbeddingSpace], found: EmbeddingSpace, *, purpose: str) -> None:
    """Raise `SpaceMismatchError`, with the first of the spaces that are expected, unless `found` is one of them."""
    if found.fingerprint not in {space.fingerprint for space in expected}:
        expected[0].require(found, purpose=purpose)
